"""The only door to Qt: what the package needs of QtCore, alike on every binding.

qtpy chooses the binding on first use, so that importing qtinter imports none. Its QtCore comes
straight from the
binding: `qtpy.QtCore` imports QtGui as well, which needs libGL where there may be no display (qtpy
2.4.3). Differences between bindings live here, each as one named function. Milliseconds exist only
here.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import math
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any, Callable

_LONGEST_TIMER = 24 * 3600 * 1000  # Qt counts milliseconds in a 32-bit int.


def __getattr__(name: str) -> Any:
    """Import the binding's QtCore when it is first asked for."""
    if name == "QtCore":
        import qtpy

        module = importlib.import_module(f"{qtpy.API_NAME}.QtCore")
        globals()["QtCore"] = module
        return module
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# The module object gives access to the lazy attribute from inside the module, where a plain
# global name would not go through __getattr__.
_lazy = sys.modules[__name__]


def _enum(scope: type, name: str, member: str) -> Any:
    """`scope.name.member`, which PyQt5 knows as `scope.member` only, and PyQt6 by its full name only."""
    return getattr(getattr(scope, name), member, None) or getattr(scope, member)


def has_application() -> bool:
    """Tell whether there is an application object."""
    return _lazy.QtCore.QCoreApplication.instance() is not None


def require_application(what: str) -> None:
    """Raise RuntimeError if `what` is used before there is an application object."""
    if not has_application():
        raise RuntimeError(
            f"{what} needs an application object and there is none; create a QCoreApplication, "
            "QGuiApplication or QApplication first and keep a reference to it"
        )


def milliseconds(seconds: float) -> int:
    """Whole milliseconds that are not shorter than `seconds`, within what a Qt timer can count."""
    return math.ceil(min(max(seconds * 1000, 0), _LONGEST_TIMER))


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
        self._timer: Any = _lazy.QtCore.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setTimerType(_enum(_lazy.QtCore.Qt, "TimerType", "PreciseTimer"))
        self._timer.timeout.connect(self._ring)

    def set(self, when: float) -> None:
        """Ring at `when` or earlier."""
        if when < self._due:
            self._due = when
            self._start(milliseconds(when - time.monotonic()))

    def set_now(self) -> None:
        """Ring as soon as Qt has the thread."""
        if self._due > 0.0:
            self._due = 0.0
            self._start(0)

    def _start(self, interval: int) -> None:
        # Without an application there is no timer (PySide has deleted it), and nobody to wait for it.
        with contextlib.suppress(RuntimeError):
            self._timer.start(interval)

    def close(self) -> None:
        """Ring no more. The timer is destroyed here, not by the garbage collector of any thread.

        It is not touched: with the application, PySide deletes the Qt objects made by Python.
        """
        self._due = -math.inf
        self._timer = None

    def _ring(self) -> None:
        self._due = math.inf
        self._callback()


class ReadNotifier:
    """Calls back in Qt whenever `fd` is readable."""

    def __init__(self, fd: int, callback: Callable[..., None]) -> None:
        # The arguments of `activated` differ between bindings and versions; nobody needs them.
        kind = _lazy.QtCore.QSocketNotifier
        self._callback = callback
        self._notifier: Any = kind(fd, _enum(kind, "Type", "Read"))
        self._notifier.activated.connect(self._activated)

    def close(self) -> None:
        """Stop watching, before the fd is closed. The notifier is destroyed here; see Alarm."""
        self._notifier = None

    def _activated(self, *_: object) -> None:
        self._callback()


@functools.cache
def _doorbell_type() -> Any:
    core = _lazy.QtCore
    ring = _enum(core.QEvent, "Type", "User")

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

    return Doorbell


def doorbell(callback: Callable[[], None]) -> Any:
    """An object whose `ring()`, called in any thread, calls `callback` in this thread's Qt loop."""
    return _doorbell_type()(callback)


def call_soon(callback: Callable[[], None]) -> None:
    """Call `callback` once from this thread's Qt loop. It must not raise."""
    _lazy.QtCore.QTimer.singleShot(0, callback)


def loop_level() -> int:
    """How many Qt event loops of this thread are being executed, one inside the other."""
    level: int = _lazy.QtCore.QThread.currentThread().loopLevel()
    return level


def ensure_dispatcher() -> None:
    """Give this thread an event dispatcher, which a thread not started by Qt has not."""
    _lazy.QtCore.QEventLoop()


def _execute(executable: Any) -> int:
    execute = getattr(executable, "exec", None) or executable.exec_  # PySide2 has exec_ only.
    code: int = execute()
    return code


def execute_application() -> int:
    """Execute the application's loop, or this thread's if it is not the main one; return its exit code."""
    app = application()
    if not is_in_thread_of(app):
        return _execute(_lazy.QtCore.QEventLoop())
    were_blocked = app.signalsBlocked()
    try:
        return _execute(app)
    finally:
        app.blockSignals(were_blocked)


def quit_application(*, silently: bool) -> None:
    """Make `execute_application()` return; silently: the signal aboutToQuit is not emitted."""
    app = application()
    if silently and is_in_thread_of(app):
        app.blockSignals(True)
    leave_event_loops()


def leave_event_loops() -> None:
    """Make every Qt event loop that this thread is executing return."""
    if threading.current_thread() is threading.main_thread():
        _lazy.QtCore.QCoreApplication.exit()
    else:
        _lazy.QtCore.QThread.currentThread().exit()


def _nothing() -> None:
    pass


class EventLoop:
    """A Qt event loop that runs until `leave()` or until Qt leaves it; also after `quit()`.

    In the main thread, with no other Qt loop below, the application is executed, and the loop inside
    it, if that is wanted. Qt takes an application for one that can quit, and reports its last window, only then. What
    belongs to an application's end is left out: `leave()` does not emit aboutToQuit, and that the
    last window closes does not quit.

    Attributes:
        level: how many Qt loops this thread is executing when this is the innermost one.
    """

    def __init__(self, *, in_application: bool = True) -> None:
        self._loop: Any = _lazy.QtCore.QEventLoop()
        self._in_application = in_application
        self._left = False
        self._is_inside = False
        self.level = 0

    def run(self, has_begun: Callable[[], bool], begin: Callable[[], None] = _nothing) -> None:
        """Run; `begin` is called first, and `has_begun` tells whether anything has happened since."""
        app = application()
        if self._in_application and loop_level() == 0 and is_in_thread_of(app):
            self._run_in(app, begin)
        else:
            begin()
            self._run(has_begun)
        self._loop = None

    def leave(self) -> None:
        """Make `run()` return, not before the Qt loops that are nested in it have returned."""
        self._left = True
        if self._is_inside:
            self._loop.exit()
        elif self.level:
            application().exit()

    def _run(self, has_begun: Callable[[], bool]) -> None:
        """Run inside other loops or in another thread.

        If nothing has begun and exec() returns -1, Qt refuses to execute loops:
        QCoreApplication.quit() and exit() set a flag that only QCoreApplication.exec() resets.
        Clean-up must still run, so events are processed by hand.
        """
        self.level = loop_level() + 1
        self._is_inside = True
        if not self._left and _execute(self._loop) == -1 and not has_begun():
            flags = _enum(_lazy.QtCore.QEventLoop, "ProcessEventsFlag", "WaitForMoreEvents")
            while not self._left:
                self._loop.processEvents(flags)
        self._is_inside = False

    def _run_in(self, app: Any, begin: Callable[[], None]) -> None:
        """Run inside the application's own loop."""

        def inside() -> None:
            begin()
            if loop_level() == 1:  # Not if something that Qt called earlier has opened a dialog.
                self._run(lambda: True)
                if self._left:
                    app.blockSignals(True)
                    app.exit()

        self.level = 1
        call_soon(inside)
        with _not_quitting(app):
            _execute(app)
        self.level = 0


@contextlib.contextmanager
def _not_quitting(app: Any) -> Iterator[None]:
    """Meanwhile the application does not quit because its last window closes (QtCore has no windows)."""
    were_blocked = app.signalsBlocked()
    quits = getattr(app, "quitOnLastWindowClosed", bool)()
    if quits:
        app.setQuitOnLastWindowClosed(False)
    try:
        yield
    finally:
        app.blockSignals(were_blocked)
        if quits:
            app.setQuitOnLastWindowClosed(True)


# Signals and slots.


@functools.cache
def is_pyqt() -> bool:
    """Tell PyQt from PySide."""
    import qtpy

    return bool(qtpy.PYQT5 or qtpy.PYQT6)


@functools.cache
def _wrapper_module() -> Any:
    """What knows about the C++ objects behind Python objects: sip or shiboken."""
    return importlib.import_module("qtpy.sip" if is_pyqt() else "qtpy.shiboken")


def slot(*types: type | str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The decorator that the binding calls Slot or pyqtSlot; only the options given are passed on."""
    decorator = _lazy.QtCore.pyqtSlot if is_pyqt() else _lazy.QtCore.Slot
    given = {name: value for name, value in options.items() if value is not None}
    made: Callable[[Callable[..., Any]], Callable[..., Any]] = decorator(*types, **given)
    return made


def is_qobject(thing: object) -> bool:
    """Tell whether `thing` is a QObject."""
    return isinstance(thing, _lazy.QtCore.QObject)


def is_alive(thing: Any) -> bool:
    """Tell whether the C++ object behind a wrapper still exists."""
    module = _wrapper_module()
    return bool(not module.isdeleted(thing) if is_pyqt() else module.isValid(thing))


def application() -> Any:
    """The application object, or None."""
    return _lazy.QtCore.QCoreApplication.instance()


def is_in_thread_of(qobject: Any) -> bool:
    """Tell whether the caller is in the thread where the slots of `qobject` are called."""
    return bool(qobject.thread() == _lazy.QtCore.QThread.currentThread())


def call_in_thread_of(qobject: Any, callback: Callable[[], None]) -> None:
    """Call `callback`, which must not raise, from the Qt loop of the thread where `qobject` lives."""

    def call() -> None:
        call_soon(lambda: _on_their_way.discard(bell))  # Not while it is handling its event.
        callback()

    bell = doorbell(call)
    _on_their_way.add(bell)
    bell.moveToThread(qobject.thread())
    bell.ring()


_on_their_way: set[Any] = set()


def spare_process(error: BaseException) -> BaseException:
    """Keep PyQt from aborting the process if `error`, which must allow weak references, leaves a slot.

    PyQt aborts unless somebody has replaced sys.excepthook. So it is replaced until it is called,
    or the exception is gone. (Nobody knows whether Python or Qt is calling a slot: QObject.sender()
    of PyQt may give a dead sender.)

    Returns:
        `error`, to be raised.
    """
    if is_pyqt() and sys.excepthook is sys.__excepthook__:

        def hook(*about: Any) -> None:
            restore()
            sys.__excepthook__(*about)

        def restore() -> None:
            if sys.excepthook is hook:
                sys.excepthook = sys.__excepthook__

        sys.excepthook = hook
        weakref.finalize(error, restore).atexit = False
    return error


def keep(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of a slot, such that they stay valid after it has returned.

    PyQt passes what Qt's meta-type system does not know (QItemSelection) by reference to C++ memory
    that somebody else owns. Values are copied; what has a sip.wrapper is passed by pointer, and
    left alone.
    """
    if not values or not is_pyqt():
        return values
    sip = _wrapper_module()
    return tuple(_copy(value) if _is_borrowed(sip, value) else value for value in values)


def _is_borrowed(sip: Any, value: object) -> bool:
    return (
        isinstance(value, sip.simplewrapper)
        and not isinstance(value, sip.wrapper)
        and not sip.ispyowned(value)
    )


def _copy(value: Any) -> Any:
    try:
        return type(value)(value)
    except TypeError:  # It cannot be copied.
        return value


def disconnect(signal: Any, connection: Any, receiver: Any) -> None:
    """Undo `connection = signal.connect(receiver)`, if it still exists; `receiver` is a function.

    With the sender dead, the disconnect() of a bound signal crashes on PyQt and PySide2. Qt's own
    connection knows whether the sender is alive; that of PySide2 is True, which knows nothing: see
    `when_not_dying`.
    """
    if not isinstance(connection, _lazy.QtCore.QMetaObject.Connection):
        with contextlib.suppress(TypeError, RuntimeError):
            signal.disconnect(receiver)
    elif _lazy.QtCore.QObject.disconnect(connection) and is_pyqt():
        # PyQt's proxy would hold the receiver as long as the sender lives.
        with contextlib.suppress(TypeError):
            signal.disconnect(receiver)


def when_not_dying(callback: Callable[[], None]) -> None:
    """Call `callback`, which disconnects, when no sender is being destroyed: on PySide2 later, or it crashes."""
    if _lazy.QtCore.__name__ == "PySide2.QtCore":
        call_later(callback)
    else:
        callback()


def call_later(callback: Callable[[], None]) -> None:
    """As `call_soon`, but forget `callback` if the application is gone."""
    if has_application():
        call_soon(callback)


@functools.cache
def _relay_type() -> Any:
    core = _lazy.QtCore

    class Relay(core.QObject):  # type: ignore[misc, name-defined]
        """A sender with one signal of two Python objects."""

        emitted = (core.pyqtSignal if is_pyqt() else core.Signal)(object, object)

    return Relay


def relay() -> Any:
    """A new QObject with a signal `emitted(object, object)`."""
    return _relay_type()()
