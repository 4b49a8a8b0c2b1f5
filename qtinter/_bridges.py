"""Who runs the coroutines of this thread: a Qt-backed asyncio loop, or trio as a guest of Qt.

What the adaptors do with Qt is written once. From whoever runs their coroutines they want a few
things that an
asyncio loop can do: make a future, make a call in its thread, be told of errors. A trio run
(trio/_guests.py) has methods of the same names, so that the loop itself is its own bridge, and
costs nothing. What cannot be said alike is here.

trio is not imported here: a run that begins enters itself in `guests`.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Awaitable, Coroutine
from typing import Any, Callable, Protocol, Union

from ._loops import QiBaseEventLoop, hosted_loops


class Guest(Protocol):
    """A trio run. Its futures and tasks have the methods of asyncio's that do not need a loop."""

    def create_future(self) -> Any: ...
    def start_task(self, coro: Coroutine[Any, Any, Any], name: str | None) -> Any: ...
    async def checkpoint(self) -> None: ...
    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any) -> Any: ...
    def call_exception_handler(self, context: dict[str, Any]) -> None: ...
    def fail(self, error: BaseException) -> None: ...
    def is_running(self) -> bool: ...
    def is_ticking(self) -> bool: ...
    def comes_before(self, loop: QiBaseEventLoop) -> bool: ...


Scheduler = Union[QiBaseEventLoop, Guest]

# The trio runs, by thread.
guests: dict[int, Guest] = {}


def guest_here() -> Guest | None:
    """Return the trio run of this thread."""
    return guests.get(threading.get_ident())


def current_scheduler() -> Scheduler | None:
    """Return what runs coroutines here; of two, what runs the caller."""
    loop = asyncio._get_running_loop()
    if not isinstance(loop, QiBaseEventLoop):
        loop = hosted_loops.get(threading.get_ident(), [None])[-1] if hosted_loops else None
    if guests:
        guest = guest_here()
        if guest is not None and (loop is None or guest.comes_before(loop)):
            return guest
    return loop


def require_scheduler(what: str) -> Scheduler:
    """As `current_scheduler`; RuntimeError if there is none."""
    scheduler = current_scheduler()
    if scheduler is None:
        loop = asyncio._get_running_loop()
        found = "no event loop is running" if loop is None else f"the running loop is {loop!r}"
        if loop is None and _is_in_foreign_trio_run():
            found = "a trio run that qtinter.trio has not started is going on"
        raise RuntimeError(
            f"{what} needs a running Qt-backed event loop in this thread, but {found}; call it inside "
            "`with qtinter.using_asyncio_from_qt():` or in a coroutine run by a qtinter loop "
            "(for trio, by qtinter.trio.run)"
        )
    return scheduler


def _is_in_foreign_trio_run() -> bool:
    trio = sys.modules.get("trio")
    return trio is not None and trio.lowlevel.in_trio_run()


def is_scheduler_of_thread(scheduler: object) -> bool:
    """Tell whether `scheduler` runs coroutines in this thread, be it the caller or not."""
    return (
        asyncio._get_running_loop() is scheduler
        or (bool(guests) and guest_here() is scheduler)
        or (bool(hosted_loops) and scheduler in hosted_loops.get(threading.get_ident(), []))
    )


def has_ended(scheduler: Scheduler) -> bool:
    """Any thread. Tell whether nothing can be run in it any more, or not yet again."""
    return not scheduler.is_running() and not any(
        scheduler in loops for loops in list(hosted_loops.values())
    )


def call_in_scheduler(scheduler: Scheduler, callback: Callable[..., object], *args: Any) -> None:
    """Any thread. Call `callback` in the thread of `scheduler`: at once if it is this one, else soon; not if it has ended."""
    if is_scheduler_of_thread(scheduler):
        callback(*args)
    else:
        with contextlib.suppress(RuntimeError):
            scheduler.call_soon_threadsafe(callback, *args)


def current_task(scheduler: Scheduler) -> Any:
    """Return the task that is running the caller. None in a trio run, whose tasks begin after they were made."""
    return asyncio.current_task(scheduler) if isinstance(scheduler, QiBaseEventLoop) else None


def checkpoint_of(scheduler: Scheduler) -> Callable[[], Awaitable[None]] | None:
    """What has to be awaited by what may be done at once; asyncio has no such rule."""
    return None if isinstance(scheduler, QiBaseEventLoop) else scheduler.checkpoint
