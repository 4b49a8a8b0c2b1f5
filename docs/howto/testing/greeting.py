"""What is tested."""

import asyncio

from qtpy import QtCore, QtWidgets

import qtinter


class Greeting(QtWidgets.QPushButton):
    """A button that greets, slowly."""

    greeted = QtCore.Signal(str)

    def __init__(self):
        super().__init__("Greet")
        self.clicked.connect(self.greet)

    @qtinter.asyncslot
    async def greet(self):
        """Called for every click."""
        await asyncio.sleep(0.01)
        self.setText("Hello!")
        self.greeted.emit("Hello!")
