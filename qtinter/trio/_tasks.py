"""Futures and tasks for trio, as far as slots and those who wait for signals need them."""

from __future__ import annotations

import concurrent.futures
import sys
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, Callable, Protocol, TypeVar

import outcome
import trio

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

T = TypeVar("T")


class Run(Protocol):
    """What is needed of the run."""

    def call_in_qt(self, callback: Callable[..., object], *args: Any) -> None: ...
    def fail(self, error: BaseException) -> None: ...


CancelledError = concurrent.futures.CancelledError


class Future(Awaitable[T]):
    """What asyncio.Future is, for trio: settled once by code of any kind, awaited by any number of tasks.

    All methods are for the thread of the run. As in asyncio, cancelling a task that awaits it
    cancels it.

    Raises:
        CancelledError: that of concurrent.futures, by `result()`, `exception()` and the tasks that
            await it, if it was cancelled.
        asyncio.InvalidStateError: never; `result()` of a future that is not done is a RuntimeError.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._settled = trio.Event()
        self._outcome: outcome.Outcome[T] | None = None
        self._callbacks: list[Callable[[Any], object]] = []

    def get_loop(self) -> Run:
        """Return the run."""
        return self._run

    def done(self) -> bool:
        """Tell whether it has a result or an exception, or was cancelled."""
        return self._outcome is not None

    def cancelled(self) -> bool:
        """Tell whether it was cancelled."""
        return isinstance(self._outcome, outcome.Error) and isinstance(
            self._outcome.error, CancelledError
        )

    def result(self) -> T:
        """Return the result, or raise the exception."""
        error = self.exception()
        if error is not None:
            raise error
        assert isinstance(self._outcome, outcome.Value)
        value: T = self._outcome.value
        return value

    def exception(self) -> BaseException | None:
        """Return the exception, None if there is a result."""
        if self._outcome is None:
            raise RuntimeError("there is no result yet")
        if self.cancelled():
            raise CancelledError
        return self._outcome.error if isinstance(self._outcome, outcome.Error) else None

    def set_result(self, value: T) -> None:
        """Wake those who wait."""
        self._settle(outcome.Value(value))

    def set_exception(self, error: BaseException) -> None:
        """Wake those who wait."""
        self._settle(outcome.Error(error))

    def cancel(self) -> bool:
        """Wake those who wait by CancelledError; return whether it was not done before."""
        if self.done():
            return False
        self._settle(outcome.Error(CancelledError()))
        return True

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        """Have `callback(self)` called by Qt, not inside a task, soon after it is done."""
        self._callbacks.append(callback)
        if self.done():
            self._call_back()

    def __await__(self) -> Generator[Any, Any, T]:
        try:
            yield from self._settled.wait().__await__()
        except BaseException:
            self.cancel()
            raise
        return self.result()

    def _settle(self, result: outcome.Outcome[T]) -> None:
        self._outcome = result
        self._settled.set()
        self._call_back()

    def _call_back(self) -> None:
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            self._run.call_in_qt(callback, self)


class Task(Future[T]):
    """A coroutine that runs in the nursery of a run; what a slot returns in a trio run.

    Its exceptions do not reach the nursery: they are kept here, as in an asyncio.Task.
    """

    def __init__(self, run: Run, coro: Coroutine[Any, Any, T], name: str | None) -> None:
        super().__init__(run)
        self._coro = coro
        self._scope = trio.CancelScope()
        self._name = name or getattr(coro, "__qualname__", None) or repr(coro)

    def get_name(self) -> str:
        """Return the name."""
        return self._name

    def cancel(self) -> bool:
        """Cancel the coroutine; return whether it was not done before."""
        if self.done():
            return False
        self._scope.cancel()
        return True

    def start_in(self, nursery: trio.Nursery) -> None:
        """Begin with the next tick."""
        nursery.start_soon(self._run_coroutine, name=self._name)

    def abandon(self) -> None:
        """Be cancelled before the first step."""
        self._coro.close()
        self._settle(outcome.Error(CancelledError()))

    async def _run_coroutine(self) -> None:
        if self._scope.cancel_called:
            self.abandon()
            return
        result: outcome.Outcome[T] = outcome.Error(CancelledError())
        try:
            with self._scope:
                result = outcome.Value(await self._coro)
        except BaseException as error:
            self._fail(error)
        else:
            self._settle(result)

    def _fail(self, error: BaseException) -> None:
        """Keep the exception, except what of it is the cancellation of the nursery, which is raised."""
        cancellation: BaseException | None = None
        rest: BaseException | None = error
        if isinstance(error, trio.Cancelled):
            cancellation, rest = error, None
        elif isinstance(error, BaseExceptionGroup):
            cancellation, rest = error.split(trio.Cancelled)
        self._settle(outcome.Error(rest if rest is not None else CancelledError()))
        if rest is not None and not isinstance(rest, Exception):
            self._run.fail(rest)
        if cancellation is not None:
            raise cancellation
