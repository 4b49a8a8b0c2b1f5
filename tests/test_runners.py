"""QiRunner and the two context managers: attached mode from start() to close(), nested mode under asyncio.run."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
import warnings

import pytest
from harness import application, exec_for, exec_until, output_of, run_program
from qtpy import QtCore

import qtinter
from qtinter import QiRunner, using_asyncio_from_qt, using_qt_from_asyncio


@pytest.fixture(autouse=True)
def _application(qapp):
    """All of this needs an application."""


# Attached mode: start() to close().


def test_tasks_run_before_around_and_inside_exec(kind):
    """Tasks may be created before app.exec(), by a task, by a slot, and between two app.exec()."""
    log = []

    async def work(name):
        await asyncio.sleep(0.001)
        log.append(name)

    async def parent():
        await asyncio.create_task(work("by a task"))

    with QiRunner(loop_factory=kind.qi):
        tasks = [asyncio.create_task(work("before")), asyncio.create_task(parent())]
        QtCore.QTimer.singleShot(1, lambda: tasks.append(asyncio.create_task(work("by a slot"))))
        exec_until(lambda: len(log) == 3)
        tasks.append(asyncio.create_task(work("between")))
        assert len(log) == 3
        exec_until(lambda: len(log) == 4)
    assert sorted(log) == ["before", "between", "by a slot", "by a task"]


def test_exec_twice(kind):
    """A task goes on from one app.exec() to the next, and stands still in between."""
    count = []

    async def tick():
        while True:
            await asyncio.sleep(0.002)
            count.append(None)

    with QiRunner(loop_factory=kind.qi):
        task = asyncio.ensure_future(tick())
        exec_until(lambda: len(count) >= 3)
        between = len(count)
        time.sleep(0.01)
        assert len(count) == between
        exec_until(lambda: len(count) >= between + 3)
    assert task.cancelled()


def test_exit_code_of_the_application(kind):
    """app.exec() returns the code of app.exit(), called in a task."""

    async def leave():
        application().exit(42)

    with using_asyncio_from_qt(loop_factory=kind.qi):
        task = asyncio.ensure_future(leave())
        assert application().exec_() == 42
        assert task.done()


def test_loop_is_running_while_open(kind):
    """From start() to close() the loop is this thread's running loop; before and after there is none, and get_loop() is an error."""
    runner = QiRunner(loop_factory=kind.qi)
    with pytest.raises(RuntimeError, match="start"):
        runner.get_loop()
    runner.start()
    loop = runner.get_loop()
    assert asyncio.get_running_loop() is loop
    assert loop.is_running()
    runner.close()
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()
    assert loop.is_closed()
    assert not loop.is_running()
    with pytest.raises(RuntimeError, match="start"):
        runner.get_loop()


def test_enter_gives_the_runner():
    """The `with` statement gives the runner; so does using_asyncio_from_qt()."""
    with QiRunner() as runner:
        assert runner.get_loop() is asyncio.get_running_loop()
    with using_asyncio_from_qt() as runner:
        assert isinstance(runner.get_loop(), qtinter.QiDefaultEventLoop)


def test_close_twice():
    """The second close() does nothing; so does close() of a runner that was not started."""
    runner = QiRunner()
    runner.close()
    runner.start()
    runner.close()
    runner.close()


def test_start_twice():
    """start() of a runner that is or was open is an error."""
    runner = QiRunner()
    runner.start()
    with pytest.raises(RuntimeError, match="once"):
        runner.start()
    runner.close()
    with pytest.raises(RuntimeError, match="once"):
        runner.start()


def test_runners_one_after_another(kind):
    """A thread may have any number of runners, one after another."""
    for _ in range(3):
        done = []
        with QiRunner(loop_factory=kind.qi) as runner:
            runner.get_loop().call_soon(done.append, True)
            exec_until(lambda done=done: done)


def test_second_runner_is_refused(kind):
    """A second runner in the thread is an error that says what to do, and the first one is unharmed."""
    with QiRunner(loop_factory=kind.qi) as runner:
        with pytest.raises(RuntimeError, match=r"already running.*create tasks in it"):
            QiRunner(loop_factory=kind.qi).start()
        assert asyncio.get_running_loop() is runner.get_loop()
        done = []
        runner.get_loop().call_soon(done.append, True)
        exec_until(lambda: done)


def test_runner_in_a_running_loop_is_refused():
    """A runner inside asyncio.run() is an error."""

    async def main():
        with pytest.raises(RuntimeError, match="already running"):
            QiRunner().start()

    asyncio.run(main())


def test_foreign_loops_are_refused():
    """A loop_factory that makes a loop of another kind is a TypeError; the loop is closed."""
    loops = []

    def factory():
        loops.append(asyncio.SelectorEventLoop())
        return loops[0]

    with pytest.raises(TypeError, match="not Qt-backed"):
        QiRunner(loop_factory=factory).start()
    assert loops[0].is_closed()


def test_debug_is_passed_on():
    """`debug` sets the loop's debug mode."""
    for debug in (True, False):
        with QiRunner(debug=debug) as runner:
            assert runner.get_loop().get_debug() is debug


def test_body_that_raises(kind):
    """An exception in the `with` statement goes through it, after the clean-up."""
    log = []

    async def work():
        try:
            await asyncio.sleep(30)
        finally:
            log.append("cleaned up")

    def body():
        task = asyncio.ensure_future(work())
        exec_for(0.01)
        assert not task.done()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), QiRunner(loop_factory=kind.qi):
        body()
    assert log == ["cleaned up"]


# Attached mode: close().


@pytest.mark.parametrize("leave", ["exit", "quit"])
def test_close_lets_tasks_clean_up(kind, leave):
    """close() cancels all tasks and waits for what they await in `finally`, Qt-backed things included, after quit() too."""
    log = []

    async def work():
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0.001)
            done = asyncio.get_running_loop().create_future()
            QtCore.QTimer.singleShot(1, lambda: done.set_result("Qt timer"))
            log.append(await done)
            log.append(await asyncio.to_thread(lambda: "thread"))

    with QiRunner(loop_factory=kind.qi):
        task = asyncio.ensure_future(work())
        QtCore.QTimer.singleShot(5, getattr(application(), leave))
        application().exec_()
        assert not task.done()
    assert log == ["Qt timer", "thread"]
    assert task.cancelled()


def test_close_without_exec(kind):
    """close() completes although app.exec() was never called."""
    log = []

    async def work():
        try:
            log.append("started")
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0.001)
            log.append("cleaned up")

    with QiRunner(loop_factory=kind.qi):
        task = asyncio.ensure_future(work())
    assert task.cancelled()
    assert log in ([], ["started", "cleaned up"])


def test_close_waits_for_stubborn_tasks(kind):
    """A task that quits or stops in its clean-up does not end the clean-up."""
    log = []

    async def work():
        try:
            await asyncio.sleep(30)
        finally:
            application().quit()
            asyncio.get_running_loop().stop()
            await asyncio.sleep(0.005)
            application().exit(3)
            await asyncio.sleep(0.005)
            log.append("cleaned up")

    with QiRunner(loop_factory=kind.qi):
        task = asyncio.ensure_future(work())
        exec_for(0.01)
    assert log == ["cleaned up"]
    assert task.cancelled()


def test_close_shuts_down_generators_and_executor(kind):
    """close() closes async generators and waits for the default executor."""
    log = []

    async def numbers():
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0.001)
            log.append("generator")

    async def work():
        kept.append(numbers())
        await kept[0].__anext__()
        asyncio.get_running_loop().run_in_executor(
            None, lambda: (time.sleep(0.02), log.append("executor"))
        )

    kept = []
    with QiRunner(loop_factory=kind.qi):
        task = asyncio.ensure_future(work())
        exec_until(task.done)
    assert sorted(log) == ["executor", "generator"]


def test_errors_during_clean_up_are_reported(kind):
    """A task that answers its cancellation with an error is reported to the exception handler."""
    contexts = []

    async def work():
        try:
            await asyncio.sleep(30)
        finally:
            raise ValueError("in finally")

    with QiRunner(loop_factory=kind.qi) as runner:
        runner.get_loop().set_exception_handler(lambda loop, context: contexts.append(context))
        task = asyncio.ensure_future(work())
        exec_for(0.01)
    assert [repr(context["exception"]) for context in contexts] == ["ValueError('in finally')"]
    assert contexts[0]["task"] is task


def test_shutdown_timeout_names_the_stuck_tasks(kind, caplog):
    """Past shutdown_timeout close() logs the tasks that do not end, by name, and goes on."""
    stop = []

    async def work():
        while not stop:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(30)

    runner = QiRunner(loop_factory=kind.qi, shutdown_timeout=0.05)
    runner.start()
    loop = runner.get_loop()
    task = loop.create_task(work(), name="the stubborn one")
    exec_for(0.01)
    began = time.monotonic()
    with caplog.at_level(logging.ERROR, "qtinter"):
        runner.close()
    assert time.monotonic() - began < 3
    assert "the stubborn one" in caplog.text
    assert loop.is_closed()
    # For pytest: nothing shall be reported when the task is dropped.
    stop.append(True)
    task._log_destroy_pending = False
    task.get_coro().close()


def test_shutdown_timeout_names_the_stuck_generators(kind, caplog):
    """Past shutdown_timeout close() logs the async generators that do not end, cancels them, and goes on."""
    log, kept = [], []

    async def generator():
        try:
            yield
        finally:
            try:
                await asyncio.sleep(30)
            finally:
                log.append("cancelled")

    async def work():
        kept.append(generator())
        async for _ in kept[0]:
            break

    with QiRunner(loop_factory=kind.qi, shutdown_timeout=0.05) as runner:
        task = runner.get_loop().create_task(work())
        exec_until(task.done)
    assert ".generator" in caplog.text
    assert log == ["cancelled"]


@pytest.mark.parametrize("timeout", [None, 0.05])
def test_tasks_that_take_each_others_place(kind, caplog, timeout):
    """A task that is made anew whenever it ends is named, and does not keep close() from ending."""
    tasks = []

    def start(*_):
        if not loop.is_closed():
            tasks.append(loop.create_task(asyncio.sleep(30), name="the next one"))
            tasks[-1].add_done_callback(start)

    with QiRunner(loop_factory=kind.qi, shutdown_timeout=timeout) as runner:
        loop = runner.get_loop()
        start()
        exec_for(0.001)
    assert "the next one" in caplog.text
    for task in tasks:
        task._log_destroy_pending = False


def test_close_in_a_task_is_refused(kind):
    """close() by code that the loop is running is an error that says what to do; the runner stays open."""
    errors = []

    async def work(runner):
        try:
            runner.close()
        except RuntimeError as error:
            errors.append(str(error))

    with QiRunner(loop_factory=kind.qi) as runner:
        task = asyncio.ensure_future(work(runner))
        exec_until(task.done)
        assert asyncio.get_running_loop() is runner.get_loop()
    assert "cannot be closed by code that it is running" in errors[0]


def test_close_in_a_slot(kind):
    """close() in a slot, with app.exec() running, cleans up and leaves app.exec() alone."""
    log = []

    async def work():
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0.001)
            log.append("cleaned up")

    runner = QiRunner(loop_factory=kind.qi)

    def close():
        runner.close()
        log.append("closed")
        QtCore.QTimer.singleShot(5, lambda: (log.append("still in exec"), application().exit(7)))

    runner.start()
    task = runner.get_loop().create_task(work())
    QtCore.QTimer.singleShot(10, close)
    assert application().exec_() == 7
    assert log == ["cleaned up", "closed", "still in exec"]
    assert task.cancelled()


def test_close_in_another_thread_is_refused():
    """close() in another thread than start() is an error."""
    errors = []

    def close():
        try:
            runner.close()
        except RuntimeError as error:
            errors.append(str(error))

    with QiRunner() as runner:
        thread = threading.Thread(target=close)
        thread.start()
        thread.join()
    assert "thread" in errors[0]


def test_close_after_the_application_is_gone():
    """close() completes when there is no QCoreApplication any more: the clean-up runs as plain asyncio."""
    lines = output_of("""
        app = QtCore.QCoreApplication([])
        async def work():
            try:
                await asyncio.sleep(30)
            finally:
                await asyncio.sleep(0.001)
                say("cleaned up")
        runner = qtinter.QiRunner()
        runner.start()
        task = asyncio.ensure_future(work())
        QtCore.QTimer.singleShot(10, app.quit)
        app.exec_()
        if hasattr(app, "shutdown"):
            app.shutdown()  # PySide keeps the object when the last reference is gone.
        del app
        say(QtCore.QCoreApplication.instance() is None)
        runner.close()
        say("closed")
    """)
    assert lines[-2:] == ["cleaned up", "closed"]
    assert lines[0] == "True"


NO_APPLICATION = [
    "qtinter.QiRunner().start()",
    "qtinter.using_asyncio_from_qt().__enter__()",
    "qtinter.using_qt_from_asyncio().__enter__()",
    "qtinter.new_event_loop()",
    "loop = qtinter.QiDefaultEventLoop(); loop.run_forever()",
    "loop = qtinter.QiDefaultEventLoop(); loop.run_until_complete(loop.create_future())",
    "qtinter.QiDefaultEventLoopPolicy().new_event_loop()",
    "qtinter.QiSelectorEventLoopPolicy().new_event_loop()",
]


def test_every_entry_point_needs_an_application():
    """Without an application object every entry point raises a RuntimeError that says what to create."""
    lines = output_of(f"""
        def attempt(code):
            names = {{"qtinter": qtinter}}
            try:
                exec(code, names)
            except RuntimeError as error:
                say(error)
            else:
                say("no error:", code)
            if "loop" in names:
                names["loop"].close()
        for code in {NO_APPLICATION!r}:
            attempt(code)
    """)
    assert len(lines) == len(NO_APPLICATION)
    for line in lines:
        assert "create a QCoreApplication" in line


# Nested mode.


def in_asyncio_run(main):
    """Run `main` as a program that knows nothing of loop factories."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return asyncio.run(main)


def test_asyncio_run_is_backed_by_qt():
    """Under using_qt_from_asyncio() asyncio.run() makes a Qt-backed loop, again and again; Qt timers run."""

    async def main():
        ticked = asyncio.get_running_loop().create_future()
        QtCore.QTimer.singleShot(1, lambda: ticked.set_result(True))
        await ticked
        return type(asyncio.get_running_loop())

    with using_qt_from_asyncio():
        assert [in_asyncio_run(main()) for _ in range(3)] == [qtinter.QiDefaultEventLoop] * 3


@pytest.mark.skipif(not hasattr(asyncio, "Runner"), reason="asyncio.Runner came with Python 3.11")
def test_asyncio_runner_is_backed_by_qt():
    """asyncio.Runner makes a Qt-backed loop under using_qt_from_asyncio(), and with loop_factory without it."""

    async def main():
        await asyncio.sleep(0)
        return type(asyncio.get_running_loop())

    with using_qt_from_asyncio(), asyncio.Runner() as runner:
        assert runner.run(main()) is qtinter.QiDefaultEventLoop
        assert runner.run(main()) is qtinter.QiDefaultEventLoop
    with asyncio.Runner(loop_factory=qtinter.new_event_loop) as runner:
        assert runner.run(main()) is qtinter.QiDefaultEventLoop


def test_new_event_loop_is_backed_by_qt():
    """asyncio.new_event_loop() makes a Qt-backed loop under using_qt_from_asyncio(), and a plain one after it."""
    with using_qt_from_asyncio():
        loop = asyncio.new_event_loop()
        loop.close()
        assert isinstance(loop, qtinter.QiDefaultEventLoop)
    loop = asyncio.new_event_loop()
    loop.close()
    assert not isinstance(loop, qtinter.QiBaseEventLoop)


def test_nothing_is_left_behind():
    """After using_qt_from_asyncio(), left by an exception too, asyncio.run() is plain again, without a warning."""

    async def main():
        return isinstance(asyncio.get_running_loop(), qtinter.QiBaseEventLoop)

    def program():
        with using_qt_from_asyncio():
            assert in_asyncio_run(main())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        program()
    assert not in_asyncio_run(main())


def test_nested_context_managers():
    """using_qt_from_asyncio() inside itself changes nothing."""

    async def main():
        return isinstance(asyncio.get_running_loop(), qtinter.QiBaseEventLoop)

    with using_qt_from_asyncio():
        with using_qt_from_asyncio():
            assert in_asyncio_run(main())
        assert in_asyncio_run(main())


@pytest.mark.parametrize(
    "leave", [lambda: application().exit(3), lambda: QtCore.QCoreApplication.quit()]
)
def test_qt_can_end_a_nested_run(leave):
    """app.exit() and app.quit() end asyncio.run() as stop() would; what the tasks await in `finally` still works, Qt-backed things too."""
    log = []

    async def main():
        try:
            asyncio.get_running_loop().call_later(0.005, leave)
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0.001)
            done = asyncio.get_running_loop().create_future()
            QtCore.QTimer.singleShot(1, lambda: done.set_result("Qt timer"))
            log.append(await done)

    with using_qt_from_asyncio():
        with pytest.raises(RuntimeError, match="Event loop stopped before Future completed"):
            in_asyncio_run(main())
        assert log == ["Qt timer"]
        assert in_asyncio_run(asyncio.sleep(0.001, "usable")) == "usable"


def test_the_application_counts_as_executed(tmp_path, monkeypatch):
    """During a nested run Qt tells of the last window, which does not quit; of quitting only quit() tells."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))  # Qt 5 complains if there is none.
    lines = output_of("""
        from qtpy import QtWidgets
        app = QtWidgets.QApplication([])
        app.aboutToQuit.connect(lambda: say("about to quit"))
        async def main(way):
            window = QtWidgets.QWidget()
            window.show()
            closed = qtinter.asyncsignal(app.lastWindowClosed)
            asyncio.get_running_loop().call_soon(window.close)
            await closed
            say("last window closed")
            await asyncio.sleep(0.01)
            if way == "quit":
                app.quit()
                await asyncio.sleep(30)
            return "result"
        loop = qtinter.new_event_loop()
        say(loop.run_until_complete(main("return")))
        try:
            loop.run_until_complete(main("quit"))
        except RuntimeError as error:
            say(error)
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        say(app.quitOnLastWindowClosed())
    """)
    assert lines == [
        "last window closed",
        "result",
        "last window closed",
        "about to quit",
        "Event loop stopped before Future completed.",
        "True",
    ]


def test_refused_qt_loops_do_not_stop_asyncio():
    """When Qt refuses to execute loops, because of an earlier app.exit(), a nested run works all the same."""

    async def main():
        done = asyncio.get_running_loop().create_future()
        QtCore.QTimer.singleShot(1, lambda: done.set_result("Qt timer"))
        await asyncio.sleep(0.005)
        return await done

    application().exit()
    assert QtCore.QEventLoop().exec_() == -1
    with using_qt_from_asyncio():
        assert in_asyncio_run(main()) == "Qt timer"


def test_nested_run_inside_an_application(kind):
    """run_until_complete() in a slot of a running application executes a nested Qt loop and returns."""
    results = []

    def slot():
        loop = kind.qi()
        results.append(loop.run_until_complete(asyncio.sleep(0.001, "done")))
        loop.close()
        application().exit(5)

    QtCore.QTimer.singleShot(0, slot)
    assert application().exec_() == 5
    assert results == ["done"]


# Programs.


def test_system_exit_is_the_exit_code_of_the_program():
    """sys.exit(42) in a task of an attached loop makes the program end with 42, after the clean-up."""
    ended = run_program("""
        app = QtCore.QCoreApplication([])
        async def other():
            try:
                await asyncio.sleep(30)
            finally:
                await asyncio.sleep(0.001)
                say("cleaned up")
        async def work():
            await asyncio.sleep(0.001)
            sys.exit(42)
        with qtinter.using_asyncio_from_qt():
            tasks = [asyncio.ensure_future(other()), asyncio.ensure_future(work())]
            app.exec_()
    """)
    assert (ended.code, ended.lines) == (42, ["cleaned up"])


def test_a_program_may_forget_to_close():
    """A program that ends with an open runner ends; nothing crashes."""
    ended = run_program("""
        app = QtCore.QCoreApplication([])
        runner = qtinter.QiRunner()
        runner.start()
        QtCore.QTimer.singleShot(10, app.quit)
        app.exec_()
        say("end")
    """)
    assert (ended.code, ended.lines) == (0, ["end"])


EXITS = {
    "attached": """
        runner = qtinter.QiRunner(shutdown_timeout=0.3)
        runner.start()
        task = asyncio.ensure_future(work())
        app.exec_()
    """,
    "attach()": """
        attachment = qtinter.attach(shutdown_timeout=0.3)
        task = attachment.create_task(work())
        app.exec_()
    """,
    "nested": """
        loop = qtinter.new_event_loop()
        loop.run_until_complete(work())
    """,
}


@pytest.mark.parametrize("leave", ["app.quit", "sys.exit"])
@pytest.mark.parametrize("mode", EXITS)
def test_jobs_when_the_process_ends(mode, leave):
    """Tasks that clean up when the process ends may use the executor; a thread that is stuck does not hang it."""
    if mode == "nested" and leave == "app.quit":
        pytest.skip("nobody cleans up then, as in plain asyncio")
    ended = run_program(
        f"""
        app = QtCore.QCoreApplication([])
        def fake_getaddrinfo():
            time.sleep(60)
        async def work():
            run = asyncio.get_running_loop().run_in_executor
            try:
                await asyncio.sleep(30)
            finally:
                say(await run(None, lambda: "cleaned up"))
                {"" if mode == "nested" else "run(None, fake_getaddrinfo)"}
        QtCore.QTimer.singleShot(20, {leave})
        """
        + EXITS[mode]
    )
    assert (ended.code, ended.lines) == (0, ["cleaned up"]), ended
    if mode == "nested":
        assert ended.errors == ""
    else:
        assert "fake_getaddrinfo" in ended.errors
