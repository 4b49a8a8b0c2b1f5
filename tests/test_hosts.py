"""attach(): several users of one loop in an application that executes Qt itself."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import sys
import threading
from pathlib import Path

import pytest
from harness import application, exec_for, exec_until, output_of, run_program
from qtpy import QtCore

import qtinter


@pytest.fixture(autouse=True)
def _application(qapp):
    """All of this needs an application."""


@pytest.fixture(autouse=True)
def _nothing_left():
    """Each test closes its attachments, and with them the loop."""
    yield
    assert asyncio._get_running_loop() is None


async def tick(log, name="tick"):
    """Write to the log every now and then, and when it ends."""
    try:
        while True:
            await asyncio.sleep(0.001)
            log.append(name)
    finally:
        await asyncio.sleep(0.001)
        log.append(f"{name} ended")


def test_tasks_run_in_the_host():
    """A task made before Qt's loop is executed, or by code that Qt called, runs while the host executes Qt."""
    log = []
    with qtinter.attach() as attachment:
        attachment.create_task(tick(log, "before"))
        QtCore.QTimer.singleShot(1, lambda: attachment.create_task(tick(log, "by a slot")))
        exec_until(lambda: {"before", "by a slot"} <= set(log))
    assert {"before ended", "by a slot ended"} <= set(log)


def test_attachments_share_a_loop():
    """All attachments of a thread share one loop; the last one that closes closes it."""
    first, second = qtinter.attach(), qtinter.attach()
    loop = first.get_loop()
    assert second.get_loop() is loop
    first.close()
    assert not loop.is_closed()
    second.close()
    assert loop.is_closed()


def test_close_cancels_only_its_own_tasks():
    """close() ends the tasks of its attachment, awaits included; those of others go on meanwhile and afterwards."""
    log = []
    first, second = qtinter.attach(), qtinter.attach()
    mine = first.create_task(tick(log, "mine"))
    other = second.create_task(tick(log, "other"))
    exec_until(lambda: {"mine", "other"} <= set(log))
    first.close()
    assert mine.cancelled()
    assert not other.done()
    assert "mine ended" in log
    del log[:]
    exec_until(lambda: "other" in log)
    second.close()
    assert other.cancelled()


def test_tasks_of_tasks_belong_to_the_attachment():
    """What a task starts with asyncio.create_task() is cancelled with it."""
    log, children = [], []

    async def parent():
        children.append(asyncio.create_task(tick(log, "child")))

    other = qtinter.attach()
    with qtinter.attach() as attachment:
        attachment.create_task(parent())
        exec_until(lambda: "child" in log)
    assert children[0].cancelled()
    assert "child ended" in log
    other.close()


def test_slots_that_a_task_calls_belong_to_the_attachment():
    """What a task starts with run_task(), or by emitting a signal, is cancelled with it."""
    log = []

    class Sender(QtCore.QObject):
        emitted = (getattr(QtCore, "Signal", None) or QtCore.pyqtSignal)()

    sender = Sender()
    slot = qtinter.asyncslot(lambda: tick(log, "slot"))
    sender.emitted.connect(slot)

    async def parent():
        qtinter.run_task(tick(log, "run_task"))
        sender.emitted.emit()

    other = qtinter.attach()
    with qtinter.attach() as attachment:
        attachment.create_task(parent())
        exec_until(lambda: {"slot", "run_task"} <= set(log))
    assert {"slot ended", "run_task ended"} <= set(log)
    other.close()


def test_slots_that_qt_calls_meanwhile_do_not():
    """What others start while a coroutine of the attachment has a Qt loop open is theirs."""
    log, tasks = [], []
    qt_loop = QtCore.QEventLoop()

    async def dialog():
        (getattr(qt_loop, "exec", None) or qt_loop.exec_)()

    def slot():
        tasks.append(asyncio.ensure_future(tick(log, "create_task")))
        qtinter.run_task(tick(log, "run_task"))
        second.create_task(tick(log, "second"))
        qt_loop.exit()

    first, second = qtinter.attach(), qtinter.attach()
    task = first.create_task(dialog())
    QtCore.QTimer.singleShot(20, slot)
    exec_until(task.done)
    first.close()
    del log[:]
    exec_until(lambda: {"create_task", "run_task", "second"} <= set(log))
    second.close()


def test_a_task_factory_set_meanwhile():
    """Tasks are those of the attachment whatever task factory the loop is given, which stays in place."""
    log = []

    def make_task(loop, coro, **keywords):
        return asyncio.Task(coro, loop=loop, **keywords)

    async def parent():
        await asyncio.gather(tick(log, "parent"), tick(log, "child"))

    first, second = qtinter.attach(), qtinter.attach()
    first.get_loop().set_task_factory(make_task)
    first.create_task(parent())
    exec_until(lambda: {"parent", "child"} <= set(log))
    first.close()
    assert {"parent ended", "child ended"} <= set(log)
    assert second.get_loop().get_task_factory() is make_task
    second.close()


def test_close_in_a_slot():
    """close() may be called by code that Qt called, and the host goes on."""
    log = []
    attachment = qtinter.attach()
    attachment.create_task(tick(log))
    QtCore.QTimer.singleShot(20, attachment.close)
    QtCore.QTimer.singleShot(60, lambda: application().exit(7))
    assert application().exec_() == 7
    assert log[-1] == "tick ended"


def test_the_host_is_left_during_close():
    """If the host leaves its loop while close() waits, the tasks finish all the same, and the exit code is the host's."""
    log = []

    async def work():
        try:
            await asyncio.sleep(30)
        finally:
            application().exit(7)
            await asyncio.sleep(0.02)
            log.append("cleaned up")

    attachment = qtinter.attach()
    attachment.create_task(work())
    QtCore.QTimer.singleShot(10, attachment.close)
    assert application().exec_() == 7
    assert log == ["cleaned up"]


def test_close_while_another_has_a_dialog_open():
    """close() works while a coroutine of somebody else blocks in a nested Qt loop, and is refused to that coroutine's attachment."""
    log, errors = [], []
    first, second = qtinter.attach(), qtinter.attach()
    qt_loop = QtCore.QEventLoop()

    async def dialog():
        (getattr(qt_loop, "exec", None) or qt_loop.exec_)()
        log.append("dialog closed")

    def close():
        first.close()
        try:
            second.close()
        except RuntimeError as error:
            errors.append(str(error))
        qt_loop.exit()

    first.create_task(tick(log))
    second.create_task(dialog())
    QtCore.QTimer.singleShot(20, close)
    exec_until(lambda: "dialog closed" in log)
    assert "tick ended" in log
    assert "close it in a slot" in errors[0]
    second.close()


def test_use_after_close():
    """A closed attachment refuses tasks, and says what to do; closing it again does nothing."""
    attachment = qtinter.attach()
    attachment.close()
    attachment.close()
    with pytest.raises(RuntimeError, match="attach"):
        attachment.create_task(tick([]))
    with pytest.raises(RuntimeError, match="attach"):
        attachment.get_loop()


def test_use_after_the_runner_is_closed():
    """An attachment whose QiRunner is closed refuses tasks in the same way, and can be closed."""
    with qtinter.QiRunner():
        attachment = qtinter.attach()
    with pytest.raises(RuntimeError, match="attach"):
        attachment.create_task(tick([]))
    attachment.close()


@pytest.mark.parametrize("has_other", [False, True], ids=["alone", "beside another loop"])
def test_attach_while_the_last_one_is_closing(has_other):
    """Who attaches while the last attachment is closing, and waits for its executor, gets a loop that stays open."""
    log, late = [], []

    def attach():
        late.append(qtinter.attach())
        late[0].create_task(tick(log, "late"))

    def job():
        begun.set()
        done.wait(5)

    def use():
        first = qtinter.attach()
        loop = first.get_loop()
        loop.run_in_executor(None, job)
        begun.wait(5)
        QtCore.QTimer.singleShot(5, attach)
        QtCore.QTimer.singleShot(20, done.set)
        first.close()
        assert loop.is_closed()
        del log[:]
        exec_until(lambda: log)
        late[0].close()
        assert log[-1] == "late ended"

    async def shell():
        use()

    begun, done = threading.Event(), threading.Event()
    if has_other:
        plain = asyncio.SelectorEventLoop()
        plain.run_until_complete(shell())
        plain.close()
    else:
        use()


def test_close_in_another_thread_is_refused():
    """close() belongs to the thread of attach()."""
    attachment = qtinter.attach()
    errors = []

    def close():
        try:
            attachment.close()
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=close)
    thread.start()
    thread.join()
    assert "thread of attach" in str(errors[0])
    attachment.close()


def test_stuck_tasks_do_not_hang_the_host(caplog):
    """Past shutdown_timeout close() names the tasks that do not end, and goes on."""
    stop = []

    async def stubborn():
        while not stop:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(30)

    other = qtinter.attach()
    attachment = qtinter.attach(shutdown_timeout=0.02)
    task = attachment.create_task(stubborn(), name="the stubborn one")
    exec_for(0.005)
    attachment.close()
    assert "the stubborn one" in caplog.text
    stop.append(True)
    task.cancel()
    exec_until(task.done)
    other.close()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_the_host_is_not_ended(error):
    """KeyboardInterrupt, SystemExit and stop() neither end the host nor the loop; the errors are reported."""
    log, reports = [], []

    async def fail():
        raise error

    with qtinter.attach() as attachment:
        loop = attachment.get_loop()
        loop.set_exception_handler(lambda _, context: reports.append(context))
        attachment.create_task(tick(log))
        failing = attachment.create_task(fail())
        loop.call_soon(loop.stop)
        exec_until(lambda: reports)
        del log[:]
        exec_until(lambda: log)
        assert isinstance(reports[0]["exception"], error)
        assert isinstance(failing.exception(), error)


def test_inside_a_runner():
    """Where a QiRunner is open, its loop is used and left open."""
    log = []
    with qtinter.QiRunner() as runner:
        with qtinter.attach() as attachment:
            assert attachment.get_loop() is runner.get_loop()
            attachment.create_task(tick(log))
            exec_until(lambda: log)
        assert log[-1] == "tick ended"
        assert runner.get_loop().get_task_factory() is None
        done = []
        runner.get_loop().call_soon(done.append, True)
        exec_until(lambda: done)


def test_beside_another_loop():
    """Inside another loop that executes Qt, as IPython's does, each is the running one while it runs something."""
    seen = []

    async def work():
        await asyncio.sleep(0.001)
        seen.append(asyncio.get_running_loop())
        seen.append(asyncio.current_task())

    async def shell():
        attachment = qtinter.attach()
        task = attachment.create_task(work())
        exec_until(task.done)
        assert seen == [attachment.get_loop(), task]
        assert asyncio.get_running_loop() is plain
        assert asyncio.current_task() is not task
        await asyncio.sleep(0)
        attachment.close()
        return "end"

    plain = asyncio.SelectorEventLoop()
    assert plain.run_until_complete(shell()) == "end"
    plain.close()


@pytest.mark.parametrize("has_other", [False, True], ids=["alone", "beside another loop"])
def test_adaptors_in_a_host(has_other):
    """Slots, signals, run_task() and modal() find the loop of the thread's attachments, whichever loop is running."""
    log = []
    senders = [QtCore.QTimer() for _ in range(3)]
    for sender in senders:
        sender.setSingleShot(True)

    async def slot():
        log.append(asyncio.get_running_loop())
        await qtinter.asyncsignal(senders[1].timeout)
        log.append(await qtinter.modal(lambda: "modal")())
        await qtinter.run_task(asyncio.sleep(0.001))
        log.append(asyncio.get_running_loop())

    def execute():
        with qtinter.attach() as attachment:
            senders[0].timeout.connect(qtinter.asyncslot(slot))
            senders[0].start(1)
            exec_until(lambda: log)
            senders[1].start(1)
            exec_until(lambda: len(log) == 3)
            task = qtinter.run_task(asyncio.sleep(0.001, "done"))
            exec_until(task.done)
            loop = attachment.get_loop()
            assert (log, task.result()) == ([loop, "modal", loop], "done")

    async def shell():
        execute()
        assert asyncio.get_running_loop() is plain

    if has_other:
        plain = asyncio.SelectorEventLoop()
        plain.run_until_complete(shell())
        plain.close()
    else:
        execute()


def test_other_loops_may_run_between():
    """With no Qt loop executed and none of its slices run, attach() leaves the thread to other loops."""
    attachment = qtinter.attach()
    plain = asyncio.SelectorEventLoop()
    assert plain.run_until_complete(asyncio.sleep(0, "result")) == "result"
    plain.close()
    attachment.close()


def test_two_copies_of_the_package(tmp_path):
    """Two plugins that ship a copy of the package each do not disturb each other."""
    package = Path(qtinter.__file__).parent
    spec = importlib.util.spec_from_file_location(
        "vendored_qtinter", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    copy = importlib.util.module_from_spec(spec)
    sys.modules["vendored_qtinter"] = copy
    try:
        spec.loader.exec_module(copy)
        log = []
        first, second = qtinter.attach(), copy.attach()
        assert first.get_loop() is not second.get_loop()
        first.create_task(tick(log, "first"))
        second.create_task(tick(log, "second"))
        exec_until(lambda: {"first", "second"} <= set(log))
        second.close()
        del log[:]
        exec_until(lambda: "first" in log)
        first.close()
        assert log[-1] == "first ended"
    finally:
        for name in [name for name in sys.modules if name.startswith("vendored_qtinter")]:
            del sys.modules[name]


def test_in_a_thread():
    """Each thread that executes Qt has attachments and a loop of its own."""
    log = []
    here = qtinter.attach()

    def run():
        qt_loop = QtCore.QEventLoop()
        with qtinter.attach() as attachment:
            assert attachment.get_loop() is not here.get_loop()
            attachment.create_task(tick(log))
            QtCore.QTimer.singleShot(50, qt_loop.exit)
            (getattr(qt_loop, "exec", None) or qt_loop.exec_)()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert log[-1] == "tick ended"
    here.close()


def test_a_host_that_ends_without_close():
    """Tasks of an attachment that nobody closed clean up when the process ends, before or after the application."""
    for last in ("", "del app"):
        lines = output_of(f"""
            app = QtCore.QCoreApplication([])
            async def work():
                try:
                    await asyncio.sleep(30)
                finally:
                    await asyncio.sleep(0.01)
                    say("cleaned up")
            attachment = qtinter.attach()
            attachment.create_task(work())
            QtCore.QTimer.singleShot(20, lambda: app.exit())
            app.exec_()
            say("end")
            {last}
        """)
        assert lines == ["end", "cleaned up"]


def test_another_application_object():
    """An attachment that outlives its application is closed, tasks and all, in the next one, which others use."""
    lines = output_of("""
        import gc
        async def work(name, seconds=30):
            try:
                await asyncio.sleep(seconds)
            finally:
                await asyncio.sleep(0.01)
                say(name)
        app = QtCore.QCoreApplication([])
        first = qtinter.attach()
        first.create_task(work("first"))
        QtCore.QTimer.singleShot(20, app.exit)
        app.exec_()
        if hasattr(app, "shutdown"):
            app.shutdown()
        app = None
        gc.collect()
        app = QtCore.QCoreApplication([])
        second = qtinter.attach()
        second.create_task(work("second", 0)).add_done_callback(lambda _: app.exit())
        app.exec_()
        first.close()
        second.create_task(work("third"))
        QtCore.QTimer.singleShot(20, app.exit)
        app.exec_()
        second.close()
        say("end")
    """)
    assert lines == ["second", "first", "third", "end"]


def test_ctrl_c_reaches_the_hosts_handler():
    """A Python handler of the host is called while Qt is idle, and a foreign wake-up fd stays in place."""
    ended = run_program("""
        app = QtCore.QCoreApplication([])
        signal.signal(signal.SIGINT, lambda *_: (say("handled"), app.exit(5)))
        attachment = qtinter.attach()
        threading.Timer(0.1, signal.raise_signal, [signal.SIGINT]).start()
        code = app.exec_()
        attachment.close()
        sys.exit(code)
    """)
    assert (ended.code, ended.lines, ended.errors) == (5, ["handled"], "")


def test_needs_an_application():
    """Without an application attach() says what to do."""
    lines = output_of("""
        try:
            qtinter.attach()
        except RuntimeError as error:
            say(error)
    """)
    assert "attach() needs an application object" in lines[0]
