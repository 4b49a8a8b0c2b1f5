"""Ways out of a program that runs trio: the main function always cleans up, and nothing is written to standard error.

Each program runs in a process of its own, with warnings as errors: "Trio guest run got abandoned" would be one.
"""

from __future__ import annotations

import signal
import sys
import textwrap
from typing import Any

import pytest
from harness import end_program, run_program, start_program

pytest.importorskip("trio")

# The first Qt program under Wine starts Wine's desktop, which keeps the pipes open that it inherits.
pytestmark = pytest.mark.usefixtures("qapp")

PRELUDE = """
import contextlib, gc, os, signal, sys, threading, time
import trio
from qtpy import QtCore
import qtinter
from qtinter.trio import run, using_trio_from_qt
def say(*words):
    print(*words, flush=True)
def after(seconds, function):
    QtCore.QTimer.singleShot(round(seconds * 1000), function)
def interrupt(number=signal.SIGINT):
    "Have the signal sent, by another process if possible."
    if sys.platform == "win32":
        threading.Timer(0.05, signal.raise_signal, [number]).start()
    else:
        threading.Timer(0.05, os.kill, [os.getpid(), number]).start()
async def main():
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(0.005)
            timer = QtCore.QTimer()
            timer.setSingleShot(True)
            timer.start(5)
            await qtinter.asyncsignal(timer.timeout)
        say("cleaned up")
def application():
    if os.environ.get("WIDGETS"):
        from qtpy import QtWidgets
        return QtWidgets.QApplication([])
    return QtCore.QCoreApplication([])
app = application()
"""

# What happens while `main` waits, and how the program ends if nobody catches anything.
CAUSES = {
    "quit": ("after(0.02, app.quit)", 0),
    "exit": ("after(0.02, app.exit)", 0),
    "sys.exit in a slot": ("after(0.02, lambda: sys.exit(3))", 3),
    "sys.exit in an asyncslot": (
        """
        async def leave():
            await trio.sleep(0)
            sys.exit(3)
        after(0.02, qtinter.asyncslot(leave))
        """,
        3,
    ),
}

RUNS = {
    "run": "run(main)",
    "attached": """
        with using_trio_from_qt(main):
            app.exec_()
    """,
    "in a slot": """
        def slot():
            try:
                run(main)
            except SystemExit as error:
                app.exit(error.code)
        after(0, slot)
        sys.exit(app.exec_())
    """,
    "never closed": """
        runner = using_trio_from_qt(main)
        runner.start()
        app.exec_()
    """,
}


def program(*parts: str) -> str:
    """One program from several blocks of code, each indented as it likes."""
    return "\n".join(textwrap.dedent(part).strip("\n") for part in parts)


@pytest.mark.parametrize("how", RUNS)
@pytest.mark.parametrize("cause", CAUSES)
def test_ways_out(cause: str, how: str) -> None:
    """However Qt is left, the main function cleans up, silently; the exit code is that of the cause."""
    code, expected = CAUSES[cause]
    ended = run_program(program(code, RUNS[how]), prelude=PRELUDE)
    if (cause, how) == ("sys.exit in an asyncslot", "never closed"):
        expected = 0  # Nobody is there to raise it.
    assert ended == (expected, ["cleaned up"], "")


@pytest.mark.parametrize("how", ["run", "attached"])
def test_last_window_closed(how: str) -> None:
    """When the last window is closed, the main function cleans up."""
    pytest.importorskip("qtpy.QtWidgets")
    show = """
        from qtpy import QtWidgets
        window = QtWidgets.QWidget()
        window.show()
        after(0.02, window.close)
    """
    ended = run_program(
        program(show, RUNS[how]),
        prelude="import os; os.environ['WIDGETS'] = '1'\n" + PRELUDE,
    )
    assert (ended.code, ended.lines) == (0, ["cleaned up"])
    assert "Trio" not in ended.errors


@pytest.mark.parametrize("how", ["run", "attached"])
@pytest.mark.parametrize(
    ("name", "busy"),
    [
        ("idle", ""),
        (
            "in a busy task",
            """
            inner = main
            async def main():
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(inner)
                    await trio.sleep(0.01)
                    while True:
                        pass
            """,
        ),
        ("in a slot", "after(0.02, lambda: time.sleep(0.2))"),
        (
            "in a slot called by a nested Qt loop of a task",
            """
            inner = main
            async def main():
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(inner)
                    await trio.sleep(0.01)
                    after(0, lambda: time.sleep(0.2))
                    QtCore.QEventLoop().exec_()
            """,
        ),
        (
            "in a nested Qt loop of an asyncslot",
            """
            async def execute():
                QtCore.QEventLoop().exec_()
            after(0.02, qtinter.asyncslot(execute))
            """,
        ),
        (
            "in an asyncslot",
            """
            async def spin():
                while True:
                    time.sleep(0.001)
            after(0.02, qtinter.asyncslot(spin))
            """,
        ),
    ],
)
def test_interrupt(how: str, name: str, busy: str) -> None:
    """After Ctrl-C the main function cleans up; then KeyboardInterrupt is raised, alone or in trio's group."""
    before = """
        def is_interrupt(error):
            parts = getattr(error, "exceptions", ())
            return isinstance(error, KeyboardInterrupt) or any(map(is_interrupt, parts))
        interrupt()
        try:
    """
    after = """
        except BaseException as error:
            say("interrupted" if is_interrupt(error) else repr(error))
        say(signal.getsignal(signal.SIGINT) is signal.default_int_handler, signal.set_wakeup_fd(-1))
    """
    parts = program(busy, before), textwrap.indent(program(RUNS[how]), "    "), program(after)
    ended = run_program("\n".join(parts), prelude=PRELUDE)
    assert ended == (0, ["cleaned up", "interrupted", "True -1"], "")


def test_interrupt_of_a_run_in_a_slot() -> None:
    """Ctrl-C ends a run that a slot has begun, and the dialog that another slot executes meanwhile; Qt is left."""
    ended = run_program(
        """
        def begin():
            try:
                run(main)
            except KeyboardInterrupt:
                say("interrupted")
        def ask():
            interrupt()
            QtCore.QEventLoop().exec_()
            say("dialog left")
        after(0, begin)
        after(0.02, ask)
        say(app.exec_())
        """,
        prelude=PRELUDE,
    )
    assert ended == (0, ["cleaned up", "dialog left", "interrupted", "0"], "")


def test_interrupt_outside() -> None:
    """Attached, before and after Qt runs, Ctrl-C interrupts the program as without us."""
    ended = run_program(
        """
        try:
            with using_trio_from_qt(main):
                after(0.01, app.quit)
                app.exec_()
                interrupt()
                time.sleep(10)
        except KeyboardInterrupt:
            say("interrupted")
        """,
        prelude=PRELUDE,
    )
    assert ended == (0, ["cleaned up", "interrupted"], "")


@pytest.mark.parametrize("how", ["run", "attached"])
def test_main_catches_the_interrupt(how: str) -> None:
    """As in plain trio, the main function may catch KeyboardInterrupt, and go on."""
    code = """
        async def main():
            try:
                await trio.sleep_forever()
            except KeyboardInterrupt:
                say("caught")
            await trio.sleep(0.01)
            say("went on")
            app.quit()
            await trio.sleep_forever()
        interrupt()
    """
    ended = run_program(program(code, RUNS[how]), prelude=PRELUDE)
    assert ended == (0, ["caught", "went on"], "")


@pytest.mark.linux_only
@pytest.mark.parametrize("how", ["run", "attached"])
def test_terminate(how: str) -> None:
    """After SIGTERM the main function cleans up; the exit code is what a shell would report."""
    ended = run_program(program("interrupt(signal.SIGTERM)", RUNS[how]), prelude=PRELUDE)
    assert ended == (128 + signal.SIGTERM, ["cleaned up"], "")


def test_signal_receiver() -> None:
    """trio.open_signal_receiver() works while Qt is idle."""
    ended = run_program(
        """
        async def main():
            with trio.open_signal_receiver(signal.SIGINT) as signals:
                interrupt()
                async for number in signals:
                    return number
        say(run(main) == signal.SIGINT)
        """,
        prelude=PRELUDE,
    )
    assert ended == (0, ["True"], "")


@pytest.mark.parametrize(
    "code",
    [
        "with using_trio_from_qt(main): pass",
        "with using_trio_from_qt(main): app.processEvents()",
        """
        with contextlib.suppress(ZeroDivisionError):
            with using_trio_from_qt(main):
                app.processEvents()
                1 / 0
        """,
        """
        def body():
            with using_trio_from_qt(main):
                yield
        generator = body()
        next(generator)
        app.processEvents()
        del generator
        """,
    ],
    ids=["at once", "begun", "exception", "dropped"],
)
def test_leaving_the_block_early(code: str) -> None:
    """The end of the `with` block is the end of the run, even if Qt's loop was never executed."""
    ended = run_program(program(code, "say('end')"), prelude=PRELUDE)
    assert ended == (0, ["cleaned up", "end"], "")


@pytest.mark.parametrize(
    "code",
    [
        "runner = using_trio_from_qt(main); runner.start()",
        "using_trio_from_qt(main).start()\ngc.collect()",
        "using_trio_from_qt(main).start()\napp.processEvents()\nsys.exit()",
    ],
)
def test_never_closed(code: str) -> None:
    """A run that nobody closes is closed when the interpreter exits."""
    assert run_program(code, prelude=PRELUDE) == (0, ["cleaned up"], "")


def test_application_is_gone() -> None:
    """If the application is deleted first, the run ends without Qt."""
    code = """
        async def main():
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(0.01)
                    say(await trio.to_thread.run_sync(lambda: "a thread"))
        with using_trio_from_qt(main):
            after(0.02, app.quit)
            app.exec_()
            if QtCore.__name__.startswith("PySide") or hasattr(app, "shutdown"):
                app.shutdown() if hasattr(app, "shutdown") else None
            del app
            gc.collect()
            say(QtCore.QCoreApplication.instance() is None)
    """
    assert run_program(code, prelude=PRELUDE) == (0, ["True", "a thread"], "")


def test_exit_in_a_nested_loop_of_a_task() -> None:
    """sys.exit() in a slot that a task's nested Qt loop calls ends the process silently; that task cannot go on."""
    code = """
        async def main():
            after(0.01, lambda: sys.exit(3))
            QtCore.QEventLoop().exec_()
        run(main)
    """
    assert run_program(code, prelude=PRELUDE) == (3, [], "")


@pytest.mark.skipif(sys.platform == "win32", reason="a console is needed there")
def test_two_interrupts() -> None:
    """A second Ctrl-C ends a clean-up that takes too long."""
    process: Any = start_program(
        """
        async def main():
            try:
                say("started")
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    say("cleaning up")
                    await trio.sleep(60)
        try:
            run(main)
        except KeyboardInterrupt:
            say("interrupted")
        """,
        prelude=PRELUDE,
    )
    assert process.stdout.readline() == "started\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "cleaning up\n"
    process.send_signal(signal.SIGINT)
    ended = end_program(process)
    assert (ended.code, ended.lines, ended.errors) == (0, ["interrupted"], "")
