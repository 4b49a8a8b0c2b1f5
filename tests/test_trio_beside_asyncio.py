"""trio and asyncio in one thread: each is the current library in its own tasks, and adaptors know whose caller they have."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, Callable

import pytest
from harness import exec_for, exec_until, run_program
from qtpy import QtCore

import qtinter
from qtinter import asyncslot

trio = pytest.importorskip("trio")
anyio = pytest.importorskip("anyio")
sniffio = pytest.importorskip("sniffio")
testing = pytest.importorskip("trio.testing")
run = pytest.importorskip("qtinter.trio").run
using_trio_from_qt = pytest.importorskip("qtinter.trio").using_trio_from_qt


class Sender(QtCore.QObject):
    """Emits."""

    one = (getattr(QtCore, "Signal", None) or QtCore.pyqtSignal)(int)


async def where() -> str:
    """Who runs this coroutine, according to sniffio and to what it can await."""
    library: str = sniffio.current_async_library()
    await {"asyncio": asyncio.sleep, "trio": trio.sleep}[library](0.001)
    assert asyncio.current_task() is not None if library == "asyncio" else True, (
        "in an asyncio task"
    )
    await anyio.sleep(0.001)
    waiter: Any = qtinter.asyncsignal(sender.one)
    QtCore.QTimer.singleShot(0, lambda: sender.one.emit(1))
    assert await waiter == 1
    return library


sender: Any = None


@pytest.fixture(autouse=True)
def _sender(qapp: Any) -> Any:
    global sender
    sender = Sender()
    yield
    sender = None


def begin_asyncio_first(main: Callable[[], Any], log: list[Any]) -> None:
    """A trio run inside a QiRunner."""
    with qtinter.QiRunner() as runner, using_trio_from_qt(main):
        task = runner.get_loop().create_task(main())
        exec_until(lambda: task.done() and len(log) == 2)


def begin_trio_first(main: Callable[[], Any], log: list[Any]) -> None:
    """A QiRunner inside a trio run."""
    with using_trio_from_qt(main), qtinter.QiRunner() as runner:
        task = runner.get_loop().create_task(main())
        exec_until(lambda: task.done() and len(log) == 2)


@pytest.mark.parametrize("begin", [begin_asyncio_first, begin_trio_first])
def test_current_library(begin: Any) -> None:
    """Tasks of both make progress, and sniffio, anyio and our adaptors tell them apart."""
    log: list[str] = []

    async def main() -> None:
        log.append(await where())

    begin(main, log)
    assert sorted(log) == ["asyncio", "trio"]
    assert asyncio._get_running_loop() is None


@pytest.mark.parametrize("begin", [begin_asyncio_first, begin_trio_first])
def test_slots_made_by_tasks(begin: Any) -> None:
    """A slot that a task makes is run by the library of that task."""
    log: list[tuple[str, str]] = []

    async def main() -> None:
        maker = sniffio.current_async_library()

        async def slot() -> None:
            log.append((maker, await where()))

        QtCore.QTimer.singleShot(1, asyncslot(slot))

    begin(main, log)
    assert sorted(log) == [("asyncio", "asyncio"), ("trio", "trio")]


def test_other_slots() -> None:
    """A slot that neither of them has made is run by the one that began later."""
    log: list[str] = []

    class Receiver(QtCore.QObject):
        @asyncslot
        async def slot(self) -> None:
            log.append(await where())

    receiver = Receiver()
    with qtinter.QiRunner():
        with using_trio_from_qt():
            QtCore.QTimer.singleShot(0, receiver.slot)
            exec_until(lambda: len(log) == 1)
        QtCore.QTimer.singleShot(0, receiver.slot)
        exec_until(lambda: len(log) == 2)
    with using_trio_from_qt():
        with qtinter.QiRunner():
            QtCore.QTimer.singleShot(0, receiver.slot)
            exec_until(lambda: len(log) == 3)
        QtCore.QTimer.singleShot(0, receiver.slot)
        exec_until(lambda: len(log) == 4)
    assert log == ["trio", "asyncio", "asyncio", "trio"]


def test_run_inside_an_asyncio_task() -> None:
    """run() in a task of asyncio executes a nested Qt loop, in which trio is trio, and other asyncio tasks go on."""
    ticks: list[None] = []

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.001)
            ticks.append(None)

    async def in_trio() -> str:
        with pytest.raises(TypeError, match="asyncio"):  # By trio.
            await asyncio.sleep(0.001)
        enough = len(ticks) + 3
        while len(ticks) < enough:
            await trio.sleep(0.001)
        return await where()

    async def main() -> str | None:
        ticking = asyncio.ensure_future(tick())
        task = asyncio.current_task()
        result = run(in_trio)
        assert asyncio.current_task() is task
        assert await where() == "asyncio"
        ticking.cancel()
        return result

    with qtinter.using_qt_from_asyncio():
        assert asyncio.run(main()) == "trio"


def test_nested_loop_of_a_trio_task() -> None:
    """While a trio task executes a nested Qt loop, asyncio's tasks go on, and their adaptors are asyncio's."""
    log: list[Any] = []

    async def in_asyncio() -> None:
        await asyncio.sleep(0.001)
        waiter: Any = qtinter.asyncsignal(sender.one)
        asyncio.get_running_loop().call_soon(sender.one.emit, 5)
        log.append(await waiter)
        log.append(sniffio.current_async_library())

    async def in_trio() -> None:
        runner.get_loop().create_task(in_asyncio())
        loop = QtCore.QEventLoop()
        timer = QtCore.QTimer()
        timer.timeout.connect(lambda: loop.quit() if len(log) == 2 else None)
        timer.start(2)
        loop.exec_()
        timer.stop()
        await trio.sleep(0.001)
        log.append(sniffio.current_async_library())

    with qtinter.QiRunner() as runner, using_trio_from_qt(in_trio):
        exec_until(lambda: len(log) == 3)
    assert log == [5, "asyncio", "trio"]


def test_callbacks_of_asyncio() -> None:
    """A callback of asyncio, though it is no task, is asyncio's."""
    made: list[Any] = []

    async def slot() -> str:
        return await where()

    with qtinter.QiRunner() as runner, using_trio_from_qt():
        runner.get_loop().call_soon(lambda: made.append(asyncslot(slot)()))
        exec_until(lambda: made and made[0].done())
        assert isinstance(made[0], asyncio.Task)
        assert made[0].result() == "asyncio"


def test_async_generators_are_kept_apart() -> None:
    """Each library finishes its own async generators, whichever began later."""
    log: list[str] = []

    async def generator() -> Any:
        try:
            yield 1
        finally:
            log.append(sniffio.current_async_library())

    async def leave() -> None:
        async for _ in generator():
            break

    async def in_trio() -> None:
        await leave()
        await testing.wait_all_tasks_blocked()

    def both(first: Any, second: Any) -> None:
        log.clear()
        with first, second:
            with pytest.warns(ResourceWarning):  # By trio.
                exec_until(lambda: log == ["trio"])
            task = asyncio.ensure_future(leave())
            exec_until(lambda: task.done() and len(log) == 2)
        assert log == ["trio", "asyncio"]

    hooks = sys.get_asyncgen_hooks()
    both(qtinter.QiRunner(), using_trio_from_qt(in_trio))
    both(using_trio_from_qt(in_trio), qtinter.QiRunner())
    assert sys.get_asyncgen_hooks() == hooks


def test_either_may_end_first() -> None:
    """Whichever of them ends first, the other goes on; nothing of either is left in the process."""
    ticks: list[None] = []

    async def tick() -> None:
        while True:
            await anyio.sleep(0.001)
            ticks.append(None)

    for first, second in (
        (qtinter.QiRunner(), using_trio_from_qt(tick)),
        (using_trio_from_qt(tick), qtinter.QiRunner()),
    ):
        first.start()
        second.start()
        exec_for(0.005)
        second.close()
        exec_for(0.005)
        first.close()
    assert ticks


def test_interrupt_beside_asyncio() -> None:
    """Ctrl-C ends both, after they have cleaned up."""
    ended = run_program(
        """
        import trio
        from qtinter.trio import using_trio_from_qt
        app = QtCore.QCoreApplication([])
        async def main():
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(0.005)
                say("trio")
        async def task():
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.005)
                say("asyncio")
        try:
            with qtinter.QiRunner() as runner, using_trio_from_qt(main):
                runner.get_loop().create_task(task())
                threading.Timer(0.1, signal.raise_signal if sys.platform == "win32" else lambda number: os.kill(os.getpid(), number), [signal.SIGINT]).start()
                app.exec_()
        except KeyboardInterrupt:
            say("interrupted")
        """
    )
    assert ended == (0, ["trio", "asyncio", "interrupted"], "")
