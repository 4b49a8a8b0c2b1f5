"""Which binding of Qt, and what its classes are called.

qtpy chooses the binding on first use, so that importing qtinter imports none. Its QtCore comes
straight from the binding: `qtpy.QtCore` imports QtGui as well, which needs libGL where there may be
no display (qtpy 2.4.3).
"""

from __future__ import annotations

import functools
import importlib
import threading
from typing import Any


def __getattr__(name: str) -> Any:
    """Import the binding's QtCore when it is first asked for."""
    if name == "QtCore":
        import qtpy

        module = importlib.import_module(f"{qtpy.API_NAME}.QtCore")
        with _creating:
            _create_enums(module)
        globals()["QtCore"] = module
        return module
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


_creating = threading.Lock()


def _create_enums(core: Any) -> None:
    """Ask for the enums that we use, so that they exist when loops begin in several threads at once.

    PySide makes an enum when it is first asked for; meanwhile, it does not exist for other threads
    (AttributeError, 6.12).
    """
    for scope, name in (
        (core.Qt, "TimerType"),
        (core.Qt, "ConnectionType"),
        (core.QEvent, "Type"),
        (core.QSocketNotifier, "Type"),
        (core.QEventLoop, "ProcessEventsFlag"),
    ):
        getattr(scope, name, None)  # PyQt5 has no names for some.


@functools.cache
def enum(scope: type, name: str, member: str) -> Any:
    """`scope.name.member`, which PyQt5 knows as `scope.member` only, and PyQt6 by its full name only."""
    return getattr(getattr(scope, name), member, None) or getattr(scope, member)


@functools.cache
def is_pyqt() -> bool:
    """Tell PyQt from PySide."""
    import qtpy

    return bool(qtpy.PYQT5 or qtpy.PYQT6)


@functools.cache
def is_pyside2() -> bool:
    """Tell PySide2 from the others."""
    import qtpy

    return bool(qtpy.PYSIDE2)


@functools.cache
def is_qt5() -> bool:
    """Tell Qt 5 from Qt 6."""
    import qtpy

    return bool(qtpy.QT5)


@functools.cache
def wrapper_module() -> Any:
    """What knows about the C++ objects behind Python objects: sip or shiboken."""
    module: Any
    # Not by name: what freezes programs (PyInstaller, Nuitka) has to see the imports.
    if is_pyqt():
        from qtpy import sip as module
    else:
        from qtpy import shiboken as module
    return module


def is_alive(thing: Any) -> bool:
    """Tell whether the C++ object behind a wrapper still exists."""
    module = wrapper_module()
    return bool(not module.isdeleted(thing) if is_pyqt() else module.isValid(thing))
