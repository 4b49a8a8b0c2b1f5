"""asyncsignal, asyncsignalstream, multisignal."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import qtpy
from harness import exec_until, output_of
from qtpy import QtCore

import qtinter
from qtinter import SenderDestroyedError, asyncsignal, asyncsignalstream, asyncslot, multisignal

PYQT = hasattr(QtCore, "PYQT_VERSION_STR")


class Sender(QtCore.QObject):
    """A QObject with signals of several shapes."""

    none = QtCore.Signal()
    one = QtCore.Signal(int)
    two = QtCore.Signal(int, str)
    thing = QtCore.Signal(object)
    either = QtCore.Signal((int,), (str,))


def receivers(sender: Any, name: str = "one") -> int:
    """How many receivers a signal of Sender has."""
    signature = {"none": "none()", "one": "one(int)", "two": "two(int,QString)"}[name]
    return sender.receivers(getattr(sender, name) if PYQT else QtCore.SIGNAL(signature))


async def turns(count: int = 3) -> None:
    """Let Qt and asyncio do what they have to do."""
    for _ in range(count):
        await asyncio.sleep(0.002)


async def disconnected(sender: Any, name: str = "one") -> bool:
    """Tell whether the signal loses all its receivers soon; Qt 5 may take a moment to forget one."""
    for _ in range(200):
        if receivers(sender, name) == 0:
            return True
        await turns(1)
    return False


# Waiting for one emission.


def test_result(go: Any) -> None:
    """The result is None, the argument, or the tuple of arguments."""

    async def main() -> None:
        sender, thing = Sender(), object()
        for name, values, expected in (
            ("none", (), None),
            ("one", (1,), 1),
            ("two", (1, "x"), (1, "x")),
            ("thing", (thing,), thing),
            ("thing", (None,), None),
            ("thing", ((1, 2),), (1, 2)),
        ):
            waiter = asyncsignal(getattr(sender, name))
            getattr(sender, name).emit(*values)
            assert await waiter == expected
            assert await waiter == expected

    go(main)


def test_awaited_before_and_after_the_emission(go: Any) -> None:
    """It is connected when it is made, so it does not matter whether it is awaited before or after the emission."""

    async def main() -> None:
        sender = Sender()
        waiter = asyncsignal(sender.one)
        assert receivers(sender) == 1
        sender.one.emit(1)
        await turns()
        assert await waiter == 1
        QtCore.QTimer.singleShot(1, lambda: sender.one.emit(2))
        assert await asyncsignal(sender.one) == 2

    go(main)


def test_first_emission_counts(go: Any) -> None:
    """Of two emissions in one turn the first one is the result, and it disconnects."""

    async def main() -> None:
        sender = Sender()
        waiter = asyncsignal(sender.one)
        sender.one.emit(1)
        sender.one.emit(2)
        assert await disconnected(sender)
        assert await waiter == 1

    go(main)


def test_overloads(go: Any) -> None:
    """An overload is chosen by index."""

    async def main() -> None:
        sender = Sender()
        waiters = asyncsignal(sender.either[int]), asyncsignal(sender.either[str])
        sender.either[str].emit("x")
        sender.either[int].emit(1)
        assert (await waiters[0], await waiters[1]) == (1, "x")

    go(main)


def test_default_argument(go: Any) -> None:
    """clicked[bool] has its argument on all bindings."""
    widgets = pytest.importorskip("qtpy.QtWidgets")

    async def main() -> None:
        button = widgets.QPushButton()
        waiter = asyncsignal(button.clicked[bool])
        button.click()
        assert await waiter is False

    go(main)


def test_asyncio_accepts_it(go: Any) -> None:
    """wait_for, ensure_future, gather, shield and wait accept an asyncsignal."""

    async def main() -> None:
        sender = Sender()
        asyncio.get_running_loop().call_later(0.005, sender.one.emit, 1)
        waits = [
            asyncio.wait_for(asyncsignal(sender.one), 1),
            asyncio.ensure_future(asyncsignal(sender.one)),
            asyncio.gather(asyncsignal(sender.one)),
            asyncio.shield(asyncsignal(sender.one)),
        ]
        assert await asyncio.gather(*waits) == [1, 1, [1], 1]
        assert await disconnected(sender)

    go(main)


def test_timeout_disconnects(go: Any) -> None:
    """A wait that times out is disconnected."""

    async def main() -> None:
        sender = Sender()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncsignal(sender.one), 0.001)
        assert await disconnected(sender)

    go(main)


def test_cancellation_disconnects(go: Any) -> None:
    """A wait that is cancelled is disconnected, before and after it has begun."""

    async def wait(sender: Any) -> None:
        await asyncsignal(sender.one)

    async def main() -> None:
        sender = Sender()
        for begun in False, True:
            task = asyncio.ensure_future(wait(sender))
            if begun:
                await asyncio.sleep(0)
                assert receivers(sender) == 1
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            assert await disconnected(sender)

    go(main)


def test_dropping_disconnects(go: Any) -> None:
    """Dropped without being awaited, it disconnects, and nobody complains; with an emission or a dead sender too."""

    async def main() -> None:
        sender = Sender()
        asyncsignal(sender.one)
        assert await disconnected(sender)
        waiter = asyncsignal(sender.one)
        sender.one.emit(1)
        del waiter
        waiter = asyncsignal(sender.one)
        del sender
        await turns()
        del waiter

    go(main)


def destroy(how: str, sender: Any) -> None:
    """Destroy the C++ object of the sender that is in a list."""
    if how == "del":
        sender.clear()
    elif how == "deleteLater":
        sender[0].deleteLater()
    else:
        parent = QtCore.QObject()
        sender[0].setParent(parent)
        sender.clear()
        parent.deleteLater()


DESTRUCTIONS = ["del", "deleteLater", "with its parent"]


@pytest.mark.parametrize("how", DESTRUCTIONS)
def test_sender_destroyed(go: Any, how: str) -> None:
    """When the sender is destroyed, its waiters get SenderDestroyedError, at once or when they are awaited."""

    async def main() -> None:
        sender = [Sender()]
        waiters = [asyncsignal(sender[0].one) for _ in range(3)]
        waiting = asyncio.ensure_future(waiters[0])
        await asyncio.sleep(0)
        destroy(how, sender)
        began = asyncio.get_running_loop().time()
        with pytest.raises(SenderDestroyedError):
            await asyncio.wait_for(waiting, 1)
        assert asyncio.get_running_loop().time() - began < 0.1
        for waiter in waiters[1:]:
            with pytest.raises(RuntimeError, match="destroyed"):
                await waiter

    go(main)


@pytest.mark.parametrize("how", DESTRUCTIONS)
@pytest.mark.parametrize("end", ["cancelled", "dropped"])
def test_wait_ends_just_after_the_sender(go: Any, how: str, end: str) -> None:
    """A wait may be cancelled or dropped in the moment when the sender dies; nothing touches the dead sender."""

    async def main() -> None:
        for _ in range(20):
            sender = [Sender()]
            waiter: Any = asyncsignal(sender[0].one)
            tasks = [asyncio.ensure_future(waiter)] if end == "cancelled" else []
            await asyncio.sleep(0)
            destroy(how, sender)
            junk = [Sender() for _ in range(5)]
            del waiter
            for task in tasks:
                task.cancel()
                await asyncio.wait([task])
            del junk

    go(main)


def test_sender_holds_its_waiter(go: Any) -> None:
    """A waiter or stream that is an attribute of its sender may die with it."""

    async def main() -> None:
        for how in DESTRUCTIONS:
            sender = [Sender()]
            sender[0].waiters = [asyncsignal(sender[0].one), asyncsignal(sender[0].destroyed)]
            sender[0].stream = asyncsignalstream(sender[0].one)
            destroy(how, sender)
            await turns()
            sender.clear()
            await turns()

    go(main)


@pytest.mark.parametrize("how", DESTRUCTIONS)
def test_wait_for_destroyed(go: Any, how: str) -> None:
    """QObject.destroyed itself can be awaited."""

    async def main() -> None:
        sender = [Sender()]
        waiter = asyncsignal(sender[0].destroyed)
        destroy(how, sender)
        await asyncio.wait_for(waiter, 1)

    go(main)


def test_sender_is_not_kept_alive(go: Any) -> None:
    """A wait does not keep the sender alive."""

    async def main() -> None:
        sender = Sender()
        reference = weakref.ref(sender)
        waiter, stream = asyncsignal(sender.one), asyncsignalstream(sender.one)
        del sender
        assert reference() is None
        del waiter, stream

    go(main)


def test_disconnecting_everything_ends_the_wait(go: Any) -> None:
    """If somebody disconnects everything from the signal, the wait ends as if the sender were destroyed."""
    if qtpy.PYSIDE2:
        pytest.skip("PySide2 keeps the receivers")

    async def main() -> None:
        sender = Sender()
        waiter = asyncsignal(sender.one)
        sender.one.disconnect()
        with pytest.raises(SenderDestroyedError):
            await asyncio.wait_for(waiter, 1)

    go(main)


def test_two_waiters_and_re_emission(go: Any) -> None:
    """Several tasks may wait for one signal, and emit it again when they wake up; nobody misses or repeats an emission."""

    async def main() -> None:
        sender, log = Sender(), []

        async def wait(name: str) -> None:
            waiter = asyncsignal(sender.one)
            while len(log) < 6:
                number = await waiter
                log.append((name, number))
                waiter = asyncsignal(sender.one)
                if name == "a":
                    sender.one.emit(number + 1)

        tasks = [asyncio.ensure_future(wait(name)) for name in "ab"]
        await asyncio.sleep(0)
        sender.one.emit(1)
        await turns()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert [number for name, number in log if name == "a"][:3] == [1, 2, 3]
        assert ("b", 1) in log

    go(main)


def test_no_loop(qapp: Any) -> None:
    """Without a running Qt-backed loop there is a RuntimeError, and nothing is connected."""
    sender = Sender()
    for kind in asyncsignal, asyncsignalstream:
        with pytest.raises(RuntimeError, match="using_asyncio_from_qt"):
            kind(sender.one)
    assert receivers(sender) == 0


def test_late_emission(qapp: Any) -> None:
    """An emission after the end of the loop does nothing."""
    sender = Sender()
    with qtinter.QiRunner():
        waiter, stream = asyncsignal(sender.one), asyncsignalstream(sender.one)
    sender.one.emit(1)
    del sender
    exec_until(lambda: True)
    del waiter, stream


def test_temporaries_are_copied(go: Any) -> None:
    """Arguments that Qt passes by reference can be used after the emission."""
    widgets = pytest.importorskip("qtpy.QtWidgets")
    from qtpy import QtGui

    async def main() -> None:
        model, view = QtGui.QStandardItemModel(3, 3), widgets.QTableView()
        view.setModel(model)
        selection = view.selectionModel()
        waiter, stream = (
            asyncsignal(selection.selectionChanged),
            asyncsignalstream(selection.selectionChanged),
        )
        several = asyncsignal(multisignal({selection.selectionChanged: "changed"}))
        view.selectRow(1)
        view.selectRow(2)
        await turns()
        assert [index.row() for index in (await waiter)[0].indexes()] == [1, 1, 1]
        assert [index.row() for index in (await stream.__anext__())[0].indexes()] == [1, 1, 1]
        assert [index.row() for index in (await several)[1][0].indexes()] == [1, 1, 1]

    go(main)


# Other threads.


class Worker(QtCore.QObject):
    """Emits in whatever thread it lives in."""

    begin = QtCore.Signal()
    emitted = QtCore.Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.begin.connect(self.work)

    @QtCore.Slot()
    def work(self) -> None:
        """Emit three times."""
        for number in range(3):
            self.emitted.emit((number, threading.get_ident()))


@pytest.fixture
def thread(qapp: Any) -> Iterator[Any]:
    """A running QThread. What lives in it is to be in its list `kept`: Python must not delete it from this thread."""
    thread = QtCore.QThread()
    thread.kept = []
    thread.start()
    yield thread
    thread.quit()
    assert thread.wait(5000)
    thread.kept.clear()


@pytest.mark.parametrize("lives", ["here", "there"])
@pytest.mark.parametrize("how", ["QThread", "Thread"])
def test_emitted_in_another_thread(go: Any, thread: Any, how: str, lives: str) -> None:
    """Wherever it is emitted and wherever the sender lives, the waiter wakes once, in its own thread, and streams keep the order."""
    if how == "QThread" and lives == "here":
        pytest.skip("a sender that lives here emits here")

    async def main() -> None:
        worker = Worker()
        if lives == "there":
            worker.moveToThread(thread)
            thread.kept.append(worker)
        waiter, stream = asyncsignal(worker.emitted), asyncsignalstream(worker.emitted)
        several = asyncsignal(multisignal({worker.emitted: "worker"}))
        if how == "QThread":
            worker.begin.emit()
        else:
            other = threading.Thread(target=worker.work)
            other.start()
            other.join()
        number, emitted_in = await asyncio.wait_for(waiter, 5)
        assert number == 0
        assert emitted_in != threading.get_ident()
        assert [(await stream.__anext__())[0] for _ in range(3)] == [0, 1, 2]
        assert (await asyncio.wait_for(several, 5)) == ("worker", ((0, emitted_in),))
        worker.deleteLater()
        assert [item async for item in stream] == []

    go(main)


def test_sender_destroyed_in_another_thread(go: Any, thread: Any) -> None:
    """A sender that dies in its thread wakes its waiter here."""

    async def main() -> None:
        worker = Worker()
        worker.moveToThread(thread)
        thread.kept.append(worker)
        waiter = asyncsignal(worker.emitted)
        worker.deleteLater()
        with pytest.raises(SenderDestroyedError):
            await asyncio.wait_for(waiter, 5)

    go(main)


# Streams.


def test_stream(go: Any) -> None:
    """A stream yields all emissions since it was made, as asyncsignal would give them, and ends with the sender."""

    async def main() -> None:
        sender = Sender()
        for name, values, item in (
            ("none", (), None),
            ("one", (1,), 1),
            ("two", (1, "x"), (1, "x")),
        ):
            stream = asyncsignalstream(getattr(sender, name))
            getattr(sender, name).emit(*values)
            assert await stream.__anext__() == item
            del stream
        stream = asyncsignalstream(sender.one)
        sender.one.emit(1)
        sender.one.emit(2)
        del sender
        assert [item async for item in stream] == [1, 2]
        assert [item async for item in stream] == []

    go(main)


@pytest.mark.parametrize("how", DESTRUCTIONS)
def test_stream_wakes_when_the_sender_is_destroyed(go: Any, how: str) -> None:
    """A task that waits for the next item sees the end when the sender is destroyed."""

    async def main() -> None:
        sender = [Sender()]
        stream = asyncsignalstream(sender[0].one)

        async def collect() -> list[Any]:
            return [item async for item in stream]

        task = asyncio.ensure_future(collect())
        await asyncio.sleep(0)
        sender[0].one.emit(1)
        await asyncio.sleep(0)
        destroy(how, sender)
        assert await asyncio.wait_for(task, 1) == [1]

    go(main)


def test_break_disconnects(go: Any) -> None:
    """Leaving the loop disconnects, if nobody else has the stream; so does dropping it."""

    async def main() -> None:
        sender = Sender()
        asyncio.get_running_loop().call_soon(sender.one.emit, 1)
        async for item in asyncsignalstream(sender.one):
            assert item == 1
            break
        assert await disconnected(sender)

    go(main)


def test_async_with_disconnects(go: Any) -> None:
    """The end of `async with` disconnects and ends the iteration, also that of a task that is waiting; so does aclose()."""

    async def main() -> None:
        sender = Sender()

        async def collect(stream: Any) -> list[Any]:
            return [item async for item in stream]

        async with asyncsignalstream(sender.one) as stream:
            task = asyncio.ensure_future(collect(stream))
            await asyncio.sleep(0)
            assert receivers(sender) == 1
        assert receivers(sender) == 0
        assert await task == []
        stream = asyncsignalstream(sender.one)
        sender.one.emit(1)
        await stream.aclose()
        await stream.aclose()
        assert await collect(stream) == []

    go(main)


def test_cancelled_iteration_loses_nothing(go: Any) -> None:
    """A task that is cancelled while it waits for an item leaves the item to the next one."""

    async def main() -> None:
        sender = Sender()
        stream = asyncsignalstream(sender.one)
        tasks = [asyncio.ensure_future(stream.__anext__()) for _ in range(2)]
        await asyncio.sleep(0)
        sender.one.emit(1)
        tasks[0].cancel()
        assert await asyncio.wait_for(tasks[1], 1) == 1

    go(main)


@pytest.mark.parametrize(
    ("overflow", "expected"), [("drop_oldest", [3, 4]), ("drop_newest", [0, 1]), ("error", [0, 1])]
)
def test_overflow(go: Any, overflow: Any, expected: list[int]) -> None:
    """A full buffer drops the oldest or the newest items, or ends the stream with an error."""

    async def main() -> None:
        sender = Sender()
        stream = asyncsignalstream(sender.one, maxsize=2, overflow=overflow)
        for number in range(5):
            sender.one.emit(number)
        assert [await stream.__anext__() for _ in range(2)] == expected
        if overflow == "error":
            with pytest.raises(OverflowError):
                await stream.__anext__()
            assert receivers(sender) == 0
            assert [item async for item in stream] == []
        else:
            sender.one.emit(5)
            assert await stream.__anext__() == 5

    go(main)


def test_stream_refusals(qapp: Any) -> None:
    """Sizes and policies that make no sense are refused."""
    with qtinter.QiRunner():
        with pytest.raises(ValueError, match="maxsize"):
            asyncsignalstream(Sender().one, maxsize=-1)
        with pytest.raises(ValueError, match="overflow"):
            asyncsignalstream(Sender().one, overflow="panic")  # type: ignore[arg-type]


# Several signals as one.


def test_multisignal(go: Any) -> None:
    """A multisignal is emitted with tag and arguments, to slots, waiters and streams, until they disconnect."""

    async def main() -> None:
        one, two, log = Sender(), Sender(), []
        several = multisignal({one.none: "none", two.two: 2, one.one: ("a", "tag")})

        def slot(tag: Any, values: Any) -> None:
            log.append((tag, values))

        several.connect(slot)
        waiter, stream = asyncsignal(several), asyncsignalstream(several)
        two.two.emit(1, "x")
        one.none.emit()
        one.one.emit(7)
        everything = [(2, (1, "x")), ("none", ()), (("a", "tag"), (7,))]
        assert log == everything
        assert await waiter == everything[0]
        assert [await stream.__anext__() for _ in range(3)] == everything
        several.disconnect(slot)
        await stream.aclose()
        await turns(1)
        one.none.emit()
        assert len(log) == 3
        assert await disconnected(one, "none")
        assert await disconnected(one)
        assert await disconnected(two, "two")
        with pytest.raises(TypeError):
            several.disconnect(slot)

    go(main)


def test_multisignal_disconnects_everything(go: Any) -> None:
    """disconnect() without argument disconnects all slots."""

    async def main() -> None:
        sender, log = Sender(), []
        several = multisignal({sender.one: 1})
        several.connect(lambda *values: log.append(values))
        several.connect(lambda *values: log.append(values))
        several.disconnect()
        sender.one.emit(1)
        assert log == []
        assert await disconnected(sender)

    go(main)


def test_multisignal_connection_does_not_need_it(go: Any) -> None:
    """Like a connection of Qt, one of a multisignal lasts as long as senders and receiver do, not the multisignal."""

    class Receiver(QtCore.QObject):
        def __init__(self) -> None:
            super().__init__()
            self.log: list[Any] = []

        def slot(self, tag: Any, values: Any) -> None:
            self.log.append(tag)

    async def main() -> None:
        one, two, receiver = Sender(), Sender(), Receiver()
        multisignal({one.one: 1, two.one: 2}).connect(receiver.slot)
        gc.collect()
        one.one.emit(0)
        del one
        two.one.emit(0)
        assert receiver.log == [1, 2]
        reference = weakref.ref(receiver)
        del receiver
        assert reference() is None
        assert await disconnected(two)

    go(main)


def test_multisignal_and_asyncslot(go: Any) -> None:
    """The slots of a multisignal may be asyncslots, and its signals multisignals."""

    async def main() -> None:
        sender, log = Sender(), []

        class Receiver:
            async def slot(self, tag: Any, values: Any) -> None:
                await asyncio.sleep(0)
                log.append((tag, values))

            async def only_tag(self, tag: Any) -> None:
                log.append(tag)

        receiver = Receiver()
        several = multisignal({multisignal({sender.one: "inner"}): "outer"})
        several.connect(asyncslot(receiver.slot))
        several.connect(asyncslot(receiver.only_tag))
        sender.one.emit(5)
        await turns()
        assert log == ["outer", ("outer", ("inner", (5,)))]

    go(main)


def test_multisignal_of_destroyed_senders(go: Any) -> None:
    """To a waiter, the sender is destroyed when the last of the senders is."""

    async def main() -> None:
        one, two = Sender(), Sender()
        several = multisignal({one.one: 1, two.one: 2})
        waiter, gone = asyncsignal(several), asyncsignal(one.one)
        del one
        with pytest.raises(SenderDestroyedError):
            await gone
        await turns()
        two.one.emit(5)
        assert await waiter == (2, (5,))
        waiter = asyncsignal(several)
        del two
        with pytest.raises(SenderDestroyedError):
            await asyncio.wait_for(waiter, 1)

    go(main)


# Quantities.

pyside6_crashes = pytest.mark.skipif(
    not PYQT and QtCore.__version__ == "6.12.0" and sys.version_info < (3, 12),
    reason="PySide6 6.12.0 crashes before Python 3.12 after some 1,000 calls of emit(), without us too",
)


@pyside6_crashes
def test_many_cancelled_waits(go: Any) -> None:
    """10,000 cancelled waits leave no receiver and no object."""

    async def main() -> None:
        sender = Sender()
        loop = asyncio.get_running_loop()

        async def some(count: int) -> int:
            for _ in range(count):
                task = loop.create_task(asyncio.wait_for(asyncsignal(sender.one), 10))
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
            del task
            await turns(2)
            gc.collect()
            return len(gc.get_objects())

        before = await some(500)
        assert await some(10_000) - before < 200
        assert receivers(sender) == 0

    go(main)


@pyside6_crashes
def test_many_items(go: Any) -> None:
    """100,000 items through a stream leave nothing behind, and come in order."""

    async def main() -> None:
        sender = Sender()
        stream = asyncsignalstream(sender.one)

        async def some(count: int) -> int:
            for batch in range(0, count, 100):
                for number in range(batch, batch + 100):
                    sender.one.emit(number)
                for number in range(batch, batch + 100):
                    assert await stream.__anext__() == number
            gc.collect()
            return len(gc.get_objects())

        before = await some(1000)
        assert await some(100_000) - before < 100
        await stream.aclose()
        assert receivers(sender) == 0

    go(main)


def test_interpreter_exit_with_waiters() -> None:
    """Waiters, streams and multisignals that are never closed do not disturb the end of the interpreter."""
    code = """
        app = QtCore.QCoreApplication([])
        timer = QtCore.QTimer()
        with qtinter.QiRunner():
            kept = [
                qtinter.asyncsignal(timer.timeout),
                qtinter.asyncsignalstream(timer.timeout),
                qtinter.asyncsignal(qtinter.multisignal({timer.timeout: 1, timer.destroyed: 2})),
                qtinter.asyncsignal(app.aboutToQuit),
            ]
        timer.kept = kept
        say("end")
    """
    assert output_of(code) == ["end"]
