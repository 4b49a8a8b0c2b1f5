"""Types of the names of qasync."""

from __future__ import annotations

import asyncio
import sys

from qtinter.compat import qasync

if sys.version_info >= (3, 11):
    from typing import assert_type
else:
    from typing_extensions import assert_type


async def work(x: int) -> str:
    """A coroutine function."""
    return str(x)


def blocking(x: int, *, base: str = "") -> bytes:
    """A blocking function."""
    return bytes(x)


class Window:
    """Methods."""

    @qasync.asyncSlot()
    async def bare(self, x: int) -> str:
        """Without types."""
        return str(x)

    @qasync.asyncSlot(int, name="slot")
    async def typed(self, x: int) -> str:
        """With the arguments of a Slot."""
        return str(x)

    @qasync.asyncClose
    async def closeEvent(self, event: object) -> None:
        """An event handler."""


def slots(window: Window) -> None:
    """Parameters and results are kept."""
    assert_type(window.bare(1), "asyncio.Task[str]")
    assert_type(window.typed(x=1), "asyncio.Task[str]")
    assert_type(window.closeEvent(object()), None)
    assert_type(qasync.asyncSlot()(work)(1), "asyncio.Task[str]")


def wrong_slots(window: Window) -> None:
    """Wrong calls are errors."""
    window.bare()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    window.typed("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    window.closeEvent()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    qasync.asyncSlot()(blocking)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    qasync.asyncClose(blocking)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def loops() -> None:
    """A loop is a context manager that gives itself."""
    with qasync.QEventLoop(None, set_running_loop=True, already_running=False) as loop:
        assert_type(loop, qasync.QEventLoop)
        assert_type(loop.run_until_complete(work(1)), str)
    plain: asyncio.SelectorEventLoop = qasync.QSelectorEventLoop()
    plain.close()
    assert_type(qasync.run(work(1), debug=True), str)
    qasync.run(work)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    qasync.QEventLoop(already_running="x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def calls() -> None:
    """Blocking calls keep parameters and results."""
    assert_type(await qasync.asyncWrap(blocking, 1, base="x"), bytes)
    with qasync.QThreadExecutor(3, stack_size=None) as executor:
        assert_type(executor.submit(blocking, 1).result(), bytes)
        executor.submit(blocking, "x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await qasync.asyncWrap(blocking, "x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
