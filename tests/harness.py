"""The kinds of loops that the tests run over, and the ways to run a coroutine function on them.

What plain asyncio cannot do on Windows, tests skip there with a reason. In short:

    both loops      Unix sockets, pipes as streams, add_signal_handler(), child watchers
    proactor        add_reader(), add_writer(); it takes the wake-up fd of signals when it is made and never gives it back
    selector        subprocesses

And under Wine, where the tests of Windows run on Linux:

    selector        a connection that is reset looks like an ordinary end
    signals         SIGINT comes from the process itself, once: nobody else can send it to one process alone
    QT_API          variables called QT_* come from the registry, a program cannot be given others
    subprocesses    rarely, under load, one cannot be started (WinError 1359), with any loop
    pipes           see conftest.py, `_clean`
"""

from __future__ import annotations

import asyncio
import gc
import selectors
import subprocess
import sys
import textwrap
from typing import Any, Callable, NamedTuple

from qtpy import QtCore

import qtinter


class Kind(NamedTuple):
    """A Qt-backed loop, and asyncio's own loop that it should behave as."""

    name: str
    qi: Callable[[], Any]
    plain: Callable[[], Any]


if sys.platform == "win32":
    KINDS = [
        Kind("proactor", qtinter.QiProactorEventLoop, asyncio.ProactorEventLoop),
        Kind("select", qtinter.QiSelectorEventLoop, asyncio.SelectorEventLoop),
    ]
else:
    KINDS = [Kind("notifier", qtinter.QiSelectorEventLoop, asyncio.SelectorEventLoop)] + [
        Kind(
            name,
            lambda selector=selector: qtinter.QiSelectorEventLoop(selector()),
            lambda selector=selector: asyncio.SelectorEventLoop(selector()),
        )
        for name, selector in (
            ("select", selectors.SelectSelector),
            ("poll", selectors.PollSelector),
        )
    ]

DEFAULT_KIND = KINDS[0]


def application() -> Any:
    """The application object."""
    return QtCore.QCoreApplication.instance()


# Ways to run `main()`, each with a loop of its own.


def run_nested(factory: Callable[[], Any], main: Callable[[], Any]) -> Any:
    """As asyncio.run(main(), loop_factory=factory), on any Python; with plain factories too."""
    if sys.version_info >= (3, 11):
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(main())
    loop = factory()
    try:
        return loop.run_until_complete(main())
    finally:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def run_attached(factory: Callable[[], Any], main: Callable[[], Any]) -> Any:
    """Attached around app.exec()."""
    with qtinter.QiRunner(loop_factory=factory) as runner:
        task = runner.get_loop().create_task(main())
        task.add_done_callback(lambda _: application().exit())
        application().exec_()
        return task.result()


def run_watched(main: Callable[[], Any]) -> Any:
    """Attached, with the default loop; what reaches its exception handler is a failure."""

    async def watched() -> Any:
        reports: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
        result = await main()
        gc.collect()
        assert reports == []
        return result

    return run_attached(qtinter.new_event_loop, watched)


def run_hosted(factory: Callable[[], Any], main: Callable[[], Any]) -> Any:
    """Attached and closed by slots of an application that is running already."""
    runner = qtinter.QiRunner(loop_factory=factory)
    tasks, errors = [], []

    def start() -> None:
        runner.start()
        tasks.append(runner.get_loop().create_task(main()))
        tasks[0].add_done_callback(
            lambda _: QtCore.QTimer.singleShot(0, slot(runner.close, finally_=application().exit))
        )

    def slot(
        function: Callable[[], None], finally_: Callable[[], None] = lambda: None
    ) -> Callable[[], None]:
        def guarded() -> None:
            try:
                function()
            except BaseException as error:
                errors.append(error)
                application().exit()
            finally:
                finally_()

        return guarded

    QtCore.QTimer.singleShot(0, slot(start))
    try:
        application().exec_()
    finally:
        runner.close()  # Nothing to do, unless something has gone wrong.
    if errors:
        raise errors[0]
    return tasks[0].result()


MODES = {"nested": run_nested, "attached": run_attached, "hosted": run_hosted}


# Qt by hand.


def exec_for(seconds: float) -> int:
    """Execute the application's loop for a while, unless something ends it earlier."""
    timer = QtCore.QTimer()
    timer.setSingleShot(True)
    timer.timeout.connect(application().exit)
    timer.start(round(seconds * 1000))
    try:
        return application().exec_()
    finally:
        timer.stop()


def exec_until(condition: Callable[[], object], limit: float = 5) -> None:
    """Execute the application's loop until `condition()`; fail if that takes longer than `limit` seconds.

    It is looked at by a Qt timer, which wakes Qt but not asyncio.
    """
    timer = QtCore.QTimer()
    timer.timeout.connect(lambda: application().exit() if condition() else None)
    timer.start(5)
    try:
        exec_for(limit)
    finally:
        timer.stop()
    assert condition(), f"has not happened in {limit} s"


# Programs in a process of their own.

PRELUDE = """
import asyncio, contextlib, os, selectors, signal, sys, threading, time
from qtpy import QtCore
import qtinter
def say(*words):
    print(*words, flush=True)
def interrupt_me():
    "Say that SIGINT may come."
    say("interrupt me")
    if sys.platform == "win32":  # Nobody else can send it to this process alone.
        threading.Timer(0.05, signal.raise_signal, [signal.SIGINT]).start()
"""


class Ended(NamedTuple):
    """How a program has ended."""

    code: int
    lines: list[str]
    errors: str


def start_program(
    code: str, *, prelude: str = PRELUDE, options: tuple[str, ...] = (), **keywords: Any
) -> Any:
    """Start a program; its warnings are errors."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", *options, "-c", prelude + textwrap.dedent(code)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **keywords,
    )


def end_program(process: Any) -> Ended:
    """Wait for a program."""
    try:
        output, errors = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
        raise AssertionError(f"the program hangs; it has written:\n{output}\n{errors}") from None
    return Ended(process.returncode, output.splitlines(), errors)


def run_program(code: str, **keywords: Any) -> Ended:
    """Run a program to its end."""
    return end_program(start_program(code, **keywords))


def output_of(code: str, **keywords: Any) -> list[str]:
    """Return the lines that a program writes; it must end well and silently."""
    ended = run_program(code, **keywords)
    assert (ended.code, ended.errors) == (0, ""), ended
    return ended.lines
