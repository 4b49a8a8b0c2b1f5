"""What the readiness for nested Qt loops costs where there are none.

Each slice sets the alarm, in case a callback opens a Qt loop. This measures the CPU time of one
wake-up with and without it, in rounds that alternate, in one process:

    injected   a Qt timer resolves a future, a coroutine resumes: one slice for each
    sparse     one byte there and back through a socket pair, then a pause of 1 ms
    busy       asyncio.sleep(0) in a row: some hundred iterations for each slice

    python benchmarks/nesting.py [ROUNDS]
"""

from __future__ import annotations

import asyncio
import math
import socket
import statistics
import sys
import time
from collections.abc import Awaitable
from typing import Callable

from qtpy import QtCore

import qtinter
from qtinter._engine import driver

Workload = Callable[[], Awaitable[int]]


async def injected() -> int:
    """Return the number of wake-ups."""
    loop = asyncio.get_running_loop()
    for _ in range(3000):
        future = loop.create_future()
        QtCore.QTimer.singleShot(0, lambda future=future: future.set_result(None))
        await future
    return 3000


async def sparse() -> int:
    """Return the number of round trips."""
    loop = asyncio.get_running_loop()
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        there.setblocking(False)
        for _ in range(300):
            await loop.sock_sendall(here, b"x")
            await loop.sock_recv(there, 1)
            await loop.sock_sendall(there, b"y")
            await loop.sock_recv(here, 1)
            await asyncio.sleep(0.001)
    return 300


async def busy() -> int:
    """Return the number of iterations."""
    for _ in range(30_000):
        await asyncio.sleep(0)
    return 30_000


def cost(loop: qtinter.QiBaseEventLoop, workload: Workload, notice: float) -> float:
    """CPU time per unit of the workload, in microseconds."""
    driver.NOTICE_NESTING = notice
    began = time.process_time()
    count = loop.run_until_complete(workload())
    return (time.process_time() - began) / count * 1e6


def main() -> None:
    """Print a Markdown table of medians."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    ready = driver.NOTICE_NESTING
    loop = qtinter.new_event_loop()
    print("| workload | without, µs | ready for nested loops, µs | ratio | spread of the ratio |")
    print("|---|---|---|---|---|")
    for workload in (injected, sparse, busy):
        cost(loop, workload, ready)  # Warm up.
        pairs = [
            (cost(loop, workload, math.inf), cost(loop, workload, ready)) for _ in range(rounds)
        ]
        without, with_it = (statistics.median(column) for column in zip(*pairs))
        ratios = sorted(b / a for a, b in pairs)
        low, high = ratios[len(ratios) // 10], ratios[-1 - len(ratios) // 10]
        print(
            f"| {workload.__name__} | {without:.2f} | {with_it:.2f} "
            f"| {statistics.median(ratios):.3f} | {low:.3f} to {high:.3f} |"
        )
    loop.close()


if __name__ == "__main__":
    app = QtCore.QCoreApplication([])
    main()
