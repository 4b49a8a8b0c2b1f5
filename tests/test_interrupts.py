"""Ctrl-C: real SIGINTs end programs in a process of their own; in this one, what is installed and put back."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
import socket
import sys
import threading
import time
import types

import pytest
import qtpy
from harness import end_program, exec_for, exec_until, run_nested, run_program, start_program
from qtpy import QtCore

import qtinter

APPLICATION = """
app = QtCore.QCoreApplication([])
async def work(name="work"):
    try:
        await asyncio.sleep(30)
    finally:
        await asyncio.sleep(0.001)
        say(name, "cleaned up")
def report(run):
    "Say how long it took to be interrupted."
    try:
        run()
    except KeyboardInterrupt:
        say("KeyboardInterrupt")
"""


def interrupt(code, times=1):
    """Run a program, send it a SIGINT whenever it says so; return its lines. It must end well and silently."""
    process = start_program(APPLICATION + code.replace("\n    ", "\n"))
    lines = []
    for _ in range(times):
        while (line := process.stdout.readline().strip()) not in ("interrupt me", ""):
            lines.append(line)
        if sys.platform != "win32":
            time.sleep(0.03)  # It says so before it waits.
            process.send_signal(signal.SIGINT)
    began = time.monotonic()
    ended = end_program(process)
    assert time.monotonic() - began < 10
    assert (ended.code, ended.errors) == (0, ""), ended
    return lines + ended.lines


@contextlib.contextmanager
def interrupted_run(kind, main):
    """Run `main()` until Ctrl-C ends the run; afterwards its task, the only one, can still be ended."""
    loop = kind.qi()
    task = loop.create_task(main())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    yield
    assert asyncio.all_tasks(loop) == {task}
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()


def called_through(modules, log):
    """A function that interrupts itself, called by functions of these modules, the innermost first."""

    def interrupted():
        signal.raise_signal(signal.SIGINT)
        log.append("went on")

    def call(function):
        function()

    innermost, *callers = ({"__name__": name, "signal": signal} for name in modules)
    function = types.FunctionType(interrupted.__code__, innermost, closure=interrupted.__closure__)
    for names in callers:
        function = functools.partial(types.FunctionType(call.__code__, names), function)
    return function


@pytest.mark.parametrize(
    "modules",
    [["asyncio.events"], ["linecache", "traceback", "asyncio.format_helpers"], ["qtinter._slots"]],
    ids=lambda modules: modules[0],
)
def test_asyncio_itself_is_not_interrupted(kind, modules):
    """Ctrl-C in asyncio's own code loses no handle, so that all tasks can be ended; the run ends all the same."""

    async def main():
        asyncio.get_running_loop().call_soon(called_through(modules, log))
        asyncio.get_running_loop().call_soon(log.append, "next handle")
        await asyncio.sleep(30)

    log = []
    with interrupted_run(kind, main):
        assert log == ["went on", "next handle"]


def test_finalizers_are_not_interrupted(kind):
    """Ctrl-C while an object is finalized is not lost."""

    class Finalized:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)
            log.append("went on")

    async def main():
        Finalized()
        log.append("and on")
        await asyncio.sleep(30)

    log = []
    with interrupted_run(kind, main):
        assert log == ["went on", "and on"]


@pytest.mark.parametrize(
    "modules",
    [["subprocess"], ["linecache", "program"], ["program", "asyncio.tasks"]],
    ids=lambda modules: "-".join(modules),
)
def test_whom_asyncio_calls_is_interrupted(kind, modules):
    """Ctrl-C is raised in code of the program that asyncio calls, and in what that calls."""

    async def main():
        asyncio.get_running_loop().call_soon(called_through(modules, log))
        await asyncio.sleep(30)

    log = []
    with interrupted_run(kind, main):
        assert not log


def test_two_at_once_are_one(kind):
    """Who has started the program may pass on the terminal's signal: the second one ends no slot then."""

    def slot():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        log.append("went on")

    async def main():
        QtCore.QTimer.singleShot(0, slot)
        await asyncio.sleep(30)

    log = []
    with interrupted_run(kind, main):
        assert log == ["went on"]


@pytest.mark.linux_only  # Windows takes milliseconds to notice a signal: there would be few.
@pytest.mark.skipif(qtpy.PYSIDE2, reason="crashes in exec_(), once in some 20,000 runs")
@pytest.mark.parametrize("times", [1, 2])
def test_interrupts_at_any_moment(times):
    """Ctrl-C at any moment: the run ends, and can be followed by another one."""
    ended = run_program(
        APPLICATION
        + f"times = {times}"
        + """
import random
runs = []
is_over = False
may_interrupt = threading.Event()
loop = qtinter.new_event_loop()

def interrupt():
    while not is_over:
        if may_interrupt.wait(0.1):
            may_interrupt.clear()
            for pause in (0.006, 0.0003)[:times]:
                time.sleep(random.random() * pause)
                os.kill(os.getpid(), signal.SIGINT)

async def work():
    await asyncio.sleep(0)
    await asyncio.gather(*(asyncio.sleep(0) for _ in range(3)))

def run_many():
    while len(runs) < 500 and not loop.is_running():
        try:
            runs.append(None)
            loop.run_until_complete(work())
        except RuntimeError as error:  # asyncio's: a callback of an earlier run stops this one.
            assert "stopped before Future completed" in str(error)

def be_interrupted():
    global is_over
    while thread.is_alive():
        try:
            may_interrupt.set()
            run_many()
            is_over = True
            thread.join()
        except KeyboardInterrupt:  # The second one may come here.
            pass

loop.run_until_complete(work())
thread = threading.Thread(target=interrupt)
thread.start()
while thread.is_alive():
    try:
        be_interrupted()
    except KeyboardInterrupt:
        pass
with contextlib.suppress(KeyboardInterrupt):  # One that is still on its way.
    time.sleep(0.1)
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
assert signal.set_wakeup_fd(-1) == -1
while not loop.is_running():  # Or asyncio was interrupted where a run ends, as it may be without Qt.
    with contextlib.suppress(RuntimeError):
        loop.run_until_complete(work())
        break
say("ended")
os._exit(0)
"""
    )
    assert (ended.code, ended.lines) == (0, ["ended"]), ended


# Qt is idle.


def test_idle_nested():
    """Ctrl-C ends asyncio.run() while Qt is idle; tasks clean up."""
    lines = interrupt("""
    async def main():
        interrupt_me()
        await work()
    def run():
        with qtinter.using_qt_from_asyncio():
            asyncio.run(main())
    report(run)
    """)
    assert lines == ["work cleaned up", "KeyboardInterrupt"]


def test_idle_run_forever():
    """Ctrl-C is raised by run_forever() while Qt is idle; the loop can be run again."""
    lines = interrupt("""
    loop = qtinter.new_event_loop()
    loop.call_soon(interrupt_me)
    report(loop.run_forever)
    say(loop.run_until_complete(asyncio.sleep(0.001, "usable")))
    loop.close()
    """)
    assert lines == ["KeyboardInterrupt", "usable"]


@pytest.mark.parametrize("poller", ["", "selectors.SelectSelector()"])
def test_idle_attached(poller):
    """Ctrl-C ends app.exec() while Qt is idle, and is raised by the `with` statement after the clean-up."""
    lines = interrupt(f"""
    def run():
        with qtinter.using_asyncio_from_qt(loop_factory=lambda: qtinter.QiSelectorEventLoop({poller})) as runner:
            task = asyncio.ensure_future(work())
            runner.get_loop().call_later(0.01, interrupt_me)
            app.exec_()
            say("left")
    report(run)
    """)
    assert lines == ["left", "work cleaned up", "KeyboardInterrupt"]


def test_idle_without_tasks():
    """Ctrl-C ends app.exec() although no task exists and no timer is set."""
    lines = interrupt("""
    def run():
        with qtinter.using_asyncio_from_qt():
            QtCore.QTimer.singleShot(0, interrupt_me)
            app.exec_()
    report(run)
    """)
    assert lines == ["KeyboardInterrupt"]


# Somebody has the thread.


def test_busy_callback():
    """Ctrl-C is raised inside a callback that is busy, as in plain asyncio."""
    lines = interrupt("""
    def spin():
        interrupt_me()
        try:
            while True:
                pass
        finally:
            say("out of the callback")
    loop = qtinter.new_event_loop()
    loop.call_soon(spin)
    report(loop.run_forever)
    loop.close()
    """)
    assert lines == ["out of the callback", "KeyboardInterrupt"]


def test_busy_callback_attached():
    """Ctrl-C is raised inside a busy callback of an attached loop, ends app.exec(), and the `with` statement raises it."""
    lines = interrupt("""
    def spin():
        interrupt_me()
        try:
            while True:
                pass
        finally:
            say("out of the callback")
    def run():
        with qtinter.using_asyncio_from_qt() as runner:
            runner.get_loop().call_soon(spin)
            app.exec_()
            say("left")
    report(run)
    """)
    assert lines == ["out of the callback", "left", "KeyboardInterrupt"]


def test_busy_slot():
    """Ctrl-C while a slot of the user is busy does not raise there, where it would be lost or fatal; it ends the run afterwards."""
    lines = interrupt("""
    def slot():
        interrupt_me()
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            pass
        say("slot returns")
    def run():
        with qtinter.using_asyncio_from_qt():
            QtCore.QTimer.singleShot(0, slot)
            app.exec_()
    report(run)
    """)
    assert lines == ["slot returns", "KeyboardInterrupt"]


@pytest.mark.parametrize("mode", ["nested", "attached"])
def test_nested_qt_loop_in_a_coroutine(mode):
    """Ctrl-C ends a QEventLoop that a coroutine executes, and the run."""
    run = {
        "nested": "loop = qtinter.new_event_loop(); task = loop.create_task(dialog()); loop.run_forever()",
        "attached": """
        with qtinter.using_asyncio_from_qt():
            task = asyncio.ensure_future(dialog())
            app.exec_()""",
    }[mode]
    lines = interrupt(f"""
    async def dialog():
        QtCore.QTimer.singleShot(1, interrupt_me)
        QtCore.QEventLoop().exec_()
        say("dialog closed")
    def run():
        {run}
    report(run)
    os._exit(0)
    """)
    assert lines == ["dialog closed", "KeyboardInterrupt"]


def test_before_and_after_exec():
    """Ctrl-C before app.exec() is raised where the program is, as without an attached loop."""
    lines = interrupt("""
    def run():
        with qtinter.using_asyncio_from_qt():
            interrupt_me()
            try:
                time.sleep(10)
            except KeyboardInterrupt:
                say("raised in the body")
                raise
    report(run)
    """)
    assert lines == ["raised in the body", "KeyboardInterrupt"]


@pytest.mark.skipif(
    sys.platform == "win32", reason="only the process itself can interrupt it, once"
)
@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="asyncio.run() handles SIGINT since Python 3.11"
)
def test_second_interrupt():
    """A second Ctrl-C ends a clean-up that takes too long."""
    lines = interrupt(
        """
    async def main():
        try:
            interrupt_me()
            await asyncio.sleep(30)
        finally:
            interrupt_me()
            await asyncio.sleep(30)
    def run():
        with qtinter.using_qt_from_asyncio():
            asyncio.run(main())
    report(run)
    """,
        times=2,
    )
    assert lines == ["KeyboardInterrupt"]


def test_user_handler_is_kept():
    """A handler of the user is called, promptly although Qt is idle, and nothing else happens."""
    lines = interrupt("""
    def handler(number, frame):
        say("handler")
        asyncio.get_running_loop().call_soon(stop.set)
    signal.signal(signal.SIGINT, handler)
    async def main():
        global stop
        stop = asyncio.Event()
        interrupt_me()
        await asyncio.wait_for(stop.wait(), 10)
        say("woken")
    loop = qtinter.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
    say(signal.getsignal(signal.SIGINT) is handler)
    """)
    assert lines == ["handler", "woken", "True"]


def test_handler_that_raises_something_else():
    """What a handler of the user raises ends the run as KeyboardInterrupt would."""
    lines = interrupt("""
    def handler(number, frame):
        raise SystemExit("by handler")
    signal.signal(signal.SIGINT, handler)
    loop = qtinter.new_event_loop()
    loop.call_soon(interrupt_me)
    try:
        loop.run_forever()
    except SystemExit as error:
        say(error)
    loop.close()
    """)
    assert lines == ["by handler"]


@pytest.mark.skipif(
    sys.platform == "win32", reason="asyncio has no add_signal_handler() on Windows"
)
@pytest.mark.parametrize("mode", ["nested", "attached"])
def test_signal_handlers_of_asyncio(mode):
    """add_signal_handler() and remove_signal_handler() of another signal leave Ctrl-C working."""
    run = {
        "nested": "loop = qtinter.new_event_loop(); loop.run_until_complete(main())",
        "attached": """
        with qtinter.using_asyncio_from_qt():
            task = asyncio.ensure_future(main())
            app.exec_()""",
    }[mode]
    lines = interrupt(f"""
    async def main():
        loop = asyncio.get_running_loop()
        got = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, got.set)
        loop.call_later(0.01, os.kill, os.getpid(), signal.SIGUSR1)
        await got.wait()
        loop.remove_signal_handler(signal.SIGUSR1)
        say("SIGUSR1")
        interrupt_me()
        await asyncio.sleep(30)
    def run():
        {run}
    report(run)
    os._exit(0)
    """)
    assert lines == ["SIGUSR1", "KeyboardInterrupt"]


@pytest.mark.skipif(
    sys.platform == "win32", reason="asyncio has no add_signal_handler() on Windows"
)
def test_asyncio_may_handle_sigint():
    """add_signal_handler(SIGINT) takes Ctrl-C over."""
    lines = interrupt("""
    async def main():
        got = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, got.set)
        interrupt_me()
        await asyncio.wait_for(got.wait(), 10)
        say("handled")
    loop = qtinter.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
    """)
    assert lines == ["handled"]


# Qt is called by the code that has attached the loop, without a loop of Qt's.


@pytest.mark.parametrize("selector", ["DefaultSelector", "SelectSelector"])
@pytest.mark.parametrize("state", ["idle", "busy"])
def test_process_events(selector, state):
    """Ctrl-C is raised in code that calls processEvents() for ever; tasks clean up."""
    lines = interrupt(f"""
    flags = getattr(QtCore.QEventLoop, "ProcessEventsFlag", QtCore.QEventLoop).WaitForMoreEvents
    def spin():
        interrupt_me()
        while {state == "busy"}:
            pass
    try:
        with qtinter.QiRunner(
            loop_factory=lambda: qtinter.QiSelectorEventLoop(selectors.{selector}())
        ) as runner:
            task = asyncio.ensure_future(work())
            runner.get_loop().call_later(0.01, spin)
            while True:
                app.processEvents(flags)
    except KeyboardInterrupt:
        say("KeyboardInterrupt")
    """)
    assert lines == ["work cleaned up", "KeyboardInterrupt"]


# What is installed, and put back.


@pytest.fixture
def foreign_fd(qapp):
    """The fd of a socket that somebody else has set as the wake-up fd of the signal module."""
    with socket.socket() as foreign:
        foreign.setblocking(False)
        before = signal.set_wakeup_fd(foreign.fileno())
        yield foreign.fileno()
        assert signal.set_wakeup_fd(before) == foreign.fileno()


def wakeup_fd():
    """The wake-up fd of the signal module."""
    fd = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(fd)
    return fd


def test_foreign_wakeup_fd_is_put_back(kind, foreign_fd):
    """A wake-up fd set by somebody else is replaced while the loop runs, and put back after it."""

    async def main():
        return wakeup_fd()

    loop = kind.qi()
    if wakeup_fd() != foreign_fd:
        loop.close()
        signal.set_wakeup_fd(foreign_fd)
        pytest.skip(
            "asyncio's proactor loop takes the wake-up fd when it is made, and never puts it back"
        )
    assert loop.run_until_complete(main()) not in (-1, foreign_fd)
    assert wakeup_fd() == foreign_fd
    loop.close()
    with qtinter.QiRunner(loop_factory=kind.qi):
        assert wakeup_fd() not in (-1, foreign_fd)
        exec_for(0.001)
    assert wakeup_fd() == foreign_fd


@pytest.mark.linux_only
def test_foreign_wakeup_fd_is_written_to(kind):
    """A wake-up fd set by somebody else is told of signals also while it is replaced."""
    got = []
    handler = signal.signal(signal.SIGUSR1, lambda number, _: got.append(number))
    here, there = socket.socketpair()
    here.setblocking(False)
    there.setblocking(False)
    before = signal.set_wakeup_fd(here.fileno())
    try:
        with qtinter.QiRunner(loop_factory=kind.qi):
            QtCore.QTimer.singleShot(1, lambda: signal.raise_signal(signal.SIGUSR1))
            exec_until(lambda: got)
        assert there.recv(10) == bytes(got)
    finally:
        assert signal.set_wakeup_fd(before) == here.fileno()
        signal.signal(signal.SIGUSR1, handler)
        here.close()
        there.close()


def test_handler_is_put_back(kind):
    """The handler of SIGINT is the same before and after a run."""
    before = signal.getsignal(signal.SIGINT)
    with qtinter.QiRunner(loop_factory=kind.qi):
        assert signal.getsignal(signal.SIGINT) is not before
        exec_for(0.001)
    assert signal.getsignal(signal.SIGINT) is before


def test_handler_installed_meanwhile_stays(kind):
    """A handler that somebody installs during the run is left alone."""

    def handler(number, frame):
        pass

    before = signal.getsignal(signal.SIGINT)
    try:
        with qtinter.QiRunner(loop_factory=kind.qi):
            signal.signal(signal.SIGINT, handler)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_handler_that_closes_the_loop(kind):
    """A handler may close the loop that it interrupts; what it raises then is raised there, as without us."""

    def handler(number, frame):
        runner.close()
        raise KeyError("handler")

    def slot():
        with pytest.raises(KeyError, match="handler"):
            signal.raise_signal(signal.SIGINT)
        log.append("raised in the slot")

    log = []
    before = signal.signal(signal.SIGINT, handler)
    try:
        runner = qtinter.QiRunner(loop_factory=kind.qi)
        runner.start()
        QtCore.QTimer.singleShot(0, slot)
        exec_for(0.01)
        assert log == ["raised in the slot"]
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_handler_of_a_run_that_is_put_back_after_it(kind):
    """Somebody saves our handler during the run, and puts it back later: Ctrl-C works as before the run."""

    async def main():
        return signal.getsignal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    loop = kind.qi()
    ours = loop.run_until_complete(main())
    loop.close()
    assert ours is not before

    async def interrupted():
        QtCore.QTimer.singleShot(1, lambda: signal.raise_signal(signal.SIGINT))
        await asyncio.sleep(30)

    for interrupt in (
        lambda: signal.raise_signal(signal.SIGINT),
        lambda: run_nested(kind.qi, interrupted),
    ):
        signal.signal(signal.SIGINT, ours)
        with pytest.raises(KeyboardInterrupt):
            interrupt()
        assert signal.getsignal(signal.SIGINT) is before


def test_handle_sigint_false(kind):
    """With handle_sigint=False neither the handler nor the wake-up fd is touched by the attached loop."""
    before = signal.getsignal(signal.SIGINT)
    fd = wakeup_fd()
    with qtinter.QiRunner(loop_factory=kind.qi, handle_sigint=False):
        assert signal.getsignal(signal.SIGINT) is before
        if kind.name != "proactor":  # asyncio's own takes the wake-up fd when it is made.
            assert wakeup_fd() == fd
        exec_for(0.001)


def test_other_threads_leave_signals_alone(kind):
    """A loop in another thread than the main one runs without touching signals."""
    before = signal.getsignal(signal.SIGINT)
    seen = []

    async def main():
        await asyncio.sleep(0.001)
        seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run_nested, args=(kind.qi, main))
    thread.start()
    thread.join()
    assert seen == [before]
