"""run(): a whole program in one call."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading

import pytest
from harness import application, exec_for, output_of, run_program
from qtpy import QtCore

import qtinter

# What a program does at its end, in a process of its own.
WORK = """
    app = QtCore.QCoreApplication([])
    async def clean_up():
        await asyncio.sleep(0.01)
        timer = QtCore.QTimer()
        timer.setSingleShot(True)
        timeout = qtinter.asyncsignal(timer.timeout)
        timer.start(5)
        await timeout
        say("cleaned up")
    async def work():
        try:
            await asyncio.sleep(30)
        finally:
            await clean_up()
"""


@pytest.fixture
def about_to_quit(qapp):
    """How often the application has said that it quits."""
    log = []

    def note():
        log.append(None)

    qapp.aboutToQuit.connect(note)
    yield log
    qapp.aboutToQuit.disconnect(note)


def test_result_of_main(qapp, kind):
    """run() returns what the coroutine returns, as asyncio.run() does, on a loop of the factory's."""
    loops = []

    def factory():
        loops.append(kind.qi())
        return loops[0]

    async def main():
        await asyncio.sleep(0.001)
        return asyncio.get_running_loop()

    assert qtinter.run(main(), loop_factory=factory) is loops[0]
    assert loops[0].is_closed()
    assert asyncio._get_running_loop() is None


def test_error_of_main(qapp):
    """An exception of the coroutine is raised, after all other tasks have been cancelled and have cleaned up."""
    log = []

    async def other():
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0.001)
            log.append("cleaned up")

    async def main():
        task = asyncio.ensure_future(other())
        await asyncio.sleep(0)
        raise ZeroDivisionError(task)

    with pytest.raises(ZeroDivisionError):
        qtinter.run(main())
    assert log == ["cleaned up"]


def test_main_that_cancels_itself(qapp):
    """A coroutine that ends by a CancelledError of its own raises it, as in asyncio.run()."""

    async def main():
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        qtinter.run(main())


def test_without_main(qapp):
    """Without a coroutine run() returns the exit code of the application; tasks are started by slots."""
    log = []

    async def work():
        await asyncio.sleep(0.001)
        log.append("worked")
        application().exit(7)

    QtCore.QTimer.singleShot(1, qtinter.asyncslot(work))
    assert qtinter.run() == 7
    assert log == ["worked"]


@pytest.mark.parametrize("leave", ["quit", "exit"])
def test_quitting_cancels_main(qapp, leave):
    """app.quit() and app.exit() cancel the coroutine, which cleans up while its helpers still work; run() returns None."""
    log = []

    async def helper(queue):
        while True:
            (await queue.get()).set_result("helped")

    async def main():
        queue = asyncio.Queue()
        task = asyncio.ensure_future(helper(queue))
        QtCore.QTimer.singleShot(5, getattr(application(), leave))
        try:
            await asyncio.sleep(30)
        finally:
            future = asyncio.get_running_loop().create_future()
            await queue.put(future)
            log.append(await future)
            log.append(task.done())

    assert qtinter.run(main()) is None
    assert log == ["helped", False]


def test_main_that_refuses(qapp):
    """A coroutine that does not let itself be cancelled is waited for, and its result returned."""

    async def main():
        QtCore.QTimer.singleShot(5, application().quit)
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            await asyncio.sleep(0.001)
            return "finished"

    assert qtinter.run(main()) == "finished"


def test_exit_codes_are_kept(qapp):
    """app.exit(n) cancels the coroutine, and its code is that of the SystemExit that run() raises."""

    async def main():
        application().exit(3)
        await asyncio.sleep(30)

    with pytest.raises(SystemExit) as info:
        qtinter.run(main())
    assert info.value.code == 3


@pytest.mark.parametrize("outcome", ["returns", "is cancelled and returns"])
def test_exit_codes_are_kept_whatever_main_does(qapp, outcome):
    """The code of app.exit(n) is kept if the coroutine ends in the same moment, or swallows its cancellation."""

    async def main():
        application().exit(3)
        if outcome != "returns":
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(30)

    with pytest.raises(SystemExit) as info:
        qtinter.run(main())
    assert info.value.code == 3


def test_error_of_main_that_exits(qapp):
    """An exception of a coroutine that has called app.exit(n) is raised: nothing is lost."""

    async def main():
        application().exit(3)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        qtinter.run(main())


def test_keep_running(qapp):
    """With keep_running, run() goes on when the coroutine is done, until the application quits, and returns its result."""
    log = []

    async def main():
        QtCore.QTimer.singleShot(30, lambda: (log.append("quit"), application().quit()))
        return "result"

    assert qtinter.run(main(), keep_running=True) == "result"
    assert log == ["quit"]


def test_keep_running_after_an_error(qapp):
    """An exception ends the run, also with keep_running: nothing is lost."""

    async def main():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        qtinter.run(main(), keep_running=True)


def test_one_run_after_another(qapp, about_to_quit):
    """quit_qapp=False: the application has not quit when the coroutine is done; otherwise it says so."""

    async def main():
        await asyncio.sleep(0.001)
        return "result"

    for _ in range(3):
        assert qtinter.run(main(), quit_qapp=False) == "result"
    assert about_to_quit == []
    assert qtinter.run(main()) == "result"
    assert about_to_quit == [None]
    assert qtinter.run(main()) == "result"
    exec_for(0.001)


def test_stuck_main(qapp, caplog):
    """Past shutdown_timeout the coroutine that does not end is named, and run() returns."""
    stop = []
    tasks = []

    async def main():
        tasks.append(asyncio.current_task())
        tasks[0].set_name("the stubborn one")
        application().exit()
        while not stop:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(30)

    assert qtinter.run(main(), shutdown_timeout=0.02) is None
    assert "the stubborn one" in caplog.text
    stop.append(True)
    tasks[0]._log_destroy_pending = False


def test_stuck_main_leaves_time_to_others(qapp, caplog):
    """If the coroutine does not end, the other tasks still have time to clean up."""
    log, stop, tasks = [], [], []

    async def other():
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0.02)
            log.append("cleaned up")

    async def main():
        tasks.append(asyncio.current_task())
        tasks[0].set_name("the stubborn one")
        tasks.append(asyncio.ensure_future(other()))
        QtCore.QTimer.singleShot(1, application().exit)
        while not stop:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(30)

    assert qtinter.run(main(), shutdown_timeout=1) is None
    assert log == ["cleaned up"]
    assert "the stubborn one" in caplog.text
    stop.append(True)
    tasks[0]._log_destroy_pending = False


def test_stuck_executor_thread():
    """A thread that is stuck hangs neither run() nor the end of the process; it is named."""
    ended = run_program("""
        app = QtCore.QCoreApplication([])
        def fake_getaddrinfo():
            time.sleep(60)
        async def main():
            asyncio.get_running_loop().run_in_executor(None, fake_getaddrinfo)
            await asyncio.sleep(0.05)
            return "result"
        say(qtinter.run(main(), shutdown_timeout=0.1))
    """)
    assert (ended.code, ended.lines) == (0, ["result"])
    assert "fake_getaddrinfo" in ended.errors


def test_misuse(qapp):
    """What is no coroutine, another loop, and a Qt loop that is executed already are errors that say what to do."""

    async def main():
        """Never run."""

    with pytest.raises(TypeError, match="call the coroutine function"):
        qtinter.run(main)
    with qtinter.QiRunner(), pytest.raises(RuntimeError, match="already running"):
        qtinter.run(main())
    errors = []

    def slot():
        try:
            qtinter.run(main())
        except RuntimeError as error:
            errors.append(str(error))

    QtCore.QTimer.singleShot(0, slot)
    exec_for(0.01)
    assert "attach()" in errors[0]


def test_needs_an_application():
    """run() makes no application, and closes the coroutine that it cannot run."""
    lines = output_of("""
        async def main():
            pass
        try:
            qtinter.run(main())
        except RuntimeError as error:
            say(error)
    """)
    assert "run() needs an application object" in lines[0]


def test_in_a_thread(qapp):
    """run() works in a thread, whose Qt loop it executes."""
    results = []

    async def main():
        await asyncio.sleep(0.001)
        return QtCore.QThread.currentThread() == application().thread()

    thread = threading.Thread(target=lambda: results.append(qtinter.run(main())))
    thread.start()
    thread.join(10)
    assert results == [False]


def test_last_window_closed(tmp_path, monkeypatch):
    """Closing the last window cancels the coroutine."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))  # Qt 5 complains if there is none.
    lines = output_of(
        WORK.replace("QtCore.QCoreApplication", "QtWidgets.QApplication").replace(
            "    app =", "    from qtpy import QtWidgets\n    app =", 1
        )
        + """
    window = QtWidgets.QWidget()
    window.show()
    QtCore.QTimer.singleShot(50, window.close)
    say(qtinter.run(work()))
    """
    )
    assert lines == ["cleaned up", "None"]


@pytest.mark.linux_only  # Somebody else has to send them.
@pytest.mark.parametrize(
    ("name", "outcome"), [("SIGINT", "KeyboardInterrupt()"), ("SIGTERM", "None")]
)
def test_signals(name, outcome):
    """SIGINT and SIGTERM cancel the coroutine while Qt is idle, and it cleans up."""
    lines = output_of(
        WORK
        + f"""
    threading.Timer(0.1, os.kill, [os.getpid(), signal.{name}]).start()
    try:
        outcome = qtinter.run(work())
    except KeyboardInterrupt as error:
        outcome = error
    say(repr(outcome))
    """
    )
    assert lines == ["cleaned up", outcome]


@pytest.mark.parametrize(
    ("name", "outcome"), [("SIGINT", "KeyboardInterrupt()"), ("SIGTERM", "None")]
)
def test_early_signals(name, outcome):
    """A signal that comes before there is a loop is not forgotten."""
    lines = output_of(
        WORK
        + f"""
    def factory():
        signal.raise_signal(signal.{name})
        return qtinter.new_event_loop()
    try:
        outcome = qtinter.run(work(), loop_factory=factory)
    except KeyboardInterrupt as error:
        outcome = error
    say(repr(outcome))
    """
    )
    assert lines == ["cleaned up", outcome]


def test_handlers_are_put_back(qapp):
    """After the run the handlers of SIGINT and SIGTERM are those from before; the user's own are never replaced."""

    async def main():
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(0.001)
        return "result"

    calls = []

    def handler(*_):
        calls.append(None)

    interrupt = signal.getsignal(signal.SIGINT)
    before = signal.signal(signal.SIGTERM, handler)
    try:
        assert qtinter.run(main()) == "result"
        assert calls == [None]
        assert signal.getsignal(signal.SIGTERM) is handler
        assert signal.getsignal(signal.SIGINT) is interrupt
    finally:
        signal.signal(signal.SIGTERM, before)


def test_sys_exit_in_a_slot():
    """sys.exit() in a plain slot ends the process where it is; tasks clean up all the same, and the code is kept."""
    for start in (
        "qtinter.run(work())",
        "runner = qtinter.QiRunner(); runner.start(); runner.get_loop().create_task(work()); app.exec_()",
        "loop = qtinter.new_event_loop(); loop.run_until_complete(work())",
    ):
        ended = run_program(
            WORK
            + f"""
    QtCore.QTimer.singleShot(50, lambda: sys.exit(6))
    {start}
    """
        )
        assert (ended.code, ended.lines, ended.errors) == (6, ["cleaned up"], "")
