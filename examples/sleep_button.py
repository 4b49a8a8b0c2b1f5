"""A button that sleeps for a second, and is disabled meanwhile: a slot that is a coroutine."""

import asyncio
import sys

from qtpy import QtWidgets

import qtinter


class SleepButton(QtWidgets.QPushButton):
    """The button; the window stays alive while it sleeps."""

    def __init__(self):
        super().__init__("Sleep for a second")
        self.clicked.connect(qtinter.asyncslot(self.sleep))

    async def sleep(self):
        """Called for every click."""
        self.setEnabled(False)
        await asyncio.sleep(1)
        self.setEnabled(True)


def main():
    """Run the program: Qt is in charge, asyncio works inside it."""
    app = QtWidgets.QApplication(sys.argv)
    button = SleepButton()
    button.show()
    with qtinter.using_asyncio_from_qt():
        if "--smoke" in sys.argv:
            from _smoke import play

            play(click(button))
        app.exec_()


async def click(button):
    """What a user does, for `--smoke`."""
    from _smoke import take_screenshot, until

    button.click()
    assert not button.isEnabled()
    await asyncio.sleep(0.5)
    assert not button.isEnabled()
    take_screenshot(button)
    await until(button.isEnabled)
    button.close()


if __name__ == "__main__":
    main()
