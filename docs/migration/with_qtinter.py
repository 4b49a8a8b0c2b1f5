"""The program of with_qasync.py."""

import asyncio
import sys

from qtpy import QtWidgets

from qtinter import asyncclose, asyncslot, using_asyncio_from_qt


class Window(QtWidgets.QWidget):
    """A button."""

    def __init__(self):
        super().__init__()
        self.button = QtWidgets.QPushButton("Wait", self)
        self.button.clicked.connect(self.wait)

    @asyncslot
    async def wait(self):
        """Called for every click."""
        await asyncio.sleep(0.1)
        self.button.setText("Waited")

    @asyncclose
    async def closeEvent(self, event):
        """Called when the window is closed."""
        await asyncio.sleep(0.1)


app = QtWidgets.QApplication(sys.argv)
window = Window()
window.show()
with using_asyncio_from_qt():
    app.exec_()
