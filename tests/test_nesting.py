"""Nested Qt loops keep asyncio running: what opens them, how they end, what must not be lost."""

from __future__ import annotations

import asyncio
import collections
import contextvars
import gc
import socket
import sys
import time
from collections.abc import Coroutine
from typing import Any, Callable

import pytest
from harness import Kind
from qtpy import QtCore

import qtinter

HEARTBEAT = 0.02
BLOCK = 0.3  # seconds for which a nested loop blocks its opener


def after(seconds: float, callback: Callable[[], object]) -> None:
    """Have Qt call `callback`, whatever asyncio does."""
    QtCore.QTimer.singleShot(round(seconds * 1000), callback)


def block(seconds: float = BLOCK) -> None:
    """Execute a nested Qt loop."""
    loop = QtCore.QEventLoop()
    after(seconds, loop.quit)
    loop.exec_()


class Heartbeat:
    """A task that ticks; counts its ticks while the `with` block lasts.

    `share` compares them with the ticks of a QTimer of the same interval, which a busy machine and a
    call that blocks Qt delay as much.
    """

    def __enter__(self) -> Heartbeat:
        self.ticks = 0
        self._task = asyncio.get_running_loop().create_task(self._beat())
        self._qt_ticks = 0
        self._timer = QtCore.QTimer()
        self._timer.setTimerType(QtCore.Qt.PreciseTimer)
        self._timer.timeout.connect(self._count)
        self._timer.start(round(HEARTBEAT * 1000))
        return self

    def __exit__(self, *_: object) -> None:
        # One tick more or less is a matter of who comes first; of none at all there is no share.
        self.share = (self.ticks + 1) / self._qt_ticks if self._qt_ticks else 0.0
        self._timer.stop()
        self._task.cancel()

    def _count(self) -> None:
        self._qt_ticks += 1

    async def _beat(self) -> None:
        due = time.monotonic()
        while True:
            due += HEARTBEAT
            await asyncio.sleep(due - time.monotonic())
            self.ticks += 1


@pytest.fixture
def run(kind: Kind) -> Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]:
    """Run a coroutine function on each kind of loop; nothing may reach the exception handler."""

    def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        reports: list[dict[str, Any]] = []
        loop = kind.qi()
        loop.set_exception_handler(lambda _, context: reports.append(context))
        try:
            return loop.run_until_complete(main())
        finally:
            loop.run_until_complete(cancel_others())
            loop.close()
            assert reports == []

    return run


async def cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


# What may open a nested loop. Each blocks for BLOCK seconds.


async def in_coroutine() -> None:
    block()


async def in_callback() -> None:
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: done.set_result(block()))
    await done


async def in_timer_callback() -> None:
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.01, lambda: done.set_result(block()))
    await done


async def in_protocol_method() -> None:
    done = asyncio.get_running_loop().create_future()

    class Blocking(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            done.set_result(block())

    loop = asyncio.get_running_loop()
    server = await loop.create_server(Blocking, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"x")
    await done
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()


async def in_first_step_of_run_task() -> None:
    done = asyncio.get_running_loop().create_future()

    async def blocking() -> None:
        me = asyncio.current_task()
        block()
        assert asyncio.current_task() is me
        done.set_result(None)

    after(0, lambda: qtinter.run_task(blocking()))
    await done


async def in_nested_task() -> None:
    me = asyncio.current_task()

    async def blocking() -> None:
        block()

    task = qtinter.run_task(blocking())
    assert asyncio.current_task() is me
    await task


async def in_plain_slot() -> None:
    done = asyncio.get_running_loop().create_future()
    after(0, lambda: done.set_result(block()))
    await done


async def in_direct_emission() -> None:
    timer = QtCore.QTimer()
    timer.timeout.connect(block)
    timer.timeout.emit()


async def in_tight_process_events() -> None:
    end = time.monotonic() + BLOCK
    while time.monotonic() < end:
        QtCore.QCoreApplication.processEvents()


OPENERS = [
    in_coroutine,
    in_callback,
    in_timer_callback,
    in_protocol_method,
    in_first_step_of_run_task,
    in_nested_task,
    in_plain_slot,
    in_direct_emission,
    in_tight_process_events,
]


@pytest.mark.parametrize("opener", OPENERS, ids=lambda opener: opener.__name__)
def test_other_tasks_go_on(run: Any, opener: Any) -> None:
    """A nested Qt loop blocks the code that opened it and nothing else."""

    async def main() -> None:
        task = asyncio.current_task()
        with Heartbeat() as heartbeat:
            await opener()
            assert asyncio.current_task() is task
        assert heartbeat.ticks >= 5
        assert heartbeat.share >= 0.8

    run(main)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_first_step_of_eager_task(run: Any) -> None:
    """The same holds for the first step of asyncio's own eager tasks, in a slot."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        async def blocking() -> None:
            block()
            done.set_result(None)

        after(0, lambda: asyncio.Task(blocking(), loop=loop, eager_start=True))
        with Heartbeat() as heartbeat:
            await done
        assert heartbeat.ticks >= 5
        assert heartbeat.share >= 0.8

    run(main)


def test_all_kinds_of_work_go_on(run: Any) -> None:
    """Sockets, subprocesses, threads and injected calls are served while a nested loop is open."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen: list[str] = []

        async def echo() -> None:
            server = await asyncio.start_server(handle, "127.0.0.1", 0)
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hello\n")
            assert await reader.readline() == b"hello\n"
            writer.close()
            await writer.wait_closed()
            server.close()
            await server.wait_closed()
            seen.append("socket")

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()

        async def spawn() -> None:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", "print(7)", stdout=asyncio.subprocess.PIPE
            )
            output, _ = await process.communicate()
            assert output.strip() == b"7"
            seen.append("subprocess")

        async def thread() -> None:
            await loop.run_in_executor(None, time.sleep, 0.01)
            seen.append("thread")

        async def injected() -> None:
            event = asyncio.Event()
            after(0.01, event.set)
            await event.wait()
            seen.append("slot")

        kinds = [echo(), thread(), injected()]
        if (
            isinstance(loop, getattr(asyncio, "ProactorEventLoop", object))
            or sys.platform != "win32"
        ):
            kinds.append(spawn())
        work = asyncio.gather(*kinds)
        nested = QtCore.QEventLoop()
        work.add_done_callback(lambda _: nested.quit())
        after(10, nested.quit)
        await asyncio.sleep(0)
        nested.exec_()
        assert work.done(), seen
        await work

    run(main)


def test_depth_closed_in_any_order(run: Any) -> None:
    """Loops nested to depth 4 may be told to quit in any order; each opener goes on in its own task."""

    async def main(order: list[int]) -> list[tuple[int, str]]:
        loop = asyncio.get_running_loop()
        nested: list[Any] = []
        left: list[tuple[int, str]] = []

        async def level(depth: int) -> None:
            nested.append(QtCore.QEventLoop())
            if depth < 3:
                loop.call_later(0.01, lambda: tasks.append(loop.create_task(level(depth + 1))))
            else:
                for i, which in enumerate(order):
                    loop.call_later(0.02 * (i + 1), lambda which=which: nested[which].quit())
            nested[depth].exec_()
            left.append((depth, asyncio.current_task().get_coro().__name__))

        tasks = [loop.create_task(level(0))]
        with Heartbeat() as heartbeat:
            while len(left) < 4:
                await asyncio.sleep(0.01)
            await asyncio.gather(*tasks)
        assert heartbeat.ticks >= 3
        return left

    for order in ([3, 2, 1, 0], [0, 1, 2, 3], [2, 0, 3, 1]):
        left = run(lambda order=order: main(order))
        assert left == [(depth, "level") for depth in (3, 2, 1, 0)]


@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="create_task(context=) came with Python 3.11"
)
def test_tasks_that_share_a_context_wait(run: Any) -> None:
    """A task that shares the blocked task's context waits for it, without a spin, and loses nothing."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()
        log: list[str] = []

        async def blocking() -> None:
            await asyncio.sleep(0.01)
            block(0.2)
            log.append("unblocked")

        async def sharing() -> None:
            for i in range(3):
                await asyncio.sleep(0.02)
                log.append(f"step {i}")

        tasks = [loop.create_task(coro, context=context) for coro in (blocking(), sharing())]
        before = time.process_time()
        await asyncio.gather(*tasks)
        assert time.process_time() - before < 0.1
        return log

    assert run(main) == ["unblocked", "step 0", "step 1", "step 2"]


@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="create_task(context=) came with Python 3.11"
)
def test_what_the_first_step_of_a_task_holds_back_is_resumed(run: Any) -> None:
    """What waits for the context of an eager first step goes on soon after that step."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()
        log: list[str] = []

        async def blocking() -> None:
            block(0.1)
            log.append("unblocked")

        async def sharing() -> None:
            await asyncio.sleep(0.02)
            log.append("step")

        task = loop.create_task(sharing(), context=context)
        after(0, lambda: log.append(qtinter.run_task(blocking(), context=context).get_name()))
        await task
        return log

    assert run(main)[0::2] == ["unblocked", "step"]


def test_what_a_callback_holds_back_is_resumed(run: Any) -> None:
    """So does what waits for the context of a callback that does nothing after its nested loop."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()
        resumed = asyncio.Event()
        loop.call_soon(block, 0.05, context=context)
        loop.call_later(0.01, resumed.set, context=context)
        await asyncio.wait_for(resumed.wait(), 5)

    run(main)


def test_reader_on_the_stack_is_not_called_again(run: Any, kind: Kind) -> None:
    """A reader callback that opens a nested loop is not re-entered; its later data is not lost, nor spun on."""
    if kind.name == "proactor":
        pytest.skip("the proactor has no add_reader, on plain asyncio either")

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        other_ours, other_theirs = socket.socketpair()
        for sock in (ours, other_ours):
            sock.setblocking(False)
        log: list[str] = []
        done = loop.create_future()

        def readable() -> None:
            data = ours.recv(1).decode()
            log.append(data)
            if data == "a":
                before = time.process_time()
                block(0.2)
                log.append(f"spun: {time.process_time() - before > 0.1}")
            if data == "c":
                done.set_result(None)

        def other_readable() -> None:
            log.append(other_ours.recv(1).decode())

        loop.add_reader(ours, readable)
        loop.add_reader(other_ours, other_readable)
        theirs.send(b"a")
        loop.call_later(0.02, theirs.send, b"b")
        loop.call_later(0.04, other_theirs.send, b"x")
        loop.call_later(0.06, theirs.send, b"c")
        # Somebody who looks at the registration meanwhile finds it.
        loop.call_later(
            0.08,
            lambda: log.append(f"registered: {loop._selector.get_key(ours).fd == ours.fileno()}"),
        )
        await done
        for sock in (ours, other_ours):
            assert loop.remove_reader(sock)
        for sock in (ours, theirs, other_ours, other_theirs):
            sock.close()
        return log

    assert run(main) == ["a", "x", "registered: True", "spun: False", "b", "c"]


def test_reader_on_the_stack_may_be_removed(run: Any, kind: Kind) -> None:
    """An fd whose reader is blocked may be unregistered and closed meanwhile; nothing of it comes back."""
    if kind.name == "proactor":
        pytest.skip("the proactor has no add_reader, on plain asyncio either")

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        log: list[str] = []
        done = loop.create_future()

        def readable() -> None:
            log.append(ours.recv(1).decode())
            block(0.1)
            done.set_result(None)

        def remove() -> None:
            log.append(str(loop.remove_reader(ours)))
            ours.close()

        loop.add_reader(ours, readable)
        theirs.send(b"a")
        loop.call_later(0.02, theirs.send, b"b")
        loop.call_later(0.05, remove)
        await done
        await asyncio.sleep(0.01)
        theirs.close()
        return log

    assert run(main) == ["a", "True"]


def test_protocol_on_the_stack_gets_all_its_data(run: Any) -> None:
    """A protocol whose data_received() is blocked gets what arrives meanwhile, once and in order.

    A selector loop calls it again afterwards. The proactor, which asks for the next data before it
    hands over these, calls it meanwhile.
    """

    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        received = bytearray()
        done = loop.create_future()

        class Blocking(asyncio.Protocol):
            def data_received(self, data: bytes) -> None:
                received.extend(data)
                if len(received) == 1:
                    block(0.1)
                if received.endswith(b".") and not done.done():
                    done.set_result(None)

        server = await loop.create_server(Blocking, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for part in [b"0", *(str(i).encode() * 500 for i in range(1, 9)), b"."]:
            writer.write(part)
            await asyncio.sleep(0.01)
        await done
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        return bytes(received)

    assert run(main) == b"0" + b"".join(str(i).encode() * 500 for i in range(1, 9)) + b"."


def test_deadlines_stay_what_they_were(run: Any) -> None:
    """A timer that was pending when the nested loop opened is on time after it, with nothing else to do."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        called = loop.create_future()
        loop.call_later(0.3, lambda: called.set_result(loop.time() - began))
        block(0.2)
        return await called

    assert 0.3 <= run(main) < 0.45


# How it ends.


def test_stop_takes_effect_afterwards(run: Any) -> None:
    """stop() in a nested loop stops the run when the iteration that opened the loop has ended."""
    log: list[str] = []

    async def main() -> None:
        with Heartbeat() as heartbeat:
            asyncio.get_running_loop().call_later(0.02, asyncio.get_running_loop().stop)
            block(0.2)
            log.append("unblocked")
        assert heartbeat.ticks >= 5
        assert heartbeat.share >= 0.8
        await asyncio.sleep(10)

    with pytest.raises(RuntimeError, match="stopped before Future completed"):
        run(main)
    assert log == ["unblocked"]


def test_cancelling_the_blocked_task(run: Any) -> None:
    """A blocked task that is cancelled meanwhile gets CancelledError where it next awaits."""

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.02, asyncio.current_task().cancel)
        block(0.1)
        log.append("unblocked")
        await asyncio.sleep(10)

    log: list[str] = []
    with pytest.raises(asyncio.CancelledError):
        run(main)
    assert log == ["unblocked"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_errors_that_end_the_run(run: Any, error: type[BaseException]) -> None:
    """KeyboardInterrupt and SystemExit in a nested loop leave all Qt loops and come out of the run."""

    def fail() -> None:
        raise error

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.02, fail)
        block(10)
        log.append("unblocked")
        await asyncio.sleep(10)

    log: list[str] = []
    began = time.monotonic()
    with pytest.raises(error):
        run(main)
    assert log == ["unblocked"]
    assert time.monotonic() - began < 5


def test_exit_of_the_application(run: Any, qapp: Any) -> None:
    """app.exit() in a nested loop leaves it and ends the run."""

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.02, qapp.exit)
        block(10)
        log.append("unblocked")
        await asyncio.sleep(10)

    log: list[str] = []
    with pytest.raises(RuntimeError, match="stopped before Future completed"):
        run(main)
    assert log == ["unblocked"]


def test_exception_of_the_opener(run: Any) -> None:
    """An exception raised after the nested loop comes out of the task that opened it, as ever."""

    async def blocking() -> None:
        block(0.03)
        raise ZeroDivisionError

    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await asyncio.get_running_loop().create_task(blocking())

    run(main)


def test_attached_mode(kind: Kind, qapp: Any) -> None:
    """The same holds in attached mode, for a dialog-like loop opened by a task and by a slot."""

    async def main() -> None:
        with Heartbeat() as heartbeat:
            block()
        beats.append(heartbeat)
        with Heartbeat() as heartbeat:
            await in_plain_slot()
        beats.append(heartbeat)

    beats: list[Heartbeat] = []
    with qtinter.QiRunner(loop_factory=kind.qi) as runner:
        task = runner.get_loop().create_task(main())
        task.add_done_callback(lambda _: qapp.exit())
        qapp.exec_()
        task.result()
    assert min(heartbeat.ticks for heartbeat in beats) >= 5
    assert min(heartbeat.share for heartbeat in beats) >= 0.8


# Cost.


def test_debug_mode_reports_the_slow_callback(kind: Kind, caplog: pytest.LogCaptureFixture) -> None:
    """In debug mode, asyncio reports the callback that a nested loop has blocked, and nothing else."""
    loop = kind.qi()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.25

    async def main() -> None:
        with Heartbeat():
            block(0.4)

    with caplog.at_level("WARNING"):
        loop.run_until_complete(main())
        loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert len(caplog.records) == 1
    assert caplog.records[0].msg.startswith("Executing %s took")


def test_idle_afterwards(run: Any) -> None:
    """After a nested loop, the loop sleeps as it did before."""

    async def main() -> None:
        block(0.05)
        used = []
        for _ in range(3):
            await asyncio.sleep(0.02)
            before = time.process_time()
            await asyncio.sleep(0.3)
            used.append(time.process_time() - before)
        assert min(used) < 0.01

    run(main)


def test_nothing_is_left_in_place(run: Any) -> None:
    """After a nested loop, the ordinary path is the ordinary path again."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        block(0.05)
        await asyncio.sleep(0.01)
        assert type(loop._ready) is collections.deque
        assert loop._selector.screen is None

    run(main)


def test_10000_nested_loops(qapp: Any) -> None:
    """10,000 nested loops leave no memory, no file descriptors and no QObjects behind."""
    resource = pytest.importorskip("resource", reason="a Unix module")

    async def open_loops(count: int) -> None:
        for _ in range(count):
            nested = QtCore.QEventLoop()
            QtCore.QTimer.singleShot(0, nested.quit)
            nested.exec_()
            await asyncio.sleep(0)

    def footprint() -> tuple[int, int, int]:
        gc.collect()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        objects = sum(isinstance(thing, QtCore.QObject) for thing in gc.get_objects())
        with open("/dev/null") as probe:
            return memory, objects, probe.fileno()

    loop = qtinter.new_event_loop()
    loop.run_until_complete(open_loops(1000))
    before = footprint()
    loop.run_until_complete(open_loops(10_000))
    memory, objects, fd = footprint()
    loop.close()
    assert objects - before[1] < 10  # PySide makes a wrapper now and then.
    assert fd == before[2]
    assert memory - before[0] < 4_000  # KiB
