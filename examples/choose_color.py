"""Awaits what the user chooses in a dialog: a signal in a coroutine."""

import asyncio
import sys

from qtpy import QtWidgets

import qtinter


async def choose_color():
    """Return the name of a colour, or None if the dialog is cancelled."""
    dialog = QtWidgets.QColorDialog()
    finished = qtinter.asyncsignal(dialog.finished)
    dialog.open()
    if await finished == QtWidgets.QDialog.Accepted:
        return dialog.selectedColor().name()
    return None


async def main():
    """Run the program: asyncio is in charge, Qt works inside it."""
    if "--smoke" in sys.argv:
        from _smoke import play

        play(choose_red())
    print("You chose", await choose_color() or "nothing")


async def choose_red():
    """What a user does, for `--smoke`."""
    from _smoke import take_screenshot, until
    from qtpy import QtGui

    await until(QtWidgets.QApplication.activeModalWidget)
    dialog = QtWidgets.QApplication.activeModalWidget()
    dialog.setCurrentColor(QtGui.QColor("red"))
    await until(dialog.isVisible)
    take_screenshot(dialog)
    dialog.accept()


if __name__ == "__main__":
    app = QtWidgets.QApplication(sys.argv)
    with qtinter.using_qt_from_asyncio():
        asyncio.run(main())
