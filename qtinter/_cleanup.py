"""How a logical loop ends: its tasks are cancelled and may still await; then all else is shut down.

There are two occasions. `finish()` is for a loop that no longer runs. `finish_in_place()` is for
one that does when the process is about to end: sys.exit() in a slot makes Python end the process
there and then, on all bindings, with Qt's loop and whoever executes it still on the stack.

Private names of threading (`_register_atexit`): checked on Python 3.9 to 3.15.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import sys
import threading
from collections.abc import Coroutine
from collections.abc import Set as AbstractSet
from typing import Any, Callable

from . import _qt
from ._default_executor import shut_down_executor

Tasks = AbstractSet["asyncio.Task[Any]"]

logger = logging.getLogger("qtinter")


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

    Ctrl-C cancels once more, as in asyncio.run(); the next one gives up.

    Args:
        loop: the loop.
        timeout: seconds to wait for the tasks, and then for the executor; None for no limit.
        main: the task that ends before the others, who may be needed for that. Its owner looks at
            its outcome.

    Raises:
        SystemExit, KeyboardInterrupt: raised meanwhile by a task or a callback, or Ctrl-C.
    """
    first: Tasks = set() if main is None or main.done() else {main}
    task = loop.create_task(_clean_up(loop, timeout, first, set()))
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
    task.result()
    if leaving is not None:
        raise leaving


def finish_in_place(loop: Any, timeout: float | None) -> None:
    """End a loop that runs; all but the tasks that are on the stack, which will not go on."""
    if _qt.has_application():
        run_in_place(loop, _clean_up(loop, timeout, set(), loop.tasks_on_stack()))


def run_in_place(loop: Any, coro: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, in a Qt loop of its own, while the loop runs already."""
    task = loop.create_task(coro)
    while not task.done() and not loop.is_over():  # Somebody may make Qt leave its loops meanwhile.
        qt_loop = _qt.EventLoop(in_application=False)
        leave = qt_loop.leave
        task.add_done_callback(lambda _, leave=leave: leave())
        qt_loop.run(task.done)


async def _clean_up(loop: Any, timeout: float | None, first: Tasks, spared: Tasks) -> None:
    await end_tasks(lambda: asyncio.all_tasks() - spared, loop, timeout, first)
    await loop.shutdown_asyncgens()
    await shut_down_executor(loop, timeout)


async def end_tasks(
    find: Callable[[], Tasks], loop: Any, timeout: float | None, first: Tasks = frozenset()
) -> None:
    """Cancel `first`, then what `find()` gives, again and again: tasks are created meanwhile. Wait for all.

    The errors of `first` are their owner's business. Tasks that do not end in time are logged.
    """
    deadline = None if timeout is None else loop.time() + timeout
    stuck = await _cancel(first, loop, deadline)
    seen = {asyncio.current_task(), *first}
    while new := find() - seen:
        stuck |= await _cancel(new, loop, deadline, report=True)
        seen |= new
    if stuck:
        names = ", ".join(sorted(task.get_name() for task in stuck))
        logger.error("gave up after %s s; these tasks do not end: %s", timeout, names)


async def _cancel(
    tasks: Tasks, loop: Any, deadline: float | None, *, report: bool = False
) -> set[asyncio.Task[Any]]:
    """Cancel tasks and wait for them until the deadline; return the stuck ones."""
    if not tasks:
        return set()
    for task in tasks:
        task.cancel()
    timeout = None if deadline is None else max(0, deadline - loop.time())
    done, stuck = await asyncio.wait(tasks, timeout=timeout)
    for task in done:
        if report and not task.cancelled() and task.exception() is not None:
            loop.call_exception_handler(
                {
                    "message": "unhandled exception in a task that was cancelled because its loop ends",
                    "exception": task.exception(),
                    "task": task,
                }
            )
    return stuck
