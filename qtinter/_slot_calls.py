"""What an asyncslot does when it is called: start the coroutine, keep the task alive, report how it failed.

A call may come at any time and in any thread. `Behaviour` finds out where it belongs, hands it over
if it is not there, and starts the task in the loop or the trio run that is running there.

Nothing may be raised into Qt: PyQt would abort the process.

Not done here: how the first step runs at once (_tasks.py).
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
import weakref
from collections.abc import Awaitable, Coroutine
from typing import Any, Callable, TypeVar

from . import _qt
from ._bridges import (
    Scheduler,
    call_in_scheduler,
    current_scheduler,
    current_task,
    guests,
    has_ended,
    is_scheduler_of_thread,
    require_scheduler,
)
from ._cleanup import closing, slot_tasks
from ._lines import Line
from ._loops import QiBaseEventLoop, hosted_loops
from ._moulds import NOT_GIVEN, qualified_name
from ._signals import Subscription
from ._slot_options import Options, bound
from ._tasks import run_task, run_task_in

T = TypeVar("T")


class NoLoopError(RuntimeError):
    """A slot was called without a running Qt-backed loop."""


def _is_in_class_body(fn: Any) -> bool:
    scope, dot, _ = qualified_name(fn).rpartition(".")
    return bool(dot) and not scope.endswith("<locals>") and inspect.isfunction(fn)


class Behaviour:
    """What a slot does when it is called."""

    def __init__(self, fn: Callable[..., Any], options: Options, *, is_bound: bool = False) -> None:
        self.name = qualified_name(fn)
        self.is_bound = is_bound
        self.has_lost_owner = False
        self._fn = fn
        self._is_in_class_body = not is_bound and _is_in_class_body(fn)
        self._task_runner, self._when_busy, self._on_error, owner = options
        self._home: weakref.ref[Scheduler] | None = None
        self._lines: dict[tuple[Scheduler, int], Line] = {}
        self._ownership = None if owner is None else self._watch(owner)
        self.come_home()

    def come_home(self) -> None:
        """Belong to what is running here, if anything is, and if this is no method of objects to come."""
        scheduler = current_scheduler()
        if scheduler is not None and not self._is_in_class_body:
            self._home = weakref.ref(scheduler)

    def __call__(self, values: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Any thread, mostly called by Qt. Run the first step here, or hand the call over to another thread."""
        values = _qt.keep(values)
        loop = asyncio._get_running_loop()
        if guests or hosted_loops:
            scheduler = self._scheduler_here()
        else:
            scheduler = loop if isinstance(loop, QiBaseEventLoop) else None
        if scheduler is None or not self._is_at_home(scheduler, values):
            return self._hand_over(values, keywords)
        if self.has_lost_owner or scheduler in closing:
            return _ended(scheduler, None)
        try:
            start = self._start_in_host if hosted_loops else self._start
            task = start(scheduler, values, keywords)
        except BaseException as error:  # Of the task runner, or one that ends the run.
            if isinstance(error, Exception):
                self._report(scheduler, error, None, values)
            else:
                scheduler.fail(error)
            return _ended(scheduler, error)
        if self.has_lost_owner:  # In the first step.
            task.cancel()
        return task

    def _scheduler_here(self) -> Scheduler | None:
        """What is to run the coroutine, if it is to run in this thread, where both may be running."""
        home = self._home_scheduler()
        return home if home is not None and is_scheduler_of_thread(home) else current_scheduler()

    # In the scheduler's thread.

    def _start_in_host(
        self, scheduler: Scheduler, values: tuple[Any, ...], keywords: dict[str, Any]
    ) -> asyncio.Future[Any]:
        """With attach(), the scheduler need not be the running loop."""
        if not isinstance(scheduler, QiBaseEventLoop):
            return self._start(scheduler, values, keywords)
        with scheduler.entered():
            return self._start(scheduler, values, keywords)

    def _start(
        self, scheduler: Scheduler, values: tuple[Any, ...], keywords: dict[str, Any]
    ) -> asyncio.Future[Any]:
        run = bound(self._task_runner, values)
        if guests and run is run_task:
            run = functools.partial(run_task_in, scheduler)
        if self._when_busy == "parallel":
            line = ticket = None
            task: asyncio.Future[Any] = run(self._coroutine(values, keywords))
        else:
            line = self._lines.setdefault((scheduler, self._receiver_id(values)), Line())
            earlier = [task for task in line.tasks if not task.done()]
            if earlier and self._when_busy == "drop":
                return earlier[0]
            if self._when_busy == "restart":
                for task in earlier:
                    task.cancel()
            ticket = line.enter(scheduler)
            try:
                task = run(self._in_turn(scheduler, line, ticket, values, keywords))
            except BaseException:  # There is no task to finish.
                line.leave(ticket)
                raise
            line.tasks.add(task)
        if task.done():
            self._finished(line, ticket, values, task)
        else:
            slot_tasks[task] = self
            task.add_done_callback(functools.partial(self._finished, line, ticket, values))
        return task

    async def _in_turn(
        self,
        scheduler: Scheduler,
        line: Line,
        ticket: asyncio.Future[None] | None,
        values: tuple[Any, ...],
        keywords: dict[str, Any],
    ) -> Any:
        # In line before the first step has ended, which may call the slot again.
        task: Any = current_task(scheduler)
        if task is not None:
            line.tasks.add(task)
        try:
            if ticket is not None:
                await ticket
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
        self,
        line: Line | None,
        ticket: asyncio.Future[None] | None,
        values: tuple[Any, ...],
        task: asyncio.Future[Any],
    ) -> None:
        slot_tasks.pop(task, None)
        scheduler: Any = task.get_loop()
        if line is not None:
            line.leave(ticket)
            line.tasks.discard(task)
            if not line.tasks:
                self._lines.pop((scheduler, self._receiver_id(values)), None)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):  # The scheduler has seen the others.
            self._report(scheduler, error, task, values)

    def _report(
        self,
        scheduler: Scheduler,
        error: Exception,
        task: asyncio.Future[Any] | None,
        values: tuple[Any, ...],
    ) -> None:
        message = f"exception in asyncslot {self.name}"
        if self._on_error is not None:
            try:
                bound(self._on_error, values)(error)
                return
            except Exception as another:
                message = f"exception in on_error of asyncslot {self.name}"
                error = another
        context = {"message": message, "exception": error}
        scheduler.call_exception_handler(context if task is None else {**context, "task": task})

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

    def _is_at_home(self, scheduler: Scheduler, values: tuple[Any, ...]) -> bool:
        """Tell whether this thread, where `scheduler` runs, is the right one."""
        if self.is_bound and _qt.is_qobject(values[0]):
            # The bindings see to it, except PySide: it treats this method, which the class has not,
            # as a function.
            return _qt.is_alive(values[0]) and _qt.is_in_thread_of(values[0])
        home = self._home_scheduler()
        return home is None or home is scheduler or has_ended(home)

    def _home_scheduler(self) -> Scheduler | None:
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
            home = self._home_scheduler()
            if home is not None and not has_ended(home):  # Otherwise it is too late.
                call_in_scheduler(home, call)

    def _call_in_thread_of(self, qobject: Any, call: Callable[[], None]) -> None:
        if qobject is not None and not _qt.is_in_thread_of(qobject):
            _qt.call_in_thread_of(qobject, call)
            return
        try:
            require_scheduler(f"asyncslot {self.name}")
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
        for task, behaviour in list(slot_tasks.items()):
            if behaviour is self:
                scheduler: Any = task.get_loop()
                call_in_scheduler(scheduler, task.cancel)


def _ended(scheduler: Scheduler, error: BaseException | None) -> asyncio.Future[Any]:
    """What a caller gets instead of a task that there is not: a future with that exception, or a cancelled one."""
    future: asyncio.Future[Any] = scheduler.create_future()
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
