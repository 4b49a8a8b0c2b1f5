"""What a user does in each program of the documentation; the name is that of its file.

See play.py. `picture()` takes a picture if somebody has asked for them.
"""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

from qtpy import QtCore

pictures = None  # the folder for them


# Tools of users.


def picture(widget, name):
    """Save what a widget looks like."""
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        if not widget.grab().save(str(pictures / f"{name}.png")):
            raise OSError(f"cannot save the picture {name}")


def window():
    """The visible window that is no dialog, if there is one."""
    from qtpy import QtWidgets

    for widget in QtWidgets.QApplication.topLevelWidgets():
        if widget.isVisible() and not isinstance(widget, QtWidgets.QDialog):
            return widget
    return None


def dialog():
    """The visible dialog, if there is one."""
    from qtpy import QtWidgets

    found = QtWidgets.QApplication.activeModalWidget()
    return found if found is not None and found.isVisible() else None


def closes(widget):
    """A condition that is true when the widget has closed."""
    return lambda: not widget.isVisible()


def asked_to_close(widget):
    """A condition: the widget was closed, and asks what to do with its data."""

    def is_asked():
        if dialog() is None:
            widget.close()  # Again and again: it does nothing while an earlier attempt is at work.
        return dialog()

    return is_asked


def after(milliseconds):
    """A condition that is true after some time."""
    timer = QtCore.QElapsedTimer()
    timer.start()
    return lambda: timer.elapsed() >= milliseconds


class WebServer(threading.Thread):
    """A web server on a port of its own, if possible the one that the texts mention.

    Args:
        port: the port to try first.
        is_slow: whether it keeps its answers until `answer` is set.
    """

    def __init__(self, port=0, *, is_slow=False):
        super().__init__(daemon=True)
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.socket.bind(("127.0.0.1", port))
        except OSError:
            self.socket.bind(("127.0.0.1", 0))
        self.socket.listen()
        self.address = f"localhost:{self.socket.getsockname()[1]}"
        self.answer = threading.Event()
        if not is_slow:
            self.answer.set()
        self.start()

    def run(self):
        """Answer until the program ends."""
        while True:
            connection, _ = self.socket.accept()
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection):
        """Answer once."""
        with connection, contextlib.suppress(OSError):
            connection.recv(1000)
            self.answer.wait()
            body = b'{"name": "qtinter"}'
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)
            )


def refused_address(port=8002):
    """The address of a server that does not exist, if possible the one that the pictures show."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return f"localhost:{probe.getsockname()[1]}"


# The tutorial.


def step1():
    """Ask a server; meanwhile the window lives."""
    server = WebServer(8000, is_slow=True)
    asking = yield window
    asking.address.setText(server.address)
    asking.button.click()
    assert asking.answer.text() == "asking …"
    yield after(50)
    assert asking.answer.text() == "asking …"
    server.answer.set()
    yield lambda: asking.answer.text() == "HTTP/1.1 200 OK"
    picture(asking, "step1")
    asking.close()


def step2():
    """Ask a server that is there, and one that is not."""
    server = WebServer(8000)
    asking = yield window
    asking.address.setText(server.address)
    asking.button.click()
    assert not asking.button.isEnabled()
    yield asking.button.isEnabled
    assert asking.answer.text() == "HTTP/1.1 200 OK"
    asking.address.setText(refused_address())
    asking.button.click()
    yield asking.button.isEnabled
    assert "cannot be asked" in asking.answer.text()
    picture(asking, "step2")
    asking.close()


def states(asking):
    """The right column of the list of servers."""
    servers = asking.servers
    return [servers.topLevelItem(row).text(1) for row in range(servers.topLevelItemCount())]


def set_addresses(asking, *addresses):
    """The left column."""
    for row, address in enumerate(addresses):
        asking.servers.topLevelItem(row).setText(0, address)


def step3():
    """Ask three servers; one of them is slow, which does not hold up the others."""
    quick, slow = WebServer(8000), WebServer(8001, is_slow=True)
    asking = yield window
    set_addresses(asking, quick.address, slow.address, refused_address())
    asking.button.click()
    yield lambda: asking.progress.value() == 2
    assert states(asking)[:2] == ["HTTP/1.1 200 OK", "asking …"]
    picture(asking, "step3")
    slow.answer.set()
    yield asking.button.isEnabled
    assert states(asking)[1] == "HTTP/1.1 200 OK"
    asking.close()


def step4():
    """Stop while one of them has not answered, and ask again."""
    quick, slow = WebServer(8000), WebServer(8001, is_slow=True)
    asking = yield window
    set_addresses(asking, quick.address, slow.address, refused_address())
    asking.button.click()
    yield lambda: asking.progress.value() == 2
    asking.stop_button.click()
    yield asking.button.isEnabled
    assert states(asking)[1] == "stopped"
    picture(asking, "step4")
    slow.answer.set()
    asking.button.click()
    yield asking.button.isEnabled
    assert states(asking)[1] == "HTTP/1.1 200 OK"
    asking.close()


def step5():
    """Add a server while the others are being asked."""
    quick, slow = WebServer(8000), WebServer(8001, is_slow=True)
    asking = yield window
    set_addresses(asking, quick.address, slow.address, refused_address())
    asking.add_button.click()
    adding = yield dialog
    adding.setTextValue(quick.address)
    picture(adding, "step5")
    asking.button.click()
    yield lambda: asking.progress.value() == 2  # With the dialog open.
    adding.accept()
    yield lambda: states(asking)[3:] == ["HTTP/1.1 200 OK"]
    slow.answer.set()
    yield asking.button.isEnabled
    asking.close()


def step6():
    """Let it ask by itself, stop it once, close, change one's mind, save."""
    from qtpy.QtWidgets import QMessageBox

    slow = WebServer(is_slow=True)
    file = Path("servers.txt")
    file.write_text(f"{slow.address}\n{refused_address()}\n", "utf-8")
    asking = yield window
    yield lambda: asking.progress.value() == 1
    asking.stop_button.click()
    yield asking.button.isEnabled
    asking.servers.topLevelItem(0).setText(0, "example.org")
    box = yield asked_to_close(asking)
    picture(box, "step6")
    box.button(QMessageBox.Cancel).click()
    yield closes(box)
    assert asking.isVisible()
    box = yield asked_to_close(asking)
    box.button(QMessageBox.Save).click()
    yield closes(asking)
    assert file.read_text("utf-8").startswith("example.org\n")
    file.unlink()


# The how-to guides.


def existing():
    """Load."""
    loading = yield window
    loading.button.click()
    assert loading.label.text() == "Loaded"
    loading.close()


def button():
    """Load; meanwhile the window lives."""
    loading = yield window
    loading.button.click()
    assert loading.label.text() == "Loading …"
    yield lambda: loading.label.text() == "Loaded"
    loading.close()


def asyncio_first():
    """Stop the countdown."""
    counting = yield window
    yield lambda: "4" in counting.text()
    counting.click()
    yield lambda: counting.text() == "Saving …"


def closing():
    """Close, change one's mind, save."""
    from qtpy.QtWidgets import QMessageBox

    editor = yield window
    editor.insertPlainText("changed")
    box = yield asked_to_close(editor)
    box.button(QMessageBox.Cancel).click()
    yield closes(box)
    assert editor.isVisible()
    box = yield asked_to_close(editor)
    picture(box, "closing")
    box.button(QMessageBox.Save).click()
    yield closes(box)
    assert editor.isVisible()
    yield closes(editor)


def dialogs():
    """Look at each dialog for a while; the clock goes on."""
    from qtpy import QtWidgets

    asking = yield window
    by_name, by_file, in_time = asking.findChildren(QtWidgets.QPushButton)
    by_name.click()
    naming = yield dialog
    yield ticks(asking)
    naming.setTextValue("Ada")
    naming.accept()
    yield lambda: asking.answer.text() == "Ada"
    by_file.click()
    opening = yield dialog
    yield ticks(asking)
    opening.reject()
    yield lambda: asking.answer.text() == "no file"
    in_time.click()
    yield dialog
    yield lambda: asking.answer.text() == "away"
    assert dialog() is None
    asking.close()


def ticks(ticking, label="clock"):
    """A condition: the clock has gone on."""
    before = getattr(ticking, label).text()
    return lambda: int(getattr(ticking, label).text()) > int(before) + 1


def progress():
    """Look at the progress, stop, start again."""
    counting = yield window
    counting.button.click()
    yield lambda: counting.bar.value() > 0
    counting.stop_button.click()
    yield lambda: "primes" in counting.label.text()
    counting.button.click()
    yield lambda: counting.label.text() == "9592 primes"
    counting.close()


def plugin():
    """Load the plugin twice, unload one."""
    host = yield window
    host.load_button.click()
    host.load_button.click()
    first, second = host.plugins
    yield ticks(first, "label")
    yield ticks(second, "label")
    host.unload_button.click()
    yield ticks(first, "label")
    host.close()


def qml():
    """Click; the window turns grey, and green again."""
    from qtpy import QtCore, QtGui, QtTest

    windows = yield QtGui.QGuiApplication.topLevelWindows
    text = windows[0].findChild(QtCore.QObject, "text")
    yield windows[0].isExposed
    QtTest.QTest.mouseClick(
        windows[0], QtCore.Qt.LeftButton, QtCore.Qt.NoModifier, QtCore.QPoint(20, 20)
    )
    yield lambda: text.property("text") == "Loading something …"
    yield lambda: text.property("text") == "Loaded something"
    windows[0].close()


def loop_factory():
    """Click."""
    button = yield window
    button.click()


nested = loop_factory


def processes():
    """Count."""
    counting = yield window
    counting.button.click()
    yield lambda: counting.label.text() == "9592 primes"
    counting.close()


# What the pages about databases and devices need.


@contextlib.asynccontextmanager
async def postgresql():
    """Run a PostgreSQL server of our own, give the address to connect to."""
    with tempfile.TemporaryDirectory() as folder:
        # It refuses to be run by root.
        user = {"user": "nobody", "group": "nogroup"} if os.getuid() == 0 else {}
        if user:
            shutil.chown(folder, **user)
        data = os.path.join(folder, "data")
        subprocess.run(
            ["initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"],
            stdout=subprocess.DEVNULL,
            check=True,
            cwd=folder,
            **user,
        )
        server = await asyncio.create_subprocess_exec(
            *("postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-F"),
            stderr=subprocess.DEVNULL,
            cwd=folder,
            **user,
        )
        try:
            while subprocess.run(["pg_isready", "-q", "-h", folder], check=False).returncode:
                await asyncio.sleep(0.05)
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            server.terminate()
            await server.wait()


# Coming from other packages.


def with_qasync():
    """Click, close."""
    waiting = yield window
    waiting.button.click()
    yield lambda: waiting.button.text() == "Waited"
    waiting.close()


with_qtinter = with_qasync


def with_run():
    """Click, close."""
    waiting = yield window
    waiting.click()
    yield lambda: waiting.text() == "Waited"
    waiting.close()


def with_trio():
    """Say a name."""
    asking = yield dialog
    asking.setTextValue("Ada")
    asking.accept()
