"""A button starts a coroutine that sleeps and then changes the text; with trio."""

import sys

import trio
from qtpy import QtCore, QtWidgets

import qtinter
import qtinter.trio


class Window(QtWidgets.QWidget):
    """A text, and a button that gives the answer after a while."""

    def __init__(self):
        super().__init__()
        self.setWindowTitle("trio")
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
        await trio.sleep(1)
        self.text.setText("The answer is 42.")


def main():
    """Run the program."""
    app = QtWidgets.QApplication(sys.argv)
    window = Window()
    window.show()
    # A program has no main function here: what trio runs is what slots start.
    main_function = [click, window] if "--smoke" in sys.argv else []
    with qtinter.trio.using_trio_from_qt(*main_function):
        app.exec_()


async def click(window):
    """What a user does, for `--smoke`."""
    from _smoke import take_screenshot

    window.button.click()
    window.button.click()
    with trio.fail_after(15):
        for text in ("...", "The answer is 42."):
            while window.text.text() != text:
                await trio.sleep(0.01)
    take_screenshot(window)
    window.close()


if __name__ == "__main__":
    main()
