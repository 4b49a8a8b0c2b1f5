"""A chat over WebSockets: a window for the server, and one for each guest.

All of them share one thread here, and talk through real connections. Guests may also join from
elsewhere: `python chat.py ws://127.0.0.1:PORT/NAME`, with the port that the server shows.
"""

import asyncio
import html
import itertools
import sys
from urllib.parse import unquote, urlsplit

from qtpy import QtWidgets
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosedError

import qtinter


class Server(QtWidgets.QWidget):
    """Shows who is there; what one guest says goes to all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle("Chat server")
        self.resize(220, 260)
        self.names: dict[ServerConnection, str] = {}
        self.guests: list[Guest] = []  # Those who were invited here.
        self.new_names = itertools.chain(
            ["Ada", "Grace"], map("Guest {}".format, itertools.count(3))
        )
        self.uri = QtWidgets.QLabel("Starting …")
        self.people = QtWidgets.QListWidget()
        self.invite_button = QtWidgets.QPushButton("Invite somebody", enabled=False)
        self.invite_button.clicked.connect(self.invite)
        layout = QtWidgets.QVBoxLayout(self)
        for widget in (self.uri, self.people, self.invite_button):
            layout.addWidget(widget)
        self.serving = asyncio.create_task(self.serve())

    async def serve(self) -> None:
        """Serve until cancelled; leaving the block closes all connections properly."""
        async with serve(self.welcome, "127.0.0.1", 0) as server:
            self.uri.setText("ws://{}:{}".format(*server.sockets[0].getsockname()))
            self.invite_button.setEnabled(True)
            self.invite()
            self.invite()
            await server.serve_forever()

    async def welcome(self, connection: ServerConnection) -> None:
        """Listen to one guest."""
        name = self.names[connection] = unquote(connection.request.path[1:])
        self.announce(f"{name} has come.")
        try:
            async for text in connection:
                broadcast(self.names, f"<b>{html.escape(name)}:</b> {html.escape(text)}")
        except ConnectionClosedError:
            pass  # The guest has gone without a word.
        finally:
            del self.names[connection]
            self.announce(f"{name} has gone.")

    def announce(self, text: str) -> None:
        """Tell everybody who has come or gone."""
        self.people.clear()
        self.people.addItems(list(self.names.values()))
        broadcast(self.names, f"<i>{html.escape(text)}</i>")

    def invite(self) -> None:
        """Open a window for another guest."""
        guest = Guest(f"{self.uri.text()}/{next(self.new_names)}")
        guest.show()
        self.guests.append(guest)

    @qtinter.asyncclose
    async def closeEvent(self, event) -> None:
        """Say goodbye before the window closes."""
        self.serving.cancel()
        await asyncio.wait([self.serving])


class Guest(QtWidgets.QWidget):
    """Shows what is said, and has a line to answer."""

    def __init__(self, uri: str) -> None:
        super().__init__()
        name = unquote(urlsplit(uri).path[1:])
        self.setWindowTitle(f"Chat: {name}")
        self.resize(260, 260)
        self.text = QtWidgets.QTextBrowser()
        self.line = QtWidgets.QLineEdit(placeholderText=f"{name} says …", enabled=False)
        self.line.returnPressed.connect(qtinter.asyncslot(self.say))
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addWidget(self.line)
        self.connection = None
        self.talking = asyncio.create_task(self.talk(uri))

    async def talk(self, uri: str) -> None:
        """Show what comes, until one side hangs up."""
        try:
            async with connect(uri) as self.connection:
                self.line.setEnabled(True)
                async for text in self.connection:
                    self.text.append(text)
                self.text.append("<i>The server has closed.</i>")
        except OSError as error:
            self.text.append(f"<i>{error}</i>")
        self.line.setEnabled(False)

    async def say(self) -> None:
        """Send the line."""
        text = self.line.text()
        self.line.clear()
        await self.connection.send(text)

    @qtinter.asyncclose
    async def closeEvent(self, event) -> None:
        """Hang up before the window closes."""
        if self.connection is not None:
            await self.connection.close()
        self.talking.cancel()  # Where it is still trying to connect.
        await asyncio.wait([self.talking])


def main() -> None:
    """Run the program."""
    app = QtWidgets.QApplication(sys.argv)
    is_guest = sys.argv[1:] and sys.argv[1].startswith("ws:")
    with qtinter.using_asyncio_from_qt():
        window = Guest(sys.argv[1]) if is_guest else Server()
        window.show()
        if "--smoke" in sys.argv:
            from _smoke import play

            play(chat(window))
        app.exec_()


async def chat(server: Server) -> None:
    """What users do, for `--smoke`."""
    from _smoke import take_screenshot, until

    def say(guest, text):
        guest.line.setText(text)
        guest.line.returnPressed.emit()

    await until(lambda: len(server.names) == 2)
    ada, grace = server.guests
    await until(lambda: ada.line.isEnabled() and grace.line.isEnabled())
    say(ada, "Is anybody there?")
    await until(lambda: "Ada: Is" in grace.text.toPlainText())
    say(grace, "I am. Is it true that 1 < 2?")
    await until(lambda: "Grace: I am. Is it true that 1 < 2?" in ada.text.toPlainText())
    take_screenshot(server, ada, grace)
    grace.close()
    await until(lambda: "Grace has gone" in ada.text.toPlainText())
    server.close()
    await until(lambda: "The server has closed" in ada.text.toPlainText())
    assert not ada.line.isEnabled()
    ada.close()


if __name__ == "__main__":
    main()
