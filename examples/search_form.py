"""A form whose buttons do slow things: what happens if they are clicked again, and when the form is closed.

A second Search takes the place of the first, a second Save is ignored, and closing asks first.
"""

import asyncio
import contextlib
import pkgutil
import sys
import tempfile
from pathlib import Path

from qtpy import QtWidgets

import qtinter


async def find(text):
    """Yield the names of Python modules that contain `text`, as slowly as a server would."""
    for module in pkgutil.iter_modules():
        if text in module.name:
            await asyncio.sleep(0.05)
            yield module.name


class SearchForm(QtWidgets.QWidget):
    """Searches for the names of modules, and saves what was found."""

    def __init__(self, file):
        super().__init__()
        self.file = file
        self.setWindowTitle("Modules[*]")  # The star is shown if there is something to save.
        self.resize(360, 300)
        self.text = QtWidgets.QLineEdit(placeholderText="part of a name")
        self.found = QtWidgets.QListWidget()
        self.status = QtWidgets.QLabel("What are you looking for?")
        self.search_button = QtWidgets.QPushButton("Search")
        self.search_button.clicked.connect(qtinter.asyncslot(self.search, when_busy="restart"))
        self.save_button = QtWidgets.QPushButton("Save")
        self.save_button.clicked.connect(qtinter.asyncslot(self.save, when_busy="drop"))
        self.text.returnPressed.connect(self.search_button.click)
        layout = QtWidgets.QGridLayout(self)
        layout.addWidget(self.text, 0, 0)
        layout.addWidget(self.search_button, 0, 1)
        layout.addWidget(self.found, 1, 0, 1, 2)
        layout.addWidget(self.status, 2, 0)
        layout.addWidget(self.save_button, 2, 1)

    async def search(self):
        """Show the names one by one; cancelled when Search is clicked again."""
        text = self.text.text()
        self.found.clear()
        self.status.setText(f"Searching for “{text}” …")
        async for name in find(text):
            self.found.addItem(name)
            self.setWindowModified(True)
        self.status.setText(f"{self.found.count()} found")

    async def save(self):
        """Write the names to the file, in a thread, as disks can be slow; more clicks do nothing meanwhile."""
        names = [self.found.item(row).text() for row in range(self.found.count())]
        self.status.setText("Saving …")
        await asyncio.to_thread(self.file.write_text, "\n".join(names), "utf-8")
        self.setWindowModified(False)
        self.status.setText(f"Saved to {self.file.name}")

    @qtinter.asyncclose
    async def closeEvent(self, event):
        """Ask what to do with names that are not saved. The form stays open until this has returned."""
        if not self.isWindowModified():
            return
        buttons = QtWidgets.QMessageBox
        box = QtWidgets.QMessageBox(self)
        box.setText("Save the names that were found?")
        box.setStandardButtons(buttons.Save | buttons.Discard | buttons.Cancel)
        answer = await qtinter.asyncdialog(box)
        if answer == buttons.Save:
            await self.save()
        elif answer == buttons.Cancel:
            event.ignore()


def main():
    """Run the program."""
    app = QtWidgets.QApplication(sys.argv)
    form = SearchForm(Path(tempfile.gettempdir(), "modules.txt"))
    form.show()
    with qtinter.using_asyncio_from_qt():
        if "--smoke" in sys.argv:
            from _smoke import play

            play(search_and_close(form))
        app.exec_()


async def search_and_close(form):
    """What a user does, for `--smoke`."""
    from _smoke import take_screenshot, until

    def names():
        return [form.found.item(row).text() for row in range(form.found.count())]

    async def close():
        # Again and again: while an earlier attempt is still at work, another one does nothing.
        await until(lambda: form.close() or QtWidgets.QApplication.activeModalWidget())
        return QtWidgets.QApplication.activeModalWidget()

    form.text.setText("http")
    form.search_button.click()
    await until(names)
    form.text.setText("parse")
    form.search_button.click()  # Takes the place of the first one.
    await until(lambda: "argparse" in names() and "found" in form.status.text())
    assert all("parse" in name for name in names())
    assert form.isWindowModified()

    box = await close()
    take_screenshot(form)
    box.button(QtWidgets.QMessageBox.Cancel).click()
    await until(lambda: not box.isVisible())
    assert form.isVisible()

    form.file.unlink(missing_ok=True)
    box = await close()
    box.button(QtWidgets.QMessageBox.Save).click()
    with contextlib.suppress(asyncio.CancelledError):  # The form closes, and that ends the program.
        await asyncio.Event().wait()
    form.file.unlink()


if __name__ == "__main__":
    main()
