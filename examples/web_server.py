"""A web server inside a Qt program, with FastAPI and uvicorn: requests show in the window.

The window itself is a client too, with httpx. Closing it shuts the server down in good order.
"""

import asyncio
import logging
import socket
import sys

import httpx
import uvicorn
from fastapi import FastAPI, Request, Response
from qtpy import QtWidgets

import qtinter


class Window(QtWidgets.QWidget):
    """The note that the server hands out, and a list of requests."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.setWindowTitle("Web server")
        self.resize(420, 280)
        link = QtWidgets.QLabel(f'<a href="{url}/docs">{url}/docs</a>', openExternalLinks=True)
        self.note = QtWidgets.QLineEdit("Back at noon")
        self.requests = QtWidgets.QTreeWidget(rootIsDecorated=False)
        self.requests.setHeaderLabels(["Request", "Status", "Time"])
        self.requests.setColumnWidth(0, 220)
        self.requests.setColumnWidth(1, 70)
        self.button = QtWidgets.QPushButton("Ask the server")
        self.button.clicked.connect(qtinter.asyncslot(self.ask, when_busy="drop"))
        self.answer = QtWidgets.QLabel()
        layout = QtWidgets.QFormLayout(self)
        layout.addRow("Server", link)
        layout.addRow("Note", self.note)
        layout.addRow(self.requests)
        layout.addRow(self.button, self.answer)

    async def ask(self) -> None:
        """Be a client, of the server in the same thread."""
        async with httpx.AsyncClient(base_url=self.url) as client:
            response = await client.get("/note")
        self.answer.setText(response.text)

    def show_request(self, *columns: str) -> None:
        """Add a request to the list."""
        self.requests.addTopLevelItem(QtWidgets.QTreeWidgetItem(columns))

    @qtinter.asyncclose
    async def closeEvent(self, event) -> None:
        """Let the server finish what it is doing, before the window closes."""
        self.server.should_exit = True
        await self.serving

    def serve(self, listener: socket.socket) -> None:
        """Start the server."""
        config = uvicorn.Config(make_application(self), log_level=logging.ERROR)
        self.server = uvicorn.Server(config)
        self.serving = asyncio.create_task(self.server.serve([listener]))


def make_application(window: Window) -> FastAPI:
    """Return what the server serves. Its functions are called in the thread of the window."""
    application = FastAPI(title="A Qt program")

    @application.middleware("http")
    async def show(request: Request, call_next) -> Response:
        start = asyncio.get_running_loop().time()
        response = await call_next(request)
        duration = asyncio.get_running_loop().time() - start
        name = f"{request.method} {request.url.path}"
        window.show_request(name, str(response.status_code), f"{duration * 1000:.1f} ms")
        return response

    @application.get("/note")
    async def get_note() -> str:
        return window.note.text()

    @application.put("/note")
    async def put_note(text: str) -> None:
        window.note.setText(text)

    return application


def main() -> None:
    """Run the program."""
    app = QtWidgets.QApplication(sys.argv)
    listener = socket.create_server(("127.0.0.1", 0))
    window = Window("http://{}:{}".format(*listener.getsockname()))
    window.show()
    with qtinter.using_asyncio_from_qt():
        window.serve(listener)
        if "--smoke" in sys.argv:
            from _smoke import play

            play(use(window))
        app.exec_()


async def use(window: Window) -> None:
    """What users do, for `--smoke`."""
    from _smoke import take_screenshot, until

    window.button.click()
    await until(lambda: window.answer.text() == '"Back at noon"')
    async with httpx.AsyncClient(base_url=window.url) as client:
        assert (await client.put("/note", params={"text": "Back at six"})).status_code == 200
        assert window.note.text() == "Back at six"
        assert (await client.get("/nonsense")).status_code == 404
        assert (await client.get("/docs")).status_code == 200
    window.button.click()
    await until(lambda: window.answer.text() == '"Back at six"')
    assert window.requests.topLevelItemCount() == 5
    take_screenshot(window)
    window.close()


if __name__ == "__main__":
    main()
