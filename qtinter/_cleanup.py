"""How a logical loop ends: its tasks are cancelled and may still await; then all else is shut down.

There are three occasions. `finish()` is for a loop that no longer runs. `finish_in_place()` is for
one that does when the process is about to end: sys.exit() in a slot makes Python end the process
there and then, on all bindings, with Qt's loop and whoever executes it still on the stack.
`finish_slots()` is for a loop that is about to be closed by somebody else, asyncio.run() for
example, who does not look for tasks again after the last runs, in which Qt went on calling slots.

Private names of asyncio and threading (`_asyncgens`, `_register_atexit`): checked on Python 3.9 to
3.15.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import sys
import threading
import weakref
from collections.abc import Coroutine
from collections.abc import Set as AbstractSet
from typing import Any, Callable

from . import _qt
from ._default_executor import abandon_executor, shut_down_executor

Tasks = AbstractSet["asyncio.Task[Any]"]

logger = logging.getLogger("qtinter")

# The loops whose tasks, or those of an attachment, are about to be cancelled.
ending: weakref.WeakSet[Any] = weakref.WeakSet()

# The loops that are about to be closed: slots start no more tasks in them.
closing: set[Any] = set()

# Every task that a slot has started, with what did; asyncio's own references are weak.
slot_tasks: dict[Any, Any] = {}

# How many seconds what has been told a second time to end may still take.
GRACE = 1.0

# How often tasks may take the place of others that were cancelled.
GENERATIONS = 100


# What is to be done when the process ends, the latest first.
_endings: dict[Callable[[], None], None] = {}


def at_exit(ending: Callable[[], None]) -> None:
    """Have `ending` called when Python begins to exit.

    Not by atexit, before which Python waits for all threads, and lets executors start no more jobs.
    """
    _endings[ending] = None


def not_at_exit(ending: Callable[[], None]) -> None:
    """Undo `at_exit()`."""
    _endings.pop(ending, None)


def _process_ends() -> None:
    # PyQt has what a slot raises, SystemExit too, printed into a buffer, which is lost if Python exits.
    errors = sys.__stderr__ if isinstance(sys.stderr, io.StringIO) else sys.stderr
    with contextlib.redirect_stderr(errors):
        for ending in reversed(list(_endings)):
            try:
                ending()
            except BaseException:
                logger.exception("error in a clean-up when the process ends")


# Before what concurrent.futures has registered, because it is imported above.
threading._register_atexit(_process_ends)  # type: ignore[attr-defined]


def finish(loop: Any, timeout: float | None, main: asyncio.Task[Any] | None = None) -> None:
    """End a loop that does not run, whatever stops it meanwhile.

    Ctrl-C cancels once more, and what then does not end soon is given up; the next one gives up at
    once.

    Args:
        loop: the loop.
        timeout: seconds to wait for the tasks, and then for the executor; None for no limit.
        main: the task that ends before the others, who may be needed for that. Its owner looks at
            its outcome.

    Raises:
        SystemExit, KeyboardInterrupt: raised meanwhile by a task or a callback, or Ctrl-C.
    """
    first: Tasks = set() if main is None or main.done() else {main}
    ending.add(loop)
    try:
        _run(loop, _clean_up(loop, timeout, first, set()))
    finally:
        closing.add(loop)
        abandon_executor(loop)


def finish_slots(loop: Any) -> None:
    """End what slots have started in a loop that no longer runs, and let them start nothing more.

    Does nothing after `finish()` and `finish_in_place()`, which may have given up some of it.

    Raises:
        SystemExit, KeyboardInterrupt: as `finish()`.
    """

    def find() -> Tasks:
        return {task for task in list(slot_tasks) if task.get_loop() is loop}

    if loop not in closing:
        closing.add(loop)
        if find():
            _run(loop, end_tasks(find, loop, None))


def _run(loop: Any, coro: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that ends tasks to its end, whatever stops the loop meanwhile."""
    task = loop.create_task(coro)
    task.add_done_callback(lambda _: loop.stop())
    leaving: BaseException | None = None
    while not task.done():
        try:
            loop.run_forever()
        except SystemExit as error:
            leaving = error
        except KeyboardInterrupt as error:
            if isinstance(leaving, KeyboardInterrupt):
                raise
            leaving = error
            for other in asyncio.all_tasks(loop) - {task}:
                other.cancel()
            loop.call_later(GRACE, task.cancel)
    if task.cancelled():
        _log_stuck(asyncio.all_tasks(loop), "interrupted")
    else:
        task.result()
    if leaving is not None:
        raise leaving


def finish_in_place(loop: Any, timeout: float | None) -> None:
    """End a loop that runs; all but the tasks that are on the stack, which will not go on."""
    if _qt.has_application():
        ending.add(loop)
        try:
            run_in_place(loop, _clean_up(loop, timeout, set(), loop.tasks_on_stack()))
        finally:
            closing.add(loop)
            abandon_executor(loop)


def run_in_place(loop: Any, coro: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, in a Qt loop of its own, while the loop runs already."""
    task = loop.create_task(coro)
    while not task.done() and not loop.is_over():  # Somebody may make Qt leave its loops meanwhile.
        qt_loop = _qt.EventLoop(in_application=False)
        leave = qt_loop.leave
        task.add_done_callback(lambda _, leave=leave: leave())
        qt_loop.run(task.done)


async def _clean_up(loop: Any, timeout: float | None, first: Tasks, spared: Tasks) -> None:
    await end_tasks(lambda: asyncio.all_tasks() - spared, loop, timeout, first, closes=True)
    closing.add(loop)
    stuck = asyncio.all_tasks()
    await _end_generators(loop, timeout)
    await shut_down_executor(loop, timeout)
    await end_tasks(lambda: asyncio.all_tasks() - stuck, loop, timeout)


async def end_tasks(
    find: Callable[[], Tasks],
    loop: Any,
    timeout: float | None,
    first: Tasks = frozenset(),
    *,
    closes: bool = False,
) -> None:
    """Cancel `first`, then what `find()` gives, again and again: tasks are created meanwhile. Wait for all.

    `first` has half of the time for itself. Its errors are its owner's business. Tasks that do not
    end in time are logged, and so are those that always take each other's place. If the loop closes
    afterwards, slots do not start more of them when those that were there have ended.
    """
    began = loop.time()

    async def wait(tasks: Tasks, share: float) -> Tasks:
        """Wait until a share of the time is over; return the tasks that are not done."""
        limit = None if timeout is None else max(0, began + share * timeout - loop.time())
        return (await asyncio.wait(tasks, timeout=limit))[1] if tasks else set()

    def cancel(tasks: Tasks) -> None:
        for task in tasks:
            task.cancel()
        ending.discard(loop)

    if first:
        cancel(first)
    stuck = await wait(first, 0.5)
    seen = {asyncio.current_task(), *first}
    for _ in range(GENERATIONS):
        new = find() - seen
        cancel(new)
        if not new:
            break
        seen |= new
        stuck = await wait(stuck | new, 1)
        if closes:
            closing.add(loop)
        _report(new - stuck, loop)
    stuck = await wait(stuck, 1)
    _log_stuck(stuck | (find() - seen), f"gave up after {loop.time() - began:.1f} s")


def _report(tasks: Tasks, loop: Any) -> None:
    for task in tasks:
        if not task.cancelled() and task.exception() is not None:
            loop.call_exception_handler(
                {
                    "message": "unhandled exception in a task that was cancelled because its loop ends",
                    "exception": task.exception(),
                    "task": task,
                }
            )


def _log_stuck(tasks: Tasks, what: str) -> None:
    if tasks:
        names = ", ".join(sorted(task.get_name() for task in tasks))
        logger.error("%s; these tasks do not end: %s", what, names)


async def _end_generators(loop: Any, timeout: float | None) -> None:
    """Shut down the async generators; say which do not end in time."""
    generators = list(loop._asyncgens)
    ending = loop.create_task(loop.shutdown_asyncgens())
    await asyncio.wait({ending}, timeout=timeout)
    if not ending.done():
        names = sorted(each.__qualname__ for each in generators if each.ag_frame is not None)
        logger.error(
            "gave up after %s s; these generators do not end: %s", timeout, ", ".join(names)
        )
        ending.cancel()
        await asyncio.wait({ending}, timeout=GRACE)
