"""asyncio.run with a loop factory: Python 3.12 and later."""

import asyncio
import sys

from qtpy import QtWidgets

import qtinter


async def main():
    """Wait for a click."""
    button = QtWidgets.QPushButton("Go on")
    button.show()
    await qtinter.asyncsignal(button.clicked)


app = QtWidgets.QApplication(sys.argv)
asyncio.run(main(), loop_factory=qtinter.new_event_loop)
