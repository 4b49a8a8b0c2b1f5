"""Signals and slots, alike on every binding."""

from __future__ import annotations

import contextlib
import functools
import sys
import weakref
from typing import Any, Callable

from . import binding
from .waking import call_later


def slot(*types: type | str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The decorator that the binding calls Slot or pyqtSlot; only the options given are passed on."""
    decorator = binding.QtCore.pyqtSlot if binding.is_pyqt() else binding.QtCore.Slot
    given = {name: value for name, value in options.items() if value is not None}
    made: Callable[[Callable[..., Any]], Callable[..., Any]] = decorator(*types, **given)
    return made


def keep(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of a slot, such that they stay valid after it has returned.

    PyQt passes what Qt's meta-type system does not know (QItemSelection) by reference to C++ memory
    that somebody else owns. Values are copied; what has a sip.wrapper is passed by pointer, and
    left alone.
    """
    if not values or not binding.is_pyqt():
        return values
    sip = binding.wrapper_module()
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
    if not isinstance(connection, binding.QtCore.QMetaObject.Connection):
        with contextlib.suppress(TypeError, RuntimeError):
            signal.disconnect(receiver)
    elif binding.QtCore.QObject.disconnect(connection) and binding.is_pyqt():
        # PyQt's proxy would hold the receiver as long as the sender lives.
        with contextlib.suppress(TypeError):
            signal.disconnect(receiver)


def when_not_dying(callback: Callable[[], None]) -> None:
    """Call `callback`, which disconnects, when no sender is being destroyed: on PySide2 later, or it crashes."""
    if binding.is_pyside2():
        call_later(callback)
    else:
        callback()


@functools.cache
def _relay_type() -> Any:
    core = binding.QtCore

    class Relay(core.QObject):  # type: ignore[misc, name-defined]
        """A sender with one signal of two Python objects."""

        emitted = (core.pyqtSignal if binding.is_pyqt() else core.Signal)(object, object)

    return Relay


def relay() -> Any:
    """A new QObject with a signal `emitted(object, object)`."""
    return _relay_type()()


def spare_process(error: BaseException) -> BaseException:
    """Keep PyQt from aborting the process if `error`, which must allow weak references, leaves a slot.

    PyQt aborts unless somebody has replaced sys.excepthook. So it is replaced until it is called,
    or the exception is gone. (Nobody knows whether Python or Qt is calling a slot: QObject.sender()
    of PyQt may give a dead sender.)

    Returns:
        `error`, to be raised.
    """
    if binding.is_pyqt() and sys.excepthook is sys.__excepthook__:

        def hook(*about: Any) -> None:
            restore()
            sys.__excepthook__(*about)

        def restore() -> None:
            if sys.excepthook is hook:
                sys.excepthook = sys.__excepthook__

        sys.excepthook = hook
        weakref.finalize(error, restore).atexit = False
    return error
