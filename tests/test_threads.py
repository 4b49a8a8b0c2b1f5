"""A loop in each thread: threads of Qt and of Python, several at once, talking to each other."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import sys
import threading
import time

import pytest
import qtpy
from harness import exec_until, output_of, run_nested, run_program
from qtpy import QtCore

import qtinter

Signal = getattr(QtCore, "Signal", None) or QtCore.pyqtSignal


class Sender(QtCore.QObject):
    """A sender."""

    number = Signal(int)


# Threads, and ways to run a coroutine function in them.


class Job:
    """A function in a thread of its own, and what became of it."""

    def __init__(self, kind_of_thread, function):
        self.result = self.error = None
        self.is_done = False

        def work():
            try:
                self.result = function()
            except BaseException as error:
                self.error = error
            finally:
                self.is_done = True

        if kind_of_thread == "QThread":

            class Thread(QtCore.QThread):
                def run(self):
                    work()

            self.thread = Thread()
            self.join = self.thread.wait
        else:
            self.thread = threading.Thread(target=work)
            self.join = self.thread.join
        self.thread.start()

    def finish(self):
        """Execute the Qt loop of this thread until the other one has ended; return its result."""
        exec_until(lambda: self.is_done, limit=15)
        self.join()
        if self.error is not None:
            raise self.error
        return self.result


def run_in_event_loop(factory, main):
    """Attached to a QEventLoop."""
    with qtinter.QiRunner(loop_factory=factory) as runner:
        qt_loop = QtCore.QEventLoop()
        task = runner.get_loop().create_task(main())
        task.add_done_callback(lambda _: qt_loop.quit())
        qt_loop.exec_()
        return task.result()


MODES_IN_THREADS = {"nested": run_nested, "attached": run_in_event_loop}


@pytest.fixture(params=["QThread", "threading.Thread"])
def kind_of_thread(request, qapp):
    """A kind of thread."""
    return request.param


@pytest.fixture(params=MODES_IN_THREADS)
def run_here(request):
    """A way to run a coroutine function in the thread that calls it."""
    return MODES_IN_THREADS[request.param]


@pytest.fixture
def start(kind_of_thread, run_here, kind):
    """Start a thread that runs a coroutine function on a Qt-backed loop; give its job."""

    def start(main):
        return Job(kind_of_thread, lambda: run_here(kind.qi, main))

    return start


# What each of several loops can do at the same time.


async def use_qt():
    """Wait for Qt timers, as an awaited signal and as a slot."""
    timer = QtCore.QTimer()
    timer.start(1)
    for _ in range(5):
        await qtinter.asyncsignal(timer.timeout)
    done = asyncio.Event()

    async def slot():
        await asyncio.sleep(0.001)
        done.set()

    timer.timeout.connect(qtinter.asyncslot(slot, when_busy="drop"))
    await done.wait()
    timer.stop()


async def use_sockets():
    """Talk to a server of this loop."""

    async def echo(reader, writer):
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for number in range(20):
        writer.write(b"%d\n" % number)
        assert await reader.readline() == b"%d\n" % number
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()


async def use_subprocesses():
    """Start a program, talk to it, and wait for its end."""
    if sys.platform == "win32" and not isinstance(
        asyncio.get_running_loop(), asyncio.ProactorEventLoop
    ):
        return
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-S", "-c", "print(input()[::-1]); raise SystemExit(3)"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await program.communicate(b"abc\n")
    assert (output.strip(), program.returncode) == (b"cba", 3)


async def use_threads():
    """Wait for threads of the loop's own executor."""
    assert await asyncio.gather(*[asyncio.to_thread(abs, -n) for n in range(5)]) == [0, 1, 2, 3, 4]


async def use_everything():
    """Use all of that at once; return the thread."""
    await asyncio.gather(use_qt(), use_sockets(), use_subprocesses(), use_threads())
    return threading.get_ident()


def test_four_loops_at_once(start):
    """Four threads have a loop each, and one more in this one: Qt, sockets, subprocesses and threads."""
    jobs = [start(use_everything) for _ in range(4)]
    with qtinter.using_asyncio_from_qt():
        mine = asyncio.ensure_future(use_everything())
        threads = {job.finish() for job in jobs}
        exec_until(mine.done)
        assert mine.result() == threading.get_ident()
    assert len(threads) == 4
    assert threading.get_ident() not in threads


def test_subprocesses_while_this_thread_has_no_loop(kind_of_thread, kind):
    """A subprocess of a loop in another thread needs no loop, and no help, in the main thread."""
    job = Job(kind_of_thread, lambda: run_nested(kind.qi, use_subprocesses))
    while not job.is_done:
        time.sleep(0.005)
    job.finish()


def test_loops_of_threads_are_independent(start):
    """A loop that is blocked does not delay those of other threads."""
    blocked, release = threading.Event(), threading.Event()

    async def block():
        blocked.set()
        release.wait(5)

    async def tick():
        blocked.wait(5)
        for _ in range(20):
            await asyncio.sleep(0.001)
        return release.is_set()

    first, second = start(block), start(tick)
    assert second.finish() is False
    release.set()
    first.finish()


# Calls from thread to thread.


class Server:
    """A loop that runs in a thread until it is told to stop."""

    def __init__(self, start, *, debug=False):
        ready = threading.Event()

        async def main():
            self.loop = asyncio.get_running_loop()
            self.loop.set_debug(debug)
            self._stop = asyncio.Event()
            ready.set()
            await self._stop.wait()

        self._job = start(main)
        assert ready.wait(5)

    def stop(self):
        """Stop the loop, wait for the thread."""
        self.loop.call_soon_threadsafe(self._stop.set)
        self._job.finish()


async def answer(number):
    """Say in which thread the answer was found."""
    await asyncio.sleep(0.001)
    return number * 2, threading.get_ident()


def test_run_coroutine_threadsafe(start, qapp):
    """Coroutines are sent to the loops of four threads: from here, from Python's threads, Qt's pool, and each other."""
    servers = [Server(start) for _ in range(4)]

    def ask_all():
        futures = [
            asyncio.run_coroutine_threadsafe(answer(n), servers[n % 4].loop) for n in range(20)
        ]
        results = [future.result(10) for future in futures]
        assert [number for number, _ in results] == [2 * n for n in range(20)]
        return {thread for _, thread in results}

    async def ask_another(server):
        future = asyncio.run_coroutine_threadsafe(answer(7), server.loop)
        return await asyncio.wrap_future(future)

    class Runnable(QtCore.QRunnable):
        def __init__(self, results):
            super().__init__()
            self.results = results

        def run(self):
            self.results.append(ask_all())

    assert len(ask_all()) == 4
    results = []
    pool = QtCore.QThreadPool()
    runnables = [Runnable(results) for _ in range(2)]
    for runnable in runnables:
        runnable.setAutoDelete(False)
        pool.start(runnable)
    threads = [threading.Thread(target=lambda: results.append(ask_all())) for _ in range(2)]
    for thread in threads:
        thread.start()
    exec_until(lambda: len(results) == 4, limit=10)
    assert pool.waitForDone(5000)
    for thread in threads:
        thread.join()
    assert {len(threads) for threads in results} == {4}
    around = [
        asyncio.run_coroutine_threadsafe(ask_another(servers[n - 1]), servers[n].loop)
        for n in range(4)
    ]
    assert len({future.result(5) for future in around}) == 4
    for server in servers:
        server.stop()


def test_call_soon_from_a_wrong_thread(start):
    """In debug mode call_soon() and call_later() from another thread raise, as asyncio's do."""
    server = Server(start, debug=True)
    for call in (
        lambda: server.loop.call_soon(print),
        lambda: server.loop.call_later(0, print),
        lambda: server.loop.call_at(0, print),
    ):
        with pytest.raises(RuntimeError, match="Non-thread-safe operation"):
            call()
    server.stop()


def test_call_soon_from_a_wrong_thread_is_not_lost(start):
    """Not in debug mode call_soon() from another thread is as wrong, but the callback does run."""
    server = Server(start)
    for _ in range(5):
        called = threading.Event()
        while server.loop._wake is None:  # Until the loop has fallen asleep.
            time.sleep(0.001)
        server.loop.call_soon(called.set)
        assert called.wait(5)
    server.stop()


def test_call_soon_threadsafe_after_close(start):
    """After the loop is closed, calls from other threads get asyncio's error."""
    server = Server(start)
    server.stop()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        server.loop.call_soon_threadsafe(print)
    coro = answer(1)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        asyncio.run_coroutine_threadsafe(coro, server.loop)
    coro.close()


def test_a_runner_is_closed_in_its_thread(kind_of_thread, qapp):
    """close() in a thread that is not the runner's is an error."""
    runner = qtinter.QiRunner()
    runner.start()

    def close():
        with pytest.raises(RuntimeError, match="thread of start"):
            runner.close()

    try:
        Job(kind_of_thread, close).finish()
    finally:
        runner.close()


def test_a_loop_made_here_runs_there(kind_of_thread, run_here, kind):
    """A loop that was made, and has run, in one thread is attached or run in another."""
    loop = kind.qi()
    assert loop.run_until_complete(answer(1)) == (2, threading.get_ident())
    number, thread = Job(kind_of_thread, lambda: run_here(lambda: loop, lambda: answer(2))).finish()
    assert number == 4
    assert thread != threading.get_ident()
    assert loop.is_closed()


# Signals from thread to thread.


def test_awaiting_a_signal_of_another_thread(start, go):
    """asyncsignal() and asyncslot() of this thread's loop take what another thread emits, each item once, in order."""
    sender = Sender()
    heard, threads = [], set()

    async def hear(number):
        heard.append(number)
        threads.add(threading.get_ident())

    async def speak():
        for number in range(50):
            sender.number.emit(number)
            if number % 10 == 0:
                await asyncio.sleep(0.001)

    async def main():
        slot = qtinter.asyncslot(hear)
        sender.number.connect(slot)
        first = qtinter.asyncsignal(sender.number)
        job = start(speak)
        assert await first == 0
        while len(heard) < 50:
            await asyncio.sleep(0.001)
        sender.number.disconnect(slot)
        while not job.is_done:
            await asyncio.sleep(0.001)
        job.join()
        assert job.error is None

    go(main)
    assert heard == list(range(50))
    assert threads == {threading.get_ident()}


def test_signals_into_the_loops_of_threads(start):
    """What this thread emits reaches awaiting tasks in the loops of two others, in order, each in its thread."""
    sender = Sender()
    ready = threading.Semaphore(0)

    async def listen():
        heard = []
        async with qtinter.asyncsignalstream(sender.number) as stream:
            ready.release()
            async for number in stream:
                heard.append(number)
                if number == 49:
                    return heard

    jobs = [start(listen), start(listen)]
    for _ in jobs:
        assert ready.acquire(timeout=5)
    for number in range(50):
        sender.number.emit(number)
    for job in jobs:
        assert job.finish() == list(range(50))


def test_the_finished_signal_of_a_thread(go):
    """A coroutine of this thread awaits the end of a QThread."""

    class Thread(QtCore.QThread):
        def run(self):
            time.sleep(0.005)

    async def main():
        thread = Thread()
        finished = qtinter.asyncsignal(thread.finished)
        thread.start()
        await finished
        thread.wait()

    go(main)


# QThread.exec().


def test_quit_of_a_qthread(kind):
    """QThread.quit() from another thread ends its exec(); tasks are cancelled and may wait in `finally`, with Qt too."""
    log = []
    begun = threading.Event()

    async def work():
        try:
            begun.set()
            await asyncio.sleep(60)
        finally:
            timer = QtCore.QTimer()
            timer.start(1)
            await qtinter.asyncsignal(timer.timeout)
            await asyncio.sleep(0.001)
            log.append("clean")

    class Thread(QtCore.QThread):
        def run(self):
            with qtinter.QiRunner(loop_factory=kind.qi) as runner:
                task = runner.get_loop().create_task(work())
                log.append(self.exec_())
            log.append(task.cancelled())

    thread = Thread()
    thread.start()
    assert begun.wait(5)
    thread.quit()
    exec_until(thread.isFinished)
    thread.wait()
    assert log == [0, "clean", True]


def test_exec_of_a_qthread_twice(kind):
    """exec() of a QThread may be called again; the tasks go on."""
    log = []

    class Thread(QtCore.QThread):
        def run(self):
            with qtinter.QiRunner(loop_factory=kind.qi) as runner:
                loop = runner.get_loop()

                async def work():
                    for number in range(3):
                        await asyncio.sleep(0.002)
                        log.append(number)
                        self.exit(number)

                task = loop.create_task(work())
                while not task.done():
                    log.append(("left", self.exec_()))

    thread = Thread()
    thread.start()
    exec_until(thread.isFinished)
    thread.wait()
    numbers = [entry for entry in log if not isinstance(entry, tuple)]
    assert numbers == [0, 1, 2]
    assert ("left", 0) in log


def test_a_worker_object(qapp):
    """The usual pattern of Qt: an object moved to a QThread has coroutines as slots, run by the loop of that thread."""
    results = []

    class Thread(QtCore.QThread):
        def run(self):
            with qtinter.using_asyncio_from_qt():
                self.exec_()

    class Worker(QtCore.QObject):
        @qtinter.asyncslot
        async def work(self, number):
            await asyncio.sleep(0.001)
            results.append((number, threading.get_ident() != main_thread))

    main_thread = threading.get_ident()
    thread, worker, sender = Thread(), Worker(), Sender()
    worker.moveToThread(thread)
    sender.number.connect(worker.work)
    thread.start()
    sender.number.emit(7)
    exec_until(lambda: results)
    thread.quit()
    exec_until(thread.isFinished)
    thread.wait()
    assert results == [(7, True)]


# The end.


def count_resources():
    """Return the numbers of open fds and of threads (where that is known)."""
    if sys.platform != "linux":
        return 0, threading.active_count()
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


def test_resources_of_many_threads(start):
    """Many threads with a loop each leave neither fds nor threads behind."""
    times = 60 if sys.platform != "win32" else 10

    def use():
        for _ in range(times):
            job = start(lambda: asyncio.sleep(0))
            job.join()
            assert job.error is None

    use()
    gc.collect()
    before = count_resources()
    use()
    gc.collect()
    exec_until(lambda: all(now <= then for now, then in zip(count_resources(), before)))


CHECKED = {"PYTHONMALLOC": "debug", "PYTHONFAULTHANDLER": "1", "PYTHONDEVMODE": "1"}

SETUP = """
import gc, logging, random, threading, warnings
logging.getLogger("asyncio").setLevel(logging.ERROR)  # That a callback is slow here is no news.
app = QtCore.QCoreApplication([])
class Thread(QtCore.QThread):
    def __init__(self, work):
        super().__init__()
        self.work = work
    def run(self):
        self.work()
    def join(self):
        self.wait()
def start(kind, work):
    thread = Thread(work) if kind == "QThread" else threading.Thread(target=work)
    thread.start()
    return thread
"""


def end_of(program):
    """Run a program in debug mode of everything; its end."""
    return run_program(SETUP + program, env={**os.environ, **CHECKED}, options=("-W", "default"))


@pytest.mark.parametrize("mode", ["nested", "attached"])
def test_a_thread_that_ends_with_tasks_pending(kind_of_thread, mode):
    """A thread that ends with a loop not closed and tasks pending: warnings that say so, no crash."""
    ended = end_of(f"""
async def work():
    await asyncio.sleep(60)
def leave():
    if {mode!r} == "attached":
        runner = qtinter.QiRunner()
        runner.start()
        loop = runner.get_loop()
        task = loop.create_task(work(), name="left")
        qt_loop = QtCore.QEventLoop()
        QtCore.QTimer.singleShot(5, qt_loop.quit)
        qt_loop.exec_()
    else:
        loop = qtinter.new_event_loop()
        task = loop.create_task(work(), name="left")
        loop.run_until_complete(asyncio.sleep(0.005))
for _ in range(3):
    start({kind_of_thread!r}, leave).join()
    gc.collect()
app.processEvents()
say("end")
""")
    assert (ended.code, ended.lines) == (0, ["end"]), ended
    assert "Task was destroyed but it is pending" in ended.errors
    assert "unclosed event loop" in ended.errors


@pytest.mark.skipif(
    "QTINTER_PROGRAMS" not in os.environ,
    reason="random programs also meet the races of the bindings: tox -e soak runs them",
)
@pytest.mark.parametrize("seed", range(2))
def test_crash_hunt(kind_of_thread, seed):
    """Loops in threads, made, used and closed at random under a random garbage collector."""
    seed = int(os.environ.get("QTINTER_SEED", "0")) + seed
    ended = end_of(f"""
gc.set_threshold({random_threshold(seed)})
class Sender(QtCore.QObject):
    number = (getattr(QtCore, "Signal", None) or QtCore.pyqtSignal)(int)
async def talk(chance):
    loop = asyncio.get_running_loop()
    sender = Sender()
    for _ in range(chance.randrange(1, 6)):
        how = chance.randrange(5)
        if how == 0:
            await asyncio.sleep(0.001)
        elif how == 1:
            waiter = qtinter.asyncsignal(sender.number)
            loop.call_soon(sender.number.emit, 1)
            await waiter
        elif how == 2:
            timer = QtCore.QTimer()
            timer.start(1)
            await qtinter.asyncsignal(timer.timeout)
        elif how == 3:
            await asyncio.to_thread(gc.collect, 0)
        else:
            loop.create_task(asyncio.sleep(60))
def work(seed):
    chance = random.Random(seed)
    if chance.random() < 0.5:
        with qtinter.QiRunner() as runner:
            qt_loop = QtCore.QEventLoop()
            task = runner.get_loop().create_task(talk(chance))
            task.add_done_callback(lambda _: qt_loop.quit())
            qt_loop.exec_()
            task.result()
    else:
        loop = qtinter.new_event_loop()
        loop.run_until_complete(talk(chance))
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
for number in range(40):
    threads = [start({kind_of_thread!r}, lambda n=n: work({seed} * 1000 + number * 4 + n)) for n in range(4)]
    with qtinter.using_asyncio_from_qt():
        task = asyncio.ensure_future(talk(random.Random(number)))
        task.add_done_callback(lambda _: app.exit())
        app.exec() if hasattr(app, "exec") else app.exec_()
    for thread in threads:
        thread.join()
say("end")
""")
    assert (ended.code, ended.lines, ended.errors) == (0, ["end"], ""), (seed, ended)


def random_threshold(seed):
    """A threshold of the garbage collector, from eager to usual."""
    return (50, 5, 700, 200)[seed % 4]


def test_first_loops_of_a_process_begin_at_once():
    """The very first loops may begin in several threads at the same time."""
    assert output_of("""
        app = QtCore.QCoreApplication([])
        barrier = threading.Barrier(8)
        sys.setswitchinterval(1e-6)
        loops = [qtinter.new_event_loop() for _ in range(8)]
        def work(loop):
            barrier.wait()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()
        threads = [threading.Thread(target=work, args=[loop]) for loop in loops]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        say(*[loop.is_closed() for loop in loops])
        """) == ["True " * 7 + "True"]


@pytest.mark.parametrize("mode", [run_nested, run_in_event_loop])
def test_dispatchers_of_threads_are_left_alone(qapp, mode, monkeypatch):
    """A loop in a thread asks for no dispatcher: one that PySide2 knows may abort the process when the thread ends."""
    asked = []
    core = importlib.import_module(f"{qtpy.API_NAME}.QtCore")

    class Dispatcher:
        @staticmethod
        def instance():
            asked.append(threading.current_thread())
            return instance()

    async def main():
        await asyncio.sleep(0.001)
        await qtinter.modal(lambda: QtCore.QCoreApplication.processEvents())()

    instance = core.QAbstractEventDispatcher.instance
    monkeypatch.setattr(core, "QAbstractEventDispatcher", Dispatcher)
    Job("Python", lambda: mode(qtinter.new_event_loop, main)).finish()
    assert asked == []
