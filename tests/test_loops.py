"""The loops themselves: their classes, closing, threads, resources, what arrives late."""

from __future__ import annotations

import asyncio
import collections
import gc
import os
import selectors
import socket
import sys
import threading
import time
import weakref

import pytest
from harness import application, exec_for, exec_until, run_nested
from qtpy import QtCore

import qtinter


def test_classes(qapp):
    """Each loop is a QiBaseEventLoop, asyncio's BaseEventLoop, and asyncio's own loop of its kind."""
    assert issubclass(qtinter.QiBaseEventLoop, asyncio.BaseEventLoop)
    assert issubclass(
        qtinter.QiSelectorEventLoop, (qtinter.QiBaseEventLoop, asyncio.SelectorEventLoop)
    )
    loop = qtinter.new_event_loop()
    loop.close()
    assert type(loop) is qtinter.QiDefaultEventLoop
    assert isinstance(
        loop, asyncio.SelectorEventLoop if sys.platform != "win32" else asyncio.ProactorEventLoop
    )


def test_time_is_the_monotonic_clock(kind):
    """loop.time() counts from where time.monotonic() does, before the first run too."""
    loop = kind.qi()
    before = time.monotonic()
    assert before <= loop.time() <= time.monotonic()
    loop.close()


def test_loops_have_few_attributes(kind):
    """Up to 30, Python 3.11 and later keeps attributes in the object, where each is found in no time."""
    loop = kind.qi()
    loop.run_until_complete(loop.run_in_executor(None, int))
    loop.run_until_complete(loop.shutdown_default_executor())
    assert len(vars(loop)) <= 30
    loop.close()


def test_loop_runs_again_and_again(kind):
    """run_until_complete() and run_forever() may alternate; what is left over goes on in the next run."""
    loop = kind.qi()
    log = []

    async def tick():
        for number in range(3):
            await asyncio.sleep(0.005)
            log.append(number)

    ticking = loop.create_task(tick())
    assert loop.run_until_complete(asyncio.sleep(0.001, "one")) == "one"
    assert not loop.is_running()
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    loop.run_until_complete(ticking)
    assert log == [0, 1, 2]
    loop.close()


def test_run_until_complete_gives_errors(kind):
    """run_until_complete() raises what the coroutine raises, and the loop is usable after it."""
    loop = kind.qi()

    async def fail():
        await asyncio.sleep(0)
        raise LookupError("why")

    with pytest.raises(LookupError, match="why"):
        loop.run_until_complete(fail())
    assert loop.run_until_complete(asyncio.sleep(0, 1)) == 1
    loop.close()


def test_two_loops_take_turns(kind):
    """Two loops of one thread may be run alternately."""
    loops = [kind.qi(), kind.qi()]
    for number in range(4):
        loop = loops[number % 2]
        assert loop.run_until_complete(asyncio.sleep(0.001, number)) == number
    for loop in loops:
        loop.close()


# After close().


def test_closed_loop(kind):
    """After close() every way to add work raises "Event loop is closed"; a second close() does nothing."""
    loop = kind.qi()
    loop.run_until_complete(asyncio.sleep(0.001))
    loop.close()
    loop.close()
    waiting = asyncio.sleep(0)
    for use in (
        lambda: loop.call_soon(print),
        lambda: loop.call_soon_threadsafe(print),
        lambda: loop.call_later(1, print),
        lambda: loop.call_at(1, print),
        lambda: loop.run_until_complete(waiting),
        loop.run_forever,
        lambda: loop.run_in_executor(None, print),
    ):
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            use()
    waiting.close()
    assert loop.is_closed()


def test_running_loop_cannot_be_closed(run):
    """close() while the loop runs is an error."""

    async def main():
        with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
            asyncio.get_running_loop().close()
        await asyncio.sleep(0)

    run(main)


def test_late_events_do_nothing(kind):
    """What was on its way when the loop was closed, in Qt or in a thread, does nothing."""
    for _ in range(20):
        runner = qtinter.QiRunner(loop_factory=kind.qi)
        runner.start()
        loop, log = runner.get_loop(), []
        left, right = socket.socketpair()
        if isinstance(loop, asyncio.SelectorEventLoop):
            loop.add_reader(left, log.append, "reader")
        exec_for(0.002)
        right.send(b"x")  # The poller sees it, or its thread.
        late = threading.Thread(target=_call_until_closed, args=(loop, log))
        late.start()
        loop.call_soon(log.append, "soon")
        loop.call_later(0.001, log.append, "later")
        if isinstance(loop, asyncio.SelectorEventLoop):
            loop.remove_reader(left)
        runner.close()
        late.join()
        del log[:]
        exec_for(0.004)
        assert log == []
        for end in (left, right):
            end.close()


def _call_until_closed(loop, log):
    def call():
        while True:
            loop.call_soon_threadsafe(log.append, "thread")
            time.sleep(0)

    with pytest.raises(RuntimeError, match="Event loop is closed"):
        call()


@pytest.mark.skipif(sys.platform == "win32", reason="looks into the self-pipe with MSG_DONTWAIT")
def test_one_byte_for_many_calls_from_threads(kind):
    """However often threads call before the loop looks, the self-pipe gets one byte; each time it has looked, one more."""
    loop = kind.qi()
    log = []
    for turn in range(3):
        for number in range(100):
            loop.call_soon_threadsafe(log.append, number)
        assert len(loop._ssock.recv(4096, socket.MSG_PEEK | socket.MSG_DONTWAIT)) == 1
        loop.call_soon_threadsafe(loop.stop)
        loop.run_forever()
        assert log == list(range(100)) * (turn + 1)
    loop.close()


def test_no_call_from_a_thread_is_lost(kind):
    """Threads that wait for each call to be made before they make the next one always go on, whatever the loop is doing."""
    loop = kind.qi()
    rounds, threads = 300, 3

    def ping_pong():
        made = threading.Event()
        for _ in range(rounds):
            loop.call_soon_threadsafe(made.set)
            assert made.wait(20)
            made.clear()

    async def main():
        await asyncio.gather(*[loop.run_in_executor(None, ping_pong) for _ in range(threads)])

    loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def test_signals_after_close_do_nothing_harmful(kind):
    """A slot that uses the loop after close() gets "Event loop is closed"; nothing else happens."""
    errors = []
    with qtinter.QiRunner(loop_factory=kind.qi) as runner:
        loop = runner.get_loop()

        def attempt(call):
            try:
                call(print)
            except RuntimeError as error:
                errors.append(str(error))

        def slot():
            attempt(loop.call_soon)
            attempt(loop.call_soon_threadsafe)

        QtCore.QTimer.singleShot(1, lambda: None)
        exec_for(0.005)
    QtCore.QTimer.singleShot(1, slot)
    exec_until(lambda: errors)
    assert errors == ["Event loop is closed"] * 2


def test_file_descriptors_are_reused(kind):
    """A loop that gets the fd numbers of a closed one sees its own events only."""
    for number in range(5):

        async def main(number=number):
            server = await asyncio.start_server(_echo, "127.0.0.1", 0)
            streams = [
                await asyncio.open_connection(*server.sockets[0].getsockname()) for _ in range(5)
            ]
            for index, (_, writer) in enumerate(streams):
                writer.write(b"%d %d\n" % (number, index))
            lines = [await reader.readline() for reader, _ in streams]
            for _, writer in streams:
                writer.close()
            server.close()
            await asyncio.sleep(0.001)
            return lines

        assert run_nested(kind.qi, main) == [b"%d %d\n" % (number, index) for index in range(5)]


async def _echo(reader, writer):
    writer.write(await reader.readline())
    await reader.read()
    writer.close()


@pytest.mark.parametrize(
    "selector", [selectors.SelectSelector, getattr(selectors, "PollSelector", None)]
)
@pytest.mark.parametrize(
    ("closer", "plain_closer"),
    [("callback", "callback"), ("thread", "thread"), ("slot", "thread")],
    ids=["callback", "thread", "slot"],
)
def test_socket_closed_behind_the_loop(qapp, selector, closer, plain_closer):
    """A registered socket that is closed behind the loop's back has the effect that it has on a plain loop; nothing hangs.

    A thread closes it while select() blocks, and so does a slot while the helper thread is in there.
    """
    if selector is None:
        pytest.skip("this platform has no poll()")

    def outcome(make_loop, closer):
        loop = make_loop(selector())
        left, right = socket.socketpair()
        loop.add_reader(left, lambda: left.recv(1) if left.fileno() != -1 else None)

        def close():
            left.close()
            # However late it is, the loop waits at least once more before it stops.
            loop.call_soon_threadsafe(loop.call_later, 0.01, loop.stop)

        if closer == "callback":
            loop.call_soon(close)
        elif closer == "thread":
            thread = threading.Timer(0.02, close)
            thread.start()
        else:
            QtCore.QTimer.singleShot(20, close)
        try:
            loop.run_forever()
        except (OSError, ValueError) as error:
            return type(error)
        finally:
            if closer == "thread":
                thread.join()
            right.close()
            loop.close()

    expected = outcome(asyncio.SelectorEventLoop, plain_closer)
    assert outcome(qtinter.QiSelectorEventLoop, closer) == expected


def test_readers_survive_from_run_to_run(kind):
    """A reader that is added before the run, or between two runs, works in the next one."""
    loop = kind.qi()
    if not isinstance(loop, asyncio.SelectorEventLoop):
        loop.close()
        pytest.skip("asyncio's proactor loop has no add_reader()")
    left, right = socket.socketpair()
    with left, right:
        log = []
        loop.add_reader(left, lambda: (log.append(left.recv(10)), loop.stop()))
        for word in (b"one", b"two"):
            right.send(word)
            loop.run_forever()
        loop.remove_reader(left)
    loop.close()
    assert log == [b"one", b"two"]


# Threads.


def in_thread(kind_of_thread, function):
    """Call `function` in a new thread, while this one executes Qt's loop; return its result."""
    results = []

    def work():
        try:
            results.append(function())
        except BaseException as error:
            results.append(error)

    if kind_of_thread == "QThread":

        class Thread(QtCore.QThread):
            def run(self):
                work()

        thread = Thread()
        thread.start()
        exec_until(thread.isFinished)
        thread.wait()
    else:
        thread = threading.Thread(target=work)
        thread.start()
        exec_until(lambda: not thread.is_alive())
    if isinstance(results[0], BaseException):
        raise results[0]
    return results[0]


@pytest.fixture(params=["QThread", "threading.Thread"])
def kind_of_thread(request):
    """A kind of thread."""
    return request.param


async def work_in_thread():
    """Use timers, sockets, threads and Qt timers; return the name of the thread that did it."""
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello\n")
    assert await reader.readline() == b"hello\n"
    writer.close()
    server.close()
    ticked = loop.create_future()
    timer = QtCore.QTimer()
    timer.setSingleShot(True)
    timer.timeout.connect(lambda: ticked.set_result(None))
    timer.start(1)
    await ticked
    assert await asyncio.to_thread(lambda: 1) == 1
    await asyncio.sleep(0.005)
    return threading.get_ident()


def test_nested_mode_in_a_thread(kind, kind_of_thread):
    """A loop runs in a thread of its own, nested."""
    assert (
        in_thread(kind_of_thread, lambda: run_nested(kind.qi, work_in_thread))
        != threading.get_ident()
    )


def test_attached_mode_in_a_thread(kind, kind_of_thread):
    """A loop runs in a thread of its own, attached to a QEventLoop that the thread executes."""

    def attached():
        with qtinter.QiRunner(loop_factory=kind.qi):
            qt_loop = QtCore.QEventLoop()
            task = asyncio.ensure_future(work_in_thread())
            task.add_done_callback(lambda _: qt_loop.quit())
            qt_loop.exec_()
            return task.result()

    assert in_thread(kind_of_thread, attached) != threading.get_ident()


def test_attached_mode_in_the_exec_of_a_qthread(kind):
    """QThread.exec() drives an attached loop; SystemExit in a task makes it return and is raised by the `with` statement."""
    log = []

    class Thread(QtCore.QThread):
        def run(self):
            try:
                with qtinter.QiRunner(loop_factory=kind.qi) as runner:
                    runner.get_loop().call_later(0.005, sys.exit, 3)
                    self.exec_()
                    log.append("left")
            except SystemExit as error:
                log.append(error.code)

    thread = Thread()
    thread.start()
    exec_until(thread.isFinished)
    thread.wait()
    assert log == ["left", 3]


def test_loops_in_two_threads_talk(kind):
    """The main thread's loop and one in a thread call each other."""

    async def main():
        loop = asyncio.get_running_loop()
        started = loop.create_future()

        async def serve():
            other = asyncio.get_running_loop()
            stop = asyncio.Event()
            loop.call_soon_threadsafe(started.set_result, (other, stop))
            await stop.wait()

        thread = threading.Thread(target=run_nested, args=(kind.qi, serve))
        thread.start()
        other, stop = await started

        async def answer(number):
            await asyncio.sleep(0.001)
            return number * 2

        futures = [asyncio.run_coroutine_threadsafe(answer(number), other) for number in range(20)]
        results = await asyncio.gather(*map(asyncio.wrap_future, futures))
        other.call_soon_threadsafe(stop.set)
        await asyncio.to_thread(thread.join)
        return results

    assert run_nested(kind.qi, main) == [number * 2 for number in range(20)]


def test_loop_can_move_to_another_thread(kind):
    """A loop that was run in one thread may be run in another, and closed where it was made."""
    loop = kind.qi()
    assert loop.run_until_complete(asyncio.sleep(0.001, 1)) == 1
    assert (
        in_thread("threading.Thread", lambda: loop.run_until_complete(asyncio.sleep(0.001, 2))) == 2
    )
    loop.close()


# Resources.


def test_unclosed_loops_warn(kind):
    """A loop that is dropped without close() gives a ResourceWarning, as asyncio's do."""
    loop = kind.qi()
    loop.run_until_complete(asyncio.sleep(0))
    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        loop.__del__()
    loop.close()


def test_closed_loops_are_freed(run):
    """A loop that was closed is freed when nobody needs it, as asyncio's are: it is in no cycle."""

    async def main():
        await asyncio.sleep(0.001)
        return weakref.ref(asyncio.get_running_loop())

    gc.disable()
    try:
        loop = run(main)
        application().processEvents()
        assert loop() is None
    finally:
        gc.enable()


def test_qt_objects_of_a_run_go_with_it(run):
    """When a run ends its Qt objects are destroyed, there and then.

    Left to the garbage collector, they would be destroyed in whatever thread it happens to run, and crash that thread or the next one.
    """

    async def main():
        await asyncio.sleep(0.001)

    run(main)
    gc.collect()
    gc.disable()
    try:
        before = qt_objects()
        run(main)
        run(main)
        assert qt_objects() == before
    finally:
        gc.enable()


def qt_objects():
    """Count the wrappers of Qt objects by class."""
    return collections.Counter(
        kind.__name__ for kind in map(type, gc.get_objects()) if issubclass(kind, QtCore.QObject)
    )


def count_resources():
    """Return the numbers of open fds (where that is known) and of threads."""
    fds = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    tasks = len(os.listdir("/proc/self/task")) if sys.platform == "linux" else 0
    return fds, tasks, threading.active_count()


def test_resources_of_many_loops(run):
    """Creating, running and closing many loops leaves neither fds nor threads behind."""

    async def main():
        await asyncio.sleep(0)

    for _ in range(5):
        run(main)
    gc.collect()
    before = count_resources()
    for _ in range(
        200 if sys.platform != "win32" else 50
    ):  # Wine takes its time to start a thread.
        run(main)
    gc.collect()
    after = count_resources()
    assert all(now <= then + 1 for now, then in zip(after, before)), (before, after)


def test_threads_of_a_run(run, kind):
    """A poller with an fd needs no thread; any other one has one, and only while the loop runs."""

    async def main():
        for _ in range(10):  # A busy machine may take longer for an iteration than a sleep lasts.
            await asyncio.sleep(0.03)  # Longer than what Windows' clock takes for no time.
            if names() != before:
                break
        return names() - before

    def names():
        """Of Python's threads: those of Qt, from earlier tests, may call Python whenever they end."""
        return {
            thread.name
            for thread in threading.enumerate()
            if not isinstance(thread, threading._DummyThread)
        }

    before = names()
    threads = run(main)
    assert threads == (set() if kind.name == "notifier" else {"qtinter poller"})
    assert names() == before
