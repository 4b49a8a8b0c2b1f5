"""A window in QML whose buttons call coroutines: a tea timer.

A second click takes the place of the first: nobody drinks two teas at once.
"""

import asyncio
import sys
from pathlib import Path

from qtpy import QtCore, QtGui, QtQml, QtQuick

import qtinter


class Kitchen(QtCore.QObject):
    """What QML knows of Python: two properties, which the coroutine changes, and two slots."""

    changed = QtCore.Signal()

    def __init__(self) -> None:
        super().__init__()
        self._status = "What would you like?"
        self._strength = 0.0
        self._brewing = None

    @QtCore.Property(str, notify=changed)
    def status(self):
        """What there is to say."""
        return self._status

    @QtCore.Property(float, notify=changed)
    def strength(self):
        """Between 0, water, and 1."""
        return self._strength

    @QtCore.Property(bool, notify=changed)
    def isBrewing(self):
        """Whether there is something to stop."""
        return self._brewing is not None

    @qtinter.asyncslot(str, float, name="brew", when_busy="restart")
    async def brew(self, tea: str, seconds: float) -> None:
        """Make tea."""
        self._brewing = asyncio.current_task()
        try:
            for step in range(101):
                self._show(f"The {tea} is drawing …", step / 100)
                await asyncio.sleep(seconds / 100)
            self._show(f"The {tea} is ready.", 1)
        except asyncio.CancelledError:
            self._show("No tea, then.", 0)
            raise
        finally:
            self._brewing = None
            self.changed.emit()

    @QtCore.Slot()
    def stop(self) -> None:
        """Pour the tea away."""
        self._brewing.cancel()

    def _show(self, status: str, strength: float) -> None:
        self._status, self._strength = status, strength
        self.changed.emit()


def main() -> None:
    """Run the program."""
    app = QtGui.QGuiApplication(sys.argv)
    kitchen = Kitchen()
    engine = QtQml.QQmlApplicationEngine()
    engine.setInitialProperties({"kitchen": kitchen})
    engine.load(QtCore.QUrl.fromLocalFile(str(Path(__file__).with_suffix(".qml"))))
    (window,) = engine.rootObjects()
    with qtinter.using_asyncio_from_qt():
        if "--smoke" in sys.argv:
            from _smoke import play

            play(drink(window, kitchen))
        app.exec_()


async def drink(window: QtQuick.QQuickWindow, kitchen: Kitchen) -> None:
    """What a user does, for `--smoke`."""
    from _smoke import take_screenshot, until

    green, black, stop = (window.findChild(QtCore.QObject, n) for n in ("green", "black", "stop"))

    green.clicked.emit()
    await until(lambda: kitchen.strength > 0.2)
    black.clicked.emit()
    assert "green" in kitchen.status
    await until(lambda: "black" in kitchen.status and kitchen.strength > 0.4)
    take_screenshot(window)
    assert stop.property("enabled")
    stop.clicked.emit()
    await until(lambda: kitchen.status == "No tea, then.")
    green.clicked.emit()
    await until(lambda: kitchen.status == "The green tea is ready.")
    assert not stop.property("enabled")
    window.close()


if __name__ == "__main__":
    main()
