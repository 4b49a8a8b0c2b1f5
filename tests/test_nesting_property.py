"""Whatever tasks do and wherever they open Qt loops, they end as under plain asyncio.

hypothesis builds random programs out of smaller ones and runs them one after the other on the same loop. A program is a coroutine
function whose result depends on all that it awaited. Plain asyncio runs the same program without
the nested loops.
"""

from __future__ import annotations

import asyncio
import contextvars
import selectors
import socket
import sys
import threading
from collections.abc import Coroutine
from typing import Any, Callable

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from qtpy import QtCore

import qtinter

# How to open a nested loop for some milliseconds; under plain asyncio, nothing happens.
Block = Callable[[int], None]
Program = Callable[[Block], Coroutine[Any, Any, Any]]

TICKS = st.integers(0, 4)  # milliseconds


def block(milliseconds: int) -> None:
    """Execute a nested Qt loop."""
    loop = QtCore.QEventLoop()
    QtCore.QTimer.singleShot(milliseconds, loop.quit)
    loop.exec_()


def no_block(milliseconds: int) -> None:
    """Plain asyncio has no such thing."""


def start(coro: Coroutine[Any, Any, Any], how: str, context: contextvars.Context) -> asyncio.Task:
    """Create a task: as asyncio does, with its first step run at once, or in a context that is shared."""
    loop = asyncio.get_running_loop()
    if how == "eager":
        return qtinter.run_task(coro)
    if how == "shared" and sys.version_info >= (3, 11):
        return loop.create_task(coro, context=context)
    return loop.create_task(coro)


async def finish(tasks: list[asyncio.Task[Any]]) -> None:
    """Wait until the tasks are done, even if somebody cancels us meanwhile."""
    cancelled = False
    while not all(task.done() for task in tasks):
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError


class Programs(RuleBasedStateMachine):
    """Builds programs bottom up, and runs them."""

    programs = Bundle("programs")
    selector: type[selectors.BaseSelector] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.reports: list[Any] = []
        self.loop = qtinter.QiDefaultEventLoop()
        if self.selector is not None:
            self.loop.close()
            self.loop = qtinter.QiSelectorEventLoop(self.selector())
        self.loop.set_exception_handler(lambda _, context: self.reports.append(context))

    def teardown(self) -> None:
        self.loop.close()

    @rule(target=programs, milliseconds=TICKS)
    def sleep(self, milliseconds: int) -> Program:
        async def sleep(block: Block) -> str:
            return await asyncio.sleep(milliseconds / 1000, f"slept {milliseconds}")

        return sleep

    @rule(
        target=programs,
        milliseconds=TICKS,
        how=st.sampled_from(["call_soon", "call_later", "thread", "slot"]),
    )
    def future(self, milliseconds: int, how: str) -> Program:
        """A future, resolved by a callback that opens a nested loop itself."""

        async def future(block: Block) -> str:
            loop = asyncio.get_running_loop()
            result = loop.create_future()

            def resolve() -> None:
                block(milliseconds)
                if not result.done():  # as it is if somebody cancelled us
                    result.set_result(how)

            if how == "thread":
                thread = threading.Thread(target=loop.call_soon_threadsafe, args=(resolve,))
                thread.start()
                thread.join()
            elif how == "slot" and block is not no_block:
                QtCore.QTimer.singleShot(milliseconds, resolve)
            elif how == "call_soon":
                loop.call_soon(resolve)
            else:
                loop.call_later(milliseconds / 1000, resolve)
            return await result

        return future

    @rule(target=programs, count=st.integers(1, 4), milliseconds=TICKS)
    def socket_pair(self, count: int, milliseconds: int) -> Program:
        """Bytes through a socket pair to a protocol that opens a nested loop when the first arrives."""

        async def socket_pair(block: Block) -> bytes:
            loop = asyncio.get_running_loop()
            received = bytearray()
            complete = loop.create_future()

            class Receiver(asyncio.Protocol):
                def data_received(self, data: bytes) -> None:
                    first = not received
                    received.extend(data)
                    if first:
                        block(milliseconds)
                    if len(received) == count and not complete.done():
                        complete.set_result(None)

            pair = socket.socketpair()
            transports = []
            try:
                for protocol, end in zip((Receiver, asyncio.Protocol), pair):
                    transport, _ = await loop.create_connection(protocol, sock=end)
                    transports.append(transport)
                for i in range(count):
                    transports[1].write(bytes([i]))
                    await asyncio.sleep(0.001 * (i % 2))
                await complete
            finally:
                for transport in transports:
                    transport.close()
                for end in pair[len(transports) :]:
                    end.close()
            return bytes(received)

        return socket_pair

    @rule(target=programs, body=programs, milliseconds=TICKS, first=st.booleans())
    def nested_loop(self, body: Program, milliseconds: int, first: bool) -> Program:
        """A nested loop before or after something else."""

        async def nested_loop(block: Block) -> Any:
            task = asyncio.current_task()
            if first:
                block(milliseconds)
                assert asyncio.current_task() is task
            result = await body(block)
            if not first:
                block(milliseconds)
                assert asyncio.current_task() is task
            return ("nested", result)

        return nested_loop

    @rule(
        target=programs,
        bodies=st.lists(
            st.tuples(programs, st.sampled_from(["task", "eager", "shared"])),
            min_size=1,
            max_size=4,
        ),
        milliseconds=TICKS,
    )
    def tree(self, bodies: list[tuple[Program, str]], milliseconds: int) -> Program:
        """Several tasks at once, some of which share a context, with a nested loop while they run."""

        async def tree(block: Block) -> Any:
            context = contextvars.copy_context()
            tasks = [start(body(block), how, context) for body, how in bodies]
            block(milliseconds)
            try:
                return await asyncio.gather(*tasks)
            finally:  # A gather() that is cancelled ends with the first of its tasks.
                await finish(tasks)

        return tree

    @rule(target=programs, body=programs, milliseconds=TICKS)
    def cancelled(self, body: Program, milliseconds: int) -> Program:
        """A task that is cancelled while it does something and then waits for ever."""

        async def endless(block: Block) -> None:
            try:
                await body(block)
            finally:
                block(milliseconds)
                await asyncio.sleep(0)
            await asyncio.get_running_loop().create_future()

        async def cancelled(block: Block) -> str:
            task = asyncio.get_running_loop().create_task(endless(block))
            try:
                await asyncio.sleep(milliseconds / 1000)
            finally:  # Somebody may have cancelled us, too.
                task.cancel()
                await finish([task])
            return f"cancelled: {task.cancelled()}"

        return cancelled

    @rule(program=programs)
    def run(self, program: Program) -> None:
        """The result is that of plain asyncio, and nothing else is left to do."""
        plain = asyncio.new_event_loop()
        try:
            expected = plain.run_until_complete(self.main(program, no_block))
        finally:
            plain.close()
        assert self.loop.run_until_complete(self.main(program, block)) == expected
        assert asyncio.all_tasks(self.loop) == set()

    async def main(self, program: Program, block: Block) -> Any:
        result = await asyncio.wait_for(program(block), 10)
        for _ in range(3):  # Transports close their sockets in an iteration of their own.
            await asyncio.sleep(0)
        return result

    @invariant()
    def nothing_was_reported(self) -> None:
        """No exception reaches the exception handler."""
        assert self.reports == []


SETTINGS = hypothesis.settings(
    max_examples=40 if sys.platform == "win32" else 100,  # Wine takes its time.
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    # Minimising a failure would take more time than one test has.
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)


@pytest.mark.parametrize(
    "selector", [None, selectors.SelectSelector], ids=["default poller", "thread poller"]
)
def test_programs_end_as_under_plain_asyncio(
    selector: type[selectors.BaseSelector] | None, qapp: Any
) -> None:
    """Random trees of tasks, timers, futures, socket pairs, shared contexts and nested loops."""

    class Case(Programs):
        pass

    Case.selector = selector
    hypothesis.stateful.run_state_machine_as_test(Case, settings=SETTINGS)
