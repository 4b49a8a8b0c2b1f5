"""Workloads: callbacks, tasks, timers, threads and processes."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Callable

from workload import CPU, WALL, Goal, workload

Clock = Callable[[], float]


@workload("`sleep(0)`", "µs", CPU, count=100_000, goal=Goal(1.05))
async def sleep_zero(count: int, clock: Clock) -> float:
    """One task that does nothing but give way."""
    began = clock()
    for _ in range(count):
        await asyncio.sleep(0)
    return (clock() - began) / count


@workload("create, run and gather a task", "µs", CPU, count=40_000, goal=Goal(1.05))
async def tasks(count: int, clock: Clock) -> float:
    """A hundred at a time."""

    async def nothing() -> None:
        pass

    rows = max(count // 100, 1)
    began = clock()
    for _ in range(rows):
        await asyncio.gather(*[asyncio.create_task(nothing()) for _ in range(100)])
    return (clock() - began) / (rows * 100)


@workload("`call_soon` chain", "µs", CPU, count=150_000, goal=Goal(1.05))
async def call_soon(count: int, clock: Clock) -> float:
    """A callback that schedules itself."""
    loop = asyncio.get_running_loop()
    finished = loop.create_future()
    left = count

    def callback() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(callback)
        else:
            finished.set_result(None)

    began = clock()
    loop.call_soon(callback)
    await finished
    return (clock() - began) / count


@workload("10,000 sleeps at once over 0.2 s", "ms", CPU, count=10_000, goal=Goal(1.10))
async def sleeps(count: int, clock: Clock) -> float:
    """All of them together."""
    began = clock()
    await asyncio.gather(*[asyncio.sleep(0.2 * i / count) for i in range(count)])
    return clock() - began


@workload("`call_later` and cancel", "µs", CPU, count=20_000, goal=Goal(1.05))
async def call_later(count: int, clock: Clock) -> float:
    """Timeouts that are not reached."""
    loop = asyncio.get_running_loop()

    def nothing() -> None:
        pass

    began = clock()
    for i in range(count):
        loop.call_later(1, nothing).cancel()
        if i % 1000 == 0:
            await asyncio.sleep(0)
    return (clock() - began) / count


@workload("`call_soon_threadsafe` flood", "µs", CPU, count=50_000, goal=Goal(1.00))
async def call_soon_threadsafe(count: int, clock: Clock) -> float:
    """Another thread calls as fast as it can."""
    loop = asyncio.get_running_loop()
    finished = loop.create_future()

    def nothing() -> None:
        pass

    def flood() -> None:
        for _ in range(count):
            loop.call_soon_threadsafe(nothing)
        loop.call_soon_threadsafe(finished.set_result, None)

    thread = threading.Thread(target=flood)
    began = clock()
    thread.start()
    await finished
    lasted = clock() - began
    thread.join()
    return lasted / count


@workload("idle, CPU per second", "ms", CPU, count=300, goal=Goal(1.2))
async def idle(count: int, clock: Clock) -> float:
    """A loop that waits for one timer, hundredths of a second long."""
    await asyncio.sleep(0.01)
    began = clock()
    await asyncio.sleep(count / 100)
    return (clock() - began) / (count / 100)


@workload("start a process and read its output", "ms", WALL, count=100, goal=Goal(1.05))
async def subprocess(count: int, clock: Clock) -> float:
    """One after the other."""
    command = ["cmd", "/c", "echo", "x"] if sys.platform == "win32" else ["echo", "x"]
    began = clock()
    for _ in range(count):
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        await process.communicate()
    return (clock() - began) / count
