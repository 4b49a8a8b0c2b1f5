"""The adaptors under every library: asyncio, trio, and anyio on either. What is said here holds for all of them."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import logging
import threading
import time
from typing import Any, Callable, NamedTuple

import pytest
import qtpy
from harness import exec_until, run_watched
from qtpy import QtCore

import qtinter
from qtinter import asyncslot

trio = pytest.importorskip("trio")
anyio = pytest.importorskip("anyio")
testing = pytest.importorskip("trio.testing")

guest = pytest.importorskip("qtinter.trio")

SIGNAL = getattr(QtCore, "Signal", None) or QtCore.pyqtSignal


class Sender(QtCore.QObject):
    """Emits."""

    none = SIGNAL()
    one = SIGNAL(int)
    two = SIGNAL(int, str)


def nested_until(condition: Callable[[], object]) -> None:
    """Execute a nested Qt loop until `condition()`."""
    loop, deadline = QtCore.QEventLoop(), time.monotonic() + 10
    timer = QtCore.QTimer()
    timer.timeout.connect(
        lambda: loop.quit() if condition() or time.monotonic() > deadline else None
    )
    timer.start(2)
    loop.exec_()
    timer.stop()
    assert condition()


class Library(NamedTuple):
    """How to run a coroutine function, and to sleep in it."""

    run: Callable[..., Any]
    sleep: Callable[[float], Any]


LIBRARIES = {
    "asyncio": Library(run_watched, asyncio.sleep),
    "trio": Library(guest.run, trio.sleep),
    "anyio on asyncio": Library(run_watched, anyio.sleep),
    "anyio on trio": Library(guest.run, anyio.sleep),
}


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest, qapp: Any) -> Library:
    """One of the libraries."""
    return LIBRARIES[request.param]


@pytest.fixture
def go(library: Library) -> Callable[..., Any]:
    """Run a coroutine function."""
    return library.run


@pytest.fixture
def sleep(library: Library) -> Callable[[float], Any]:
    """The library's sleep()."""
    return library.sleep


@pytest.fixture
def until(sleep: Any) -> Callable[[Callable[[], object]], Any]:
    """Wait for a condition."""

    async def until(condition: Callable[[], object]) -> None:
        for _ in range(2000):
            if condition():
                return
            await sleep(0.002)
        raise AssertionError("has not happened in time")

    return until


# asyncsignal


def test_asyncsignal(go: Any) -> None:
    """A wait gives None, the argument, or a tuple of them; what is emitted before the await is not missed."""

    async def main() -> list[Any]:
        sender = Sender()
        results: list[Any] = []
        for signal, values in ((sender.none, ()), (sender.one, (1,)), (sender.two, (1, "x"))):
            waiter: Any = qtinter.asyncsignal(signal)
            signal.emit(*values)
            results += [await waiter, await waiter]
        QtCore.QTimer.singleShot(0, lambda: sender.one.emit(5))
        results.append(await qtinter.asyncsignal(sender.one))
        return results

    assert go(main) == [None, None, 1, 1, (1, "x"), (1, "x"), 5]


def test_asyncsignal_of_a_dying_sender(go: Any) -> None:
    """The death of the sender ends the wait by SenderDestroyedError."""

    async def main() -> None:
        sender = Sender()
        QtCore.QTimer.singleShot(0, sender.deleteLater)
        with pytest.raises(qtinter.SenderDestroyedError):
            await qtinter.asyncsignal(sender.one)

    go(main)


def test_asyncsignal_from_another_thread(go: Any) -> None:
    """The signal may be emitted in another thread."""

    async def main() -> Any:
        sender = Sender()
        waiter: Any = qtinter.asyncsignal(sender.one)
        thread = threading.Timer(0.005, sender.one.emit, [3])
        thread.start()
        try:
            return await waiter
        finally:
            thread.join()

    assert go(main) == 3


@pytest.mark.parametrize("name", ["asyncio", "trio"])
def test_cancelled_wait(qapp: Any, name: str) -> None:
    """A wait that is cancelled is disconnected."""
    library = LIBRARIES[name]

    async def main() -> int:
        sender = Sender()
        with anyio.move_on_after(0.005) as scope:
            await qtinter.asyncsignal(sender.one)
        assert scope.cancelled_caught
        count: int = sender.receivers(sender.one if qtpy.API in ("pyqt5", "pyqt6") else "2one(int)")
        return count

    assert library.run(main) == 0


def test_multisignal(go: Any) -> None:
    """A multisignal may be awaited."""

    async def main() -> Any:
        sender = Sender()
        both = qtinter.multisignal({sender.one: "one", sender.two: "two"})
        waiter: Any = qtinter.asyncsignal(both)
        sender.two.emit(1, "x")
        return await waiter

    assert go(main) == ("two", (1, "x"))


# asyncsignalstream


def test_stream(go: Any, sleep: Any) -> None:
    """A stream gives every emission, in order, whether it comes before it is asked for or after; others make progress."""
    ticks: list[int] = []

    async def main() -> list[int]:
        sender = Sender()

        async def tick() -> None:
            ticks.append(0)

        stream: Any = qtinter.asyncsignalstream(sender.one)
        for value in range(3):
            sender.one.emit(value)
        qtinter.run_task(tick())
        items = []
        async with stream:
            async for item in stream:
                items.append(item)
                if item == 2:
                    QtCore.QTimer.singleShot(1, lambda: sender.one.emit(3))
                elif item == 3:
                    break
        await sleep(0)
        assert ticks
        return items

    assert go(main) == [0, 1, 2, 3]


def test_stream_ends_with_its_sender(go: Any) -> None:
    """A stream ends when the sender is destroyed, after the buffered items; closing ends it for those who wait."""

    async def main() -> list[int]:
        sender = Sender()
        stream: Any = qtinter.asyncsignalstream(sender.one)
        sender.one.emit(1)
        QtCore.QTimer.singleShot(1, sender.deleteLater)
        items = [item async for item in stream]
        other = Sender()
        closed: Any = qtinter.asyncsignalstream(other.one)

        async def close() -> None:
            await closed.aclose()

        QtCore.QTimer.singleShot(1, asyncslot(close))
        return items + [item async for item in closed]

    assert go(main) == [1]


def test_stream_overflow(go: Any) -> None:
    """The buffer is limited by maxsize, and what gives way is as for asyncio."""

    async def main() -> list[int]:
        sender = Sender()
        items: list[int] = []
        for overflow in ("drop_oldest", "drop_newest"):
            stream: Any = qtinter.asyncsignalstream(sender.one, maxsize=2, overflow=overflow)
            for value in range(4):
                sender.one.emit(value)
            items += [await stream.__anext__(), await stream.__anext__()]
            await stream.aclose()
        return items

    assert go(main) == [2, 3, 0, 1]


def test_checkpoints(qapp: Any) -> None:
    """In a trio run, whatever is awaited is a checkpoint, even if nothing has to be waited for."""

    async def main() -> None:
        sender = Sender()
        waiter: Any = qtinter.asyncsignal(sender.one)
        stream: Any = qtinter.asyncsignalstream(sender.one)
        sender.one.emit(1)
        task: Any = asyncslot(trio.lowlevel.checkpoint)()
        await task
        for awaitable in (
            waiter,
            stream.__anext__(),
            task,
            qtinter.modal(int)(),
            stream.aclose(),
        ):
            with testing.assert_checkpoints():
                await awaitable

    guest.run(main)


# asyncslot


def test_slot(go: Any, sleep: Any, until: Any) -> None:
    """A slot runs its coroutine; what it returns tells the result, and can be awaited. Extra arguments are dropped."""
    log: list[Any] = []

    async def slot(value: int) -> int:
        await sleep(0.002)
        log.append(value)
        return value

    async def main() -> int:
        sender = Sender()
        sender.two.connect(asyncslot(slot))
        sender.two.emit(1, "dropped")
        await until(lambda: log == [1])
        task: Any = asyncslot(slot)(2)
        assert not task.done()
        result: int = await task
        assert task.done()
        assert task.result() == 2
        assert task.exception() is None
        assert not task.cancelled()
        assert not task.cancel()
        return result

    assert go(main) == 2


def test_slot_of_a_method(go: Any, sleep: Any, until: Any) -> None:
    """A bound method is held weakly: the slot is called until its object is deleted."""
    log: list[int] = []

    class Receiver(QtCore.QObject):
        @asyncslot
        async def slot(self, value: int) -> None:
            await sleep(0)
            log.append(value)

    async def main() -> None:
        sender, receiver = Sender(), Receiver()
        sender.one.connect(receiver.slot)
        sender.one.emit(1)
        await until(lambda: log == [1])
        del receiver
        gc.collect()
        sender.one.emit(2)
        await sleep(0.005)

    go(main)
    assert log == [1]


def test_error_of_a_slot(qapp: Any, caplog: Any) -> None:
    """In a trio run, an exception of a slot is logged once, with the name of the slot; nothing else is disturbed."""

    async def broken() -> None:
        await trio.sleep(0)
        raise KeyError("mine")

    async def main() -> str:
        task: Any = asyncslot(broken)()
        with pytest.raises(KeyError, match="mine"):
            await task
        await trio.sleep(0.005)
        return "result"

    assert guest.run(main) == "result"
    assert [record.name for record in caplog.records] == ["qtinter"]
    assert caplog.records[0].levelno == logging.ERROR
    assert "broken" in caplog.records[0].message
    assert isinstance(caplog.records[0].exc_info[1], KeyError)


def test_on_error(go: Any, sleep: Any, until: Any, caplog: Any) -> None:
    """on_error is given the exception instead, where a nested Qt loop may be executed without stopping other tasks."""
    seen: list[Any] = []
    ticks: list[None] = []

    def show(error: Exception) -> None:
        enough = len(ticks) + 3
        nested_until(lambda: len(ticks) >= enough)
        seen.append(error)

    async def broken() -> None:
        await sleep(0)
        raise KeyError("mine")

    async def tick() -> None:
        while not seen:
            await sleep(0.001)
            ticks.append(None)

    async def main() -> None:
        qtinter.run_task(tick())
        asyncslot(broken, on_error=show)()
        await until(lambda: seen)

    go(main)
    assert isinstance(seen[0], KeyError)
    assert not caplog.records


def test_slots_in_parallel(go: Any, sleep: Any) -> None:
    """Unless told otherwise, calls run in parallel: all begin before one ends."""
    log: list[str] = []

    async def slot() -> None:
        log.append("begin")
        await sleep(0.003)
        log.append("end")

    async def main() -> None:
        made: Any = asyncslot(slot)
        for task in [made() for _ in range(3)]:
            await task

    go(main)
    assert log == ["begin"] * 3 + ["end"] * 3


@pytest.mark.parametrize(
    ("when_busy", "expected"),
    [
        ("drop", ["begin 0", "end 0"]),
        ("queue", ["begin 0", "end 0", "begin 1", "end 1", "begin 2", "end 2"]),
        ("restart", ["begin 2", "end 2"]),
    ],
)
def test_when_busy(go: Any, sleep: Any, when_busy: Any, expected: list[str]) -> None:
    """The policies hold, in the order of the calls; calls that restart has cancelled do not end."""
    log: list[str] = []

    async def slot(value: int) -> None:
        log.append(f"begin {value}")
        await sleep(0.003)
        log.append(f"end {value}")

    async def main() -> None:
        made: Any = asyncslot(slot, when_busy=when_busy)
        tasks = [made(value) for value in range(3)]
        for task in tasks:
            while not task.done():
                await sleep(0.001)

    go(main)
    # asyncio runs the first step of the first call before the second call.
    assert [line for line in log if not (when_busy == "restart" and line == "begin 0")] == expected


def test_cancelling_a_slot(go: Any, sleep: Any, until: Any, caplog: Any) -> None:
    """What a slot returns can cancel it, before its first step as well; that is no error."""
    log: list[str] = []

    async def slot() -> None:
        log.append("begun")
        try:
            await sleep(10)
        finally:
            log.append("cleaned up")

    async def main() -> None:
        made: Any = asyncslot(slot)
        task = made()
        await until(lambda: log == ["begun"])
        early = made()
        assert task.cancel()
        assert early.cancel()
        while not (task.done() and early.done()):
            await sleep(0.001)
        assert task.cancelled()
        assert early.cancelled()

    go(main)
    assert "cleaned up" in log
    assert not caplog.records


def test_owner(go: Any, sleep: Any, until: Any) -> None:
    """The destruction of the owner cancels the task."""
    log: list[str] = []

    async def main() -> None:
        owner = QtCore.QObject()

        async def slot() -> None:
            log.append("begun")
            try:
                await sleep(10)
            finally:
                log.append("cleaned up")

        task: Any = asyncslot(slot, owner=owner)()
        await until(lambda: log == ["begun"])
        owner.deleteLater()
        while not task.done():
            await sleep(0.001)
        assert task.cancelled()

    go(main)
    assert log == ["begun", "cleaned up"]


def test_slot_from_another_thread(go: Any, until: Any) -> None:
    """A signal emitted in another thread starts the coroutine in the thread of the run."""
    threads: list[int] = []

    async def slot() -> None:
        threads.append(threading.get_ident())

    async def main() -> None:
        made: Any = asyncslot(slot)
        thread = threading.Thread(target=made)
        thread.start()
        await until(lambda: threads)
        thread.join()

    go(main)
    assert threads == [threading.get_ident()]


def test_context_of_a_slot(qapp: Any) -> None:
    """A slot runs in a copy of the context of its caller, also if it was called before Qt was executed."""
    variable = contextvars.ContextVar("variable", default="default")
    seen: list[str] = []

    @asyncslot
    async def slot() -> None:
        seen.append(variable.get())
        variable.set("slot")

    def call(value: str) -> None:
        variable.set(value)
        slot()

    def call_in_contexts(*values: str) -> None:
        for value in values:
            contextvars.copy_context().run(call, value)

    with guest.using_trio_from_qt():
        call_in_contexts("early", "also early")
        exec_until(lambda: len(seen) == 2)
        QtCore.QTimer.singleShot(0, lambda: call_in_contexts("late"))
        exec_until(lambda: len(seen) == 3)
    assert sorted(seen) == ["also early", "early", "late"]


def test_slots_end_with_the_run(qapp: Any) -> None:
    """In a trio run, slots are cancelled when the main function has ended; those called then do not begin."""
    log: list[str] = []

    async def slot() -> None:
        try:
            await trio.sleep(10)
        finally:
            log.append("cleaned up")
            late.append(asyncslot(never)())

    async def never() -> None:
        log.append("never")

    late: list[Any] = []

    async def main() -> None:
        asyncslot(slot)()
        await trio.sleep(0.003)

    guest.run(main)
    assert log == ["cleaned up"]
    assert late[0].cancelled()


def test_callbacks_of_a_slot(go: Any, sleep: Any) -> None:
    """Callbacks of what a slot returns are called when it is done, or soon if it is."""
    log: list[Any] = []

    async def slot() -> int:
        await sleep(0)
        return 5

    async def main() -> None:
        task: Any = asyncslot(slot)()
        task.add_done_callback(lambda done: log.append(done.result()))
        await task
        task.add_done_callback(lambda done: log.append(done is task))
        await sleep(0.003)

    go(main)
    assert log == [5, True]


def test_run_task_in_trio(qapp: Any) -> None:
    """run_task() works in a trio run; what trio has not, it refuses."""

    async def give(value: int) -> int:
        await trio.sleep(0)
        return value

    async def main() -> int:
        task: Any = qtinter.run_task(give(5), name="giver")
        assert task.get_name() == "giver"
        for options in ({"context": contextvars.copy_context()}, {"allow_task_nesting": False}):
            with pytest.raises(RuntimeError):
                qtinter.run_task(give(1), **options)
        with pytest.raises(RuntimeError, match="no result"):
            task.result()
        return await task

    assert guest.run(main) == 5


# Dialogs and windows


def test_asyncdialog(go: Any, sleep: Any) -> None:
    """A dialog is awaited without a nested loop; cancelling the wait closes it."""
    widgets = pytest.importorskip("qtpy.QtWidgets")

    async def main() -> None:
        other = widgets.QWidget()  # So that the dialog is not the last window.
        other.show()
        dialog = widgets.QDialog()
        QtCore.QTimer.singleShot(5, functools.partial(dialog.done, 7))
        assert await qtinter.asyncdialog(dialog) == 7

        async def ask() -> None:
            await qtinter.asyncdialog(dialog)

        task: Any = qtinter.run_task(ask())
        await sleep(0.005)
        assert dialog.isVisible()
        task.cancel()
        while not task.done():
            await sleep(0.001)
        assert not dialog.isVisible()
        dialog.deleteLater()
        other.hide()

    go(main)


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_asyncclose(go: Any, sleep: Any, until: Any, answer: str) -> None:
    """A window waits for the coroutine before it closes, or stays if that says so."""
    widgets = pytest.importorskip("qtpy.QtWidgets")
    asked: list[None] = []

    class Window(widgets.QWidget):
        @qtinter.asyncclose
        async def closeEvent(self, event: Any) -> None:
            await sleep(0.003)
            if answer == "no":
                event.ignore()
            asked.append(None)

    async def main() -> bool:
        other = widgets.QWidget()  # So that the window is not the last one.
        other.show()
        window = Window()
        window.show()
        assert not window.close()
        assert not window.close()
        await until(lambda: asked)
        await sleep(0.01)
        is_visible: bool = window.isVisible()
        window.hide()
        other.hide()
        window.deleteLater()
        return is_visible

    assert go(main) == (answer == "no")
    assert len(asked) == 1


# Without a run


def test_exec_until_is_there(qapp: Any) -> None:
    """After a run, slots say what is missing, and slots made during it do nothing."""
    log: list[int] = []

    async def slot() -> None:
        log.append(1)

    made: list[Any] = []

    async def main() -> None:
        made.append(asyncslot(slot))

    guest.run(main)
    assert made[0]() is None
    with pytest.raises(RuntimeError, match="running Qt-backed event loop"):
        qtinter.asyncsignal(Sender().one)
    exec_until(lambda: True)
    assert log == []
