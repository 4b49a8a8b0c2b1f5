"""Workloads: what a slot and a signal cost, where there are adaptors for them."""

from __future__ import annotations

import asyncio
from typing import Any, Callable

from workload import CPU, qt_core, workload

Clock = Callable[[], float]


def sender() -> Any:
    """A new object with a signal of an integer."""
    core = qt_core()
    kind = getattr(core, "Signal", None) or core.pyqtSignal
    return type("Sender", (core.QObject,), {"signal": kind(int)})()


class Finished:
    """An async function to be called from slots, and how to wait until it was called often enough."""

    def __init__(self) -> None:
        self.count = 0

    async def work(self, value: int) -> None:
        """Do not suspend."""
        self.count += 1

    async def wait(self, count: int) -> None:
        """Wait for the last call."""
        while self.count < count:
            await asyncio.sleep(0)


def run(contender: Any, main: Any) -> Any:
    """Run a coroutine on a new loop of a contender."""
    loop = contender.new_loop()
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()


@workload("connect an async slot, emit, finish, disconnect", "µs", CPU, count=3000)
def slot(count: int, clock: Clock, contender: Any) -> float:
    """Each time another slot."""
    make_slot = contender.asyncslot()

    async def main() -> float:
        finished, emitter = Finished(), sender()
        signal = emitter.signal

        async def work(value: int) -> None:
            await finished.work(value)

        began = clock()
        for value in range(count):
            connected = make_slot(work)
            signal.connect(connected)
            signal.emit(value)
            signal.disconnect(connected)
        await finished.wait(count)
        return (clock() - began) / count

    return run(contender, main())


@workload("emit to an async slot", "µs", CPU, count=3000)
def emit(count: int, clock: Clock, contender: Any) -> float:
    """It is connected already."""
    make_slot = contender.asyncslot()

    async def main() -> float:
        finished, emitter = Finished(), sender()
        signal = emitter.signal

        async def work(value: int) -> None:
            await finished.work(value)

        connected = make_slot(work)
        signal.connect(connected)
        began = clock()
        for value in range(count):
            signal.emit(value)
        await finished.wait(count)
        return (clock() - began) / count

    return run(contender, main())


@workload("await a signal that is emitted in the next iteration", "µs", CPU, count=3000)
def signal(count: int, clock: Clock, contender: Any) -> float:
    """From connecting to resuming."""
    wait_for = contender.asyncsignal()

    async def main() -> float:
        emitter = sender()
        loop = asyncio.get_running_loop()
        began = clock()
        for value in range(count):
            waiting = wait_for(emitter.signal)
            loop.call_soon(emitter.signal.emit, value)
            await waiting
        return (clock() - began) / count

    return run(contender, main())
