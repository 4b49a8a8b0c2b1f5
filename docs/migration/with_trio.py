"""A program of qtrio, with qtinter.trio."""

import sys

import trio
from qtpy import QtWidgets

import qtinter
import qtinter.trio


async def main():
    """Wait for a name, and then a little."""
    dialog = QtWidgets.QInputDialog()
    if await qtinter.asyncdialog(dialog) == QtWidgets.QDialog.Accepted:
        await trio.sleep(0.1)
        return dialog.textValue()
    return "nobody"


app = QtWidgets.QApplication(sys.argv)
print("Hello", qtinter.trio.run(main))
