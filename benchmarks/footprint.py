"""Workloads: what it takes to import, to have a loop, a task, a connection.

Memory is what the kernel counts for the process, C++ included.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import sys
from typing import Any, Callable

from network import idle_connections
from workload import CPU, workload

Clock = Callable[[], float]


def resident() -> int:
    """Bytes of this process that are in memory."""
    if sys.platform != "linux":
        raise NotImplementedError("only Linux tells the memory of a process without more")
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def nothing() -> None:
    """The shortest task."""


@workload("import, beside asyncio and QtCore: time", "ms", CPU, count=1, is_fresh=True)
def import_time(count: int, clock: Clock, contender: Any) -> float:
    """Nothing is imported yet but asyncio and, if there is one, the binding's QtCore."""
    module = contender.module()
    began = clock()
    importlib.import_module(module)
    return clock() - began


@workload("import, beside asyncio and QtCore: memory", "MiB", None, count=1, is_fresh=True)
def import_memory(count: int, clock: Clock, contender: Any) -> float:
    """See `import_time`."""
    module = contender.module()
    before = resident()
    importlib.import_module(module)
    return resident() - before


@workload("create, run and close a loop", "µs", CPU, count=200)
def loop_lifetime(count: int, clock: Clock, contender: Any) -> float:
    """One after the other."""
    for number in range(count + 1):
        if number == 1:
            began = clock()  # The first one has imported everything.
        loop = contender.new_loop()
        loop.run_until_complete(nothing())
        loop.close()
    return (clock() - began) / count


@workload("memory of a loop", "KiB", None, count=200)
def loop_memory(count: int, clock: Clock, contender: Any) -> float:
    """Of loops that have run once and are still open."""
    loops = []
    before = 0
    for made in range(count + 10):
        if made == 10:
            before = resident()
        loop = contender.new_loop()
        loop.run_until_complete(nothing())
        loops.append(loop)
    grown = resident() - before
    for loop in loops:
        loop.close()
    return grown / count


@workload("memory of a task that waits", "KiB", None, count=20_000)
async def task_memory(count: int, clock: Clock) -> float:
    """For a future of its own."""
    loop = asyncio.get_running_loop()

    async def wait(future: asyncio.Future[None]) -> None:
        await future

    before = resident()
    futures = [loop.create_future() for _ in range(count)]
    tasks = [asyncio.create_task(wait(future)) for future in futures]
    await asyncio.sleep(0)
    grown = resident() - before
    for future in futures:
        future.set_result(None)
    await asyncio.gather(*tasks)
    return grown / count


@workload("memory of an idle connection", "KiB", None, count=2000)
async def connection_memory(count: int, clock: Clock) -> float:
    """A transport and its protocol, and the sockets at both ends."""
    before = resident()
    async with idle_connections(count):
        return (resident() - before) / count
