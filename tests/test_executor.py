"""QThreadExecutor: what it promises as an executor, what Qt objects can do in its threads, and how it ends."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import gc
import os
import sys
import threading
import time
import weakref

import pytest
from harness import exec_until, output_of, run_program
from qtpy import QtCore

from qtinter._executor import QThreadExecutor


@pytest.fixture
def executor(qapp):
    """An executor with two workers."""
    with QThreadExecutor(2) as executor:
        yield executor


def nap(seconds=0.02):
    """Let the Qt loop of this thread run for a while.

    The timer must be destroyed before the loop, which is connected to it. Else PySide may hang: Qt holds a lock while PySide waits
    for the GIL, and the GIL is held by another thread that connects something and waits for the lock. QTimer.singleShot() is no better.
    """
    timer = QtCore.QTimer()
    qt_loop = QtCore.QEventLoop()
    timer.timeout.connect(qt_loop.quit)
    timer.start(round(seconds * 1000))
    qt_loop.exec_()
    return threading.get_ident()


# As an executor.


def test_it_is_an_executor(executor):
    """It has the interface of concurrent.futures."""
    assert isinstance(executor, concurrent.futures.Executor)
    future = executor.submit(pow, 2, exp=5)
    assert isinstance(future, concurrent.futures.Future)
    assert future.result(5) == 32


@pytest.mark.parametrize("number", [0, -1])
def test_wrong_number_of_workers(number):
    """There must be a worker at least."""
    with pytest.raises(ValueError, match=f"max_workers is {number}; it must be 1 or more"):
        QThreadExecutor(number)


def test_wrong_initializer():
    """An initializer that cannot be called is found out at once."""
    with pytest.raises(TypeError, match="initializer is 'no'; it must be callable"):
        QThreadExecutor(initializer="no")


def test_map(executor):
    """map() gives the results in the order of the arguments, whatever the order of the ends."""

    def work(seconds):
        time.sleep(seconds)
        return seconds

    assert list(executor.map(work, [0.02, 0.01, 0], chunksize=2)) == [0.02, 0.01, 0]
    assert list(executor.map(pow, [2, 3], [3, 2])) == [8, 9]


def test_map_timeout(executor):
    """map() gives up after its timeout."""
    release = threading.Event()
    results = executor.map(lambda _: release.wait(5), [1], timeout=0.01)
    try:
        with pytest.raises(concurrent.futures.TimeoutError):
            next(results)
    finally:
        release.set()


@pytest.mark.parametrize(
    "error", [ValueError("x"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), BaseException()]
)
def test_exceptions_reach_the_future(executor, error):
    """An exception of any kind is the result of its job, and the thread lives on."""

    def fail():
        raise error

    thread = executor.submit(threading.get_ident).result(5)
    assert executor.submit(fail).exception(5) is error
    assert executor.submit(threading.get_ident).result(5) == thread


def test_exception_in_a_callback_of_a_future(executor, caplog):
    """A callback of a future that raises is reported; the jobs after it are done."""
    begun, release = threading.Event(), threading.Event()

    def work():
        begun.set()
        release.wait(5)

    future = executor.submit(work)
    assert begun.wait(5)
    future.add_done_callback(lambda _: sys.exit(3))
    release.set()
    assert list(executor.map(abs, range(20))) == list(range(20))
    exec_until(lambda: "exception in a callback of a future" in caplog.text)


def test_cancel_of_queued_jobs(qapp):
    """A job that has not begun can be cancelled, one that has cannot."""
    begun, release = threading.Event(), threading.Event()
    with QThreadExecutor(1) as executor:
        running = executor.submit(lambda: begun.set() or release.wait(5))
        queued = executor.submit(int)
        assert begun.wait(5)
        assert (running.cancel(), queued.cancel()) == (False, True)
        release.set()
        assert executor.submit(abs, -1).result(5) == 1
    assert queued.cancelled()


def test_workers_start_when_needed(qapp):
    """No thread is started before its time, idle ones are used again, and never are there too many."""
    with QThreadExecutor(3, "few") as executor:

        def count():
            return sum(thread.name.startswith("few_") for thread in threading.enumerate())

        assert count() == 0
        assert len({executor.submit(threading.get_ident).result(5) for _ in range(50)}) == 1
        assert count() == 1
        release = threading.Event()
        futures = [executor.submit(release.wait, 5) for _ in range(10)]
        assert count() == 3
        release.set()
        assert all(future.result(5) for future in futures)
        assert count() == 3
    assert count() == 0


def test_names_of_threads(qapp):
    """Workers are threads of Python, with names as those of ThreadPoolExecutor."""
    with QThreadExecutor(1, thread_name_prefix="mine") as executor:
        assert executor.submit(lambda: threading.current_thread().name).result(5) == "mine_0"
        assert executor.submit(threading.current_thread).result(5) in threading.enumerate()
    with QThreadExecutor(1) as executor:
        name = executor.submit(lambda: threading.current_thread().name).result(5)
        assert name.startswith("QThreadExecutor-")


def test_initializer(qapp):
    """The initializer is called in each thread, before its first job."""
    seen = threading.local()

    def prepare(value):
        seen.value = value

    def work():
        barrier.wait(5)
        return seen.value

    barrier = threading.Barrier(2)
    with QThreadExecutor(2, initializer=prepare, initargs=("x",)) as executor:
        futures = [executor.submit(work) for _ in range(2)]
        assert [future.result(5) for future in futures] == ["x", "x"]


def test_initializer_that_fails(qapp, caplog):
    """An initializer that fails breaks the executor: what waits, and what comes, is told so."""
    go = threading.Event()

    def fail():
        go.wait(5)
        raise SystemExit("bad day")

    executor = QThreadExecutor(1, initializer=fail)
    futures = [executor.submit(int) for _ in range(3)]
    go.set()
    for future in futures:
        with pytest.raises(concurrent.futures.BrokenExecutor, match="initializer"):
            future.result(5)
    with pytest.raises(concurrent.futures.thread.BrokenThreadPool, match="create another one"):
        executor.submit(int)
    executor.shutdown()
    assert "bad day" in caplog.text


def test_shutdown(qapp):
    """shutdown() does what waits, ends the threads, and may be repeated; then there is no more submit()."""
    before = threading.active_count()
    executor = QThreadExecutor(2)
    futures = [executor.submit(nap) for _ in range(4)]
    executor.shutdown()
    assert all(future.done() for future in futures)
    assert threading.active_count() == before
    executor.shutdown()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown; create"):
        executor.submit(int)


def test_shutdown_without_waiting(qapp):
    """shutdown(wait=False) returns at once; jobs go on to their end, with Qt."""
    executor = QThreadExecutor(1)
    futures = [executor.submit(nap) for _ in range(3)]
    executor.shutdown(wait=False)
    assert not futures[-1].done()
    assert len({future.result(5) for future in futures}) == 1
    executor.shutdown()


def test_shutdown_cancels_futures(qapp):
    """shutdown(cancel_futures=True) cancels what no worker has begun, and lets the rest end."""
    begun = threading.Event()
    executor = QThreadExecutor(1)
    running = executor.submit(lambda: begun.set() or nap())
    queued = [executor.submit(int) for _ in range(3)]
    assert begun.wait(5)
    executor.shutdown(cancel_futures=True)
    assert running.result(0)
    assert all(future.cancelled() for future in queued)
    done, pending = concurrent.futures.wait(queued, timeout=0)
    assert (len(done), len(pending)) == (3, 0)


def test_shutdown_by_a_job(qapp):
    """A job that would wait for itself gets an error that says what to do; without waiting it may shut down."""
    executor = QThreadExecutor(1)
    with pytest.raises(RuntimeError, match=r"use shutdown\(wait=False\)"):
        executor.submit(executor.shutdown).result(5)
    executor.submit(executor.shutdown, wait=False).result(5)
    executor.shutdown()


def test_jobs_submit_jobs(qapp):
    """A job may submit jobs and wait for them, if there are threads enough; callbacks may as well."""
    with QThreadExecutor(2) as executor:

        def outer(number):
            return executor.submit(lambda: number + 1).result(5)

        assert executor.submit(outer, 1).result(5) == 2
        inner: list[int] = []
        done = threading.Event()

        def chain(future):
            inner.append(executor.submit(abs, -7).result(5))
            done.set()

        release = threading.Event()
        executor.submit(release.wait, 5).add_done_callback(chain)
        release.set()
        assert done.wait(5)
        assert inner == [7]


def test_one_worker_is_enough_for_a_chain(qapp):
    """With one thread, jobs that submit jobs without waiting for them lose none."""
    finished = threading.Event()
    with QThreadExecutor(1) as executor:

        def step(number):
            if number:
                executor.submit(step, number - 1)
            else:
                finished.set()

        executor.submit(step, 200)
        assert finished.wait(5)

        finished.clear()

        def link(number):
            if number:
                executor.submit(int).add_done_callback(lambda _: link(number - 1))
            else:
                finished.set()

        link(200)
        assert finished.wait(5)


def test_many_jobs(qapp):
    """10,000 jobs, from several threads, are all done, each once."""
    counts = [0] * 10_000

    def work(number):
        counts[number] += 1
        return number

    with QThreadExecutor(4) as executor:
        results = []

        def submit(start):
            results.extend([executor.submit(work, number) for number in range(start, 10_000, 4)])

        threads = [threading.Thread(target=submit, args=(start,)) for start in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(future.result(10) for future in results) == list(range(10_000))
    assert set(counts) == {1}


def test_jobs_are_forgotten(executor):
    """What a job was made of, and its result, are freed when nobody needs them."""

    class Thing:
        pass

    def fail(thing):
        raise ValueError(thing)

    thing = Thing()
    reference = weakref.ref(thing)
    gc.disable()
    try:
        assert executor.submit(lambda thing: thing, thing).result(5) is thing
        with pytest.raises(ValueError, match="Thing"):
            executor.submit(fail, thing).result(5)
        del thing
        assert executor.submit(int).result(5) == 0
        exec_until(lambda: reference() is None)
    finally:
        gc.enable()


def test_it_needs_an_application():
    """Without an application object submit() says so; making an executor needs none, nor a binding."""
    lines = output_of("""
        from qtinter._executor import QThreadExecutor
        executor = QThreadExecutor()
        try:
            executor.submit(int)
        except RuntimeError as error:
            say(error)
        app = QtCore.QCoreApplication([])
        say(executor.submit(int).result())
    """)
    assert lines[0].startswith("QThreadExecutor needs an application object")
    assert lines[1:] == ["0"]


# With asyncio.


def test_run_in_executor(run, executor):
    """A job for `loop.run_in_executor` runs in a thread of the executor, and its result comes back."""

    async def main():
        loop = asyncio.get_running_loop()
        threads = await asyncio.gather(*[loop.run_in_executor(executor, nap) for _ in range(6)])
        with pytest.raises(SystemExit):
            await asyncio.wrap_future(executor.submit(sys.exit, 3))
        return set(threads)

    threads = run(main)
    assert threading.get_ident() not in threads
    assert len(threads) == 2


@pytest.mark.skipif(sys.version_info < (3, 11), reason="older ones only warn")
def test_default_executor(executor):
    """asyncio takes no executor but its own as the default one."""
    loop = asyncio.new_event_loop()
    with pytest.raises(TypeError, match="ThreadPoolExecutor"):
        loop.set_default_executor(executor)
    loop.close()


def test_timeout_of_a_job(go, qapp):
    """wait_for() gives up waiting: a queued job is cancelled, a running one ends by itself."""
    begun, release = threading.Event(), threading.Event()
    done = []

    async def main():
        loop = asyncio.get_running_loop()
        with QThreadExecutor(1) as executor:

            def work(number):
                begun.set()
                release.wait(5)
                done.append(number)

            calls = [loop.run_in_executor(executor, work, number) for number in range(3)]
            assert begun.wait(5)
            for call in calls[:2]:
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(call, 0.01)
            release.set()
            await calls[2]

    go(main)
    assert done == [0, 2]


# Progress.


def test_progress(go, executor):
    """Progress is reported in the loop's thread, in order, the last report before the result."""
    reports = []

    def count(last, *, progress):
        for number in range(last):
            assert progress(number, last) is None
            if number % 10 == 0:
                time.sleep(0.001)
        return "done"

    async def main():
        def show(number, last):
            reports.append((number, last, threading.get_ident()))

        future = executor.submit_with_progress(count, 100, progress=show)
        assert await asyncio.wrap_future(future) == "done"
        assert reports[-1] == (99, 100, threading.get_ident())

    go(main)
    assert {thread for *_, thread in reports} == {threading.get_ident()}
    assert [number for number, *_ in reports] == sorted({number for number, *_ in reports})


def test_progress_is_coalesced(go, executor):
    """While the loop is busy, a new report takes the place of the last one."""
    reports = []

    def count(*, progress):
        for number in range(1000):
            progress(number)

    async def main():
        future = executor.submit_with_progress(count, progress=reports.append)
        future.result(5)  # Blocks the loop.
        await asyncio.wrap_future(future)

    go(main)
    assert reports == [999]


def test_progress_keeps_the_context(go, executor):
    """Progress is reported in the context of the caller of submit_with_progress()."""
    variable = contextvars.ContextVar("variable", default="none")
    seen = []

    async def main():
        variable.set("mine")
        job = executor.submit_with_progress(
            lambda *, progress: progress(), progress=lambda: seen.append(variable.get())
        )
        await asyncio.wrap_future(job)

    go(main)
    assert seen == ["mine"]


def test_progress_into_a_nested_loop(go, executor):
    """A report that opens a Qt loop delays the next ones; none but coalesced ones are lost."""
    reports = []

    def count(*, progress):
        for number in range(5):
            progress(number)
            time.sleep(0.005)

    def show(number):
        nap(0.01)
        reports.append(number)

    async def main():
        await asyncio.wrap_future(executor.submit_with_progress(count, progress=show))
        while not reports or reports[-1] != 4:
            await asyncio.sleep(0.001)

    go(main)
    assert reports == sorted(set(reports))


def test_progress_that_fails(run, executor):
    """A progress callback that raises is reported by its loop; the job does not notice."""
    reports = []

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reports.append(context["exception"]))
        job = executor.submit_with_progress(
            lambda *, progress: progress(1) or "done", progress=lambda value: value / 0
        )
        return await asyncio.wrap_future(job)

    assert run(main) == "done"
    assert [type(error) for error in reports] == [ZeroDivisionError]


def test_progress_after_the_loop(go, executor):
    """A job that outlives its loop may go on reporting; nobody listens."""
    closed = threading.Event()

    def work(*, progress):
        closed.wait(5)
        progress(1)
        return "done"

    async def main():
        return executor.submit_with_progress(work, progress=print)

    future = go(main)
    closed.set()
    assert future.result(5) == "done"


def test_progress_needs_a_loop(executor):
    """Without a running loop in this thread, nobody could call the callback: an error says so."""
    with pytest.raises(RuntimeError, match="has no loop to run `progress` in"):
        executor.submit_with_progress(print, progress=print)


# With Qt.


def test_jobs_run_in_a_qt_loop(executor):
    """A job runs in a thread of its own with a Qt event loop, timers and nested loops."""

    def work():
        ticks = []
        timer = QtCore.QTimer()
        qt_loop = QtCore.QEventLoop()
        timer.timeout.connect(lambda: ticks.append(1) or (len(ticks) == 3 and qt_loop.quit()))
        timer.start(1)
        qt_loop.exec_()
        timer.stop()
        return len(ticks), QtCore.QThread.currentThread().loopLevel()

    assert executor.submit(work).result(5) == (3, 1)


def test_objects_outlive_their_job(executor):
    """An object that a job leaves in its thread goes on getting events: timers, and calls from elsewhere."""
    ticked = threading.Event()
    called = []
    kept = []

    class Receiver(QtCore.QObject):
        def __init__(self):
            super().__init__()
            self.timer = QtCore.QTimer(self)
            self.timer.timeout.connect(self.tick)
            self.timer.start(1)

        def tick(self):
            called.append(threading.get_ident())
            if len(called) > 3:
                self.timer.stop()
                ticked.set()

    def leave():
        receiver = Receiver()
        QtCore.QThread.currentThread().finished.connect(receiver.deleteLater)
        kept.append(receiver)
        return threading.get_ident()

    thread = executor.submit(leave).result(5)
    assert ticked.wait(5)
    assert set(called) == {thread}


def test_busy_workers_give_qt_its_turn(qapp):
    """Jobs without end do not keep the objects of the thread from their events."""
    ticked = threading.Event()
    kept = []

    def leave():
        timer = QtCore.QTimer()
        timer.timeout.connect(ticked.set)
        timer.start(1)
        QtCore.QThread.currentThread().finished.connect(timer.deleteLater)
        kept.append(timer)

    with QThreadExecutor(1) as executor:
        executor.submit(leave).result(5)
        end = time.monotonic() + 5

        def again():
            if not ticked.is_set() and time.monotonic() < end:
                executor.submit(again)
                time.sleep(0.0005)

        executor.submit(again)
        assert ticked.wait(5)


def test_objects_are_deleted_at_shutdown(qapp):
    """What was to be deleted with the thread is deleted, in the thread, when shutdown() returns."""
    log = []
    kept = []

    def leave(how):
        thing = QtCore.QObject()
        thing.destroyed.connect(lambda *_: log.append((how, threading.get_ident())))
        if how == "finished":
            QtCore.QThread.currentThread().finished.connect(thing.deleteLater)
        else:
            thing.deleteLater()
        kept.append(thing)
        return threading.get_ident()

    with QThreadExecutor(1) as executor:
        thread = executor.submit(leave, "finished").result(5)
        executor.submit(leave, "deleteLater")
    assert sorted(log) == [("deleteLater", thread), ("finished", thread)]


def test_thread_locals_are_freed_in_their_thread(qapp):
    """A Qt object in a threading.local is destroyed in its thread."""
    local = threading.local()
    log = []

    def leave():
        local.thing = QtCore.QObject()
        local.thing.destroyed.connect(lambda *_: log.append(threading.get_ident()))
        return threading.get_ident()

    with QThreadExecutor(1) as executor:
        thread = executor.submit(leave).result(5)
    assert log == [thread]


def test_a_job_is_not_interrupted_by_another(qapp):
    """While a job executes a Qt loop, no other job begins in its thread."""
    log = []

    def work(number):
        log.append(("begin", number))
        nap(0.01)
        log.append(("end", number))

    with QThreadExecutor(1) as executor:
        for number in range(3):
            executor.submit(work, number)
    assert log == [(what, number) for number in range(3) for what in ("begin", "end")]


def test_a_job_that_ends_the_qt_loop(qapp):
    """QThread.quit() in a job ends its thread; other jobs go on in a new one, with Qt."""

    def leave():
        QtCore.QThread.currentThread().quit()
        return threading.get_ident()

    with QThreadExecutor(1) as executor:
        first = executor.submit(leave)
        assert [executor.submit(nap).result(5) != 0 for _ in range(3)] == [True] * 3
        assert first.result(5)
        assert executor.submit(nap).result(5)


def test_idle_workers_do_not_run(qapp):
    """Workers that wait for jobs use no processor time."""
    with QThreadExecutor(4) as executor:
        barrier = threading.Barrier(4)
        list(executor.map(lambda _: barrier.wait(5), range(4)))
        time.sleep(0.02)
        before = time.process_time()
        time.sleep(0.3)
        assert time.process_time() - before < 0.05


def test_qt_loop_in_a_job(executor, kind):
    """A job may run a Qt-backed asyncio loop of its own."""

    def work():
        loop = kind.qi()
        try:
            return loop.run_until_complete(asyncio.sleep(0.001, "slept"))
        finally:
            loop.close()

    assert [executor.submit(work).result(5) for _ in range(3)] == ["slept"] * 3


def test_tracing_reaches_the_workers(qapp):
    """Debuggers and coverage see jobs as they see those of any Python thread."""
    seen = []

    def work():
        return 1

    def trace(frame, event, argument):
        if frame.f_code is work.__code__:
            seen.append(event)

    threading.settrace(trace)
    try:
        with QThreadExecutor(1) as executor:
            executor.submit(work).result(5)
    finally:
        threading.settrace(None)
    assert seen == ["call"]


# The end.


def resources():
    """Return the numbers of threads and fds, and the memory in use."""
    if sys.platform != "linux":
        return threading.active_count(), 0, 0
    with open("/proc/self/statm") as file:
        memory = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd")), memory


def test_qt_objects_of_many_workers(qapp):
    """A worker that has ended leaves no Qt object behind, but for the QThread that PySide2 keeps."""

    def count():
        gc.collect()
        kinds = map(type, gc.get_objects())
        return sum(issubclass(k, QtCore.QObject) and k is not QtCore.QThread for k in kinds)

    def use():
        for _ in range(20):
            with QThreadExecutor(1) as executor:
                executor.submit(int).result(5)

    use()
    before = count()
    use()
    assert count() <= before


def test_resources_of_many_executors(qapp):
    """1,000 executors leave no threads, no fds and no memory behind."""

    def use(times):
        for _ in range(times):
            with QThreadExecutor(2) as executor:
                executor.submit(QtCore.QObject).result(5)

    before = resources()[:2]
    use(100)
    gc.collect()
    memory = resources()[2]
    use(1000)
    gc.collect()
    exec_until(lambda: resources()[:2] <= before)  # Threads may need a moment more to end.
    assert resources()[2] - memory < 4_000_000


def test_a_dropped_executor_ends(qapp):
    """An executor that is dropped finishes its jobs; then its threads end."""
    executor = QThreadExecutor(2, "dropped")
    futures = [executor.submit(nap) for _ in range(6)]
    del executor
    gc.collect()
    assert all(future.result(5) for future in futures)
    exec_until(lambda: not [t for t in threading.enumerate() if t.name.startswith("dropped")])


CHECKED = {
    "PYTHONMALLOC": "debug",
    "PYTHONFAULTHANDLER": "1",
    "PYTHONDEVMODE": "1",
}

SETUP = """
import gc, random
from qtinter._executor import QThreadExecutor
app = QtCore.QCoreApplication([])
executor = QThreadExecutor(3)
begun = threading.Event()
def tell(word):
    os.write(1, word.encode() + b"\\n")  # At once, however many threads write.
def nap(milliseconds=20):
    begun.set()
    timer = QtCore.QTimer()
    qt_loop = QtCore.QEventLoop()  # In this order, and no QTimer.singleShot(): see `nap` of the tests.
    timer.timeout.connect(qt_loop.quit)
    timer.start(milliseconds)
    qt_loop.exec_()
kept = []
def leave():
    thing = QtCore.QObject()
    QtCore.QThread.currentThread().finished.connect(thing.deleteLater)
    kept.append(thing)
def fill():
    for _ in range(6):
        executor.submit(leave)
        executor.submit(nap).add_done_callback(lambda future: tell("done"))
def delete_application():
    global app
    import qtpy
    if qtpy.PYQT5 or qtpy.PYQT6:
        from qtpy import sip
        sip.delete(app)
    else:
        from qtpy import shiboken
        shiboken.delete(app)
    del app
"""

# Name, program, what it writes, exit code.
ENDS = [
    ("idle", "executor.submit(leave).result(); sys.exit(3)", [], 3),
    ("running", "fill(); begun.wait()", ["done"] * 6, 0),
    ("running, sys.exit", "fill(); sys.exit(4)", ["done"] * 6, 4),
    ("dropped", "fill(); del executor; gc.collect()", ["done"] * 6, 0),
    ("shut down, not waited for", "fill(); executor.shutdown(wait=False)", ["done"] * 6, 0),
    (
        "in app.exec()",
        "fill(); QtCore.QTimer.singleShot(5, app.quit); sys.exit(app.exec_())",
        ["done"] * 6,
        0,
    ),
    ("application dropped", "fill(); del app; gc.collect()", ["done"] * 6, 0),
    (
        "application deleted, idle",
        "executor.submit(leave).result(); delete_application(); executor.shutdown(); say('end')",
        ["end"],
        0,
    ),
    (
        "application deleted, idle, exit",
        "executor.submit(leave).result(); delete_application()",
        [],
        0,
    ),
    (
        "application deleted, busy",
        "barrier = threading.Barrier(4)\n"
        "for n in range(3): executor.submit(lambda: barrier.wait() and None or time.sleep(0.05))\n"
        "for n in range(5): executor.submit(tell, 'done')\n"
        "barrier.wait(); delete_application()",
        ["done"] * 5,
        0,
    ),
    (
        "submit too late",
        "import atexit\n"
        "def late():\n"
        "    try: executor.submit(int)\n"
        "    except RuntimeError as error: say(error)\n"
        "atexit.register(late); executor.submit(int).result()",
        ["cannot schedule new futures after interpreter shutdown"],
        0,
    ),
]


@pytest.mark.parametrize(
    ("program", "lines", "code"), [end[1:] for end in ENDS], ids=[end[0] for end in ENDS]
)
def test_exit(program, lines, code):
    """However Python exits, it waits for the jobs, and neither hangs nor crashes nor complains."""
    ended = run_program(SETUP + program, env={**os.environ, **CHECKED}, options=("-W", "ignore"))
    assert (ended.code, ended.errors) == (code, ""), ended
    assert ended.lines == lines


@pytest.mark.skipif(
    "QTINTER_PROGRAMS" not in os.environ,
    reason="random programs also meet the races of the bindings: tox -e soak runs them",
)
@pytest.mark.parametrize("seed", range(3))
def test_crash_hunt(seed):
    """Executors made, used, dropped and shut down in random order, under a random garbage collector."""
    seed = int(os.environ.get("QTINTER_SEED", "0")) + seed
    program = (
        SETUP
        + f"""
random.seed({seed})
gc.set_threshold(random.randrange(1, 200))
executors = []
def work(depth):
    if depth and executors:
        try:
            random.choice(executors).submit(work, depth - 1)
        except (RuntimeError, IndexError):
            pass
    random.choice([int, leave, lambda: nap(1), lambda: time.sleep(0.001), lambda: 1 / 0])()
    gc.collect(random.randrange(2))
for _ in range(150):
    executors.append(QThreadExecutor(random.randrange(1, 4)))
    for _ in range(random.randrange(8)):
        random.choice(executors).submit(work, 2)
    if random.random() < 0.7:
        one = executors.pop(random.randrange(len(executors)))
        how = random.randrange(4)
        if how:
            one.shutdown(wait=how == 1, cancel_futures=random.random() < 0.5)
        del one
    if random.random() < 0.2:
        app.processEvents()
say("end")
"""
    )
    ended = run_program(program, env={**os.environ, **CHECKED}, options=("-W", "ignore"))
    assert (ended.code, ended.lines, ended.errors) == (0, ["end"], ""), (seed, ended)
