"""Tasks whose first step runs at once, and Qt calls that run between two iterations."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Awaitable, Coroutine
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from . import _qt
from ._bridges import Guest, Scheduler, current_scheduler, guests, require_scheduler
from ._cleanup import ending
from ._compat import start_task
from ._loops import QiBaseEventLoop, hosted_loops, task_watchers

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    P = ParamSpec("P")
T = TypeVar("T")


def run_task(
    coro: Coroutine[Any, Any, T],
    *,
    allow_task_nesting: bool = True,
    name: str | None = None,
    context: contextvars.Context | None = None,
) -> asyncio.Task[T]:
    """Return a task whose first step, up to where it first suspends, has already run.

    May be called from a slot, from a callback, and inside another task, which is suspended
    meanwhile.

    In a trio run, the task runs in the nursery of the run, and its first step comes soon. What is
    returned has the methods of asyncio.Task that do not need a loop: `cancel()`, `done()`,
    `result()` and so on.

    Args:
        coro: the coroutine to run.
        allow_task_nesting: False to refuse a call inside another task.
        name: name of the task.
        context: context to run in, not a copy of it; None for a copy of the current one. Python
            3.11 and later.

    Raises:
        RuntimeError: no loop is running, or a task is and `allow_task_nesting` is False, or
            `context` was given before Python 3.11.
        TypeError: `coro` is not a coroutine.
        KeyboardInterrupt, SystemExit: raised by the first step.

    Mirrors asyncio.create_task, with the eager start that asyncio has since 3.12.
    """
    if not inspect.iscoroutine(coro) and not isinstance(coro, Coroutine):
        raise TypeError(f"run_task() needs a coroutine, got {coro!r}; call the coroutine function")
    try:
        scheduler = current_scheduler() if guests or hosted_loops else None
        if scheduler is None:
            return _start_in_loop(
                asyncio.get_running_loop(), coro, allow_task_nesting, name, context
            )
        if isinstance(scheduler, QiBaseEventLoop):
            with scheduler.entered():
                return _start_in_loop(scheduler, coro, allow_task_nesting, name, context)
        return _start_in_trio(scheduler, coro, allow_task_nesting, name, context)
    except RuntimeError:
        coro.close()  # It was never awaited; the error says why.
        raise


def run_task_in(scheduler: Scheduler, coro: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """As `run_task()`, in one of the two that may be running in this thread."""
    if isinstance(scheduler, QiBaseEventLoop):
        return _start_task(scheduler, coro, None, None)
    task: asyncio.Task[T] = scheduler.start_task(coro, None)
    return task


def _start_in_loop(
    loop: asyncio.AbstractEventLoop,
    coro: Coroutine[Any, Any, T],
    allow_task_nesting: bool,
    name: str | None,
    context: contextvars.Context | None,
) -> asyncio.Task[T]:
    if not allow_task_nesting and asyncio.current_task() is not None:
        raise RuntimeError(
            "run_task(allow_task_nesting=False) was called inside a task; use asyncio.create_task there"
        )
    return _start_task(loop, coro, name, context)


def _start_task(
    loop: asyncio.AbstractEventLoop,
    coro: Coroutine[Any, Any, T],
    name: str | None,
    context: contextvars.Context | None,
) -> asyncio.Task[T]:
    task = start_task(loop, coro, name, context)
    if task_watchers and loop in task_watchers:
        task_watchers[loop](task)
    return task


def _start_in_trio(
    guest: Guest,
    coro: Coroutine[Any, Any, T],
    allow_task_nesting: bool,
    name: str | None,
    context: contextvars.Context | None,
) -> asyncio.Task[T]:
    if context is not None:
        raise RuntimeError("in a trio run, a task always has a copy of the current context")
    if not allow_task_nesting and guest.is_ticking():
        raise RuntimeError(
            "run_task(allow_task_nesting=False) was called inside a trio task; use a nursery there"
        )
    task: asyncio.Task[T] = guest.start_task(coro, name)
    return task


def modal(fn: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """Wrap a blocking Qt call, such as QMessageBox.question, for `await modal(fn)(...)`.

    The call is made by Qt between two iterations, so no iteration is blocked by a dialog. It may be
    awaited in the first step of an asyncslot as well. Cancelling the awaiting task does not
    interrupt `fn`; its result is then dropped.

    Returns:
        A function of the same parameters; what it returns gives the result of `fn` or raises its
        exception.

    Raises:
        RuntimeError: no Qt-backed loop is running, when the wrapper is called.
        TypeError: `fn` is not callable.
    """
    if not callable(fn):
        raise TypeError(f"modal() needs a callable, got {fn!r}")

    @functools.wraps(fn)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        scheduler = require_scheduler("modal()")
        future: asyncio.Future[T] = scheduler.create_future()
        call = functools.partial(contextvars.copy_context().run, fn, *args, **kwargs)
        _qt.call_soon(lambda: _deliver(call, future, scheduler))
        return future

    return wrapper


def _deliver(call: Callable[[], T], future: asyncio.Future[T], scheduler: Scheduler) -> None:
    """Called by Qt. Make the call, unless nobody waits for it, or that would keep a run from ending."""
    if future.cancelled():
        return
    if isinstance(scheduler, QiBaseEventLoop):
        if scheduler.has_failed():
            future.cancel()  # A dialog would show that nothing runs.
            return
        if scheduler in ending:
            # Who waits is about to be cancelled.
            _qt.call_soon(lambda: _deliver(call, future, scheduler))
            return
    _settle(call, future, scheduler)


def _settle(call: Callable[[], T], future: asyncio.Future[T], scheduler: Scheduler) -> None:
    """Give the outcome of the call to the future."""
    try:
        result = call()
    except (KeyboardInterrupt, SystemExit) as error:
        scheduler.fail(error)
    except BaseException as error:
        if not future.cancelled():
            future.set_exception(error)
    else:
        if not future.cancelled():
            future.set_result(result)
