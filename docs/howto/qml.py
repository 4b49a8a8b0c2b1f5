"""Buttons in QML that call coroutines."""

import asyncio
import sys

from qtpy import QtCore, QtGui, QtQml

import qtinter

WINDOW = b"""
import QtQuick 2.15
import QtQuick.Window 2.15

Window {
    width: 240; height: 80; visible: true
    Rectangle {
        anchors.fill: parent
        color: backend.busy ? "lightgray" : "lightgreen"
        Text { objectName: "text"; anchors.centerIn: parent; text: backend.text }
        MouseArea { anchors.fill: parent; onClicked: backend.load("something") }
    }
}
"""


class Backend(QtCore.QObject):
    """What QML sees as `backend`."""

    changed = QtCore.Signal()

    def __init__(self):
        super().__init__()
        self._text = "Click here"
        self._busy = False

    @QtCore.Property(str, notify=changed)
    def text(self):
        """What to show."""
        return self._text

    @QtCore.Property(bool, notify=changed)
    def busy(self):
        """Whether `load()` is at work."""
        return self._busy

    def show(self, text, busy):
        """Change both."""
        self._text, self._busy = text, busy
        self.changed.emit()

    @QtCore.Slot(str)
    @qtinter.asyncslot
    async def load(self, name):
        """Called by QML, which does not wait for it."""
        self.show(f"Loading {name} …", busy=True)
        await asyncio.sleep(0.5)
        self.show(f"Loaded {name}", busy=False)


app = QtGui.QGuiApplication(sys.argv)
backend = Backend()
engine = QtQml.QQmlApplicationEngine()
engine.rootContext().setContextProperty("backend", backend)
engine.loadData(WINDOW)
with qtinter.using_asyncio_from_qt():
    app.exec_()
del engine  # Before what it uses.
