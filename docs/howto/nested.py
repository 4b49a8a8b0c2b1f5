"""asyncio.run without a loop factory."""

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
with qtinter.using_qt_from_asyncio():
    asyncio.run(main())
