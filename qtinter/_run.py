"""run(): one call for a whole program."""

from __future__ import annotations

import asyncio
import inspect
import signal
import threading
from collections.abc import Coroutine
from types import FrameType
from typing import Any, Callable, TypeVar, overload

from . import _qt
from ._runners import QiRunner

T = TypeVar("T")


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
    program = _Program(
        debug=debug,
        loop_factory=loop_factory,
        handle_sigint=handle_sigint,
        shutdown_timeout=shutdown_timeout,
    )
    task = None
    try:
        _require_idle_application()
        with signals, program:
            if main is not None:
                task = program.begin(main, keep_running=keep_running, quit_qapp=quit_qapp)
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


class _Program(QiRunner):
    """The runner of a whole program."""

    def begin(
        self, main: Coroutine[Any, Any, T], *, keep_running: bool, quit_qapp: bool
    ) -> asyncio.Task[T]:
        """Start the task that ends before the others, and the application with it."""
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
