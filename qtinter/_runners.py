"""Who starts and ends a logical loop: attached mode for Qt programs, nested mode for asyncio ones.

Not done here: run(), which executes the application as well (_run.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable

from . import _qt
from ._cleanup import at_exit, finish, finish_in_place, not_at_exit
from ._compat import get_policy, set_policy
from ._loops import QiBaseEventLoop, new_event_loop
from ._policies import QiDefaultEventLoopPolicy

if TYPE_CHECKING:
    from typing_extensions import Self


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
        self._main: asyncio.Task[Any] | None = (
            None  # What ends before the other tasks, if anything.
        )

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
