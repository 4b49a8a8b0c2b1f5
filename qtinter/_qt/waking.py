"""What makes Qt call us: timers, notifiers, and events from other threads.

Milliseconds exist only here.
"""

from __future__ import annotations

import _thread
import contextlib
import functools
import math
import os
import signal
import sys
import threading
import time
import weakref
from types import CodeType, FrameType
from typing import Any, Callable

from . import binding
from .application import has_application

# The functions that Qt calls first when it is woken.
_called_by_qt: set[CodeType] = set()

# Held while something is connected, or dies that was: PySide2 then goes through tables of all threads
# without the GIL.
_connections = threading.RLock()

_LONGEST_TIMER = 24 * 3600 * 1000  # Qt counts milliseconds in a 32-bit int.


def milliseconds(seconds: float) -> int:
    """Whole milliseconds that are not shorter than `seconds`, within what a Qt timer can count."""
    return math.ceil(min(max(seconds * 1000, 0), _LONGEST_TIMER))


def _function(method: Any, *, takes_arguments: bool = False) -> Callable[..., None]:
    """A function that calls a bound method of a Python object, and holds the object as weakly.

    When the object of a bound method dies that is connected, PySide (6.12) goes through its table of
    connections without the GIL, and crashes if another thread connects something meanwhile.
    """
    reference, function = weakref.ref(method.__self__), method.__func__

    def call() -> None:
        this = reference()
        if this is not None:
            function(this)

    def call_without(*_: object) -> None:
        this = reference()
        if this is not None:
            function(this)

    made = call_without if takes_arguments else call
    _called_by_qt.add(made.__code__)
    return made


def _nothing() -> None:
    pass


class Alarm:
    """Calls back once, soon after the earliest of the times it was set to.

    One precise single-shot QTimer. Times are those of time.monotonic(). A timer that is already
    set to ring earlier is left alone: the caller then gets an early call, which costs less than
    moving the timer each time. A QTimer that is started again may fire inside a nested Qt loop even
    if that loop was opened from its own timeout, on all bindings.
    """

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._due = math.inf
        self._timer: Any = None  # Made when it is first set, as not all are.

    def _make_timer(self) -> Any:
        timer = binding.QtCore.QTimer()
        timer.setSingleShot(True)
        timer.setTimerType(binding.enum(binding.QtCore.Qt, "TimerType", "PreciseTimer"))
        with _connections:
            timer.timeout.connect(_function(self._ring))
        return timer

    # Without an application there is no timer (PySide has deleted it), and nobody to wait for it.
    # suppress() would cost as much as starting the timer.

    def set(self, when: float) -> None:
        """Ring at `when` or earlier."""
        if when < self._due:
            self._due = when
            if self._timer is None:
                self._timer = self._make_timer()
            try:  # noqa: SIM105
                self._timer.start(milliseconds(when - time.monotonic()))
            except RuntimeError:
                pass

    def move(self, when: float) -> None:
        """Ring at `when`, not earlier; never, if that is infinity."""
        self._due = math.inf
        if when < math.inf:
            self.set(when)
        elif self._timer is not None:
            with contextlib.suppress(RuntimeError):
                self._timer.stop()

    def set_now(self) -> None:
        """Ring as soon as Qt has the thread."""
        if self._due > 0.0:
            self._due = 0.0
            if self._timer is None:
                self._timer = self._make_timer()
            try:  # noqa: SIM105
                self._timer.start(0)
            except RuntimeError:
                pass

    def close(self) -> None:
        """Ring no more. The timer is destroyed here, not by the garbage collector of any thread.

        It is not touched: with the application, PySide deletes the Qt objects made by Python.
        """
        self._due = -math.inf
        with _connections:
            self._timer = None
        self._callback = (
            _nothing  # It mostly belongs to who has the alarm: no cycle is left behind.
        )

    def _ring(self) -> None:
        self._due = math.inf
        self._callback()


class ReadNotifier:
    """Calls back in Qt whenever `fd` is readable."""

    def __init__(self, fd: int, callback: Callable[..., None]) -> None:
        kind = binding.QtCore.QSocketNotifier
        self._callback = callback
        self._notifier: Any = kind(fd, binding.enum(kind, "Type", "Read"))
        # Nobody needs the arguments of `activated`, which differ between versions. To a slot that takes
        # none PyQt gives them first, and catches the TypeError; PySide saves the time to make them.
        slot = _function(self._activated, takes_arguments=binding.is_pyqt())
        with _connections:
            self._notifier.activated.connect(slot)

    def stop(self) -> None:
        """Call back no more."""
        if self._notifier is not None:
            self._notifier.setEnabled(False)

    def close(self) -> None:
        """Stop watching, before the fd is closed. The notifier is destroyed here; see Alarm."""
        with _connections:
            self._notifier = None

    def _activated(self) -> None:
        self._callback()


@functools.cache
def _doorbell_type() -> Any:
    core = binding.QtCore
    ring = binding.enum(core.QEvent, "Type", "User")

    class Doorbell(core.QObject):  # type: ignore[misc, name-defined]
        """Receiver of the event that another thread posts."""

        def __init__(self, callback: Callable[[], None]) -> None:
            super().__init__()
            self._callback: Callable[[], None] | None = callback

        def ring(self) -> None:
            """Any thread."""
            core.QCoreApplication.postEvent(self, core.QEvent(ring))

        def close(self) -> None:
            """Loop thread. A ring that is still on its way does nothing."""
            self._callback = None

        def customEvent(self, event: Any) -> None:
            if self._callback is not None:
                self._callback()

    _called_by_qt.add(Doorbell.customEvent.__code__)
    return Doorbell


def doorbell(callback: Callable[[], None]) -> Any:
    """An object whose `ring()`, called in any thread, calls `callback` in this thread's Qt loop."""
    return _doorbell_type()(callback)


def is_calling_us(frame: FrameType | None) -> bool:
    """Tell whether `frame` is code that is called by an Alarm, a ReadNotifier or a Doorbell."""
    while frame is not None and frame.f_code not in _called_by_qt:
        frame = frame.f_back
    return frame is not None


def raise_signal_soon(number: int) -> None:
    """Deliver a signal to this process once more, when Qt has the thread.

    Qt calls a built-in function, which leaves it to the next bytecode to run the handler: that of
    whoever has called Qt, unless Qt calls Python first. The dispatcher is told to return, for that of
    Windows may go on to wait.
    """
    if sys.version_info >= (3, 10):
        deliver = functools.partial(_thread.interrupt_main, signal.Signals(number))
    else:  # Delete when 3.9 goes, which knows SIGINT only. Later Pythons run the handler in os.kill().
        deliver = functools.partial(os.kill, os.getpid(), number)
    core = binding.QtCore
    core.QTimer.singleShot(0, deliver)
    interrupt = core.QAbstractEventDispatcher.instance().interrupt
    core.QTimer.singleShot(0, functools.partial(interrupt))  # PySide2 connects no methods of it.


def show_posted_events() -> None:
    """Before a Qt loop is executed: have it look at all events that are posted.

    If the caller is called by one of them, Qt 5 with GLib does not look at those behind it: it goes
    to sleep until somebody posts another one. So one is posted, for nobody. The dispatcher could also
    be told to wake up, but PySide2 must not know that of another thread: see _ThreadEnd.
    """
    if binding.is_qt5():
        core = binding.QtCore
        nobody = core.QObject()
        core.QCoreApplication.postEvent(
            nobody, core.QEvent(binding.enum(core.QEvent, "Type", "User"))
        )


def call_soon(callback: Callable[[], None]) -> None:
    """Call `callback` once from this thread's Qt loop. It may execute Qt loops; it must not raise."""

    def call() -> None:
        show_posted_events()
        callback()

    with _connections:
        binding.QtCore.QTimer.singleShot(0, call)  # No bound method: see _function().


def call_later(callback: Callable[[], None]) -> None:
    """As `call_soon`, but forget `callback` if the application is gone."""
    if has_application():
        call_soon(callback)


# Doorbells that have to live until they have rung in another thread.
_on_their_way: set[Any] = set()


def call_in_thread_of(qobject: Any, callback: Callable[[], None]) -> None:
    """Call `callback`, which must not raise, from the Qt loop of the thread where `qobject` lives."""

    def call() -> None:
        call_soon(lambda: _on_their_way.discard(bell))  # Not while it is handling its event.
        callback()

    bell = doorbell(call)
    _on_their_way.add(bell)
    bell.moveToThread(qobject.thread())
    bell.ring()
