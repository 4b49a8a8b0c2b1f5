"""Downloads several files at once with aiohttp, each with a progress bar and a Cancel button."""

import asyncio
import contextlib
import socket
import sys

import aiohttp
from aiohttp import web
from qtpy import QtWidgets

import qtinter

# What the server at the end of this file has: names and sizes in bytes.
FILES = {"notes.txt": 200_000, "photo.jpg": 1_000_000, "film.mkv": 10_000_000}


class Download(QtWidgets.QWidget):
    """One file: how much of it is here, and a button that cancels the rest."""

    def __init__(self, url):
        super().__init__()
        self.url = url
        self.task = None
        self.bar = QtWidgets.QProgressBar()
        self.bar.setMinimumWidth(250)
        self.bar.setValue(0)
        self.cancel = QtWidgets.QPushButton("Cancel")
        self.cancel.setEnabled(False)
        self.cancel.clicked.connect(lambda: self.task.cancel())
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.bar)
        layout.addWidget(self.cancel)

    def start(self, session):
        """Return the task that downloads the file."""
        self.bar.setValue(0)
        self.bar.setFormat("%p%")
        self.cancel.setEnabled(True)
        self.task = asyncio.create_task(self.run(session))
        return self.task

    async def run(self, session):
        """Download the file."""
        try:
            async with session.get(self.url) as response:
                response.raise_for_status()
                self.bar.setMaximum(response.content_length)
                async for chunk in response.content.iter_any():
                    self.bar.setValue(self.bar.value() + len(chunk))
        except asyncio.CancelledError:
            self.bar.setFormat("cancelled")
            raise
        except aiohttp.ClientError as error:
            self.bar.setFormat(str(error))
        finally:
            self.cancel.setEnabled(False)


class Window(QtWidgets.QWidget):
    """All files, and a button that starts them."""

    def __init__(self, server):
        super().__init__()
        self.setWindowTitle("Downloads")
        self.downloads = {name: Download(f"{server}/{name}") for name in FILES}
        self.start = QtWidgets.QPushButton("Download")
        self.start.clicked.connect(qtinter.asyncslot(self.download_all))
        layout = QtWidgets.QFormLayout(self)
        for name, download in self.downloads.items():
            layout.addRow(name, download)
        layout.addRow(self.start)

    async def download_all(self):
        """Download all files at once. Closing the window ends the program, and that cancels this."""
        self.start.setEnabled(False)
        async with aiohttp.ClientSession() as session:
            await asyncio.wait([download.start(session) for download in self.downloads.values()])
        self.start.setEnabled(True)


def main():
    """Run the program."""
    app = QtWidgets.QApplication(sys.argv)
    listener = socket.create_server(("127.0.0.1", 0))
    host, port = listener.getsockname()
    window = Window(f"http://{host}:{port}")
    window.show()
    with qtinter.using_asyncio_from_qt():
        server = asyncio.create_task(serve(listener))
        if "--smoke" in sys.argv:
            from _smoke import play

            play(download_twice(window, server))
        app.exec_()


async def serve(listener):
    """Be the server, slow enough for something to be seen."""

    async def send(request):
        response = web.StreamResponse()
        response.content_length = FILES[request.match_info["name"]]
        with contextlib.suppress(ConnectionResetError):  # The client cancels.
            await response.prepare(request)
            for _ in range(0, response.content_length, 20_000):
                await response.write(bytes(20_000))
                await asyncio.sleep(0.02)
        return response

    application = web.Application()
    application.router.add_get("/{name}", send)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        await asyncio.Event().wait()  # For ever, that is until the program ends.
    finally:
        await runner.cleanup()


async def download_twice(window, server):
    """What a user does, for `--smoke`."""
    from _smoke import take_screenshot, until

    notes, photo, film = window.downloads.values()
    window.start.click()
    await until(lambda: photo.bar.value() > photo.bar.maximum() / 2)
    film.cancel.click()
    await until(lambda: film.bar.format() == "cancelled")
    take_screenshot(window)
    await until(window.start.isEnabled)
    assert notes.bar.value() == FILES["notes.txt"]
    assert photo.bar.value() == FILES["photo.jpg"]
    assert 0 < film.bar.value() < FILES["film.mkv"] / 2
    window.start.click()
    await until(lambda: film.bar.value() > 0)
    assert not server.done()
    window.close()


if __name__ == "__main__":
    main()
