"""Workloads that grow: the cost of one event beside more and more others.

fds      one socket has something to read; the others are watched, and quiet
timers   one timer is due; the others are pending
tasks    one step of a task; the others are ready to run, too
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any, Callable

from workload import CPU, Workload

Clock = Callable[[], float]
SIZES = (1, 10, 100, 1_000, 10_000)
LONG_ENOUGH = 0.2
EVENTS = 100


async def average(make_events: Callable[[int], Any], clock: Clock) -> float:
    """Seconds for one event, from as many as take long enough."""
    await make_events(EVENTS)
    began = clock()
    made = 0
    while clock() - began < LONG_ENOUGH:
        await make_events(EVENTS)
        made += EVENTS
    return (clock() - began) / made


def nothing() -> None:
    """A callback."""


async def fds(size: int, clock: Clock) -> float:
    """A byte arrives."""
    loop = asyncio.get_running_loop()
    here, there = socket.socketpair()
    quiet, end = socket.socketpair()
    others = [os.dup(quiet.fileno()) for _ in range(size - 1)]
    for fd in others:
        loop.add_reader(fd, nothing)
    left = 0
    finished: Any = None

    def receive() -> None:
        nonlocal left
        here.recv(1)
        left -= 1
        if left:
            there.send(b"x")
        else:
            finished.set_result(None)

    def events(count: int) -> Any:
        nonlocal left, finished
        left, finished = count, loop.create_future()
        there.send(b"x")
        return finished

    loop.add_reader(here, receive)
    try:
        return await average(events, clock)
    finally:
        for fd in [*others, here.fileno()]:
            loop.remove_reader(fd)
        for fd in others:
            os.close(fd)
        for end_of_pair in (here, there, quiet, end):
            end_of_pair.close()


async def timers(size: int, clock: Clock) -> float:
    """A timer is set, and due at once."""
    loop = asyncio.get_running_loop()
    others = [loop.call_later(3600 + i, nothing) for i in range(size - 1)]
    left = 0
    finished: Any = None

    def ring() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_later(0, ring)
        else:
            finished.set_result(None)

    def events(count: int) -> Any:
        nonlocal left, finished
        left, finished = count, loop.create_future()
        loop.call_later(0, ring)
        return finished

    try:
        return await average(events, clock)
    finally:
        for other in others:
            other.cancel()


async def tasks(size: int, clock: Clock) -> float:
    """A task gives way."""
    steps = max(20_000 // size, 10)

    async def give_way() -> None:
        for _ in range(steps):
            await asyncio.sleep(0)

    running = [asyncio.create_task(give_way()) for _ in range(size)]
    began = clock()
    await asyncio.gather(*running)
    return (clock() - began) / (steps * size)


KINDS = {"fds": fds, "timers": timers, "tasks": tasks}


def growths() -> dict[str, Workload]:
    """A workload for each kind and size, by name."""
    made = {}
    for kind, function in KINDS.items():
        for size in SIZES:
            name = f"{kind}-{size}"
            made[name] = Workload(name, function, name, "µs", CPU, size, None, False)
    return made
