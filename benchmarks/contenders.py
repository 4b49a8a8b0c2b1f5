"""Who takes part: what to install for it, and how to make its loop.

Nothing is imported before it is asked for: importing is measured, too.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import selectors
from typing import Any, Callable

# What a binding is called by qtpy: its package, and what to install.
BINDINGS = {
    "pyside6": (
        "PySide6",
        [
            # 6.12.0 aborts before Python 3.12.
            "PySide6-Essentials!=6.12.0; python_version < '3.12'",
            "PySide6-Essentials; python_version >= '3.12'",
        ],
    ),
    "pyqt6": ("PyQt6", ["PyQt6"]),
    "pyqt5": ("PyQt5", ["PyQt5"]),
    "pyside2": ("PySide2", ["PySide2"]),
}


class Contender:
    """asyncio's own loop, and what the others have in common with it.

    Attributes:
        title: for the tables.
        requirements: what to install, beside the binding.
        uses_qt: whether there is a binding, the one that QT_API names.
        is_this: whether it is the package in this checkout.
    """

    title = "plain asyncio"
    requirements: tuple[str, ...] = ()
    uses_qt = False
    is_this = False
    _application: Any = None

    def new_loop(self) -> Any:
        """A loop that is not running."""
        return asyncio.new_event_loop()

    def module(self) -> str:
        """The name of the module to import; QtCore is imported already, if it needs it."""
        raise NotImplementedError("nothing to import")

    def asyncslot(self) -> Callable[[Any], Any]:
        """What makes a slot of an async function of an integer."""
        raise NotImplementedError("no async slots")

    def asyncsignal(self) -> Callable[[Any], Any]:
        """What makes an awaitable of a signal."""
        raise NotImplementedError("signals cannot be awaited")

    def driver(self) -> Any:
        """The module with the setting that makes the loop ready for nested Qt loops."""
        raise NotImplementedError("no readiness for nested loops that could be switched off")

    def _import(self) -> Any:
        return importlib.import_module(self.module())

    def _need_application(self) -> Any:
        if self._application is None:
            self._application = import_qt_core().QCoreApplication([])
        return self._application


def import_qt_core() -> Any:
    """The QtCore of the binding that QT_API names."""
    return importlib.import_module(f"{BINDINGS[os.environ['QT_API']][0]}.QtCore")


class Uvloop(Contender):
    """libuv instead of Qt."""

    title = "uvloop"
    requirements = ("uvloop",)

    def new_loop(self) -> Any:
        return self._import().new_event_loop()

    def module(self) -> str:
        return "uvloop"


class Qtinter(Contender):
    """This package."""

    title = "qtinter"
    requirements = ("qtpy>=2.4.3",)
    uses_qt = True
    is_this = True

    def new_loop(self) -> Any:
        self._need_application()
        return self._import().new_event_loop()

    def module(self) -> str:
        import_qt_core()
        return "qtinter"

    def asyncslot(self) -> Callable[[Any], Any]:
        slot: Callable[[Any], Any] = self._import().asyncslot
        return slot

    def asyncsignal(self) -> Callable[[Any], Any]:
        signal: Callable[[Any], Any] = self._import().asyncsignal
        return signal

    def driver(self) -> Any:
        self._import()
        return importlib.import_module("qtinter._engine.driver")


class WithoutFd(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """For the thread poller, which is what waits if there is no fd to be told of."""

    fileno = None


class ThreadPoller(Qtinter):
    """This package with the helper thread, and the selector that the earlier qtinter has in its."""

    title = "qtinter, thread poller"

    def new_loop(self) -> Any:
        self._need_application()
        return self._import().QiSelectorEventLoop(WithoutFd())


class EarlierQtinter(Qtinter):
    """The last qtinter before this one."""

    title = "qtinter 0.11"
    requirements = ("qtinter==0.11.0",)
    is_this = False

    def driver(self) -> Any:
        return Contender.driver(self)


class Qasync(Contender):
    """qasync."""

    title = "qasync 0.28"
    requirements = ("qasync==0.28.0",)
    uses_qt = True

    def new_loop(self) -> Any:
        return self._import().QEventLoop(self._need_application())

    def module(self) -> str:
        import_qt_core()
        return "qasync"

    def asyncslot(self) -> Callable[[Any], Any]:
        slot: Callable[[Any], Any] = self._import().asyncSlot(int)
        return slot


class QtAsyncio(Contender):
    """What comes with PySide6; its loop always quits the application, so it can run once."""

    title = "QtAsyncio"
    requirements = ("PySide6-Addons",)
    uses_qt = True

    def new_loop(self) -> Any:
        return self._import().QAsyncioEventLoop(self._need_application())

    def module(self) -> str:
        if os.environ["QT_API"] != "pyside6":
            raise NotImplementedError("for PySide6 only")
        import_qt_core()
        return "PySide6.QtAsyncio"


CONTENDERS: dict[str, Contender] = {
    "plain": Contender(),
    "uvloop": Uvloop(),
    "qtinter": Qtinter(),
    "thread": ThreadPoller(),
    "qtinter-0.11": EarlierQtinter(),
    "qasync": Qasync(),
    "qtasyncio": QtAsyncio(),
}


class Entry:
    """A contender on a binding.

    Attributes:
        key: what results are filed under.
        title: for the tables.
    """

    def __init__(self, name: str, binding: str | None = None) -> None:
        self.name = name
        self.contender = CONTENDERS[name]
        self.binding = binding if self.contender.uses_qt else None
        self.key = f"{name}/{binding}" if self.binding else name
        self.title = self.contender.title

    def requirements(self) -> list[str]:
        """What to install."""
        packages = list(self.contender.requirements)
        return packages + (BINDINGS[self.binding][1] if self.binding else [])
