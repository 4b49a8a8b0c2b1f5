"""Who starts and ends a logical loop: attached mode for Qt programs, nested mode for asyncio ones."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable

from . import _qt
from ._compat import get_policy, set_policy, shutdown_executor
from ._loops import QiBaseEventLoop, new_event_loop
from ._policies import QiDefaultEventLoopPolicy

if TYPE_CHECKING:
    from typing_extensions import Self

logger = logging.getLogger("qtinter")


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
                f"QiRunner cannot start: {running!r} is already running in this thread; "
                "create tasks in it, or close its runner first"
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
        try:
            _finish(loop, self._shutdown_timeout)
        finally:
            loop.close()
        if error is not None:
            raise error


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


def _finish(loop: QiBaseEventLoop, timeout: float | None) -> None:
    """Run the clean-up to its end, whatever stops the loop meanwhile; only Ctrl-C cuts it short."""
    task = loop.create_task(_clean_up(loop, timeout))
    task.add_done_callback(lambda _: loop.stop())
    leaving: SystemExit | None = None
    while not task.done():
        try:
            loop.run_forever()
        except SystemExit as error:
            leaving = error
    task.result()
    if leaving is not None:
        raise leaving


async def _clean_up(loop: QiBaseEventLoop, timeout: float | None) -> None:
    deadline = None if timeout is None else loop.time() + timeout
    stuck = await _cancel_all_tasks(loop, deadline)
    if stuck:
        names = ", ".join(sorted(task.get_name() for task in stuck))
        logger.error("QiRunner.close() gave up after %s s; still not finished: %s", timeout, names)
    await loop.shutdown_asyncgens()
    await shutdown_executor(loop, timeout)


async def _cancel_all_tasks(
    loop: QiBaseEventLoop, deadline: float | None
) -> set[asyncio.Task[Any]]:
    """Cancel all other tasks, those too that they create while they end; return the stuck ones."""
    cancelled: set[asyncio.Task[Any]] = set()
    while new := asyncio.all_tasks() - {asyncio.current_task()} - cancelled:
        for task in new:
            task.cancel()
        cancelled |= new
        timeout = None if deadline is None else max(0, deadline - loop.time())
        done, stuck = await asyncio.wait(new, timeout=timeout)
        for task in done:
            if not task.cancelled() and task.exception() is not None:
                loop.call_exception_handler(
                    {
                        "message": "unhandled exception in a task cancelled by QiRunner.close()",
                        "exception": task.exception(),
                        "task": task,
                    }
                )
        if stuck:
            return stuck
    return set()
