"""Two plugins that use asyncio, in a host that knows nothing of it and executes Qt's loop itself.

Each is loaded and unloaded while the host runs, without minding the other: a clock, and a post box
with a server of its own. Plugins of a real host stand in files of their own.
"""

import asyncio
import sys
import time

from qtpy import QtWidgets

import qtinter


class Clock:
    """Plugin: what time it is."""

    title = "Clock"

    def load(self, box: QtWidgets.QGroupBox) -> None:
        """Called by the host, whose loop is running."""
        self.label = QtWidgets.QLabel()
        self.label.setStyleSheet("font-size: 28px")
        box.layout().addWidget(self.label)
        self.attachment = qtinter.attach()
        self.attachment.create_task(self.tick())

    def unload(self) -> None:
        """Called by the host."""
        self.attachment.close()  # Cancels the tasks of this plugin.
        self.label.deleteLater()

    async def tick(self) -> None:
        """Show the time, again and again."""
        while True:
            self.label.setText(time.strftime("%H:%M:%S"))
            await asyncio.sleep(0.1)


class PostBox:
    """Plugin: what others send over the network, line by line."""

    title = "Post box"

    def load(self, box: QtWidgets.QGroupBox) -> None:
        """Called by the host, whose loop is running."""
        self.text = QtWidgets.QPlainTextEdit(readOnly=True)
        box.layout().addWidget(self.text)
        self.attachment = qtinter.attach()
        self.attachment.create_task(self.serve())

    def unload(self) -> None:
        """Called by the host."""
        self.attachment.close()  # Returns when the tasks of this plugin have cleaned up.
        self.text.deleteLater()

    async def serve(self) -> None:
        """Listen until cancelled."""
        async with await asyncio.start_server(self.receive, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            self.text.appendPlainText(f"Send lines to port {self.port}.")
            await asyncio.Event().wait()

    async def receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Show the lines of one sender. This task belongs to the plugin too, as serve() made it."""
        try:
            async for line in reader:
                self.text.appendPlainText(line.decode(errors="replace").strip())
        except asyncio.CancelledError:
            pass  # Python 3.11.7 and 3.12.1 take it for an error, if passed on.
        finally:
            writer.close()


class Host(QtWidgets.QWidget):
    """A box for each plugin, which loads and unloads it."""

    def __init__(self, plugins: list) -> None:
        super().__init__()
        self.setWindowTitle("Host")
        self.resize(300, 300)
        self.boxes = []
        layout = QtWidgets.QVBoxLayout(self)
        for plugin in plugins:
            box = QtWidgets.QGroupBox(plugin.title, checkable=True, checked=False)
            QtWidgets.QVBoxLayout(box)
            box.toggled.connect(lambda on, p=plugin, b=box: p.load(b) if on else p.unload())
            layout.addWidget(box)
            self.boxes.append(box)

    def unload_all(self) -> None:
        """Unload the plugins that are loaded."""
        for box in self.boxes:
            box.setChecked(False)


def main() -> None:
    """Run the program."""
    app = QtWidgets.QApplication(sys.argv)
    plugins = [Clock(), PostBox()]
    host = Host(plugins)
    host.show()
    if "--smoke" in sys.argv:
        from _smoke import play_in_host

        play_in_host(app, use(host, *plugins))
    else:
        app.exec_()
    host.unload_all()


async def use(host: Host, clock: Clock, post_box: PostBox) -> None:
    """What a user does, for `--smoke`."""
    from _smoke import take_screenshot, until

    async def send(line):
        writer.write(f"{line}\n".encode())
        await until(lambda: line in post_box.text.toPlainText())

    async def ticks():
        clock.label.clear()
        await until(clock.label.text)

    first, second = host.boxes
    first.setChecked(True)
    await ticks()
    second.setChecked(True)
    await until(lambda: "port" in post_box.text.toPlainText())
    reader, writer = await asyncio.open_connection("127.0.0.1", post_box.port)
    await send("The library wants its book back.")
    await ticks()
    take_screenshot(host)
    first.setChecked(False)
    await send("Your bicycle is ready.")
    first.setChecked(True)
    await ticks()
    second.setChecked(False)
    assert await reader.read() == b""  # It has hung up.
    writer.close()
    await ticks()
    host.close()


if __name__ == "__main__":
    main()
