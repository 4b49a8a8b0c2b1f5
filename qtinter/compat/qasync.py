"""The names of qasync, so that one changed import moves a program.

    from qtinter.compat.qasync import QEventLoop, asyncSlot  # was: from qasync import ...

Runs execute the application's own loop (`app.exec()`), as with qasync: closing the last window and
`app.quit()` end them, and `run_forever()` returns the exit code. Everything else is as in qtinter
and asyncio, and differs where qasync differs from asyncio: timers are precise, exceptions of
callbacks and SystemExit arrive where asyncio says, context variables are kept, `run_in_executor`
uses asyncio's own executor by default. Each name says what else is different.

Names are those of qasync 0.28, and those of the binding that it exports (QApplication, QtCore,
QtGui, QtWidgets, Slot, QtModuleName), which are imported when they are asked for. qtpy chooses the
binding.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import importlib
import inspect
import sys
import threading
import weakref
from collections.abc import Awaitable, Coroutine
from typing import TYPE_CHECKING, Any, Callable, TypeVar, cast

from .. import _qt
from .._cleanup import at_exit, finish, finish_in_place, not_at_exit, run_in_place
from .._compat import DefaultPolicy, get_policy, set_policy
from .._dialogs import asyncclose
from .._executor import QThreadExecutor as _QThreadExecutor
from .._loops import QiBaseEventLoop, QiSelectorEventLoop
from .._moulds import make_function, qualified_name
from .._runners import QiRunner
from .._slots import asyncslot
from .._tasks import modal

if sys.platform == "win32":
    from .._loops import QiProactorEventLoop

if TYPE_CHECKING:
    from typing_extensions import ParamSpec, Self

    P = ParamSpec("P")
T = TypeVar("T")

__all__ = ["QEventLoop", "QThreadExecutor", "asyncClose", "asyncSlot", "asyncWrap"]

# How often Qt processes events after the application has quit, so that who waits for `aboutToQuit`
# can do what needs no waiting. (qasync does it once.)
LAST_TURNS = 10


def __getattr__(name: str) -> Any:
    """The names of the binding, which qasync exports as well."""
    if name in ("QtCore", "QtGui", "QtWidgets"):
        return importlib.import_module(f"{_qt.QtCore.__name__.partition('.')[0]}.{name}")
    if name == "QApplication":
        return __getattr__("QtWidgets").QApplication
    if name == "QtModuleName":
        return _qt.QtCore.__name__.partition(".")[0]
    if name == "Slot":
        return _qt.QtCore.pyqtSlot if _qt.is_pyqt() else _qt.QtCore.Slot
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# Loops.


class _QEventLoop(QiBaseEventLoop):
    """An event loop whose runs execute the application.

    Args:
        app: ignored; the application object is the only one there is.
        set_running_loop: ignored, as in qasync 0.28.
        already_running: begin at once, for an application whose loop is running or about to run:
            attached mode, which `close()` ends.

    Raises:
        RuntimeError: there is no application object (qasync: AssertionError).

    At the end of a `with` statement, and by `close()` of a loop that was already running, tasks are
    cancelled and may clean up (with qasync they are dropped).

    In a thread of its own, or while Qt runs already, a run executes a QEventLoop. As with qasync,
    the application emits `aboutToQuit` at the end of every run that executes it.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        _qt.require_application("QEventLoop")
        return super().__new__(cls)

    def __init__(
        self, app: Any = None, set_running_loop: bool = False, already_running: bool = False
    ) -> None:
        super().__init__()
        self._is_stopping = False
        self._is_finishing = False
        self._runner: QiRunner | None = None
        _waiting[threading.get_ident()] = weakref.ref(self)
        if already_running:
            self._runner = QiRunner(loop_factory=lambda: self)
            self._runner.start()

    def run_forever(self) -> Any:
        """Run until `stop()`, or until the application quits; return its exit code."""
        app = _qt.application()
        try:
            if self._is_finishing or _qt.loop_level() > 0 or not _qt.is_in_thread_of(app):
                super().run_forever()
                return 0
            return self._run_application(app)
        finally:
            self._is_stopping = False

    def _run_application(self, app: Any) -> int:
        self.attach()
        ending = functools.partial(finish_in_place, self, None)
        at_exit(ending)  # For sys.exit() in a slot.
        try:
            code = _qt.execute_application()
            for _ in range(LAST_TURNS):
                if not self._is_stopping:
                    app.processEvents()
        finally:
            not_at_exit(ending)
            error = self.detach()
        if error is not None:
            raise error
        return code

    def stop(self) -> None:
        self._is_stopping = True
        super().stop()

    def set_default_executor(self, executor: Any) -> None:
        """Use any Executor by default; asyncio takes none but ThreadPoolExecutors."""
        if isinstance(executor, concurrent.futures.Executor):
            self._default_executor = executor
        else:
            super().set_default_executor(executor)

    def close(self) -> None:
        """Close the loop; one that was already running cleans up first."""
        if self._runner is not None and self.is_running():
            self._runner.close()  # It calls this method again.
        else:
            self._is_finishing = not self.is_running()
            super().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if not self.is_closed() and not self.is_running():
                self._is_finishing = True
                finish(self, None)
        finally:
            self.close()


class QSelectorEventLoop(_QEventLoop, QiSelectorEventLoop):
    __doc__ = _QEventLoop.__doc__


if sys.platform == "win32":

    class QIOCPEventLoop(_QEventLoop, QiProactorEventLoop):
        __doc__ = _QEventLoop.__doc__

    QEventLoop = QIOCPEventLoop
else:
    QEventLoop = QSelectorEventLoop

# The loop that was last made in each thread.
_waiting: dict[int, weakref.ref[_QEventLoop]] = {}


class DefaultQEventLoopPolicy(DefaultPolicy):
    """asyncio's default policy, whose new loops are QEventLoops. It makes a QApplication if there is none."""

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return _new_event_loop()


def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
    """As asyncio.run() on a QEventLoop, on any Python. Makes a QApplication if there is none.

    Raises:
        RuntimeError: the application has quit, and `main` was not done then. It is cancelled and
            may clean up.
    """
    if sys.version_info >= (3, 11):
        with asyncio.Runner(debug=debug, loop_factory=_new_event_loop) as runner:
            return runner.run(main)
    else:
        policy = get_policy()
        set_policy(DefaultQEventLoopPolicy())
        try:
            return asyncio.run(main, debug=debug)
        finally:
            set_policy(policy)


def _new_event_loop() -> asyncio.AbstractEventLoop:
    global _application
    if not _qt.has_application():
        _application = __getattr__("QApplication")(sys.argv)
    return QEventLoop()


_application: Any = None  # Nobody else keeps it alive.


# Slots.


def asyncSlot(
    *types: Any, **options: Any
) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, asyncio.Task[T]]]:
    """Make a slot of a coroutine function: `@asyncSlot()`, `@asyncSlot(str)`; arguments are those of Slot.

    As with qasync, the slot is registered with Qt's meta-object, the coroutine begins in the next
    iteration, a call before the loop runs begins when it does, and exceptions go to sys.excepthook.
    Other than there, functions without parameters and functions that are no methods can be slots,
    tasks are kept alive, and arguments that PyQt passes as temporaries are copied. See asyncslot,
    whose coroutines begin at once.
    """

    def decorate(fn: Any) -> Any:
        slot = asyncslot(fn, task_runner=asyncio.create_task, on_error=_report)
        if not inspect.isfunction(fn):
            return slot
        return _qt.slot(*types, **options)(make_function(fn, _EarlySlot(fn, slot)))

    return decorate


class _EarlySlot:
    """What calls `slot`, when a loop is running."""

    is_bound = False

    def __init__(self, fn: Callable[..., Any], slot: Callable[..., Any]) -> None:
        self.name = qualified_name(fn)
        self._slot = slot

    def __call__(self, values: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        if asyncio._get_running_loop() is None:
            waiting = _waiting.get(threading.get_ident())
            loop = None if waiting is None else waiting()
            if loop is not None and not loop.is_closed():
                task = loop.create_task(self._begin(_qt.keep(values), keywords))
                task.add_done_callback(lambda task: task.cancelled() or task.exception())
                return task
        return self._slot(*values, **keywords)

    async def _begin(self, values: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        return await self._slot(*values, **keywords)


def _report(error: BaseException) -> None:
    sys.excepthook(type(error), error, error.__traceback__)


def asyncClose(fn: Callable[P, Coroutine[Any, Any, object]]) -> Callable[P, None]:
    """Make `async def closeEvent(self, event)` an event handler that Qt can call.

    The window closes when the coroutine is done: see asyncclose. Other than with qasync, `close()`
    does not wait for it, the coroutine can veto by `event.ignore()`, and may itself be called by a
    task.

    A function that does not take an event, such as a slot of `aboutToQuit`, waits in a nested Qt
    loop until the coroutine is done (with qasync, in a busy loop).
    """
    try:
        inspect.signature(fn).bind("window", "event")
    except TypeError:
        pass
    else:
        return cast("Callable[P, None]", asyncclose(cast("Any", fn)))

    @functools.wraps(fn)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            run_in_place(asyncio.get_running_loop(), _reporting(fn(*args, **kwargs)))
        except RuntimeError as error:  # No loop is running.
            _report(error)

    return wrapper


async def _reporting(coro: Coroutine[Any, Any, object]) -> None:
    try:
        await coro
    except Exception as error:
        _report(error)


async def asyncWrap(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a blocking function, such as `dialog.exec`, between two iterations; see modal."""
    call: Awaitable[T] = modal(fn)(*args, **kwargs)
    return await call


# Threads.


class QThreadExecutor(_QThreadExecutor):
    """An executor whose threads run Qt event loops; see qtinter.QThreadExecutor.

    Args:
        max_workers: the largest number of threads.
        stack_size: bytes of stack of each thread; None for the platform's default.

    Other than with qasync, threads are started when they are needed, `map()` works, exceptions of
    any kind reach the future, and `shutdown()` may be called twice.
    """

    def __init__(self, max_workers: int = 10, stack_size: int | None = None) -> None:
        super().__init__(max_workers)
        self._stack_size = stack_size

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> concurrent.futures.Future[T]:
        """As of any executor."""
        if self._stack_size is None:
            return super().submit(fn, *args, **kwargs)
        previous = threading.stack_size(self._stack_size)
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            threading.stack_size(previous)
