"""The application object, threads, and how many event loops a thread executes."""

from __future__ import annotations

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


def is_qobject(thing: object) -> bool:
    """Tell whether `thing` is a QObject."""
    return isinstance(thing, binding.QtCore.QObject)


def is_in_thread_of(qobject: Any) -> bool:
    """Tell whether the caller is in the thread where the slots of `qobject` are called."""
    return bool(qobject.thread() == binding.QtCore.QThread.currentThread())


def loop_level() -> int:
    """How many Qt event loops of this thread are being executed, one inside the other."""
    return level_meter()()


def level_meter() -> Callable[[], int]:
    """What tells the `loop_level()` of this thread. To find the thread takes 50 times as long."""
    meter: Callable[[], int] = binding.QtCore.QThread.currentThread().loopLevel
    return meter


def ensure_dispatcher() -> None:
    """Give this thread an event dispatcher, which a thread not started by Qt has not."""
    binding.QtCore.QEventLoop()


def leave_event_loops() -> None:
    """Make every Qt event loop that this thread is executing return."""
    if threading.current_thread() is threading.main_thread():
        binding.QtCore.QCoreApplication.exit()
    else:
        binding.QtCore.QThread.currentThread().exit()
