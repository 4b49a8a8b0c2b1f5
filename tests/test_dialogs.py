"""asyncdialog, asyncclose."""

from __future__ import annotations

import asyncio
from typing import Any, Callable

import pytest
import qtpy
from harness import run_program, run_watched

widgets = pytest.importorskip("qtpy.QtWidgets")

from qtpy import QtCore  # noqa: E402 - after the module that may not be there

from qtinter import SenderDestroyedError, asyncclose, asyncdialog, asyncslot  # noqa: E402


@pytest.fixture
def go(qapp: Any) -> Callable[[Callable[[], Any]], Any]:
    """Run a coroutine function in an attached loop; what reaches the exception handler fails the test."""

    def go(main: Callable[[], Any]) -> Any:
        quits = qapp.quitOnLastWindowClosed()
        qapp.setQuitOnLastWindowClosed(False)
        try:
            return run_watched(main)
        finally:
            qapp.setQuitOnLastWindowClosed(quits)

    return go


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is true."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("has not happened")


# Dialogs.


@pytest.mark.parametrize(
    ("act", "code"), [("accept", 1), ("reject", 0), ("close", 0), ("done", 42)]
)
def test_dialog_gives_its_code(go: Any, act: str, code: int) -> None:
    """The result is the code with which the dialog was finished, and other tasks run meanwhile."""

    async def main() -> None:
        dialog = widgets.QDialog()
        ticks = []

        async def tick() -> None:
            while True:
                ticks.append(1)
                await asyncio.sleep(0.001)

        ticking = asyncio.ensure_future(tick())
        waiting = asyncio.ensure_future(asyncdialog(dialog))
        await until(lambda: len(ticks) > 5)
        assert dialog.isVisible()
        getattr(dialog, act)(*([42] if act == "done" else []))
        assert await waiting == code
        assert not dialog.isVisible()
        ticking.cancel()

    go(main)


@pytest.mark.linux_only  # Under Wine, QMessageBox.open() of PyQt5 crashes by itself.
def test_message_box(go: Any) -> None:
    """A QMessageBox gives the button."""

    async def main() -> None:
        box = widgets.QMessageBox(
            widgets.QMessageBox.Question,
            "title",
            "text",
            widgets.QMessageBox.Yes | widgets.QMessageBox.No,
        )
        QtCore.QTimer.singleShot(5, lambda: box.button(widgets.QMessageBox.Yes).click())
        assert await asyncdialog(box) == int(
            getattr(widgets.QMessageBox.Yes, "value", widgets.QMessageBox.Yes)
        )

    go(main)


def test_dialog_in_the_first_step_of_a_slot(go: Any) -> None:
    """It may be the first thing that an asyncslot awaits, and be opened more than once."""

    async def main() -> None:
        dialog, results = widgets.QDialog(), []

        async def ask() -> None:
            results.append(await asyncdialog(dialog))
            results.append(await asyncdialog(dialog))

        button = widgets.QPushButton()
        button.clicked.connect(asyncslot(ask))
        button.click()
        assert dialog.isVisible()
        dialog.accept()
        await until(lambda: results and dialog.isVisible())
        dialog.reject()
        await until(lambda: len(results) == 2)
        assert results == [1, 0]

    go(main)


def test_cancelling_closes_the_dialog(go: Any) -> None:
    """A cancelled wait, or one that times out, closes the dialog, even if that refuses to be closed by its user."""

    class Stubborn(widgets.QDialog):  # type: ignore[misc, name-defined]
        def reject(self) -> None: ...

        def closeEvent(self, event: Any) -> None:
            event.ignore()

    async def main() -> None:
        for kind in widgets.QDialog, Stubborn:
            dialog = kind()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(asyncdialog(dialog), 0.01)
            assert not dialog.isVisible()

    go(main)


def test_deleted_dialog(go: Any) -> None:
    """A dialog that is destroyed while it is open is SenderDestroyedError."""

    async def main() -> None:
        parent = widgets.QWidget()
        waiting = asyncio.ensure_future(asyncdialog(widgets.QDialog(parent)))
        await asyncio.sleep(0.005)
        parent.deleteLater()
        with pytest.raises(SenderDestroyedError):
            await asyncio.wait_for(waiting, 1)

    go(main)


def test_cancelled_after_the_dialog_was_deleted(go: Any) -> None:
    """The cancellation of a wait whose dialog has just been destroyed does not touch it."""

    async def main() -> None:
        dialog = widgets.QDialog()
        waiting = asyncio.ensure_future(asyncdialog(dialog))
        await asyncio.sleep(0.005)
        dialog.deleteLater()
        QtCore.QCoreApplication.sendPostedEvents(dialog, QtCore.QEvent.DeferredDelete)
        waiting.cancel()
        await asyncio.wait([waiting])

    go(main)


# Closing.


class Window(widgets.QWidget):  # type: ignore[misc, name-defined]
    """Asks for some time before it closes."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[str] = []
        self.answer: Any = asyncio.Event()
        self.is_vetoing = False
        self.error: Exception | None = None
        self.takes_time = True

    @asyncclose
    async def closeEvent(self, event: Any) -> None:
        """Ask."""
        self.log.append("asked")
        assert event.isAccepted()
        if self.takes_time:
            await self.answer.wait()
        if self.error:
            raise self.error
        if self.is_vetoing:
            event.ignore()
        self.log.append("answered")


def test_close_waits(go: Any) -> None:
    """The window stays open until the coroutine is done; then it closes, once."""

    async def main() -> None:
        window = Window()
        window.show()
        assert window.close() is False
        assert window.isVisible()
        assert window.close() is False
        await asyncio.sleep(0.005)
        assert window.log == ["asked"]
        window.answer.set()
        await until(lambda: not window.isVisible())
        assert window.log == ["asked", "answered"]
        window.show()
        window.close()
        assert window.log == ["asked", "answered", "asked", "answered"]

    go(main)


def test_close_without_suspension(go: Any) -> None:
    """A coroutine that does not suspend closes or keeps the window at once."""

    async def main() -> None:
        window = Window()
        window.takes_time = False
        window.show()
        window.is_vetoing = True
        assert window.close() is False
        assert window.isVisible()
        window.is_vetoing = False
        assert window.close() is True
        assert not window.isVisible()

    go(main)


def test_veto(go: Any) -> None:
    """event.ignore() keeps the window; it can be closed another time."""

    async def main() -> None:
        window = Window()
        window.show()
        window.is_vetoing = True
        window.close()
        window.answer.set()
        await until(lambda: window.log[-1] == "answered")
        await asyncio.sleep(0.005)
        assert window.isVisible()
        window.is_vetoing = False
        window.close()
        await until(lambda: not window.isVisible())

    go(main)


def test_error_keeps_the_window(go: Any, monkeypatch: Any) -> None:
    """An exception is reported with the name of the handler, and the window stays."""
    reports: list[Any] = []
    monkeypatch.setattr(
        asyncio.BaseEventLoop, "call_exception_handler", lambda _, context: reports.append(context)
    )

    async def main() -> None:
        window = Window()
        window.error = ZeroDivisionError()
        window.show()
        window.close()
        window.answer.set()
        await until(lambda: reports)
        assert "Window.closeEvent" in reports[0]["message"]
        assert window.isVisible()
        window.takes_time = False
        assert window.close() is False
        assert len(reports) == 2
        window.error = None
        assert window.close() is True

    go(main)


def test_cancellation_keeps_the_window(go: Any) -> None:
    """If the coroutine is cancelled the window stays."""

    async def main() -> None:
        window = Window()
        window.show()
        window.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            if "closeEvent" in repr(task):
                task.cancel()
        await asyncio.sleep(0.005)
        assert window.isVisible()
        window.answer.set()
        window.close()
        assert not window.isVisible()

    go(main)


def test_window_deleted_while_it_asks(go: Any) -> None:
    """A window that is destroyed before the coroutine is done is left alone."""

    async def main() -> None:
        window = Window()
        window.show()
        window.close()
        window.deleteLater()
        await asyncio.sleep(0.01)
        window.answer.set()
        await until(lambda: window.log[-1] == "answered")
        await asyncio.sleep(0.005)

    go(main)


def test_windows_close_independently(go: Any) -> None:
    """Windows of the same class close independently, also one that dies and one that takes its place in memory."""

    async def main() -> None:
        one, two = Window(), Window()
        for window in one, two:
            window.show()
            window.close()
        two.answer.set()
        await until(lambda: not two.isVisible())
        assert one.isVisible()
        one.answer.set()
        await until(lambda: not one.isVisible())

    go(main)


def test_last_window_quits() -> None:
    """The application ends with the last window that has agreed to close, and CPU time is not spent on waiting."""
    code = """
        from qtpy import QtWidgets
        app = QtWidgets.QApplication(["test"])
        class Window(QtWidgets.QWidget):
            @qtinter.asyncclose
            async def closeEvent(self, event):
                began = time.process_time()
                await asyncio.sleep(0.3)
                say("saved", time.process_time() - began < 0.1)
        with qtinter.QiRunner():
            window = Window()
            window.show()
            QtCore.QTimer.singleShot(10, window.close)
            say(app.exec_())
            window.show()
        window.close()
        say(window.isVisible())
    """
    ended = run_program(code)
    assert (ended.code, ended.lines) == (0, ["saved True", "0", "False"])
    assert ended.errors.count("RuntimeError: asyncclose()") == 1


def test_core_imports_no_gui_module() -> None:
    """Neither import nor use of the adaptors imports QtGui or QtWidgets."""
    if qtpy.PYSIDE2:
        pytest.skip("qtpy imports QtGui of PySide2")
    code = """
        import importlib, qtpy
        core = importlib.import_module(qtpy.API_NAME + ".QtCore")
        app = core.QCoreApplication([])
        async def main():
            timer = core.QTimer()
            timer.start(1)
            await qtinter.asyncsignal(timer.timeout)
            async for _ in qtinter.asyncsignalstream(timer.timeout):
                break
            await qtinter.asyncsignal(qtinter.multisignal({timer.timeout: 1}))
            done = asyncio.Event()
            async def slot():
                done.set()
            timer.timeout.connect(qtinter.asyncslot(slot, owner=timer))
            await done.wait()
        runner = qtinter.QiRunner()
        with runner:
            task = runner.get_loop().create_task(main())
            task.add_done_callback(lambda _: app.quit())
            getattr(app, "exec", None)() if hasattr(app, "exec") else app.exec_()
            task.result()
        print([name for name in sys.modules if name.endswith((".QtGui", ".QtWidgets"))], flush=True)
    """
    prelude = "import asyncio, sys\nimport qtinter\n"
    ended = run_program(code, prelude=prelude)
    assert (ended.code, ended.lines) == (0, ["[]"]), ended
