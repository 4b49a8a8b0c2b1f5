"""Step 6: a task of its own, and a window that closes cleanly."""

import asyncio
import sys
from pathlib import Path

from qtpy import QtWidgets

import qtinter


async def ask(address):
    """Return the first line of what the web server at `address` answers."""
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, port or 80)
    try:
        writer.write(f"HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        line = await reader.readline()
    finally:
        writer.close()
    return line.decode().strip()


async def state(address):
    """Return what to tell about the server at `address`."""
    try:
        return await asyncio.wait_for(ask(address), 3)
    except asyncio.TimeoutError:
        return "no answer in 3 seconds"
    except (OSError, ValueError) as error:
        return f"cannot be asked: {error}"


class Window(QtWidgets.QWidget):
    """Asks the servers in a list, again and again; the list is kept in a file."""

    def __init__(self, file):
        super().__init__()
        self.file = file
        self.setWindowTitle("Is it up?")
        self.resize(420, 240)
        self.servers = QtWidgets.QTreeWidget(rootIsDecorated=False)
        self.servers.setHeaderLabels(["Server", "State"])
        self.servers.setColumnWidth(0, 160)
        for address in file.read_text("utf-8").split():
            self.servers.addTopLevelItem(QtWidgets.QTreeWidgetItem([address]))
        self.add_button = QtWidgets.QPushButton("Add …")
        self.progress = QtWidgets.QProgressBar()
        self.button = QtWidgets.QPushButton("Ask all")
        self.stop_button = QtWidgets.QPushButton("Stop", enabled=False)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(self.servers)
        layout.addWidget(self.add_button)
        layout.addWidget(self.progress)
        layout.addWidget(self.button)
        layout.addWidget(self.stop_button)
        self.add_button.clicked.connect(self.add)
        self.button.clicked.connect(self.ask_all)
        self.stop_button.clicked.connect(self.stop)

    @qtinter.asyncslot
    async def add(self):
        """Ask for one more address, and then its server."""
        dialog = QtWidgets.QInputDialog(self)
        dialog.setLabelText("Address of the server:")
        accepted = await qtinter.asyncdialog(dialog)
        address = dialog.textValue()
        dialog.deleteLater()
        if accepted and address:
            row = QtWidgets.QTreeWidgetItem([address])
            self.servers.addTopLevelItem(row)
            row.setText(1, await state(address))

    @qtinter.asyncslot
    async def ask_all(self):
        """Ask all servers at the same time."""
        rows = self.rows()
        self.progress.setRange(0, len(rows))
        self.progress.setValue(0)
        self.asking = asyncio.gather(*[self.ask(row) for row in rows])
        self.button.setEnabled(False)
        self.stop_button.setEnabled(True)
        try:
            await self.asking
        finally:
            self.button.setEnabled(True)
            self.stop_button.setEnabled(False)

    @qtinter.asyncclose
    async def closeEvent(self, event):
        """Save the list, unless the user would rather go on."""
        rows = self.rows()
        box = QtWidgets.QMessageBox(self)
        box.setText(f"Save the {len(rows)} addresses?")
        answers = QtWidgets.QMessageBox
        box.setStandardButtons(answers.Save | answers.Discard | answers.Cancel)
        answer = await qtinter.asyncdialog(box)
        if answer == answers.Cancel:
            event.ignore()
        elif answer == answers.Save:
            text = "\n".join(row.text(0) for row in rows)
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, self.file.write_text, text, "utf-8")

    def stop(self):
        """Ask no more: an ordinary slot."""
        self.asking.cancel()

    def rows(self):
        """Return the rows of the list."""
        count = self.servers.topLevelItemCount()
        return [self.servers.topLevelItem(row) for row in range(count)]

    async def ask(self, row):
        """Ask the server in one row."""
        row.setText(1, "asking …")
        try:
            row.setText(1, await state(row.text(0)))
        except asyncio.CancelledError:
            row.setText(1, "stopped")
            raise
        self.progress.setValue(self.progress.value() + 1)


async def watch(window):
    """Ask all servers every ten seconds."""
    while True:
        if window.button.isEnabled():
            await asyncio.wait([window.ask_all()])  # Also if it is stopped.
        await asyncio.sleep(10)


file = Path(sys.argv[1] if len(sys.argv) > 1 else "servers.txt")
if not file.exists():
    file.write_text("localhost:8000\nlocalhost:8001\npython.org\n", "utf-8")
app = QtWidgets.QApplication(sys.argv)
window = Window(file)
window.show()
with qtinter.using_asyncio_from_qt():
    watching = asyncio.create_task(watch(window))
    app.exec_()
