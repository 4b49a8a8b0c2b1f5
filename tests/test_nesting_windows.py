"""Everything in Qt that opens an event loop of its own, in real windows: asyncio ticks on."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, Callable

import pytest
import qtpy
from qtpy import QtCore
from test_nesting import BLOCK, Heartbeat, after

import qtinter

QtWidgets = pytest.importorskip("qtpy.QtWidgets", exc_type=ImportError, reason="needs QtWidgets")

from qtpy import QtTest  # noqa: E402 - they need what QtWidgets needs


@pytest.fixture
def window(qapp: Any) -> Iterator[Any]:
    """A window with something in it."""
    window = QtWidgets.QMainWindow()
    window.setCentralWidget(QtWidgets.QLineEdit("text"))
    window.resize(300, 200)
    window.show()
    yield window
    window.close()
    window.deleteLater()
    QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.DeferredDelete)


def close_dialog() -> None:
    QtWidgets.QApplication.activeModalWidget().close()


def close_popup() -> None:
    QtWidgets.QApplication.activePopupWidget().close()


# Each blocks for BLOCK seconds.


def dialog_exec(window: Any) -> None:
    dialog = QtWidgets.QDialog(window)
    after(BLOCK, dialog.accept)
    execute = getattr(dialog, "exec", None) or dialog.exec_  # PySide2 has exec_ only.
    assert execute() == QtWidgets.QDialog.Accepted
    dialog.deleteLater()


def message_box(window: Any) -> None:
    after(BLOCK, close_dialog)
    QtWidgets.QMessageBox.question(window, "Question", "Go on?")


def file_dialog(window: Any) -> None:
    after(BLOCK, close_dialog)
    result = QtWidgets.QFileDialog.getOpenFileName(
        window, "Open", options=QtWidgets.QFileDialog.DontUseNativeDialog
    )
    assert result[0] == ""


def input_dialog(window: Any) -> None:
    after(BLOCK, close_dialog)
    assert QtWidgets.QInputDialog.getText(window, "Name", "Name?") == ("", False)


def menu_exec(window: Any) -> None:
    menu = QtWidgets.QMenu(window)
    menu.addAction("one")
    after(BLOCK, close_popup)
    menu.exec_(window.mapToGlobal(QtCore.QPoint(10, 10)))
    menu.deleteLater()


def event_loop_exec(window: Any) -> None:
    loop = QtCore.QEventLoop()
    after(BLOCK, loop.quit)
    loop.exec_()


def process_events(window: Any) -> None:
    end = time.monotonic() + BLOCK
    while time.monotonic() < end:
        QtWidgets.QApplication.processEvents()


def wait_signal(window: Any, qtbot: Any) -> None:
    """pytest-qt: the signal comes from another task."""
    edit = window.centralWidget()

    async def change() -> None:
        await asyncio.sleep(BLOCK)
        edit.setText("changed")

    asyncio.get_running_loop().create_task(change())
    with qtbot.waitSignal(edit.textChanged, timeout=5000) as blocker:
        pass
    assert blocker.args == ["changed"]


def wait_until(window: Any, qtbot: Any) -> None:
    """pytest-qt: the condition is made true by another task."""
    done: list[bool] = []
    asyncio.get_running_loop().call_later(BLOCK, done.append, True)
    qtbot.waitUntil(lambda: bool(done), timeout=5000)


BLOCKERS = [
    dialog_exec,
    message_box,
    file_dialog,
    input_dialog,
    menu_exec,
    event_loop_exec,
    process_events,
]


def check_heartbeat(block: Callable[[], None]) -> None:
    """While the call blocks a coroutine for 0.3 s, a heartbeat of 20 ms keeps 80 % of its ticks."""
    reports: list[Any] = []

    async def main() -> None:
        task = asyncio.current_task()
        await asyncio.sleep(0.02)  # The window is shown.
        with Heartbeat() as heartbeat:
            block()
            assert asyncio.current_task() is task
        assert heartbeat.ticks >= 5
        assert heartbeat.share >= 0.8
        await asyncio.sleep(0)

    loop = qtinter.new_event_loop()
    loop.set_exception_handler(lambda _, context: reports.append(context))
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
    assert reports == []


if sys.platform == "win32" and qtpy.QT5:
    # Qt 5's message box crashes on Windows without the platform plugin for Windows.
    BLOCKERS.remove(message_box)


@pytest.mark.parametrize("blocker", BLOCKERS, ids=lambda blocker: blocker.__name__)
def test_blocking_calls(window: Any, blocker: Callable[[Any], None]) -> None:
    """asyncio ticks on while a blocking call of Qt lasts."""
    check_heartbeat(lambda: blocker(window))


@pytest.mark.skipif(not hasattr(QtTest.QTest, "qWait"), reason="PySide2 does not wrap QTest.qWait")
def test_q_wait(qapp: Any) -> None:
    """asyncio ticks on while QTest.qWait() lasts."""
    check_heartbeat(lambda: QtTest.QTest.qWait(round(BLOCK * 1000)))


@pytest.mark.skipif(qtpy.API == "pyside2", reason="pytest-qt has dropped PySide2")
@pytest.mark.parametrize("blocker", [wait_signal, wait_until], ids=lambda blocker: blocker.__name__)
def test_pytest_qt(
    window: Any, blocker: Callable[[Any, Any], None], request: pytest.FixtureRequest
) -> None:
    """asyncio ticks on while pytest-qt waits, for something that another task does."""
    pytest.importorskip("pytestqt", reason="pytest-qt is not installed")
    qtbot = request.getfixturevalue("qtbot")
    check_heartbeat(lambda: blocker(window, qtbot))


DRAG = """
from qtpy import QtCore, QtGui, QtTest, QtWidgets
from test_nesting import BLOCK, after
from test_nesting_windows import check_heartbeat

app = QtWidgets.QApplication([])
window = QtWidgets.QMainWindow()
window.show()

def drag():
    drag = QtGui.QDrag(window)
    data = QtCore.QMimeData()
    data.setText("text")
    drag.setMimeData(data)
    # A drag ends when Escape reaches the event filter that it has installed.
    after(BLOCK, lambda: QtTest.QTest.keyClick(window.windowHandle(), QtCore.Qt.Key_Escape))
    execute = getattr(drag, "exec", None) or drag.exec_
    assert execute(QtCore.Qt.CopyAction) == QtCore.Qt.IgnoreAction

check_heartbeat(drag)
print("dragged")
"""


@pytest.mark.linux_only
@pytest.mark.skipif(sys.platform != "linux", reason="runs in an X server of its own")
def test_drag_and_drop() -> None:
    """asyncio ticks on while something is dragged; on X11, the offscreen platform cannot drag."""
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    try:
        os.close(write)
        with open(read) as pipe:
            display = pipe.readline().strip()
        environment = {
            **os.environ,
            "DISPLAY": f":{display}",
            "QT_QPA_PLATFORM": "xcb",
            "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path]),
        }
        result = subprocess.run(
            [sys.executable, "-c", DRAG],
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
        )
    finally:
        server.terminate()
        server.wait()
    assert result.stdout.strip() == "dragged", result.stderr
