"""A program of QtAsyncio, with qtinter."""

import asyncio
import sys

from qtpy import QtWidgets

import qtinter


class Window(QtWidgets.QPushButton):
    """A button."""

    def __init__(self):
        super().__init__("Wait")
        self.clicked.connect(lambda: asyncio.ensure_future(self.wait()))

    async def wait(self):
        """Called for every click."""
        await asyncio.sleep(0.1)
        self.setText("Waited")


app = QtWidgets.QApplication(sys.argv)
window = Window()
window.show()
qtinter.run()
