"""Random programs leave the same log on plain asyncio and on ours, event by event.

A program is a list of steps, each for one of several tasks. What makes the log the same in every run of plain asyncio: callbacks run in
the order in which they became ready, a socket pair is readable as soon as something was sent, and no two timers are due at the same time,
as each has a tick of its own. A busy machine may still be late for a tick. So a difference counts if it is still there when the ticks are
much longer.

HYPOTHESIS_PROFILE=long runs many more programs.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import socket
import time
from typing import Any, Callable

import hypothesis
import pytest
from harness import KINDS, run_attached, run_nested
from hypothesis import strategies as st

# Seconds, in the first try and in later ones. Not all of them long: that gives the machine more time to be late in.
TICKS = (0.002, 0.03, 0.03, 0.1, 0.2)
BUDGET = 10  # seconds for one kind of loop, on a busy machine; nobody is in a hurry in a long run
TASKS = 4
PIECES = 2  # of each kind of thing that tasks share

# What a task can do, and with which of the shared things or other tasks. Steps that end with a tick
# are given one when they are reached.
WAITING = ("future", "get", "put", "lock", "event", "recv", "sleep0", "tick")
AT_ONCE = (
    "resolve",
    "fail",
    "drop",
    "set",
    "clear",
    "send",
    "cancel",
    "call_soon",
    "call_at",
    "call_later",
)
TIMERS = ("tick", "call_at", "call_later")
STEPS = st.tuples(
    st.integers(0, TASKS - 1),
    st.sampled_from([*WAITING, *AT_ONCE]),
    st.integers(0, TASKS - 1),
    st.sampled_from(["", "", "", "wait_for", "shield", "gather"]),
)
PROGRAMS = st.lists(STEPS, min_size=5, max_size=30)


class Run:
    """One run of a program.

    Args:
        steps: of the program.
        tick: seconds between two timers.
    """

    def __init__(self, steps: list[Any], tick: float) -> None:
        self.steps = steps
        self.tick = tick
        self.log: list[Any] = []
        self.is_ending = False

    async def main(self) -> list[Any]:
        """Run all tasks for as many ticks as they can use; return the log."""
        loop = self.loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.note("report", context["message"]))
        self.start = loop.time()
        self.futures = [loop.create_future() for _ in range(PIECES)]
        self.queues = [asyncio.Queue(maxsize=1) for _ in range(PIECES)]
        self.locks = [asyncio.Lock() for _ in range(PIECES)]
        self.events = [asyncio.Event() for _ in range(PIECES)]
        with contextlib.ExitStack() as stack:
            self.sockets = [socket.socketpair() for _ in range(PIECES)]
            for end in sum(self.sockets, ()):
                end.setblocking(False)
                stack.enter_context(end)
            self.tasks = [loop.create_task(self.task(number)) for number in range(TASKS)]
            await asyncio.sleep(self.until(len(self.steps)))
            self.is_ending = True
            for task in self.tasks:
                task.cancel()
            self.note("ends", *await asyncio.gather(*self.tasks, return_exceptions=True))
            for future in self.futures:
                if future.done() and not future.cancelled():
                    self.note("left", future.exception())
            log, self.log = self.log, []
            shielded = asyncio.all_tasks() - {asyncio.current_task()}
            for task in shielded:
                task.cancel()
            await asyncio.gather(*shielded, return_exceptions=True)
        return log

    def note(self, *what: Any) -> None:
        """Add to the log."""
        self.log.append(repr(what))

    def until(self, index: int) -> float:
        """Seconds until the tick of a step, which no other step has."""
        return max(0, self.due(index) - self.loop.time())

    def due(self, index: int) -> float:
        """When the tick of a step is."""
        earlier = sum(what in TIMERS or how == "wait_for" for _, what, _, how in self.steps[:index])
        return self.start + (earlier + 1) * self.tick

    async def task(self, number: int) -> str:
        """Take the steps of one task, some of which survive a cancellation."""
        for index, (who, what, which, how) in enumerate(self.steps):
            if who != number:
                continue
            try:
                if what in WAITING:
                    result = await self.wait(what, which, how, index)
                else:
                    result = self.act(what, which, index)
                self.note(number, index, what, result)
            except asyncio.CancelledError:
                self.note(number, index, what, "cancelled")
                if self.is_ending or index % 2:
                    raise
            except Exception as error:
                self.note(number, index, what, type(error).__name__)
        return f"{number} is done"

    async def wait(self, what: str, which: int, how: str, index: int) -> Any:
        """Wait for something, on its own or together with a timer or another task."""
        step = self.waiting(what, which % PIECES, index)
        if how == "wait_for":
            return await asyncio.wait_for(step, self.until(index))
        if how == "shield":
            return await asyncio.shield(step)
        if how == "gather":
            return await asyncio.gather(step, asyncio.sleep(0, "slept"), return_exceptions=True)
        return await step

    async def waiting(self, what: str, which: int, index: int) -> Any:
        if what == "future":
            return await self.futures[which]
        if what == "get":
            return await self.queues[which].get()
        if what == "put":
            return await self.queues[which].put(index)
        if what == "event":
            return await self.events[which].wait()
        if what == "recv":
            return await self.loop.sock_recv(self.sockets[which][1], 2)
        if what == "lock":
            async with self.locks[which]:
                self.note("locked", index)
                return await asyncio.sleep(0)
        return await asyncio.sleep(0 if what == "sleep0" else self.until(index))

    def act(self, what: str, which: int, index: int) -> Any:
        """Do something that takes no time."""
        piece = which % PIECES
        future = self.futures[piece]
        if what == "resolve":
            return future.set_result(index)
        if what == "fail":
            return future.set_exception(ZeroDivisionError())
        if what == "drop":
            return future.cancel()
        if what in ("set", "clear"):
            return getattr(self.events[piece], what)()
        if what == "send":
            return self.sockets[piece][0].send(b"%d" % (index % 10))
        if what == "cancel":
            return self.tasks[which].cancel()
        if what == "call_soon":
            self.loop.call_soon(self.note, what, index)
        elif what == "call_later":
            self.loop.call_later(self.until(index), self.note, what, index)
        else:
            handle = self.loop.call_at(self.due(index), self.note, what, index)
            if which == 0:
                handle.cancel()
        return None


CASES = [(run, kind) for run in (run_nested, run_attached) for kind in KINDS]

hypothesis.settings.register_profile("differential", max_examples=25)
hypothesis.settings.register_profile("differential-long", max_examples=2000)
LENGTH = "-long" if os.environ.get("HYPOTHESIS_PROFILE") == "long" else ""


@pytest.mark.parametrize(
    ("run", "kind"), CASES, ids=[f"{run.__name__[4:]} {kind.name}" for run, kind in CASES]
)
def test_programs_leave_the_log_of_plain_asyncio(
    run: Callable[..., Any], kind: Any, qapp: Any
) -> None:
    """Tasks, timers, futures, cancellations, queues, locks, timeouts and sockets, in the same order."""
    end = math.inf if LENGTH else time.monotonic() + BUDGET

    @hypothesis.settings(
        hypothesis.settings.get_profile("differential" + LENGTH),
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        # Minimising a failure would take more time than one test has.
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )
    @hypothesis.given(PROGRAMS)
    def check(steps: list[Any]) -> None:
        if time.monotonic() > end:
            return
        for tick in TICKS:
            expected = run_nested(kind.plain, Run(steps, tick).main)
            log = run(kind.qi, Run(steps, tick).main)
            if log == expected:
                return
        assert log == expected

    check()
