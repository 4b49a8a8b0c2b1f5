"""A button starts a coroutine that sleeps and then changes the text; with asyncio."""

import asyncio
import sys

from qtpy import QtCore, QtWidgets

import qtinter


class Window(QtWidgets.QWidget):
    """A text, and a button that gives the answer after a while."""

    def __init__(self):
        super().__init__()
        self.setWindowTitle("asyncio")
        self.resize(300, 120)
        self.text = QtWidgets.QLabel("What is the question?")
        self.text.setAlignment(QtCore.Qt.AlignCenter)
        self.button = QtWidgets.QPushButton("Think")
        self.button.clicked.connect(self.think)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addWidget(self.button)

    @qtinter.asyncslot(when_busy="drop")
    async def think(self):
        """Called by the button. A second click meanwhile does nothing."""
        self.text.setText("...")
        await asyncio.sleep(1)
        self.text.setText("The answer is 42.")


def main():
    """Run the program."""
    app = QtWidgets.QApplication(sys.argv)
    window = Window()
    window.show()
    with qtinter.using_asyncio_from_qt():
        if "--smoke" in sys.argv:
            from _smoke import play

            play(click(window))
        app.exec_()


async def click(window):
    """What a user does, for `--smoke`."""
    from _smoke import take_screenshot, until

    window.button.click()
    window.button.click()
    await until(lambda: window.text.text() == "...")
    await until(lambda: "42" in window.text.text())
    take_screenshot(window)
    window.close()


if __name__ == "__main__":
    main()
