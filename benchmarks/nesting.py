"""Workloads: what the readiness for nested Qt loops costs where there are none.

Each slice sets the alarm, in case a callback opens a Qt loop. These measure the CPU time of one
wake-up with and without it, in turn, in one process, and return the median ratio.
"""

from __future__ import annotations

import asyncio
import math
import socket
import statistics
from collections.abc import Awaitable
from typing import Any, Callable

from workload import CPU, qt_core, workload

Clock = Callable[[], float]
PAIRS = 9


async def injected(count: int) -> None:
    """A Qt timer resolves a future, a coroutine resumes: one slice for each."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        future = loop.create_future()
        qt_core().QTimer.singleShot(0, lambda future=future: future.set_result(None))
        await future


async def sparse(count: int) -> None:
    """A byte there and back through a socket pair, then a pause of 1 ms."""
    loop = asyncio.get_running_loop()
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        there.setblocking(False)
        for _ in range(count):
            await loop.sock_sendall(here, b"x")
            await loop.sock_recv(there, 1)
            await loop.sock_sendall(there, b"y")
            await loop.sock_recv(here, 1)
            await asyncio.sleep(0.001)


async def busy(count: int) -> None:
    """Some hundred iterations for each slice."""
    for _ in range(count):
        await asyncio.sleep(0)


def ratio(
    main: Callable[[int], Awaitable[None]], count: int, clock: Clock, contender: Any
) -> float:
    """The median of the ratios of being ready to not being ready."""
    driver = contender.driver()
    ready = driver.NOTICE_NESTING
    loop = contender.new_loop()

    def cost(notice: float) -> float:
        driver.NOTICE_NESTING = notice
        began = clock()
        loop.run_until_complete(main(count))
        return clock() - began

    cost(ready)  # Warm up.
    return statistics.median(cost(ready) / cost(math.inf) for _ in range(PAIRS))


TITLE = "ready for nested Qt loops, as a ratio: "


@workload(TITLE + "a slot resumes a task", "", CPU, count=1000)
def nesting_injected(count: int, clock: Clock, contender: Any) -> float:
    """See `injected`."""
    return ratio(injected, count, clock, contender)


@workload(TITLE + "sparse round trips", "", CPU, count=100)
def nesting_sparse(count: int, clock: Clock, contender: Any) -> float:
    """See `sparse`."""
    return ratio(sparse, count, clock, contender)


@workload(TITLE + "`sleep(0)`", "", CPU, count=10_000)
def nesting_busy(count: int, clock: Clock, contender: Any) -> float:
    """See `busy`."""
    return ratio(busy, count, clock, contender)
