"""What is at work in a random program. All of it goes on until it is cancelled."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import gc
import socket
import sys
import threading
from collections.abc import Coroutine
from typing import Any, Callable

from chance import dice, maybe_collect, moment
from qtpy import QtCore, QtWidgets

import qtinter

Signal = getattr(QtCore, "Signal", None) or QtCore.pyqtSignal

# Held by a thread that uses Qt. The application must not be deleted meanwhile, with or without us.
qt_in_threads = threading.Lock()


class Sender(QtCore.QObject):
    """Something that can be emitted, and deleted."""

    emitted = Signal(object)


def execute(qt_loop: Any) -> int:
    """Execute a Qt loop, unless it is too late; PySide2 calls it exec_() only."""
    if QtCore.QCoreApplication.instance() is None:
        return -1  # It would never return.
    code: int = (getattr(qt_loop, "exec", None) or qt_loop.exec_)()
    return code


async def sleep() -> None:
    """Timers of asyncio."""
    while True:
        await asyncio.sleep(moment())
        maybe_collect()


async def spin() -> None:
    """Callbacks without a pause."""
    loop = asyncio.get_running_loop()
    while True:
        loop.call_later(moment(), maybe_collect)
        loop.call_soon(maybe_collect)
        await asyncio.sleep(0)
        await asyncio.sleep(moment())


async def slots() -> None:
    """Timers of Qt, connected to coroutine functions."""

    @qtinter.asyncslot
    async def slot() -> None:
        await asyncio.sleep(moment())
        maybe_collect()

    timer = QtCore.QTimer()
    timer.timeout.connect(slot)
    timer.start(3)
    try:
        await asyncio.Event().wait()
    finally:
        timer.stop()


async def signals() -> None:
    """Senders that emit, and senders that are deleted while somebody waits."""
    while True:
        sender: Any = Sender()
        waiting = qtinter.asyncsignal(sender.emitted)
        if dice.random() < 0.5:
            QtCore.QTimer.singleShot(1, lambda sender=sender: sender.emitted.emit(1))
        elif dice.random() < 0.5:
            QtCore.QTimer.singleShot(1, sender.deleteLater)
        del sender
        with contextlib.suppress(qtinter.SenderDestroyedError):
            await waiting
        await asyncio.sleep(0)
        maybe_collect()


async def stream() -> None:
    """A signal that emits more than is taken."""
    timer = QtCore.QTimer()
    async with qtinter.asyncsignalstream(timer.timeout, maxsize=3) as timeouts:
        timer.start(1)
        async for _ in timeouts:
            await asyncio.sleep(moment())
            maybe_collect()


async def echo() -> None:
    """A server and a client."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            while data := await reader.read(100):
                writer.write(data)
                maybe_collect()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        while True:
            writer.write(b"x" * 100)
            await reader.readexactly(100)
            await asyncio.sleep(moment())
    finally:
        writer.close()
        server.close()


async def readers() -> None:
    """A socket that is readable all the time, whose reader comes and goes."""
    if sys.platform == "win32":
        return  # The proactor has no add_reader().
    loop = asyncio.get_running_loop()
    here, there = socket.socketpair()
    with here, there:
        there.send(b"x")
        try:
            while True:
                readable = asyncio.Event()
                loop.add_reader(here, readable.set)
                await readable.wait()
                loop.remove_reader(here)
                await asyncio.sleep(moment())
        finally:
            loop.remove_reader(here)


async def nested_loop() -> None:
    """Qt loops inside a coroutine."""
    while True:
        qt_loop = QtCore.QEventLoop()
        QtCore.QTimer.singleShot(2, qt_loop.quit)
        execute(qt_loop)
        maybe_collect()
        await asyncio.sleep(moment())


async def nested_loop_in_a_slot() -> None:
    """Qt loops inside a slot."""

    def slot() -> None:
        qt_loop = QtCore.QEventLoop()
        QtCore.QTimer.singleShot(2, qt_loop.quit)
        execute(qt_loop)
        maybe_collect()

    while True:
        QtCore.QTimer.singleShot(1, slot)
        await asyncio.sleep(0.005)


async def dialog() -> None:
    """Dialogs, waited for in three ways."""
    while isinstance(QtCore.QCoreApplication.instance(), QtWidgets.QApplication):
        box: Any = QtWidgets.QDialog()
        closing: Any = QtCore.QTimer()  # Again and again: it may not be open yet.
        closing.timeout.connect(box.reject)
        closing.start(2)
        how = dice.randrange(3)
        try:
            if how == 0:
                await qtinter.asyncdialog(box)
            elif how == 1:
                await qtinter.modal(execute)(box)
            else:
                execute(box)
        finally:
            closing.stop()
        maybe_collect()
        await asyncio.sleep(moment())


async def threads() -> None:
    """Threads that call in."""
    loop = asyncio.get_running_loop()
    while True:
        called = asyncio.Event()

        def call(called: asyncio.Event = called) -> None:
            # The loop may be closed.
            with contextlib.suppress(RuntimeError, concurrent.futures.CancelledError):
                for _ in range(5):
                    loop.call_soon_threadsafe(maybe_collect)
                asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(5)
                loop.call_soon_threadsafe(called.set)

        threading.Thread(target=call, daemon=True).start()
        await called.wait()


async def signals_from_threads() -> None:
    """A signal that is emitted in another thread."""
    while True:
        sender: Any = Sender()
        waiting = qtinter.asyncsignal(sender.emitted)

        def emit(sender: Any = sender) -> None:
            with qt_in_threads:
                if QtCore.QCoreApplication.instance() is not None:
                    sender.emitted.emit(1)

        thread = threading.Thread(target=emit)
        thread.start()
        try:
            await waiting
        finally:
            thread.join()  # Python may be exiting.
        await asyncio.sleep(moment())


async def executor() -> None:
    """Jobs in the default executor."""
    while True:
        await asyncio.get_running_loop().run_in_executor(None, gc.collect, 0)
        await asyncio.sleep(moment())


async def other_loops() -> None:
    """Loops of other threads, nested and attached, one after the other."""

    def nested() -> None:
        loop = qtinter.new_event_loop()
        loop.run_until_complete(asyncio.sleep(moment()))
        loop.close()

    def attached() -> None:
        qt_loop = QtCore.QEventLoop()
        with qtinter.QiRunner() as runner:
            runner.get_loop().call_later(moment(), qt_loop.quit)
            execute(qt_loop)

    def job(run: Callable[[], None]) -> None:
        with qt_in_threads:
            if QtCore.QCoreApplication.instance() is not None:
                run()

    while True:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, job, dice.choice((nested, attached)))
        maybe_collect()


ACTIVITIES: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
    activity.__name__: activity
    for activity in (
        sleep,
        spin,
        slots,
        signals,
        stream,
        echo,
        readers,
        nested_loop,
        nested_loop_in_a_slot,
        dialog,
        threads,
        signals_from_threads,
        executor,
        other_loops,
    )
}
at_work: set[asyncio.Task[None]] = set()


async def watched(activity: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Clean-up that waits, in every task."""
    try:
        await activity()
    finally:
        await asyncio.sleep(moment())
