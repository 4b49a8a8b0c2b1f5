"""A small application that is ended in a given way: `python program.py WAY MODE`.

Three tasks are at work when the end comes. Each waits for something in its `finally` block, and
says so when that is done. What should become of them, and of the program, is in expected.md.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Callable

import qtpy
from qtpy import QtCore, QtWidgets

import qtinter

WAY, MODE = sys.argv[1:]

app: Any = QtWidgets.QApplication(sys.argv[:1])
window: Any = QtWidgets.QWidget()
window.show()


def say(*words: object) -> None:
    print(*words, flush=True)


def in_a_moment(function: Callable[[], object]) -> None:
    """Call `function` as a slot, when all tasks are waiting."""
    QtCore.QTimer.singleShot(20, function)


def execute(qt_loop: Any) -> int:
    """Execute a Qt loop; PySide2 calls it exec_() only."""
    code: int = (getattr(qt_loop, "exec", None) or qt_loop.exec_)()
    return code


def execute_for_a_moment() -> None:
    """Execute a Qt loop other than app.exec()."""
    qt_loop = QtCore.QEventLoop()
    in_a_moment(qt_loop.quit)
    execute(qt_loop)


# What is at work.


async def asyncio_task() -> None:
    """Waits for asyncio in its clean-up."""
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.001)
        say("asyncio")


async def qt_task() -> None:
    """Waits for Qt in its clean-up, if Qt is still there."""
    timer = QtCore.QTimer()
    timer.setSingleShot(True)
    fired = qtinter.asyncsignal(timer.timeout)
    try:
        await fired
    except qtinter.SenderDestroyedError:
        assert WAY == "application deleted first"
    finally:
        if WAY != "application deleted first":
            fired = qtinter.asyncsignal(timer.timeout)
            timer.start(1)
            await fired
        say("Qt")


async def generator_task() -> None:
    """Leaves an async generator behind whose clean-up waits."""

    async def generator() -> AsyncIterator[None]:
        try:
            yield
        finally:
            await asyncio.sleep(0.001)
            say("generator")

    left = generator()
    generators.append(left)
    async for _ in left:
        break


kept: list[Any] = []
generators: list[Any] = []
TASKS = (asyncio_task, qt_task, generator_task)
create_task: Callable[[Coroutine[Any, Any, None]], Any] = asyncio.ensure_future


def start_tasks() -> None:
    kept.extend(create_task(task()) for task in TASKS)


# Ways out that begin in a slot, or outside.


async def exit_in_a_task() -> None:
    sys.exit(3)


def stop() -> None:
    """Make the mode's own Qt loop return, without any other consequence."""
    app.exit(0)


SLOTS: dict[str, Callable[[], object]] = {
    "last window closed": lambda: window.close(),
    "app.quit()": lambda: app.quit(),
    "app.exit(7)": lambda: app.exit(7),
    "sys.exit(3) in a slot": lambda: sys.exit(3),
    "sys.exit(3) in an asyncslot": lambda: qtinter.asyncslot(exit_in_a_task)(),
    "sys.exit(3) in a callback": lambda: kept[0].get_loop().call_soon(sys.exit, 3),
    "sys.exit(3) in a task": lambda: kept.append(create_task(exit_in_a_task())),
    "SIGINT": lambda: say("send SIGINT"),
    "SIGTERM": lambda: say("send SIGTERM"),
    "SIGTERM, handler calls app.exit(7)": lambda: say("send SIGTERM"),
    "SIGTERM, handler calls sys.exit(3)": lambda: say("send SIGTERM"),
}
# A plugin does not end its host.
REPORTED = (
    "sys.exit(3) in an asyncslot",
    "sys.exit(3) in a callback",
    "sys.exit(3) in a task",
    "SIGINT",
)
HANDLERS: dict[str, Callable[..., object]] = {
    "SIGTERM, handler calls app.exit(7)": lambda *_: app.exit(7),
    "SIGTERM, handler calls sys.exit(3)": lambda *_: sys.exit(3),
}
if WAY in HANDLERS:
    signal.signal(signal.SIGTERM, HANDLERS[WAY])


# Ways out of the block: the body of the `with` statement, or the main coroutine.

BLOCKS: dict[str, Callable[[], object]] = {
    "end of the block": lambda: None,
    "exception in the block": lambda: 1 / 0,
    "sys.exit(3) in the block": lambda: sys.exit(3),
}


async def main() -> None:
    """The block of a program that asyncio leads."""
    start_tasks()
    closed = asyncio.Event()
    if MODE == "nested":  # The window is a matter of the coroutine, not of the application.
        app.lastWindowClosed.connect(closed.set)
    if WAY in SLOTS:
        in_a_moment(SLOTS[WAY])
        await closed.wait()
    await asyncio.sleep(0.02)
    if WAY in BLOCKS:
        BLOCKS[WAY]()


def work_in_qt() -> int:
    """The block of a program that Qt leads; the tasks have been started."""
    if WAY in BLOCKS:
        execute_for_a_moment()
        BLOCKS[WAY]()
        return 0
    in_a_moment(SLOTS.get(WAY, stop))
    code = execute(app)
    say("Qt has returned")
    if WAY == "application deleted first":
        delete_application()
    return code


def delete_application() -> None:
    """The application object goes before the loop."""
    global app, window
    window = None
    if qtpy.API_NAME.startswith("PySide"):
        app.shutdown()  # The object stays when the last reference is gone.
    app = None
    gc.collect()
    assert QtCore.QCoreApplication.instance() is None


# Modes.


def nested() -> None:
    """asyncio leads."""
    if WAY == "application deleted first" and sys.version_info >= (3, 11):
        with asyncio.Runner(loop_factory=qtinter.new_event_loop) as runner:
            runner.run(main())
            delete_application()
    elif WAY == "application deleted first":
        loop = qtinter.new_event_loop()
        loop.run_until_complete(main())
        delete_application()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.wait(tasks))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
    elif WAY in ("never closed", "dropped"):
        loop = qtinter.new_event_loop()
        loop.run_until_complete(main())
        if WAY == "never closed":
            kept.append(loop)
        else:  # Tasks know their loop.
            kept.clear()
            generators.clear()
            del loop
            gc.collect()
    else:
        with qtinter.using_qt_from_asyncio():
            asyncio.run(main())


def attached() -> int:
    """Qt leads."""
    if WAY in ("never closed", "dropped"):
        runner = qtinter.QiRunner()
        runner.start()
        start_tasks()
        code = work_in_qt()
        if WAY == "never closed":
            kept.append(runner)
        else:
            del runner
            gc.collect()
        return code
    with qtinter.using_asyncio_from_qt():
        start_tasks()
        return work_in_qt()


def hosted(plugin: Any, start: Callable[[], object]) -> int:
    """Qt leads. A plugin starts in its loop, which is running already; it ends there or later."""

    def load() -> None:
        start()
        start_tasks()

    def unload() -> None:
        plugin.close()
        say("closed")
        stop()

    QtCore.QTimer.singleShot(0, load)
    if MODE == "attach()" and WAY in REPORTED:
        QtCore.QTimer.singleShot(500, stop)
    if WAY == "end of the block":
        in_a_moment(unload)
        return execute(app)
    code = work_in_qt()
    if WAY not in ("never closed", "dropped"):
        plugin.close()
    return code


def runner_in_host() -> int:
    runner = qtinter.QiRunner()
    return hosted(runner, runner.start)


def attachment_in_host() -> int:
    """As `runner_in_host`, with attach()."""

    class Plugin:
        def load(self) -> None:
            global create_task
            self.attachment = qtinter.attach()
            create_task = self.attachment.create_task

        def close(self) -> None:
            self.attachment.close()

    plugin = Plugin()
    return hosted(plugin, plugin.load)


def run() -> Any:
    """run() with a main coroutine."""
    return qtinter.run(main())


def run_app() -> Any:
    """run() without one."""
    QtCore.QTimer.singleShot(0, start_tasks)
    in_a_moment(SLOTS[WAY])
    return qtinter.run()


MODES: dict[str, Callable[[], Any]] = {
    "nested": nested,
    "attached": attached,
    "run(main())": run,
    "run()": run_app,
    "hosted": runner_in_host,
    "attach()": attachment_in_host,
}
code = MODES[MODE]()
say("end")
sys.exit(code)
