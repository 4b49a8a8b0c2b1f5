"""Three ways to show a dialog from a coroutine. A clock goes on all the time."""

import asyncio
import sys

from qtpy import QtWidgets

import qtinter


class Window(QtWidgets.QWidget):
    """A clock and three buttons."""

    def __init__(self):
        super().__init__()
        self.clock = QtWidgets.QLabel("0")
        self.answer = QtWidgets.QLabel()
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(self.clock)
        layout.addWidget(self.answer)
        for slot in (self.ask_for_name, self.ask_for_file, self.ask_in_time):
            button = QtWidgets.QPushButton(slot.__name__)
            button.clicked.connect(qtinter.asyncslot(slot))
            layout.addWidget(button)

    async def tick(self):
        """Count tenths of a second."""
        while True:
            await asyncio.sleep(0.1)
            self.clock.setText(str(int(self.clock.text()) + 1))

    async def ask_for_name(self):
        """A dialog object."""
        dialog = QtWidgets.QInputDialog(self)
        dialog.setLabelText("Your name:")
        if await qtinter.asyncdialog(dialog) == QtWidgets.QDialog.Accepted:
            self.answer.setText(dialog.textValue())
        dialog.deleteLater()

    async def ask_for_file(self):
        """A function that returns when the dialog is closed."""
        get_name = qtinter.modal(QtWidgets.QFileDialog.getOpenFileName)
        name, _ = await get_name(self, "Open")
        self.answer.setText(name or "no file")

    async def ask_in_time(self):
        """A dialog that disappears if nobody answers."""
        box = QtWidgets.QMessageBox(self)
        box.setText("Still there?")
        try:
            await asyncio.wait_for(qtinter.asyncdialog(box), 2)
            self.answer.setText("here")
        except asyncio.TimeoutError:
            self.answer.setText("away")
        box.deleteLater()


app = QtWidgets.QApplication(sys.argv)
window = Window()
window.show()
with qtinter.using_asyncio_from_qt():
    ticking = asyncio.create_task(window.tick())
    app.exec_()
