"""Step 5: a dialog that is awaited."""

import asyncio
import sys

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
    """Asks the servers in a list."""

    def __init__(self, addresses):
        super().__init__()
        self.setWindowTitle("Is it up?")
        self.resize(420, 240)
        self.servers = QtWidgets.QTreeWidget(rootIsDecorated=False)
        self.servers.setHeaderLabels(["Server", "State"])
        self.servers.setColumnWidth(0, 160)
        for address in addresses:
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


app = QtWidgets.QApplication(sys.argv)
window = Window(sys.argv[1:] or ["localhost:8000", "localhost:8001", "python.org"])
window.show()
with qtinter.using_asyncio_from_qt():
    app.exec_()
