"""asyncslot: a slot from a coroutine function.

What is connected is an ordinary Python function (or a bound method of one), made to measure: the
bindings then treat it as any other slot. They look at its parameters to choose the overload of a
signal, hold a bound method weakly, call it in the thread of its QObject, and accept Slot() above or
below it.

Not done here: what happens when it is called (_slot_calls.py).
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Callable, TypeVar, overload

from . import _qt
from ._moulds import make_function
from ._slot_calls import Behaviour
from ._slot_options import POLICIES, Options, TaskRunner, WhenBusy, unbound
from ._tasks import run_task

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    P = ParamSpec("P")
    S = TypeVar("S")
T = TypeVar("T")


@overload
def asyncslot(
    fn: staticmethod[P, Coroutine[Any, Any, T]],
    /,
    *,
    task_runner: TaskRunner = ...,
    when_busy: WhenBusy = ...,
    on_error: Callable[[Exception], object] | None = ...,
    owner: object = ...,
) -> staticmethod[P, asyncio.Task[T]]: ...
@overload
def asyncslot(
    fn: classmethod[S, P, Coroutine[Any, Any, T]],
    /,
    *,
    task_runner: TaskRunner = ...,
    when_busy: WhenBusy = ...,
    on_error: Callable[[Exception], object] | None = ...,
    owner: object = ...,
) -> classmethod[S, P, asyncio.Task[T]]: ...
@overload
def asyncslot(
    fn: Callable[P, Coroutine[Any, Any, T]],
    /,
    *,
    task_runner: TaskRunner = ...,
    when_busy: WhenBusy = ...,
    on_error: Callable[[Exception], object] | None = ...,
    owner: object = ...,
) -> Callable[P, asyncio.Task[T]]: ...
@overload
def asyncslot(
    *types: type | str,
    name: str | None = ...,
    result: type | str | None = ...,
    task_runner: TaskRunner = ...,
    when_busy: WhenBusy = ...,
    on_error: Callable[[Exception], object] | None = ...,
    owner: object = ...,
) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, asyncio.Task[T]]]: ...
def asyncslot(
    *args: Any,
    name: str | None = None,
    result: type | str | None = None,
    task_runner: TaskRunner = run_task,
    when_busy: WhenBusy = "parallel",
    on_error: Callable[[Exception], object] | None = None,
    owner: object = None,
) -> Any:
    """Make a slot from a coroutine function, or from anything callable that returns an awaitable.

    Three forms: `asyncslot(fn)`, the decorator `@asyncslot`, and `@asyncslot(...)` with any of the
    arguments below. As a decorator it may stand above or below Slot, pyqtSlot, staticmethod and
    classmethod.

    Calling the slot runs the coroutine at once, up to where it first suspends, and returns the
    task, which is kept alive until it is done. Arguments of the signal that `fn` does not take are
    dropped; arguments that Qt owns are copied.

    The coroutine runs in the thread in which its object lives, if that is a QObject. Otherwise in
    the loop that was running when `asyncslot` was called; if none was, as in a decorator, in the
    thread where Qt calls the slot, or, if no Qt-backed loop is running there, in that of the
    application. A call in any other thread is handed over, and returns None.

    In a trio run, the task is one of trio, in a nursery of the run. Its first step comes soon, not at
    once; what is returned has the methods of asyncio.Task that slots need. See `qtinter.trio`.

    The slot of a bound method is a bound method: a connection holds its object weakly, and whoever
    holds the slot keeps the object alive.

    Args:
        args: the function, or the types of a Slot (classes or strings), which is then applied to
            the slot (but not to that of a bound method, which has no place in a meta-object).
        name: name of the Slot, in the form with parentheses.
        result: result type of the Slot, likewise. What the slot returns is a task.
        task_runner: makes the task from the coroutine; asyncio.create_task, to begin in the next
            iteration.
        when_busy: what a call does while an earlier call of the same slot, and of the same object
            if it is a method, is not done: "parallel" starts another task, "drop" returns the task
            there is, "queue" waits for its turn, and "restart" cancels the earlier ones and waits
            until they have cleaned up.
        on_error: called with an exception that the coroutine raised, instead of reporting it.
        owner: a QObject whose destruction cancels the tasks.

    Raises:
        RuntimeError: no Qt-backed loop is running, when the slot is called. If Qt is calling it,
            this is printed on all bindings, and does not make PyQt abort. Nothing happens if the
            slot was made while a loop ran that has ended since.
        TypeError: `fn` cannot be called, or not without keywords; `owner` is no QObject.
        ValueError: `when_busy` is none of the four.

    Exceptions of the coroutine are reported once, as soon as it is done, by
    `loop.call_exception_handler()`, which is told the name of the slot; in a trio run, by the logger
    "qtinter". Cancellation is no error.
    KeyboardInterrupt and SystemExit end the run of the loop, which raises them.
    """
    if when_busy not in POLICIES:
        raise ValueError(f"when_busy must be one of {', '.join(POLICIES)}, not {when_busy!r}")
    if owner is not None and not _qt.is_qobject(owner):
        raise TypeError(f"the owner of a slot must be a QObject, got {owner!r}")
    options = Options(task_runner, when_busy, on_error, owner)
    if name is None and result is None and len(args) == 1 and not isinstance(args[0], (type, str)):
        return _adapt(args[0], options)
    for kind in args:
        if not isinstance(kind, (type, str)):
            raise TypeError(f"asyncslot() needs one function, or types of a Slot, got {kind!r}")
    if args or name is not None or result is not None:
        return lambda fn: _adapt(fn, options, _qt.slot(*args, name=name, result=result))
    return lambda fn: _adapt(fn, options)


# Making the function.


def _nothing_more(slot: Callable[..., Any]) -> Callable[..., Any]:
    return slot


def _adapt(fn: Any, options: Options, decorate: Callable[..., Any] = _nothing_more) -> Any:
    if isinstance(fn, (staticmethod, classmethod)):
        return type(fn)(_adapt(fn.__func__, options, decorate))
    if not callable(fn):
        raise TypeError(f"asyncslot() needs a coroutine function, got {fn!r}")
    receiver, function = getattr(fn, "__self__", None), getattr(fn, "__func__", None)
    if receiver is None or function is None or isinstance(receiver, type):
        return decorate(make_function(fn, Behaviour(fn, options)))
    return types.MethodType(_slot_of_method(function, receiver, options), receiver)


def _slot_of_method(fn: Callable[..., Any], receiver: Any, options: Options) -> Callable[..., Any]:
    """Return the function behind the slot of a bound method; the same one for the same method and options.

    A connection holds the object of a bound method weakly, but PyQt5 and PySide2 do not hold its
    function at all. So the object itself keeps it. (A global table would not do: the options may
    refer to the object.)
    """
    options = options._replace(
        task_runner=unbound(options.task_runner, receiver),
        on_error=unbound(options.on_error, receiver),
    )
    key = (fn, options._replace(owner=id(options.owner)))
    try:
        slots = vars(receiver).setdefault("_asyncslots", {})
    except TypeError:  # It has no __dict__.
        slots = _slots_of_others
    if key in slots and not slots[key][1].has_lost_owner:
        slots[key][1].come_home()
    else:
        behaviour = Behaviour(fn, options, is_bound=True)
        slots[key] = make_function(fn, behaviour), behaviour
    slot: Callable[..., Any] = slots[key][0]
    return slot


_slots_of_others: dict[Any, tuple[Callable[..., Any], Behaviour]] = {}
