"""Workloads: how late each loop is when the other one, or nobody, is busy.

Times are those of time.perf_counter(), whatever the loop's own clock is.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
from collections.abc import Iterator
from typing import Any, Callable

from workload import WALL, Goal, percentile, qt_core, workload

Clock = Callable[[], float]


@workload(
    "10 ms Qt timer, 99 % late by, asyncio saturated",
    "ms",
    WALL,
    count=300,
    goal=Goal(0.001, is_ratio=False),
)
async def qt_timer(count: int, clock: Clock) -> float:
    """A Qt timer beside ten tasks that always have something to do."""
    core = qt_core()
    finished = asyncio.get_running_loop().create_future()
    late: list[float] = []
    began = 0.0

    def fire() -> None:
        late.append(clock() - began - 0.01)
        if len(late) == count:
            finished.set_result(None)
        else:
            start()

    def start() -> None:
        nonlocal began
        began = clock()
        timer.start(10)

    timer = core.QTimer()
    timer.setSingleShot(True)
    timer.setTimerType(core.Qt.TimerType.PreciseTimer)
    timer.timeout.connect(fire)

    async def saturate() -> None:
        while True:
            await asyncio.sleep(0)

    busy = [asyncio.create_task(saturate()) for _ in range(10)]
    await asyncio.sleep(0)
    start()
    await finished
    for task in busy:
        task.cancel()
    return percentile(late, 99)


@contextlib.contextmanager
def saturated_qt(clock: Clock) -> Iterator[None]:
    """Python slots of 0.1 ms each, one after the other."""

    def work() -> None:
        end = clock() + 0.0001
        while clock() < end:
            pass

    timer = qt_core().QTimer()
    timer.timeout.connect(work)
    timer.start(0)
    try:
        yield
    finally:
        timer.stop()


async def lateness(count: int, seconds: float, clock: Clock) -> list[float]:
    """How much longer than `seconds` each of `count` sleeps lasts."""
    late = []
    for _ in range(count):
        began = clock()
        await asyncio.sleep(seconds)
        late.append(clock() - began - seconds)
    return late


@workload(
    "`sleep(10 ms)`, 99 % late by, Qt saturated",
    "ms",
    WALL,
    count=300,
    goal=Goal(0.0012, is_ratio=False),
)
async def sleep_beside_qt(count: int, clock: Clock) -> float:
    """asyncio gets its turn although Qt always has something to do."""
    with saturated_qt(clock):
        return percentile(await lateness(count, 0.01, clock), 99)


@workload(
    "slot sets a future, coroutine resumes",
    "µs",
    WALL,
    count=3000,
    goal=Goal(0.000005, is_ratio=False),
)
async def slot_to_coroutine(count: int, clock: Clock) -> float:
    """The median of the times between."""
    core = qt_core()
    loop = asyncio.get_running_loop()
    future: Any = None
    took = []

    def fire() -> None:
        nonlocal began
        began = clock()
        future.set_result(None)

    timer = core.QTimer()
    timer.setSingleShot(True)
    timer.timeout.connect(fire)
    began = 0.0
    for _ in range(count):
        future = loop.create_future()
        timer.start(0)
        await future
        took.append(clock() - began)
    return statistics.median(took)


@workload(
    "`sleep(5 ms)`, 99 % late by, idle", "ms", WALL, count=200, goal=Goal(0.0012, is_ratio=False)
)
async def sleep_late(count: int, clock: Clock) -> float:
    """Nobody else is busy."""
    return percentile(await lateness(count, 0.005, clock), 99)


@workload("`sleep(5 ms)` of 200 that end early", "", WALL, count=200, goal=Goal(0, is_ratio=False))
async def sleep_early(count: int, clock: Clock) -> float:
    """Early by more than what the clocks cannot tell."""
    return sum(late < -1e-6 for late in await lateness(count, 0.005, clock))
