"""Who starts and ends a logical loop: attached mode for Qt programs, nested mode for asyncio ones."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import signal
import threading
from collections.abc import Coroutine, Iterator
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Callable, TypeVar, overload

from . import _qt
from ._cleanup import at_exit, finish, finish_in_place, not_at_exit
from ._compat import get_policy, set_policy
from ._loops import QiBaseEventLoop, new_event_loop
from ._policies import QiDefaultEventLoopPolicy

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")


class QiRunner:
    """Attached mode: lets asyncio run inside the Qt loop that the program executes.

    A context manager, or `start()` and `close()` for code whose host is already executing Qt's
    loop:

        with QiRunner():
            app.exec()

    While it is open, its loop is the running loop of this thread: tasks may be created anywhere in
    the thread, before, around and inside `app.exec()`, and make progress whenever Qt has the
    thread. `app.exec()` may be called any number of times.

    Args:
        debug: whether the loop is in asyncio's debug mode; None for asyncio's default.
        loop_factory: makes the Qt-backed loop; None for `new_event_loop`.
        handle_sigint: whether Ctrl-C ends the run; None for yes, which works in the main thread
            only.
        shutdown_timeout: seconds that `close()` may wait for cancelled tasks, and then for the
            executor; None for no limit.

    KeyboardInterrupt and SystemExit, from a task, a callback or Ctrl-C, make Qt leave its loops and
    are raised by `close()`, hence by the `with` statement.
    """

    def __init__(
        self,
        *,
        debug: bool | None = None,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
        handle_sigint: bool | None = None,
        shutdown_timeout: float | None = None,
    ) -> None:
        self._debug = debug
        self._loop_factory = loop_factory or new_event_loop
        self._handle_sigint = handle_sigint is not False
        self._shutdown_timeout = shutdown_timeout
        self._thread = threading.current_thread()
        self._loop: QiBaseEventLoop | None = None
        self._was_started = False
        self._main: asyncio.Task[Any] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Make the loop run.

        Raises:
            RuntimeError: there is no application object, this thread has a running loop already
                (another runner's, for example), or the runner was started before.
            TypeError: `loop_factory` made a loop that is not Qt-backed.
        """
        if self._was_started:
            raise RuntimeError("a QiRunner can be started only once; create another one")
        running = asyncio._get_running_loop()
        if running is not None:
            raise RuntimeError(
                f"QiRunner cannot start: {running!r} is already running in this thread; create "
                "tasks in it, or close its runner first; in a host that runs a loop of its own, "
                "such as IPython, use attach()"
            )
        _qt.require_application("QiRunner")
        loop = self._loop_factory()
        if not isinstance(loop, QiBaseEventLoop):
            loop.close()
            raise TypeError(
                f"loop_factory made {loop!r}, which is not Qt-backed; use qtinter.new_event_loop"
            )
        if self._debug is not None:
            loop.set_debug(self._debug)
        loop.attach(handle_sigint=self._handle_sigint)
        self._thread = threading.current_thread()
        if self._thread is threading.main_thread():
            at_exit(self._process_ends)
        self._loop = loop
        self._was_started = True

    def get_loop(self) -> QiBaseEventLoop:
        """Return the loop.

        Raises:
            RuntimeError: the runner is not open.
        """
        if self._loop is None:
            raise RuntimeError("the QiRunner is not open; its loop exists from start() to close()")
        return self._loop

    def close(self) -> None:
        """Cancel all tasks, let them finish, shut down generators and executor, close the loop.

        What the tasks await while they finish may involve Qt, even after QCoreApplication.quit(). A
        second call does nothing.

        Raises:
            KeyboardInterrupt, SystemExit: what ended the run.
            RuntimeError: called in another thread, or by code that the loop itself is running.
        """
        loop = self._loop
        if loop is None:
            return
        if threading.current_thread() is not self._thread:
            raise RuntimeError("close() must be called in the thread of start()")
        error = loop.detach()
        self._loop = None
        not_at_exit(self._process_ends)
        try:
            finish(loop, self._shutdown_timeout, self._main)
        finally:
            loop.close()
        if error is not None:
            raise error

    def _begin(
        self, main: Coroutine[Any, Any, T], *, keep_running: bool, quit_qapp: bool
    ) -> asyncio.Task[T]:
        """For run(): start the task that ends before the others, and the application with it."""
        loop = self.get_loop()

        def main_done(task: asyncio.Task[T]) -> None:
            if task.cancelled() or task.exception() is not None or not keep_running:
                _qt.call_soon(leave)

        def leave() -> None:
            # Not if the application is leaving already: that would change its exit code. Then Qt calls
            # this later, if ever.
            if self._loop is loop:
                _qt.quit_application(silently=not quit_qapp)

        task = loop.create_task(main)
        task.add_done_callback(main_done)
        self._main = task
        return task

    def _process_ends(self) -> None:
        """Called by Python at exit, if the program forgot to close, or a slot called sys.exit()."""
        assert self._loop is not None
        if self._loop.is_on_stack():
            finish_in_place(self._loop, self._shutdown_timeout)
        else:
            with contextlib.suppress(KeyboardInterrupt, SystemExit):
                self.close()


def using_asyncio_from_qt(
    *,
    debug: bool | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    handle_sigint: bool | None = None,
    shutdown_timeout: float | None = None,
) -> QiRunner:
    """Return a QiRunner, for `with using_asyncio_from_qt(): app.exec()`. Arguments as there."""
    return QiRunner(
        debug=debug,
        loop_factory=loop_factory,
        handle_sigint=handle_sigint,
        shutdown_timeout=shutdown_timeout,
    )


@contextlib.contextmanager
def using_qt_from_asyncio() -> Iterator[None]:
    """Nested mode: inside, asyncio.run, Runner and new_event_loop make Qt-backed loops.

    Raises:
        RuntimeError: there is no application object.
    """
    _qt.require_application("using_qt_from_asyncio()")
    policy = get_policy()
    set_policy(QiDefaultEventLoopPolicy())
    try:
        yield
    finally:
        set_policy(policy)


@overload
def run(
    main: None = None,
    *,
    keep_running: bool = ...,
    quit_qapp: bool = ...,
    handle_sigint: bool = ...,
    debug: bool | None = ...,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = ...,
    shutdown_timeout: float | None = ...,
) -> int: ...
@overload
def run(
    main: Coroutine[Any, Any, T],
    *,
    keep_running: bool = ...,
    quit_qapp: bool = ...,
    handle_sigint: bool = ...,
    debug: bool | None = ...,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = ...,
    shutdown_timeout: float | None = ...,
) -> T | None: ...
def run(
    main: Coroutine[Any, Any, T] | None = None,
    *,
    keep_running: bool = False,
    quit_qapp: bool = True,
    handle_sigint: bool = True,
    debug: bool | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    shutdown_timeout: float | None = None,
) -> T | int | None:
    """Run a whole program: execute the application, and `main` in it.

    The application is quit by its last window closing, by `app.quit()` or `app.exit()`, by SIGINT
    or by SIGTERM. If `main` is not done then, it is cancelled and may clean up; all other tasks
    are cancelled after it, as QiRunner does.

    Args:
        main: a coroutine; None to run only what slots and windows start.
        keep_running: go on until the application quits when `main` is done. An exception of
            `main` ends the run nevertheless.
        quit_qapp: whether the application has quit when `main` is done; False not to emit its
            signal `aboutToQuit` then, because another `run()` follows.
        handle_sigint: whether SIGINT and SIGTERM quit the application, which works in the main
            thread only, and where Python's default handlers are in place.
        debug: as for QiRunner.
        loop_factory: as for QiRunner.
        shutdown_timeout: as for QiRunner.

    Returns:
        What `main` returned, None if it ended by being cancelled as described; without `main`,
        the exit code of the application.

    Raises:
        RuntimeError: there is no application object, its loop is already being executed, or
            another asyncio loop is running in this thread.
        TypeError: `main` is not a coroutine.
        KeyboardInterrupt: SIGINT. A second one is raised at once.
        SystemExit: raised by `main`, a task or a callback; or there was a `main`, and the
            application was left by `app.exit(n)` with a code that is not 0, which is the exit code.
        Exception: what `main` raised.

    Mirrors asyncio.run().
    """
    if main is not None and not inspect.iscoroutine(main) and not isinstance(main, Coroutine):
        raise TypeError(f"run() needs a coroutine, got {main!r}; call the coroutine function")
    signals = _QuitSignals(is_open=handle_sigint)
    runner = QiRunner(
        debug=debug,
        loop_factory=loop_factory,
        handle_sigint=handle_sigint,
        shutdown_timeout=shutdown_timeout,
    )
    task = None
    try:
        _require_idle_application()
        with signals, runner:
            if main is not None:
                task = runner._begin(main, keep_running=keep_running, quit_qapp=quit_qapp)
            signals.repeat()
            code = _qt.execute_application()
            quit_first = task is not None and not task.done()
    finally:
        if main is not None and task is None:
            main.close()  # It was never awaited; the error says why.
    if task is None:
        signals.raise_interrupt()
        return code
    return _result(task, code, quit_first, signals)


def _result(task: asyncio.Task[T], code: int, quit_first: bool, signals: _QuitSignals) -> T | None:
    """What run() returns or raises when all is done; `task` was that of its coroutine."""
    if task.done() and not task.cancelled():
        result = task.result()
        if quit_first and code == 0:
            return result  # It did not let itself be cancelled.
    signals.raise_interrupt()
    if code != 0:
        raise SystemExit(code)
    return None if quit_first else task.result()


def _require_idle_application() -> None:
    _qt.require_application("run()")
    if _qt.loop_level() > 0:
        raise RuntimeError(
            "run() executes Qt's loop, but this thread is executing one already; use attach() or "
            "QiRunner.start() there"
        )


class _QuitSignals:
    """While it is open, SIGINT and SIGTERM quit the application; a second SIGINT raises at once.

    Handlers that are not Python's own stay in place.
    """

    def __init__(self, *, is_open: bool) -> None:
        self._is_open = is_open and threading.current_thread() is threading.main_thread()
        self._defaults: dict[int, Any] = {}
        self._has_come = False
        self._was_interrupted = False

    def __enter__(self) -> None:
        defaults = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
        for number, default in defaults.items():
            if self._is_open and signal.getsignal(number) == default:
                self._defaults[number] = default
                signal.signal(number, self._quit)

    def __exit__(self, *_: object) -> None:
        for number, default in self._defaults.items():
            if signal.getsignal(number) == self._quit:
                signal.signal(number, default)

    def raise_interrupt(self) -> None:
        """Raise KeyboardInterrupt if SIGINT has come."""
        if self._was_interrupted:
            raise KeyboardInterrupt

    def _quit(self, number: int, frame: FrameType | None) -> None:
        self._has_come = True
        if number == signal.SIGINT:
            self.raise_interrupt()
            self._was_interrupted = True
        self.repeat()

    def repeat(self) -> None:
        """Quit if a signal has come, which may have been before there was a loop."""
        loop = asyncio._get_running_loop()
        if self._has_come and loop is not None:
            # Not at once: if Qt's loop is not executed yet, it would be afterwards.
            loop.call_soon_threadsafe(_qt.leave_event_loops)
