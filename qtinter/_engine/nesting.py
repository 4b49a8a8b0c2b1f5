"""What makes an iteration safe inside another one: nested Qt loops keep asyncio running.

A coroutine that calls `QDialog.exec()` blocks the iteration that runs it. Qt goes on, and calls the
driver again, which runs a *nested slice*: iterations that overtake the blocked one. Four things
would go wrong.

1. *The current task.* The blocked task is still the current one, and asyncio refuses to enter
   another. It steps aside for the slice and is put back afterwards. (The first step of an eager
   task needs this even though no iteration is on the stack.)
2. *The count.* The blocked iteration has counted its ready handles and will `popleft()` as many,
   but the nested slice has run them. A view of the queue takes its place, which gives a cancelled
   handle when it is empty; asyncio skips those.
3. *Contexts.* A contextvars context cannot be entered twice. A handle whose context is entered by
   blocked code (the step of a task that was given the same context, a reader callback that is on
   the stack itself) would fail with "cannot enter context" and be lost. It is held back until the
   iteration below has ended. An fd whose callback is held back leaves the selector meanwhile, or
   its level-triggered readiness would spin.
4. *stop()* takes effect when the outermost iteration has ended. Until then it is hidden from the
   nested slices: asyncio waits for nothing while it is stopping.

Not done here: the proactor asks for the next data before it hands over the last, so a protocol of
its that is blocked in `data_received()` may be called again meanwhile, in order.

In an ordinary slice none of this exists. The view and the screen are put in place by the first
nested slice and removed when the outermost iteration has ended.

Private names of asyncio (`_ready`, `Handle._context`, `Handle._cancelled`, `_stopping`): checked on
Python 3.9 to 3.15.
"""

from __future__ import annotations

import asyncio
import collections
import contextvars
import selectors
from types import TracebackType
from typing import Any

from .._compat import swap_current_task
from .multiplexers import EventList


def _nothing() -> None:
    pass


def _can_enter(context: contextvars.Context) -> bool:
    try:
        context.run(_nothing)
    except RuntimeError:
        return False
    return True


class OvertakenQueue:
    """Stands in for `loop._ready`, of which it is another view, while iterations overtake each other.

    Nothing is lost if another thread (call_soon_threadsafe) still holds the queue itself.
    """

    def __init__(self, ready: collections.deque[asyncio.Handle], gap: asyncio.Handle) -> None:
        self.queue = ready
        self.held: list[asyncio.Handle] = []
        self._gap = gap
        self.append = ready.append
        self.clear = ready.clear

    def __len__(self) -> int:
        return len(self.queue)

    def popleft(self) -> asyncio.Handle:
        """The next handle that can run; the gap, which asyncio skips, in place of any other."""
        try:
            handle = self.queue.popleft()
        except IndexError:
            return self._gap
        if handle._cancelled or _can_enter(handle._context):  # type: ignore[attr-defined]
            return handle
        self.held.append(handle)
        return self._gap

    def release(self) -> None:
        """Try again what was held back, in its old order."""
        self.queue.extendleft(reversed(self.held))
        self.held.clear()


class Nesting:
    """Context manager around each nested slice; lives as long as its driver."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._multiplexer = loop._selector
        gap = asyncio.Handle(_nothing, (), loop)
        gap.cancel()
        self._overtaken = OvertakenQueue(loop._ready, gap)
        self.has_overtaken = False  # Since the last `settle()`.
        # What is to be put back, one entry for each nested slice on the stack.
        self._aside: list[tuple[asyncio.Task[Any] | None, bool]] = []

    def __enter__(self) -> None:
        task = swap_current_task(self._loop, None)
        self._aside.append((task, self._loop._stopping))
        self._loop._stopping = False
        self._loop._ready = self._overtaken
        self._multiplexer.screen = self._screen
        self._release()
        self.has_overtaken = False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        task, was_stopping = self._aside.pop()
        self._loop._stopping |= was_stopping
        swap_current_task(self._loop, task)
        # For the slice below: what its last select() said is out of date.
        self.has_overtaken = True
        self._multiplexer.patience = 0

    def settle(self) -> None:
        """At the end of a slice, some iterations of which may have been overtaken."""
        if self.has_overtaken:
            self.has_overtaken = False
            self._release()
            if not self._aside:
                self._restore()

    def tasks_aside(self) -> set[asyncio.Task[Any]]:
        """The blocked tasks that have stepped aside."""
        return {task for task, _ in self._aside if task is not None}

    def is_holding(self) -> bool:
        """Tell whether something waits for blocked code to return."""
        was_stopping = any(stopping for _, stopping in self._aside)
        return bool(self._overtaken.held) or self._multiplexer.has_set_aside() or was_stopping

    def close(self) -> None:
        """The run is over."""
        self._release()
        self._restore()

    def _restore(self) -> None:
        self._multiplexer.screen = None
        self._loop._ready = self._overtaken.queue

    def _release(self) -> None:
        self._overtaken.release()
        self._multiplexer.bring_back()

    def _screen(self, events: EventList) -> EventList:
        """Keep events from callbacks that cannot run now."""
        passed: EventList = []
        for key, mask in events:
            reader, writer = key.data
            blocked = 0
            for flag, handle in ((selectors.EVENT_READ, reader), (selectors.EVENT_WRITE, writer)):
                if mask & flag and handle is not None and not _can_enter(handle._context):
                    blocked |= flag
            if blocked:
                self._multiplexer.set_aside(key, blocked)
            if mask & ~blocked:
                passed.append((key, mask & ~blocked))
        return passed
