"""asyncsignalstream: iterating over the emissions of a signal."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Literal, TypeVar

from ._bridges import Scheduler, call_in_scheduler, checkpoint_of, require_scheduler
from ._signals import Subscription, SupportsConnect, item_of

T = TypeVar("T")


class asyncsignalstream(AsyncIterator[T]):
    """Iterate over the emissions of a signal: `async for value in asyncsignalstream(slider.valueChanged)`.

    It is connected from when it is made until `aclose()`, the end of its `async with`, or until it
    is dropped, as by `break`. Emissions that nobody has asked for yet are buffered.

    Args:
        signal: as for asyncsignal.
        maxsize: how many emissions are buffered; 0 for no limit.
        overflow: what gives way when one more is emitted: "drop_oldest", "drop_newest", or "error":
            no emission gets lost unnoticed, but the stream ends.

    Items are those of asyncsignal. The iteration ends after the buffered items when the sender is
    destroyed, and at once after `aclose()`.

    Raises:
        RuntimeError: no Qt-backed loop is running.
        ValueError: `maxsize` is negative, or `overflow` is none of the three.
        OverflowError: by the iteration, after the buffered items, if `overflow` is "error".

    Any number of tasks may iterate over the same stream; each item goes to one of them.
    """

    def __init__(
        self,
        signal: SupportsConnect,
        *,
        maxsize: int = 0,
        overflow: Literal["drop_oldest", "drop_newest", "error"] = "drop_oldest",
    ) -> None:
        if maxsize < 0:
            raise ValueError(f"maxsize must be 0 (no limit) or positive, not {maxsize!r}")
        if overflow not in ("drop_oldest", "drop_newest", "error"):
            raise ValueError(
                f"overflow must be drop_oldest, drop_newest or error, not {overflow!r}"
            )
        scheduler = require_scheduler("asyncsignalstream()")
        self._checkpoint = checkpoint_of(scheduler)
        buffer = self._buffer = _Buffer(scheduler, maxsize, overflow)
        self._subscription = Subscription(
            signal,
            lambda *values: call_in_scheduler(scheduler, buffer.put, item_of(values)),
            lambda: call_in_scheduler(scheduler, buffer.end),
        )

    def __aiter__(self) -> asyncsignalstream[T]:
        return self

    async def __anext__(self) -> T:
        buffer = self._buffer
        if self._checkpoint is not None:
            await self._checkpoint()
        while not buffer.items:
            if buffer.has_ended:
                self._subscription.close()
                raise buffer.take_error() or StopAsyncIteration
            await buffer.change()
        item: T = buffer.items.popleft()
        return item

    async def __aenter__(self) -> asyncsignalstream[T]:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Disconnect, forget what is buffered, and end the iteration. A second call does nothing."""
        self._subscription.close()
        self._buffer.items.clear()
        self._buffer.end()
        if self._checkpoint is not None:
            await self._checkpoint()


class _Buffer:
    """Scheduler thread. Between the signal, which puts, and the tasks that iterate, which take."""

    def __init__(self, scheduler: Scheduler, maxsize: int, overflow: str) -> None:
        self.items: collections.deque[Any] = collections.deque()
        self._scheduler = scheduler
        self._maxsize = maxsize
        self._overflow = overflow
        self.has_ended = False
        self._error: Exception | None = None
        self._waiting: list[asyncio.Future[None]] = []

    def put(self, item: Any) -> None:
        if self.has_ended:
            return
        if self._maxsize and len(self.items) >= self._maxsize:
            if self._overflow == "drop_newest":
                return
            if self._overflow == "error":
                self.end(
                    OverflowError(
                        f"more than {self._maxsize} emissions wait to be taken from the stream"
                    )
                )
                return
            self.items.popleft()
        self.items.append(item)
        self._wake()

    def end(self, error: Exception | None = None) -> None:
        if not self.has_ended:
            self.has_ended = True
            self._error = error
            self._wake()

    def change(self) -> Awaitable[None]:
        """A future that is done when something has happened."""
        future: asyncio.Future[None] = self._scheduler.create_future()
        self._waiting.append(future)
        return future

    def take_error(self) -> Exception | None:
        """What was wrong, to those who ask first."""
        error, self._error = self._error, None
        return error

    def _wake(self) -> None:
        # All of them: one that is cancelled meanwhile could not pass it on.
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
