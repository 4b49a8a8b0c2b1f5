"""The driver: injected code wakes the loop, slices are fair to Qt, errors and stop() end a run."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import socket
import sys
import threading
import time

import pytest
from harness import application, exec_for, exec_until
from qtpy import QtCore

import qtinter


class CountingSelector(selectors.DefaultSelector):
    """The default selector, which counts the calls of select()."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def select(self, timeout=None):
        """Count, and do it."""
        self.calls += 1
        return super().select(timeout)


@pytest.fixture
def loop(kind):
    """A loop that is attached; the application's loop is not running yet."""
    with qtinter.QiRunner(loop_factory=kind.qi) as runner:
        yield runner.get_loop()


def exec_until_asleep(loop):
    """Execute Qt's loop until the loop waits, with nothing due, for injected code."""
    exec_until(lambda: loop._wake is not None)


def in_slot(function, *args):
    """Execute Qt's loop until `function`, called by a Qt timer, has returned; return its result."""
    results = []

    def slot():
        try:
            results.append(function(*args))
        except BaseException as error:
            results.append(error)

    QtCore.QTimer.singleShot(1, slot)
    exec_until(lambda: results)
    if isinstance(results[0], BaseException):
        raise results[0]
    return results[0]


# Injected code.


def create_task(loop, done):
    """A new task."""

    async def work():
        done.append("ran")

    done.task = asyncio.create_task(work())


def create_task_that_sleeps(loop, done):
    """A new task, of several iterations."""

    async def work():
        await asyncio.sleep(0.001)
        await asyncio.sleep(0)
        done.append("ran")

    done.task = asyncio.create_task(work())


def set_future(loop, done):
    """The future that a task awaits."""
    done.future.set_result("ran")


def set_event(loop, done):
    """The event that a task awaits."""
    done.event.set()


def put_into_queue(loop, done):
    """The queue that a task awaits."""
    done.queue.put_nowait("ran")


def cancel_task(loop, done):
    """A task that sleeps for long is cancelled."""
    done.sleeper.cancel()


def call_soon(loop, done):
    """call_soon()."""
    loop.call_soon(done.append, "ran")


def cached_call_soon(loop, done):
    """A bound method of the loop that a coroutine has kept."""
    done.cached(done.append, "ran")


def call_later(loop, done):
    """call_later()."""
    loop.call_later(0.001, done.append, "ran")


def call_at(loop, done):
    """call_at() with a time in the past."""
    loop.call_at(0, done.append, "ran")


def call_soon_threadsafe(loop, done):
    """call_soon_threadsafe() from the loop's own thread."""
    loop.call_soon_threadsafe(done.append, "ran")


def call_from_thread(loop, done):
    """call_soon_threadsafe() from another thread."""
    thread = threading.Thread(target=loop.call_soon_threadsafe, args=(done.append, "ran"))
    thread.start()
    thread.join()


def call_soon_from_wrong_thread(loop, done):
    """call_soon() from another thread, which is an error that only debug mode reports."""
    thread = threading.Thread(target=loop.call_soon, args=(done.append, "ran"))
    thread.start()
    thread.join()


def add_reader(loop, done):
    """A reader whose fd is ready already."""
    done.sockets[0].send(b"x")
    loop.add_reader(
        done.sockets[1], lambda: (done.append("ran"), loop.remove_reader(done.sockets[1]))
    )


def add_writer(loop, done):
    """A writer whose fd is ready already."""
    loop.add_writer(
        done.sockets[1], lambda: (done.append("ran"), loop.remove_writer(done.sockets[1]))
    )


def add_reader_early(loop, done):
    """A reader whose fd becomes ready later."""
    loop.add_reader(
        done.sockets[1], lambda: (done.append("ran"), loop.remove_reader(done.sockets[1]))
    )
    QtCore.QTimer.singleShot(5, lambda: done.sockets[0].send(b"x"))


INJECTIONS = [
    create_task,
    create_task_that_sleeps,
    set_future,
    set_event,
    put_into_queue,
    cancel_task,
    call_soon,
    cached_call_soon,
    call_later,
    call_at,
    call_soon_threadsafe,
    call_from_thread,
    call_soon_from_wrong_thread,
    add_reader,
    add_writer,
    add_reader_early,
]


class Done(list):
    """What injected code has to do with: fills when it had an effect."""

    async def prepare(self):
        """Make what injected code can act on, and tasks that wait for it."""
        loop = asyncio.get_running_loop()
        self.cached = loop.call_soon
        self.future, self.event, self.queue = loop.create_future(), asyncio.Event(), asyncio.Queue()
        self.sockets = socket.socketpair()
        self.waiters = [
            loop.create_task(self.wait(self.future)),
            loop.create_task(self.wait(self.event.wait())),
            loop.create_task(self.wait(self.queue.get())),
        ]
        self.sleeper = loop.create_task(asyncio.sleep(1000))
        self.sleeper.add_done_callback(lambda _: self.append("cancelled"))

    async def wait(self, awaitable):
        """Wait for something."""
        await awaitable
        self.append("ran")


@pytest.fixture
def done(loop):
    """A Done, prepared; the loop is asleep."""
    done = Done()
    preparing = loop.create_task(done.prepare())
    exec_until(preparing.done)
    exec_until_asleep(loop)
    yield done
    for end in done.sockets:
        end.close()


@pytest.mark.parametrize("inject", INJECTIONS, ids=lambda inject: inject.__name__)
def test_injected_code_wakes_the_loop(loop, done, inject):
    """What a slot does to the loop has its effect at once, although the loop is asleep and nothing else is due."""
    if inject.__name__.startswith("add_") and not isinstance(loop, asyncio.SelectorEventLoop):
        pytest.skip("asyncio's proactor loop has no add_reader() and add_writer()")
    in_slot(inject, loop, done)
    exec_until(lambda: done, limit=2)
    assert len(done) == 1
    exec_until_asleep(loop)


@pytest.mark.parametrize("inject", INJECTIONS[:13], ids=lambda inject: inject.__name__)
def test_code_before_exec_counts_as_injected(loop, done, inject):
    """What is done to an attached loop while Qt does not run has its effect as soon as Qt runs."""
    inject(loop, done)
    exec_until(lambda: done, limit=2)


def test_stop_injected_in_attached_mode(loop, done):
    """stop() in a slot makes app.exec() return, and leaves the loop usable."""
    QtCore.QTimer.singleShot(1, loop.stop)
    began = time.monotonic()
    assert exec_for(5) == 0
    assert time.monotonic() - began < 3
    call_soon(loop, done)
    exec_until(lambda: done)
    assert loop.is_running()


def test_stop_in_a_task_in_attached_mode(loop):
    """stop() in a task makes app.exec() return; the loop goes on with the next one."""
    log = []

    async def work():
        loop.stop()
        log.append("stopped")
        await asyncio.sleep(0.001)
        log.append("went on")

    task = loop.create_task(work())
    began = time.monotonic()
    assert exec_for(5) == 0
    assert time.monotonic() - began < 3
    assert log == ["stopped"]
    exec_until(task.done)
    assert log == ["stopped", "went on"]


def test_many_injections_cost_one_wake_up(qapp):
    """A thousand calls from one slot make one wake-up, not a thousand."""
    selector = CountingSelector()
    with qtinter.QiRunner(loop_factory=lambda: qtinter.QiSelectorEventLoop(selector)) as runner:
        loop, log = runner.get_loop(), []
        exec_until_asleep(loop)
        before = selector.calls

        def inject():
            for number in range(1000):
                loop.call_soon(log.append, number)
                loop.call_later(1000, log.append, number)

        in_slot(inject)
        exec_until(lambda: log)
        exec_for(0.03)
        assert log == list(range(1000))
        assert selector.calls - before <= 4


def test_injected_calls_keep_their_order(loop):
    """Calls of several slots run in the order in which they were made."""
    log = []
    for number in range(50):
        QtCore.QTimer.singleShot(
            1, lambda number=number: loop.call_soon(log.append, (number, "first"))
        )
        QtCore.QTimer.singleShot(
            1, lambda number=number: loop.call_soon(log.append, (number, "second"))
        )
    exec_until(lambda: len(log) == 100)
    assert log == sorted(log, key=lambda entry: entry[0])


def test_earlier_timer_overtakes(loop):
    """A timer that is injected runs in time, although the loop waits for a later one."""
    log = []
    loop.call_later(30, log.append, "later")
    exec_until_asleep(loop)
    in_slot(loop.call_later, 0.01, log.append, "earlier")
    exec_until(lambda: log, limit=2)
    assert log == ["earlier"]


def test_running_loop_is_known_between_iterations(loop):
    """In a slot get_running_loop() gives the loop, and no task is current."""
    assert in_slot(lambda: (asyncio.get_running_loop(), asyncio.current_task())) == (loop, None)


def test_a_slot_that_blocks_delays_timers_but_loses_none(loop):
    """Timers that expire while a slot blocks all run afterwards, in the order of their times."""
    log = []
    now = loop.time()
    for number in reversed(range(100)):
        loop.call_at(now + number / 5000, log.append, number)
    in_slot(time.sleep, 0.04)
    exec_until(lambda: len(log) == 100)
    assert log == list(range(100))


# Fairness.


def test_saturated_asyncio_lets_qt_run(run):
    """A Qt timer of 10 ms goes on ticking while tasks are ready all the time."""
    ticks = []

    async def main():
        timer = QtCore.QTimer()
        timer.setTimerType(QtCore.Qt.PreciseTimer)
        timer.timeout.connect(lambda: ticks.append(time.monotonic()))
        timer.start(10)
        end = time.monotonic() + 5

        async def spin():
            while len(ticks) < 4 and time.monotonic() < end:
                await asyncio.sleep(0)

        await asyncio.gather(*(spin() for _ in range(10)))
        timer.stop()

    run(main)
    assert len(ticks) >= 4


def test_saturated_qt_lets_asyncio_run(run):
    """asyncio.sleep(0.01) goes on while a Qt timer of 0 ms saturates Qt."""
    count = []

    def work():
        end = time.perf_counter() + 0.0005
        while time.perf_counter() < end:
            pass

    async def main():
        timer = QtCore.QTimer()
        timer.timeout.connect(work)
        timer.start(0)
        end = time.monotonic() + 5
        while len(count) < 8 and time.monotonic() < end:
            await asyncio.sleep(0.01)
            count.append(None)
        timer.stop()

    run(main)
    assert len(count) == 8


def test_saturated_qt_lets_sockets_work(run):
    """Traffic goes on while a Qt timer of 0 ms saturates Qt."""

    async def main():
        async def serve(reader, writer):
            while line := await reader.readline():
                writer.write(line)
            writer.close()

        timer = QtCore.QTimer()
        timer.timeout.connect(lambda: sum(range(10_000)))
        timer.start(0)
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for _ in range(50):
            writer.write(b"line\n")
            await reader.readline()
        timer.stop()
        writer.close()
        await writer.wait_closed()
        server.close()

    began = time.monotonic()
    run(main)
    assert time.monotonic() - began < 5


def test_traffic_lets_qt_run(run):
    """A Qt timer of 10 ms goes on ticking while two sockets play ping-pong."""
    ticks = []

    async def main():
        loop = asyncio.get_running_loop()
        timer = QtCore.QTimer()
        timer.timeout.connect(lambda: ticks.append(None))
        timer.start(10)
        left, right = socket.socketpair()
        with left, right:
            left.setblocking(False)
            right.setblocking(False)
            end = time.monotonic() + 5

            async def play(sock):
                while len(ticks) < 4 and time.monotonic() < end:
                    await loop.sock_recv(sock, 4)
                    await loop.sock_sendall(sock, b"ping")
                await loop.sock_sendall(sock, b"ping")

            await loop.sock_sendall(left, b"ping")
            await asyncio.gather(play(left), play(right))
        timer.stop()

    run(main)
    assert len(ticks) >= 4


# Errors and stop().


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit], ids=lambda error: error.__name__)
@pytest.mark.parametrize("where", ["task", "callback", "timer"])
def test_fatal_errors_end_a_nested_run(kind, error, where):
    """KeyboardInterrupt and SystemExit from a task, callback or timer are raised by run_forever(), which may be called again."""
    loop = kind.qi()

    def fail():
        raise error("why")

    async def fail_in_task():
        fail()

    if where == "task":
        task = loop.create_task(fail_in_task())
    else:
        (loop.call_soon if where == "callback" else lambda fail: loop.call_later(0.001, fail))(fail)
    with pytest.raises(error, match="why"):
        loop.run_forever()
    if where == "task":
        assert isinstance(task.exception(), error)
    assert loop.run_until_complete(asyncio.sleep(0.001, "usable")) == "usable"
    loop.close()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit], ids=lambda error: error.__name__)
@pytest.mark.parametrize("where", ["task", "callback"])
def test_fatal_errors_end_an_attached_run(kind, error, where):
    """KeyboardInterrupt and SystemExit from a task or callback make app.exec() return and are raised by the `with` statement."""
    log = []

    def fail():
        raise error("why")

    async def fail_in_task():
        fail()

    async def other():
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0.001)
            log.append("cleaned up")

    tasks = []

    def program():
        with qtinter.QiRunner(loop_factory=kind.qi) as runner:
            loop = runner.get_loop()
            tasks.append(loop.create_task(other()))
            if where == "task":
                loop.call_later(0.005, lambda: tasks.append(loop.create_task(fail_in_task())))
            else:
                loop.call_later(0.005, fail)
            began = time.monotonic()
            exec_for(5)
            assert time.monotonic() - began < 3
            log.append("left")

    with pytest.raises(error, match="why"):
        program()
    assert log == ["left", "cleaned up"]
    with contextlib.suppress(BaseException):
        tasks[-1].exception()


def test_an_error_in_the_selector_ends_the_run(qapp):
    """An exception of the selector itself is raised by run_forever(); nothing of it reaches Qt."""

    class BrokenSelector(selectors.DefaultSelector):
        broken = False

        def select(self, timeout=None):
            if self.broken:
                self.broken = False
                raise OSError("broken")
            return super().select(timeout)

    selector = BrokenSelector()
    loop = qtinter.QiSelectorEventLoop(selector)
    loop.call_later(0.001, setattr, selector, "broken", True)
    loop.call_later(0.01, print)
    with pytest.raises(OSError, match="broken"):
        loop.run_forever()
    loop.close()


def test_stop_before_the_run(kind):
    """stop() before run_forever() lets one iteration run, as in plain asyncio."""
    log = []

    def record(loop):
        loop.call_soon(log.append, "one")
        loop.call_soon(loop.call_soon, log.append, "two")
        loop.stop()
        loop.run_forever()
        log.append("returned")
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()

    record(kind.plain())
    expected = log[:]
    log.clear()
    record(kind.qi())
    assert log == expected == ["one", "returned", "two"]


def test_callbacks_beside_stop_still_run(kind):
    """The callbacks of the iteration in which stop() is called run; those they add run in the next run_forever()."""
    log = []

    def record(loop):
        loop.call_soon(log.append, "before")
        loop.call_soon(loop.stop)
        loop.call_soon(lambda: (log.append("after"), loop.call_soon(log.append, "next run")))
        loop.run_forever()
        log.append("returned")
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()

    record(kind.plain())
    expected = log[:]
    log.clear()
    record(kind.qi())
    assert log == expected == ["before", "after", "returned", "next run"]


def test_stop_by_a_slot_in_nested_mode(kind):
    """stop() in a slot ends run_forever()."""
    loop = kind.qi()
    QtCore.QTimer.singleShot(10, loop.stop)
    loop.run_forever()
    loop.close()


def test_stop_by_a_thread(kind):
    """call_soon_threadsafe(loop.stop) ends run_forever()."""
    loop = kind.qi()
    thread = threading.Timer(0.01, loop.call_soon_threadsafe, [loop.stop])
    thread.start()
    loop.run_forever()
    thread.join()
    loop.close()


# Nested Qt loops in their basic form; test_nesting.py has the rest.


def exec_nested_until(condition):
    qt_loop = QtCore.QEventLoop()
    timer = QtCore.QTimer()
    timer.timeout.connect(lambda: qt_loop.quit() if condition() else None)
    timer.start(5)
    QtCore.QTimer.singleShot(5000, qt_loop.quit)
    qt_loop.exec_()
    timer.stop()
    assert condition()


def test_a_nested_qt_loop_keeps_the_tasks_running(run):
    """While a coroutine executes a QEventLoop, other tasks tick; the coroutine goes on when it returns."""
    ticks = []

    async def tick():
        while True:
            await asyncio.sleep(0.002)
            ticks.append(asyncio.current_task())

    async def main():
        me = asyncio.current_task()
        ticking = asyncio.ensure_future(tick())
        exec_nested_until(lambda: len(ticks) >= 5)
        assert asyncio.current_task() is me
        ticking.cancel()

    run(main)


def test_a_nested_qt_loop_in_a_plain_callback(run):
    """The same holds for a callback that belongs to no task."""
    ticks = []

    async def main():
        done = asyncio.get_running_loop().create_future()

        def callback():
            exec_nested_until(lambda: len(ticks) >= 5)
            done.set_result(None)

        asyncio.get_running_loop().call_soon(callback)
        while not done.done():
            await asyncio.sleep(0.002)
            ticks.append(asyncio.current_task())

    run(main)


def test_the_application_runs_on_when_its_loop_is_asleep(loop):
    """Qt's own timers tick while the loop is asleep."""
    ticks = []
    timer = QtCore.QTimer()
    timer.timeout.connect(lambda: ticks.append(None))
    timer.start(2)
    exec_until(lambda: len(ticks) >= 5)
    timer.stop()
    assert loop._wake is not None


@pytest.mark.skipif(
    sys.platform == "win32", reason="counts the calls of a selector that Windows has not"
)
def test_an_idle_loop_does_not_select(qapp):
    """While nothing happens select() is not called, whatever Qt does."""
    selector = CountingSelector()
    with qtinter.QiRunner(loop_factory=lambda: qtinter.QiSelectorEventLoop(selector)) as runner:
        exec_until_asleep(runner.get_loop())
        exec_for(0.02)  # The alarm of the last slice rings once more.
        before = selector.calls
        exec_for(0.1)
        assert application() is not None
        assert selector.calls == before
