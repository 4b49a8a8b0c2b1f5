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
    """Tells whether this thread has still the event dispatcher that it had, hence the application too.

    A child of the dispatcher dies with it. Another application object may have the same address.
    """

    def __init__(self) -> None:
        core = binding.QtCore
        self._child: Any = core.QObject()
        with contextlib.suppress(RuntimeError):  # See ThreadLoop.
            self._child.setParent(core.QAbstractEventDispatcher.instance())

    def holds(self) -> bool:
        """Tell whether nothing has changed."""
        return binding.is_alive(self._child)

    def close(self) -> None:
        """Its thread. It has served."""
        if self.holds():
            self._child.setParent(None)
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
    return bool(qobject.thread() == binding.QtCore.QThread.currentThread())


def loop_level() -> int:
    """How many Qt event loops of this thread are being executed, one inside the other."""
    level: int = binding.QtCore.QThread.currentThread().loopLevel()
    return level


def level_meter() -> Callable[[], int]:
    """What tells the `loop_level()` of this thread. To find the thread takes 50 times as long.

    On PySide2 a QThread that is kept becomes useless when an object dies whose `thread()` was asked for.
    """
    if binding.is_pyside2():
        return loop_level
    meter: Callable[[], int] = binding.QtCore.QThread.currentThread().loopLevel
    return meter


def is_main_thread() -> bool:
    """Tell whether the caller is in the main thread."""
    return threading.current_thread() is threading.main_thread()


def forget_thread() -> None:
    """When a run ends in a thread that Qt did not start: let PySide2 forget the QThread.

    On every QObject that it knows it hangs a property whose destruction takes the GIL. That of such a
    QThread is destroyed in the last moment of the thread, when Python waits for it no longer, and
    may have exited. PySide6 (6.11, 6.12) was never seen to fail. Left alone if somebody else has a
    reference, which would become useless.
    """
    if binding.is_pyside2() and not is_main_thread():
        thread = binding.QtCore.QThread.currentThread()
        is_ours_alone = sys.getrefcount(thread) == 2  # The name, and the argument.
        if is_ours_alone and not binding.wrapper_module().createdByPython(thread):
            thread.setProperty("_PySideInvalidatePtr", None)


def ensure_dispatcher() -> None:
    """Give this thread an event dispatcher, which a thread not started by Qt has not."""
    binding.QtCore.QEventLoop()


def leave_event_loops() -> None:
    """Make every Qt event loop that this thread is executing return."""
    if is_main_thread():
        binding.QtCore.QCoreApplication.exit()
    else:
        binding.QtCore.QThread.currentThread().exit()
