"""asyncslot: a slot from a coroutine function.

What is connected is an ordinary Python function (or a bound method of one), made to measure: the
bindings then treat it as any other slot. They look at its parameters to choose the overload of a
signal, hold a bound method weakly, call it in the thread of its QObject, and accept Slot() above or
below it. All this function does is to call its `_Behaviour`, which starts the coroutine, keeps the
task alive, and reports how it failed.

Nothing may be raised into Qt: PyQt would abort the process.

Not done here: how the first step runs at once (_tasks.py).
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
import types
import weakref
from collections.abc import Awaitable, Coroutine
from typing import TYPE_CHECKING, Any, Callable, Literal, NamedTuple, TypeVar, overload

from . import _qt
from ._loops import QiBaseEventLoop
from ._moulds import NOT_GIVEN, make_function, qualified_name
from ._signals import Subscription, call_in_loop
from ._tasks import run_task, running_loop

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    P = ParamSpec("P")
    S = TypeVar("S")
T = TypeVar("T")

WhenBusy = Literal["parallel", "drop", "queue", "restart"]
TaskRunner = Callable[[Coroutine[Any, Any, Any]], "asyncio.Task[Any]"]

_POLICIES = ("parallel", "drop", "queue", "restart")

# Every task that a slot has started, with the behaviour that did; asyncio's own references are
# weak.
_running: dict[asyncio.Future[Any], _Behaviour] = {}


class NoLoopError(RuntimeError):
    """A slot was called without a running Qt-backed loop."""


class _Options(NamedTuple):
    task_runner: TaskRunner
    when_busy: WhenBusy
    on_error: Callable[[Exception], object] | None
    owner: object


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
    `loop.call_exception_handler()`, which is told the name of the slot. Cancellation is no error.
    KeyboardInterrupt and SystemExit end the run of the loop, which raises them.
    """
    if when_busy not in _POLICIES:
        raise ValueError(f"when_busy must be one of {', '.join(_POLICIES)}, not {when_busy!r}")
    if owner is not None and not _qt.is_qobject(owner):
        raise TypeError(f"the owner of a slot must be a QObject, got {owner!r}")
    options = _Options(task_runner, when_busy, on_error, owner)
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


def _adapt(fn: Any, options: _Options, decorate: Callable[..., Any] = _nothing_more) -> Any:
    if isinstance(fn, (staticmethod, classmethod)):
        return type(fn)(_adapt(fn.__func__, options, decorate))
    if not callable(fn):
        raise TypeError(f"asyncslot() needs a coroutine function, got {fn!r}")
    receiver, function = getattr(fn, "__self__", None), getattr(fn, "__func__", None)
    if receiver is None or function is None or isinstance(receiver, type):
        return decorate(make_function(fn, _Behaviour(fn, options)))
    return types.MethodType(_slot_of_method(function, receiver, options), receiver)


def _slot_of_method(fn: Callable[..., Any], receiver: Any, options: _Options) -> Callable[..., Any]:
    """Return the function behind the slot of a bound method; the same one for the same method and options.

    A connection holds the object of a bound method weakly, but PyQt5 and PySide2 do not hold its
    function at all. So the object itself keeps it. (A global table would not do: the options may
    refer to the object.)
    """
    options = options._replace(
        task_runner=_unbound(options.task_runner, receiver),
        on_error=_unbound(options.on_error, receiver),
    )
    key = (fn, options._replace(owner=id(options.owner)))
    try:
        slots = vars(receiver).setdefault("_asyncslots", {})
    except TypeError:  # It has no __dict__.
        slots = _slots_of_others
    if key in slots and not slots[key][1].has_lost_owner:
        slots[key][1].come_home()
    else:
        behaviour = _Behaviour(fn, options, is_bound=True)
        slots[key] = make_function(fn, behaviour), behaviour
    slot: Callable[..., Any] = slots[key][0]
    return slot


_slots_of_others: dict[Any, tuple[Callable[..., Any], _Behaviour]] = {}


class _Unbound(NamedTuple):
    """An option that is a method of the receiver itself, which its slot must not keep alive."""

    fn: Callable[..., Any]


def _unbound(option: Any, receiver: object) -> Any:
    if getattr(option, "__self__", None) is receiver and hasattr(option, "__func__"):
        return _Unbound(option.__func__)
    return option


def _bound(option: Any, values: tuple[Any, ...]) -> Any:
    return types.MethodType(option.fn, values[0]) if isinstance(option, _Unbound) else option


def _is_in_class_body(fn: Any) -> bool:
    scope, dot, _ = qualified_name(fn).rpartition(".")
    return bool(dot) and not scope.endswith("<locals>") and inspect.isfunction(fn)


# Calling it.


class _Line:
    """Calls that must not overlap: of one slot, and of one object if it is a method. Exists while there are any."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Future[Any]] = set()
        self.turn = asyncio.Lock()


class _Behaviour:
    """What a slot does when it is called."""

    def __init__(
        self, fn: Callable[..., Any], options: _Options, *, is_bound: bool = False
    ) -> None:
        self.name = qualified_name(fn)
        self.is_bound = is_bound
        self.has_lost_owner = False
        self._fn = fn
        self._is_in_class_body = not is_bound and _is_in_class_body(fn)
        self._task_runner, self._when_busy, self._on_error, owner = options
        self._home: weakref.ref[QiBaseEventLoop] | None = None
        self._lines: dict[tuple[asyncio.AbstractEventLoop, int], _Line] = {}
        self._ownership = None if owner is None else self._watch(owner)
        self.come_home()

    def come_home(self) -> None:
        """Belong to the loop that is running here, if there is one, and if this is no method of objects to come."""
        loop = asyncio._get_running_loop()
        if isinstance(loop, QiBaseEventLoop) and not self._is_in_class_body:
            self._home = weakref.ref(loop)

    def __call__(self, values: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Any thread, mostly called by Qt. Run the first step here, or hand the call over to another thread."""
        values = _qt.keep(values)
        loop = asyncio._get_running_loop()
        if not isinstance(loop, QiBaseEventLoop) or not self._is_at_home(loop, values):
            return self._hand_over(values, keywords)
        if self.has_lost_owner:
            return _ended(loop, None)
        try:
            task = self._start(loop, values, keywords)
        except BaseException as error:  # Of the task runner, or one that ends the run.
            if isinstance(error, Exception):
                self._report(loop, error, None, values)
            else:
                loop.fail(error)
            return _ended(loop, error)
        if self.has_lost_owner:  # In the first step.
            task.cancel()
        return task

    # In the loop's thread.

    def _start(
        self, loop: QiBaseEventLoop, values: tuple[Any, ...], keywords: dict[str, Any]
    ) -> asyncio.Future[Any]:
        run = _bound(self._task_runner, values)
        if self._when_busy == "parallel":
            task: asyncio.Future[Any] = run(self._coroutine(values, keywords))
            line = None
        else:
            line = self._lines.setdefault((loop, self._receiver_id(values)), _Line())
            earlier = [task for task in line.tasks if not task.done()]
            if earlier and self._when_busy == "drop":
                return earlier[0]
            if self._when_busy == "restart":
                for task in earlier:
                    task.cancel()
            task = run(self._in_turn(line, values, keywords))
            line.tasks.add(task)
        if task.done():
            self._finished(line, values, task)
        else:
            _running[task] = self
            task.add_done_callback(functools.partial(self._finished, line, values))
        return task

    async def _in_turn(self, line: _Line, values: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        # In line before the first step has ended, which may call the slot again.
        task: Any = asyncio.current_task()
        line.tasks.add(task)
        try:
            async with line.turn:
                return await self._coroutine(values, keywords)
        except (KeyboardInterrupt, SystemExit):
            line.tasks.discard(task)  # If it was the first step, there is no task to finish.
            raise

    def _coroutine(
        self, values: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Coroutine[Any, Any, Any]:
        for count, value in enumerate(values):
            if value is NOT_GIVEN:
                values = values[:count]  # Python will say what is missing.
                break
        try:
            result = self._fn(*values, **keywords)
        except Exception as error:
            return _raise(error)
        if inspect.iscoroutine(result):
            return result
        if inspect.isawaitable(result):
            return _wait(result)
        return _raise(
            TypeError(
                f"asyncslot {self.name}: its function must return a coroutine, but returned {result!r}"
            )
        )

    def _finished(
        self, line: _Line | None, values: tuple[Any, ...], task: asyncio.Future[Any]
    ) -> None:
        _running.pop(task, None)
        if line is not None:
            line.tasks.discard(task)
            if not line.tasks:
                self._lines.pop((task.get_loop(), self._receiver_id(values)), None)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):  # The driver has seen the others.
            self._report(task.get_loop(), error, task, values)

    def _report(
        self,
        loop: asyncio.AbstractEventLoop,
        error: Exception,
        task: asyncio.Future[Any] | None,
        values: tuple[Any, ...],
    ) -> None:
        message = f"exception in asyncslot {self.name}"
        if self._on_error is not None:
            try:
                _bound(self._on_error, values)(error)
                return
            except Exception as another:
                message = f"exception in on_error of asyncslot {self.name}"
                error = another
        context = {"message": message, "exception": error}
        loop.call_exception_handler(context if task is None else {**context, "task": task})

    # In any thread.

    def _receiver(self, values: tuple[Any, ...]) -> Any:
        """The object whose method this is, None if it is a function."""
        if self.is_bound:
            return values[0]
        # In a class body, functions look like methods: a static method has no receiver.
        if self._is_in_class_body and values and hasattr(type(values[0]), self._fn.__name__):
            return values[0]
        return None

    def _receiver_id(self, values: tuple[Any, ...]) -> int:
        return id(self._receiver(values))  # Valid as long as somebody holds `values`.

    def _is_at_home(self, loop: QiBaseEventLoop, values: tuple[Any, ...]) -> bool:
        """Tell whether this thread, where `loop` runs, is the right one."""
        if self.is_bound and _qt.is_qobject(values[0]):
            # The bindings see to it, except PySide: it treats this method, which the class has not,
            # as a function.
            return _qt.is_alive(values[0]) and _qt.is_in_thread_of(values[0])
        home = self._home_loop()
        return home is None or home is loop or not home.is_running()

    def _home_loop(self) -> QiBaseEventLoop | None:
        return None if self._home is None else self._home()

    def _hand_over(self, values: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        """Have the call made in the thread where it belongs."""
        call = functools.partial(self._call_again, values, keywords)
        receiver = self._receiver(values)
        if _qt.is_qobject(receiver):
            if _qt.is_alive(receiver):
                self._call_in_thread_of(receiver, call)
        elif self._home is None:
            self._call_in_thread_of(_qt.application(), call)
        else:
            home = self._home_loop()
            if home is not None and home.is_running():  # Otherwise it is too late.
                call_in_loop(home, call)

    def _call_in_thread_of(self, qobject: Any, call: Callable[[], None]) -> None:
        if qobject is not None and not _qt.is_in_thread_of(qobject):
            _qt.call_in_thread_of(qobject, call)
            return
        try:
            running_loop(f"asyncslot {self.name}")
        except RuntimeError as error:
            raise _qt.spare_process(NoLoopError(*error.args)) from None

    def _call_again(self, values: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        """In the right thread, called by Qt or asyncio."""
        try:
            self(values, keywords)
        except RuntimeError as error:
            sys.excepthook(type(error), error, error.__traceback__)

    # The owner.

    def _watch(self, owner: Any) -> Subscription:
        this = weakref.ref(self)

        def gone(*_: object) -> None:
            behaviour = this()
            if behaviour is not None:
                behaviour._lose_owner()

        return Subscription(owner.destroyed, gone, gone)

    def _lose_owner(self) -> None:
        self.has_lost_owner = True
        for task, behaviour in list(_running.items()):
            if behaviour is self:
                call_in_loop(task.get_loop(), task.cancel)


def _ended(loop: asyncio.AbstractEventLoop, error: BaseException | None) -> asyncio.Future[Any]:
    """What a caller gets instead of a task that there is not: a future with that exception, or a cancelled one."""
    future = loop.create_future()
    if error is None:
        future.cancel()
    else:
        future.set_exception(error)
        future.exception()  # It has been reported.
    return future


async def _raise(error: Exception) -> Any:
    raise error


async def _wait(awaitable: Awaitable[T]) -> T:
    return await awaitable
