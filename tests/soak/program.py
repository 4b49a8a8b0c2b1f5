"""A random program: `python program.py SEED`.

It must not crash; when it has closed its loop, every task must have ended. Everything is drawn from
the seed: the application, the mode, what is at work, what ends the program, and in what order its
objects go. Each choice is printed, so that a program that crashes can be read. Garbage is collected
at random points.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import selectors
import signal
import sys
import threading
from typing import Any, Callable

import qtpy
from activities import ACTIVITIES, at_work, execute, qt_in_threads, watched
from chance import choose, dice, say
from qtpy import QtCore, QtWidgets

import qtinter


def start_activities(create_task: Callable[..., Any]) -> asyncio.AbstractEventLoop:
    """Start some of them; return the loop."""
    for name in dice.sample(sorted(ACTIVITIES), dice.randint(1, 6)):
        say("at work:", name)
        task = create_task(watched(ACTIVITIES[name]), name=name)
        at_work.add(task)
        task.add_done_callback(at_work.discard)
    return task.get_loop()


# What ends it.


def soon(function: Callable[[], object]) -> None:
    """Call it as a slot."""
    QtCore.QTimer.singleShot(dice.randint(0, 60), function)


def from_a_thread(function: Callable[[], object]) -> None:
    threading.Timer(dice.random() * 0.06, function).start()


async def exit_in_a_task() -> None:
    sys.exit(3)


def stop_from_a_thread(loop: asyncio.AbstractEventLoop) -> None:
    def stop() -> None:
        with contextlib.suppress(RuntimeError):  # The loop is closed.
            loop.call_soon_threadsafe(loop.stop)

    from_a_thread(stop)


def interrupt(loop: asyncio.AbstractEventLoop) -> None:
    if sys.platform == "win32":
        from_a_thread(lambda: signal.raise_signal(signal.SIGINT))
    else:
        from_a_thread(lambda: os.kill(os.getpid(), signal.SIGINT))


ENDS: dict[str, Callable[[asyncio.AbstractEventLoop], object]] = {
    "app.quit() in a slot": lambda loop: soon(lambda: app.quit()),
    "app.exit() in a slot": lambda loop: soon(lambda: app.exit(3)),
    "app.exit() in a callback": lambda loop: soon(lambda: loop.call_soon(lambda: app.exit(3))),
    "stop() in a slot": lambda loop: soon(loop.stop),
    "stop() from a thread": stop_from_a_thread,
    "sys.exit() in a slot": lambda loop: soon(lambda: sys.exit(0)),
    "sys.exit() in a callback": lambda loop: soon(lambda: loop.call_soon(sys.exit, 3)),
    "sys.exit() in an asyncslot": lambda loop: soon(qtinter.asyncslot(exit_in_a_task)),
    "SIGINT": interrupt,
}


def let_it_run(run: Callable[[], object]) -> None:
    """Run the loop to whatever end; go on."""
    try:
        say("ended:", repr(run()))
    except (SystemExit, KeyboardInterrupt, RuntimeError) as error:
        say("ended:", repr(error))


# Modes. Each returns how to close what it has left open.


def nested() -> Callable[[], None]:
    loop = qtinter.new_event_loop()
    if choose("selector", ("default", "select")) == "select":
        loop.close()
        loop = qtinter.QiSelectorEventLoop(selectors.SelectSelector())

    async def main() -> None:
        start_activities(loop.create_task)
        end(loop)
        await asyncio.Event().wait()

    async def clean_up() -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await loop.shutdown_asyncgens()
        await loop.shutdown_default_executor()

    def close() -> None:
        loop.run_until_complete(clean_up())
        loop.close()

    let_it_run(lambda: loop.run_until_complete(main()))
    return close


def attached() -> Callable[[], None]:
    runner = qtinter.QiRunner(shutdown_timeout=choose("timeout", (None, 5)))
    runner.start()
    end(start_activities(runner.get_loop().create_task))
    let_it_run(lambda: execute(app))
    return lambda: let_it_run(runner.close)


def hosted() -> Callable[[], None]:
    runner = qtinter.QiRunner()

    def start() -> None:
        runner.start()
        end(start_activities(runner.get_loop().create_task))

    QtCore.QTimer.singleShot(0, start)
    let_it_run(lambda: execute(app))
    return lambda: let_it_run(runner.close)


def plugins() -> Callable[[], None]:
    """Two of them, that share a loop; they cannot end their host, which does that by itself."""
    attachments: list[qtinter.Attachment] = []

    def start() -> None:
        attachments.extend((qtinter.attach(), qtinter.attach()))
        for attachment in attachments:
            loop = start_activities(attachment.create_task)
        end(loop)
        QtCore.QTimer.singleShot(80, lambda: app.exit())

    def close() -> None:
        for attachment in dice.sample(attachments, 2):
            attachment.close()

    QtCore.QTimer.singleShot(0, start)
    let_it_run(lambda: execute(app))
    return close


# The objects go.


def close_the_loop() -> None:
    close()
    gc.collect()
    if not app_is_gone:
        say("tasks left:", *(task.get_name() for task in at_work))
        assert not at_work


def drop_the_loop() -> None:
    global close
    del close
    gc.collect()


def delete_the_application() -> None:
    global app, app_is_gone, window
    app_is_gone = True
    window = None
    with qt_in_threads:
        if qtpy.API_NAME.startswith("PySide"):
            app.shutdown()  # The object stays when the last reference is gone.
        app = None
    gc.collect()


def delete_the_window() -> None:
    global window
    window = None


DELETIONS: list[Callable[[], object]] = [
    dice.choice((close_the_loop, close_the_loop, drop_the_loop)),
    delete_the_application,
    delete_the_window,
    gc.collect,
]
if qtpy.PYSIDE2:
    # Whoever connects a signal later makes it abort when Python exits, with or without us.
    DELETIONS.remove(delete_the_application)

has_widgets = choose("widgets", (True, False))
app: Any = (QtWidgets.QApplication if has_widgets else QtCore.QCoreApplication)(sys.argv[:1])
app_is_gone = False
window: Any = QtWidgets.QWidget() if has_widgets else None
if window is not None:
    window.show()
mode = choose("mode", (nested, attached, hosted, plugins))
end = choose("end", ENDS)
# Python ignores a KeyboardInterrupt that is raised while an object is finalized.
QtCore.QTimer.singleShot(15000, lambda: (say("not ended"), app.exit()))
close = mode()
for deletion in dice.sample(DELETIONS, dice.randint(0, len(DELETIONS))):
    say(deletion.__name__)
    deletion()
say("end")
