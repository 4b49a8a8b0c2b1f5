"""Step 2: servers that do not answer."""

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
    """Asks one server."""

    def __init__(self):
        super().__init__()
        self.setWindowTitle("Is it up?")
        self.resize(360, 120)
        self.address = QtWidgets.QLineEdit("localhost:8000")
        self.button = QtWidgets.QPushButton("Ask")
        self.answer = QtWidgets.QLabel(wordWrap=True)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(self.address)
        layout.addWidget(self.button)
        layout.addWidget(self.answer)
        self.button.clicked.connect(self.ask)

    @qtinter.asyncslot
    async def ask(self):
        """Called for every click."""
        self.button.setEnabled(False)
        self.answer.setText("asking …")
        self.answer.setText(await state(self.address.text()))
        self.button.setEnabled(True)


app = QtWidgets.QApplication(sys.argv)
window = Window()
window.show()
with qtinter.using_asyncio_from_qt():
    app.exec_()
