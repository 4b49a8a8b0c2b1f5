"""A window that asks before it closes, and a task that cleans up when the program ends."""

import asyncio
import sys

from qtpy import QtWidgets

import qtinter


class Editor(QtWidgets.QPlainTextEdit):
    """A text that is saved somewhere slow."""

    async def save(self):
        """Save the text."""
        self.setEnabled(False)
        await asyncio.sleep(0.2)
        self.document().setModified(False)
        self.setEnabled(True)

    @qtinter.asyncclose
    async def closeEvent(self, event):
        """Ask what to do with changes. The window stays open until this has returned."""
        if not self.document().isModified():
            return
        answers = QtWidgets.QMessageBox
        box = QtWidgets.QMessageBox(self)
        box.setText("Save the changes?")
        box.setStandardButtons(answers.Save | answers.Discard | answers.Cancel)
        answer = await qtinter.asyncdialog(box)
        if answer == answers.Save:
            await self.save()
        elif answer == answers.Cancel:
            event.ignore()


async def keep_connection():
    """Stands for a task that goes on as long as the program."""
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.1)  # Says good-bye to its server.
        print("disconnected")


app = QtWidgets.QApplication(sys.argv)
editor = Editor()
editor.show()
with qtinter.using_asyncio_from_qt(shutdown_timeout=5):
    connection = asyncio.create_task(keep_connection())
    app.exec_()
print("bye")
