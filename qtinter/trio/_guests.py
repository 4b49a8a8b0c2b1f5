"""How Qt runs trio's ticks.

In guest mode trio hands out its run in pieces: a *tick* runs all tasks that are ready. If others
are ready then, or I/O is, trio asks for another tick; otherwise one of its threads waits, and asks:

    plain trio     | wait ......... | tick | tick | wait ..... | tick | wait ........... | tick |

    guest of Qt    | Qt waits       | slice       | Qt waits   | slice| Qt waits         | slice|
                                    ^                          ^                         ^
                           trio's thread posts an event, as would anybody who calls in from a thread

A *slice* is a row of ticks: going back to Qt for each would cost several times what a tick costs.
It ends when trio has nothing to do, or has had the thread long enough.

A tick cannot begin while another is on the stack. So while a trio task executes a nested Qt loop,
other trio tasks stand still; nothing gets lost. Nested loops that anybody else executes do no harm.

No exception leaves a function that Qt calls. It is kept, the run ends, and whoever started it
raises it.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import contextvars
import functools
import logging
import sys
import threading
from collections.abc import Awaitable, Coroutine
from time import monotonic
from typing import Any, Callable

import outcome
import trio

from .. import _qt
from .._bridges import guests
from .._compat import swap_current_task
from .._engine.pollers import SLICE
from .._loops import QiBaseEventLoop
from ._tasks import Future, Task

logger = logging.getLogger("qtinter")


class GuestRun:
    """One trio run; `outcome` is there when it has ended.

    To the adaptors it is what a Qt-backed loop is to them in asyncio; hence the names of some
    methods.

    Args:
        main: the main function.
        lingers: whether the run goes on after `main` has returned, until it is cancelled.
        ended: called when the run has ended, in this thread.
    """

    def __init__(
        self, main: Callable[[], Awaitable[Any]], ended: Callable[[], None], *, lingers: bool
    ) -> None:
        self.outcome: outcome.Outcome[Any] | None = None
        self.failure: BaseException | None = None
        self.result: Any = None
        self._main = main
        self._ended = ended
        self._lingers = lingers
        self._thread_id = threading.get_ident()
        self._scope = trio.CancelScope()
        self._slots: trio.Nursery | None = None
        # Slots that were called before the nursery was there, each with its context.
        self._early: list[tuple[Task[Any], contextvars.Context]] = []
        # What is to be run.
        self._tick: Callable[[], object] | None = None
        self._calls: collections.deque[Callable[[], object]] = collections.deque()
        self._has_rung = False
        self._bell = _qt.doorbell(self._run_slice)
        self._alarm: _qt.Alarm | None = _qt.Alarm(self._run_slice)
        self._called = threading.Event()  # For a native run.
        # What is on the stack.
        self._is_ticking = False
        self._level = 0  # Qt event loops when the innermost slice began.
        self.slices = 0  # That have begun so far.

    def start(self, **options: Any) -> None:
        """Begin; the first tick comes when Qt has the thread."""
        self._loop_below = asyncio._get_running_loop()
        self._task_below = self._loop_below and asyncio.current_task(self._loop_below)
        self._was_on_stack = (
            isinstance(self._loop_below, QiBaseEventLoop) and self._loop_below.is_on_stack()
        )
        hooks = sys.get_asyncgen_hooks()
        try:
            trio.lowlevel.start_guest_run(
                self._root,
                run_sync_soon_threadsafe=self._tick_from_thread,
                run_sync_soon_not_threadsafe=self._tick_soon,
                done_callback=self._done,
                # Waking Qt is enough: whatever Python's handler of a signal does wakes trio.
                host_uses_signal_set_wakeup_fd=True,
                **options,
            )
        finally:
            # Between the slices, async generators are not trio's.
            self._hooks = sys.get_asyncgen_hooks()
            sys.set_asyncgen_hooks(*hooks)
        self._token = trio.lowlevel.current_trio_token()
        trio.lowlevel.spawn_system_task(self._keep_open)
        guests[self._thread_id] = self

    def close(self) -> None:
        """After the end. Make the last calls, and detach from Qt."""
        while self._calls:
            self._calls.popleft()()
        if self._alarm is not None:
            self._alarm.close()
        self._bell.close()

    # What the run is made of; all this is trio's code.

    async def _root(self) -> Any:
        try:
            with self._scope:
                self.result = await self._main()
                if self._lingers:
                    await trio.sleep_forever()
        finally:
            if self._slots is not None:
                self._slots.cancel_scope.cancel()
        return self.result

    async def _keep_open(self) -> None:
        """A system task, so that what happens in the nursery does not meddle with what `main` raises."""
        async with trio.open_nursery() as self._slots:
            early, self._early = self._early, []
            for task, context in early:
                context.run(task.start_in, self._slots)
            await trio.sleep_forever()

    # What others ask for.

    def cancel(self) -> None:
        """Host thread. Cancel the main function; when it has ended, slots are cancelled.

        Not before it was asked to raise KeyboardInterrupt, if that is on its way: it would be
        raised in the clean-up.
        """
        if self.outcome is not None:
            return
        with contextlib.suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._scope.cancel)

    def fail(self, error: BaseException) -> None:
        """Host thread. End the run, which then raises `error`."""
        if self.failure is None:
            self.failure = error
        self.cancel()

    def error(self) -> BaseException | None:
        """Return what the run is to raise when it has ended, if anything."""
        if self.failure is None and isinstance(self.outcome, outcome.Error):
            return self.outcome.error
        return self.failure

    def was_cancelled(self) -> bool:
        """Tell whether the main function ended by being cancelled."""
        cancelled: bool = self._scope.cancelled_caught
        return cancelled

    def is_running(self) -> bool:
        """Any thread."""
        return self.outcome is None

    def is_ticking(self) -> bool:
        """Host thread. Tell whether a tick is on the stack, so that none can begin."""
        return self._is_ticking

    def has_thread(self) -> bool:
        """Host thread. Tell whether trio has the thread, not Qt."""
        return self._is_ticking and _qt.loop_level() == self._level

    def is_protected(self) -> bool:
        """Host thread. Tell whether KeyboardInterrupt would do harm, as inside trio."""
        protected: bool = trio.lowlevel.currently_ki_protected()
        return protected

    def comes_before(self, loop: QiBaseEventLoop) -> bool:
        """Host thread. Tell whether the caller is rather trio's than asyncio's; `loop` is running as well.

        A task or callback is whose it is. Other code, such as a slot, is that of who began later.
        """
        is_task = asyncio.current_task(loop) not in (None, self._task_below)
        if self._is_ticking:
            return not is_task
        is_on_stack = loop.is_on_stack() and not self._was_on_stack
        return loop is self._loop_below and not is_task and not is_on_stack

    # What a loop can do; see _bridges.py.

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any) -> None:
        """Any thread. Call `callback` soon in the host thread, not in a trio task; RuntimeError after the end."""
        if self.outcome is not None:
            raise RuntimeError("the trio run has ended")
        self.call_in_qt(callback, *args)

    def call_in_qt(self, callback: Callable[..., object], *args: Any) -> None:
        """Any thread. As `call_soon_threadsafe()`; still works in the last tick."""
        self._call(functools.partial(self._call_back, callback, args))

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Any thread. Log what went wrong, as asyncio does unless it is told otherwise."""
        logger.error("%s", context["message"], exc_info=context["exception"])

    def create_future(self) -> Future[Any]:
        """Host thread."""
        return Future(self)

    async def checkpoint(self) -> None:
        """Be one of those trio functions that are never done at once."""
        await trio.lowlevel.checkpoint()

    def start_task(self, coro: Coroutine[Any, Any, Any], name: str | None) -> Task[Any]:
        """Host thread. Run `coro` in the nursery of the run. Its first step comes with the next tick."""
        task: Task[Any] = Task(self, coro, name)
        if self._slots is None:
            self._early.append((task, contextvars.copy_context()))
        elif self._slots.cancel_scope.cancel_called:
            task.abandon()
        else:
            task.start_in(self._slots)
        return task

    def _call_back(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        try:
            callback(*args)
        except Exception as error:
            message = f"exception in callback {callback!r}"
            self.call_exception_handler({"message": message, "exception": error})

    # Called by trio.

    def _tick_soon(self, tick: Callable[[], object]) -> None:
        """Host thread: always in a slice, except for the first tick."""
        self._tick = tick
        if not self.slices:
            self._see_to_the_rest()

    def _tick_from_thread(self, tick: Callable[[], object]) -> None:
        """A thread of trio's."""
        self._call(lambda: self._tick_soon(tick))

    def _call(self, call: Callable[[], object]) -> None:
        """Any thread."""
        self._calls.append(call)
        self._called.set()
        if not self._has_rung:  # However many calls there are, one event is enough.
            self._has_rung = True
            # Deleted with the application? What follows is a native run.
            with contextlib.suppress(RuntimeError):
                self._bell.ring()

    def _done(self, result: outcome.Outcome[Any]) -> None:
        """Host thread, in the last tick."""
        self.outcome = result
        del guests[self._thread_id]
        for task, _ in self._early:
            task.abandon()
        self._ended()

    # Called by Qt, in the host thread.

    def _run_slice(self) -> None:
        self.slices += 1
        outer_level, self._level = self._level, _qt.loop_level()
        loop = asyncio._get_running_loop()
        task = loop and asyncio.current_task(loop)
        hooks = sys.get_asyncgen_hooks()
        try:
            if task is not None:  # It executes a nested Qt loop, and is not who runs trio's tasks.
                swap_current_task(loop, None)
            sys.set_asyncgen_hooks(*self._hooks)
            self._slice()
        except BaseException as error:
            self.fail(error)
        finally:
            sys.set_asyncgen_hooks(*hooks)
            if task is not None:
                swap_current_task(loop, task)
            self._level = outer_level

    def _slice(self) -> None:
        end = monotonic() + SLICE
        self._has_rung = False
        while self._calls or self._tick is not None:
            if self._calls:
                call = self._calls.popleft()
                self._see_to_the_rest()  # The call may execute a nested Qt loop.
                call()
            elif self._tick is not None:
                tick, self._tick = self._tick, None
                self._is_ticking = True
                try:
                    tick()
                finally:
                    self._is_ticking = False
            if monotonic() >= end:
                break
        self._see_to_the_rest()

    def _see_to_the_rest(self) -> None:
        if self._alarm is not None and (self._calls or self._tick is not None):
            self._alarm.set_now()

    # Without Qt.

    def run_natively(self) -> None:
        """Host thread, when the application is gone. Run to the end as trio alone would."""
        self._alarm = None  # It is gone as well.
        while self.outcome is None:
            if not self._calls and self._tick is None:
                self._called.wait()
            self._called.clear()
            self._run_slice()
