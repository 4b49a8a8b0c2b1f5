"""The same program with one asynchronous slot. Its window stays alive."""

import asyncio
import sys

from qtpy import QtWidgets

import qtinter


class Window(QtWidgets.QWidget):
    """A button and a label."""

    def __init__(self):
        super().__init__()
        self.button = QtWidgets.QPushButton("Load")
        self.label = QtWidgets.QLabel("Nothing loaded")
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(self.button)
        layout.addWidget(self.label)
        self.button.clicked.connect(qtinter.asyncslot(self.load))

    async def load(self):
        """Called for every click."""
        self.label.setText("Loading …")
        await asyncio.sleep(1)
        self.label.setText("Loaded")


app = QtWidgets.QApplication(sys.argv)
window = Window()
window.show()
with qtinter.using_asyncio_from_qt():
    app.exec_()
