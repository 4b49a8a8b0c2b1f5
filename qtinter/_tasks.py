"""Tasks whose first step runs at once, and Qt calls that run between two iterations."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Awaitable, Coroutine
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from . import _qt
from ._compat import start_task
from ._loops import QiBaseEventLoop

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    P = ParamSpec("P")
T = TypeVar("T")


def running_loop(what: str) -> QiBaseEventLoop:
    """Return the Qt-backed loop that runs in this thread; RuntimeError if there is none."""
    loop = asyncio._get_running_loop()
    if not isinstance(loop, QiBaseEventLoop):
        found = "no event loop is running" if loop is None else f"the running loop is {loop!r}"
        raise RuntimeError(
            f"{what} needs a running Qt-backed event loop in this thread, but {found}; call it inside "
            "`with qtinter.using_asyncio_from_qt():` or in a coroutine run by a qtinter loop"
        )
    return loop


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
        loop = asyncio.get_running_loop()
        if not allow_task_nesting and asyncio.current_task() is not None:
            raise RuntimeError(
                "run_task(allow_task_nesting=False) was called inside a task; use asyncio.create_task there"
            )
        return start_task(loop, coro, name, context)
    except RuntimeError:
        coro.close()  # It was never awaited; the error says why.
        raise


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
        loop = running_loop("modal()")
        future: asyncio.Future[T] = loop.create_future()
        call = functools.partial(contextvars.copy_context().run, fn, *args, **kwargs)
        _qt.call_soon(lambda: _deliver(call, future, loop))
        return future

    return wrapper


def _deliver(call: Callable[[], T], future: asyncio.Future[T], loop: QiBaseEventLoop) -> None:
    """Called by Qt. Give the outcome of the call to the future, unless nobody waits for it."""
    if future.cancelled():
        return
    try:
        result = call()
    except (KeyboardInterrupt, SystemExit) as error:
        loop.fail(error)
    except BaseException as error:
        if not future.cancelled():
            future.set_exception(error)
    else:
        if not future.cancelled():
            future.set_result(result)
