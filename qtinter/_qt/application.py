"""The application object, threads, and how many event loops a thread executes."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import Any, Callable

from . import binding


def application() -> Any:
    """The application object, or None."""
    return binding.QtCore.QCoreApplication.instance()


def has_application() -> bool:
    """Tell whether there is an application object."""
    return binding.QtCore.QCoreApplication.instance() is not None


def require_application(what: str) -> None:
    """Raise RuntimeError if `what` is used before there is an application object."""
    if not has_application():
        raise RuntimeError(
            f"{what} needs an application object and there is none; create a QCoreApplication, "
            "QGuiApplication or QApplication first and keep a reference to it"
        )


class Anchor:
    """Tells whether the main thread has still the event dispatcher that it had, hence the application too.

    A child of the dispatcher dies with it. Another application object may have the same address. The
    dispatchers of other threads stay when the application goes.
    """

    def __init__(self) -> None:
        self._child: Any = None
        if is_main_thread():
            core = binding.QtCore
            self._child = core.QObject()
            with contextlib.suppress(RuntimeError):  # See ThreadLoop.
                self._child.setParent(core.QAbstractEventDispatcher.instance())

    def holds(self) -> bool:
        """Tell whether nothing has changed."""
        return self._child is None or binding.is_alive(self._child)

    def close(self) -> None:
        """Its thread. It has served."""
        if self._child is not None and self.holds():
            binding.wrapper_module().delete(self._child)
        self._child = None


def is_qobject(thing: object) -> bool:
    """Tell whether `thing` is a QObject."""
    return isinstance(thing, binding.QtCore.QObject)


def is_in_thread_of(qobject: Any) -> bool:
    """Tell whether the caller is in the thread where the slots of `qobject` are called.

    On PySide2 the application's is taken to be the main thread: once it has been asked for its
    thread, `QThread.currentThread()` is None when an object dies that was asked, too.
    """
    if binding.is_pyside2() and qobject == application():
        return is_main_thread()
    return bool(qobject.thread() == _current_thread())


def loop_level() -> int:
    """How many Qt event loops of this thread are being executed, one inside the other."""
    level: int = _current_thread().loopLevel()
    return level


def level_meter() -> Callable[[], int]:
    """What tells the `loop_level()` of this thread. To find the thread takes 50 times as long.

    On PySide2 a QThread that is kept becomes useless when an object dies whose `thread()` was asked for.
    """
    if binding.is_pyside2():
        return loop_level
    meter: Callable[[], int] = _current_thread().loopLevel
    return meter


def is_main_thread() -> bool:
    """Tell whether the caller is in the main thread."""
    return threading.current_thread() is threading.main_thread()


def _current_thread() -> Any:
    if binding.is_pyside2() and not is_main_thread():
        _locals.end = getattr(_locals, "end", None) or _ThreadEnd()
    return binding.QtCore.QThread.currentThread()


class _ThreadEnd:
    """When a thread that Qt did not start ends, makes PySide2 forget its QThread.

    On every QObject that it knows it hangs a property whose destruction takes the GIL. That of such a
    QThread is destroyed in the last moment of the thread, when Python waits for it no longer, and
    may be exiting: then the process aborts ("terminate called without an active exception"). Python
    clears what is local to a thread earlier, whatever the thread has left open. PySide6 (6.11,
    6.12) was never seen to fail. Left alone if somebody else has a reference, which would become
    useless.
    """

    def __init__(self) -> None:
        self._thread_id = threading.get_ident()

    def __del__(self, get_ident: Callable[[], int] = threading.get_ident) -> None:
        if get_ident() != self._thread_id:
            return  # Python has exited, and the thread not.
        thread = binding.QtCore.QThread.currentThread()
        is_ours_alone = sys.getrefcount(thread) == 2  # The name, and the argument.
        if is_ours_alone and not binding.wrapper_module().createdByPython(thread):
            thread.setProperty("_PySideInvalidatePtr", None)


_locals = threading.local()


def ensure_dispatcher() -> None:
    """Give this thread an event dispatcher, which a thread not started by Qt has not."""
    binding.QtCore.QEventLoop()


def leave_event_loops() -> None:
    """Make every Qt event loop that this thread is executing return."""
    if is_main_thread():
        binding.QtCore.QCoreApplication.exit()
    else:
        _current_thread().exit()
