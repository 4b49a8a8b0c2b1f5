"""Workloads: TCP connections; both ends are in this process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any, Callable

from workload import CPU, Goal, workload

Clock = Callable[[], float]
MESSAGE = b"x" * 1024


class Echo(asyncio.Protocol):
    """Sends back what it receives."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Pinger(asyncio.Protocol):
    """Sends a message, and again whenever it is back, until `count` have come back."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.finished = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def start(self) -> None:
        """Send the first message."""
        self.transport.write(MESSAGE)

    def data_received(self, data: bytes) -> None:
        self.left -= 1
        if self.left:
            self.transport.write(data)
        else:
            self.finished.set_result(None)


@contextlib.asynccontextmanager
async def connected(pingers: list[Pinger]) -> AsyncIterator[None]:
    """Connect each of them to an echo of its own."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    for pinger in pingers:
        await loop.create_connection(lambda pinger=pinger: pinger, *address)
    try:
        yield
    finally:
        for pinger in pingers:
            pinger.transport.close()
        server.close()
        await asyncio.sleep(0.01)  # The other ends see it, too.


async def ping(pingers: list[Pinger], clock: Clock) -> float:
    """Seconds until all have finished."""
    async with connected(pingers):
        began = clock()
        for pinger in pingers:
            pinger.start()
        await asyncio.gather(*[pinger.finished for pinger in pingers])
        return clock() - began


@workload("1 KiB TCP echo, 1 connection", "µs", CPU, count=20_000, goal=Goal(1.05))
async def echo(count: int, clock: Clock) -> float:
    """There and back, one after the other."""
    return await ping([Pinger(count)], clock) / count


@workload("the same in a fresh process", "µs", CPU, count=5_000, goal=Goal(0.35), is_fresh=True)
async def echo_fresh(count: int, clock: Clock) -> float:
    """Until malloc's threshold has risen, it gets each buffer of 256 KiB from the kernel."""
    return await ping([Pinger(count)], clock) / count


@workload("50 connections at once", "µs", CPU, count=20_000, goal=Goal(1.00))
async def echo_50(count: int, clock: Clock) -> float:
    """For one message there and back."""
    each = max(count // 50, 1)
    return await ping([Pinger(each) for _ in range(50)], clock) / (each * 50)


@contextlib.asynccontextmanager
async def idle_connections(count: int) -> AsyncIterator[None]:
    """Transports on whose other ends nothing happens."""
    loop = asyncio.get_running_loop()
    pairs = [socket.socketpair() for _ in range(count)]
    opened = await asyncio.gather(
        *[loop.connect_accepted_socket(asyncio.Protocol, here) for here, _ in pairs]
    )
    await asyncio.sleep(0)
    try:
        yield
    finally:
        for transport, _ in opened:
            transport.close()
        for _, there in pairs:
            there.close()
        await asyncio.sleep(0)


@workload("echo beside 5,000 idle connections", "µs", CPU, count=2000, goal=Goal(1.05))
async def echo_crowded(count: int, clock: Clock) -> float:
    """The idle ones should cost nothing."""
    async with idle_connections(5000 if count >= 1000 else count):
        return await ping([Pinger(count)], clock) / count


@contextlib.asynccontextmanager
async def streams() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server that sends lines back."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        server.close()
        await asyncio.sleep(0.01)


@workload("one line through streams", "µs", CPU, count=10_000, goal=Goal(1.05))
async def lines(count: int, clock: Clock) -> float:
    """There and back through StreamReader and StreamWriter."""
    async with streams() as (reader, writer):
        began = clock()
        for _ in range(count):
            writer.write(b"line\n")
            await reader.readline()
        return (clock() - began) / count


@workload("CPU per sparse round trip, 1 ms pauses", "µs", CPU, count=500, goal=Goal(1.25))
async def sparse(count: int, clock: Clock) -> float:
    """A line there and back, then a pause: mostly falling asleep and waking up."""
    async with streams() as (reader, writer):
        began = clock()
        for _ in range(count):
            writer.write(b"line\n")
            await reader.readline()
            await asyncio.sleep(0.001)
        return (clock() - began) / count


class Source(asyncio.Protocol):
    """Sends `size` bytes in chunks, as fast as the transport takes them."""

    CHUNK = bytes(1 << 18)

    def __init__(self, size: int) -> None:
        self.left = size
        self.may_write = True

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.write()

    def pause_writing(self) -> None:
        self.may_write = False

    def resume_writing(self) -> None:
        self.may_write = True
        self.write()

    def write(self) -> None:
        """Write until the transport has enough."""
        while self.left > 0 and self.may_write:
            self.left -= len(self.CHUNK)
            self.transport.write(self.CHUNK)


class Sink(asyncio.Protocol):
    """Receives `size` bytes."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.finished = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.left -= len(data)
        if self.left <= 0:
            self.finished.set_result(None)


@workload("128 MiB in bulk", "ms", CPU, count=128, goal=Goal(1.00))
async def bulk(count: int, clock: Clock) -> float:
    """From one end to the other."""
    loop = asyncio.get_running_loop()
    size = count << 20
    source, sink = Source(size), Sink(size)
    server = await loop.create_server(lambda: source, "127.0.0.1", 0)
    began = clock()
    await loop.create_connection(lambda: sink, *server.sockets[0].getsockname())
    await sink.finished
    lasted = clock() - began
    source.transport.close()
    sink.transport.close()
    server.close()
    await asyncio.sleep(0.01)
    return lasted
