"""Types of slots, signals and dialogs."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import qtinter

if sys.version_info >= (3, 11):
    from typing import assert_type
else:
    from typing_extensions import assert_type


async def plain(x: int, y: str = "") -> float:
    """A coroutine function."""
    return x + len(y)


def sync(x: int) -> int:
    """Not a coroutine function."""
    return x


class Window:
    """Methods."""

    @qtinter.asyncslot
    async def bare(self, x: int) -> str:
        """Bare decorator."""
        return str(x)

    @qtinter.asyncslot()
    async def called(self, x: int) -> str:
        """With parentheses."""
        return str(x)

    @qtinter.asyncslot(int, name="slot", result=object, when_busy="drop")
    async def typed(self, x: int) -> str:
        """With the arguments of a Slot."""
        return str(x)

    @qtinter.asyncslot
    @staticmethod
    async def static(x: int) -> str:
        """Static."""
        return str(x)

    @qtinter.asyncslot
    @classmethod
    async def of_class(cls, x: int) -> str:
        """Class method."""
        return str(x)

    async def undecorated(self, x: int) -> str:
        """A method."""
        return str(x)

    @qtinter.asyncclose
    async def closeEvent(self, event: object) -> None:
        """An event handler."""


def slots(window: Window) -> None:
    """Parameters and results are kept."""
    assert_type(qtinter.asyncslot(plain)(1, y="x"), "asyncio.Task[float]")
    assert_type(
        qtinter.asyncslot(plain, when_busy="queue", on_error=print)(1), "asyncio.Task[float]"
    )
    assert_type(qtinter.asyncslot(window.undecorated)(1), "asyncio.Task[str]")
    assert_type(window.bare(1), "asyncio.Task[str]")
    assert_type(window.called(x=1), "asyncio.Task[str]")
    assert_type(window.typed(1), "asyncio.Task[str]")
    assert_type(window.static(1), "asyncio.Task[str]")
    assert_type(Window.of_class(1), "asyncio.Task[str]")
    assert_type(window.closeEvent(object()), None)


def wrong_slots(window: Window) -> None:
    """Wrong calls are errors."""
    qtinter.asyncslot(plain)("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    qtinter.asyncslot(plain)()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    qtinter.asyncslot(plain)(1, z=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    window.bare()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    window.typed("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    qtinter.asyncslot(sync)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    qtinter.asyncslot(3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    qtinter.asyncslot(plain, when_busy="never")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    qtinter.asyncslot(plain, on_error=sync)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    qtinter.asyncclose(sync)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def signals(signal: Any) -> None:
    """Who knows the type of an emission says so."""
    number: qtinter.asyncsignal[int] = qtinter.asyncsignal(signal)
    assert_type(await number, int)
    assert_type(await qtinter.asyncsignal[str](signal), str)
    assert_type(await asyncio.wait_for(number, 1), int)
    stream: qtinter.asyncsignalstream[int] = qtinter.asyncsignalstream(
        signal, maxsize=3, overflow="error"
    )
    async with stream as items:
        async for item in items:
            assert_type(item, int)
    assert_type(qtinter.multisignal({signal: "ok"}), "qtinter.multisignal[str]")


def receive(tag: str, values: tuple[Any, ...]) -> None:
    """A slot for a multisignal of strings."""


async def wrong_signals(
    signal: Any, several: qtinter.multisignal[str], numbers: qtinter.multisignal[int]
) -> None:
    """Wrong uses are errors."""
    several.connect(receive)
    await qtinter.asyncsignal(several)
    numbers.connect(receive)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    qtinter.asyncsignal(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    qtinter.asyncsignalstream(signal, overflow="panic")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def dialogs(dialog: Any) -> None:
    """The result code is an int."""
    assert_type(await qtinter.asyncdialog(dialog), int)
