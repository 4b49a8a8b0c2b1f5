"""A typical program of qasync; see with_qtinter.py."""

import asyncio
import sys

from qasync import QApplication, QEventLoop, asyncClose, asyncSlot
from qtpy import QtWidgets


class Window(QtWidgets.QWidget):
    """A button."""

    def __init__(self):
        super().__init__()
        self.button = QtWidgets.QPushButton("Wait", self)
        self.button.clicked.connect(self.wait)

    @asyncSlot()
    async def wait(self):
        """Called for every click."""
        await asyncio.sleep(0.1)
        self.button.setText("Waited")

    @asyncClose
    async def closeEvent(self, event):
        """Called when the window is closed."""
        await asyncio.sleep(0.1)


app = QApplication(sys.argv)
loop = QEventLoop(app)
asyncio.set_event_loop(loop)
app_closed = asyncio.Event()
app.aboutToQuit.connect(app_closed.set)
window = Window()
window.show()
with loop:
    loop.run_until_complete(app_closed.wait())
