"""Types of what runs coroutines: runners, loops, tasks, modal calls."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine

import qtinter

if sys.version_info >= (3, 11):
    from typing import assert_type
else:
    from typing_extensions import assert_type


async def work(x: int) -> str:
    """A coroutine function."""
    return str(x)


def question(title: str, *, default: int = 0) -> bool:
    """A blocking call."""
    return bool(title)


def programs() -> None:
    """run() gives what its coroutine returns, None if it was cancelled, or an exit code."""
    assert_type(qtinter.run(work(1)), "str | None")
    assert_type(qtinter.run(work(1), keep_running=True, quit_qapp=False), "str | None")
    assert_type(qtinter.run(), int)
    assert_type(qtinter.run(None, shutdown_timeout=1), int)


def wrong_programs() -> None:
    """run() needs a coroutine."""
    qtinter.run(work)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    qtinter.run(work(1), keep_running="yes")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    qtinter.run(work(1), True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


def runners() -> None:
    """A runner is a context manager that gives itself."""
    with qtinter.QiRunner(debug=True, loop_factory=qtinter.new_event_loop) as runner:
        assert_type(runner, qtinter.QiRunner)
        assert_type(runner.get_loop(), qtinter.QiBaseEventLoop)
        assert_type(runner.get_loop().create_task(work(1)), "asyncio.Task[str]")
    with qtinter.using_asyncio_from_qt(handle_sigint=False, shutdown_timeout=2) as runner:
        assert_type(runner, qtinter.QiRunner)
    with qtinter.using_qt_from_asyncio() as nothing:
        assert_type(nothing, None)
    if sys.version_info >= (3, 11):
        with asyncio.Runner(loop_factory=qtinter.new_event_loop) as plain:
            assert_type(plain.run(work(1)), str)


def wrong_runners() -> None:
    """Arguments are keywords, and have types."""
    qtinter.QiRunner(True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    qtinter.QiRunner(loop_factory=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    qtinter.QiRunner(shutdown_timeout="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    qtinter.using_asyncio_from_qt(True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def loops() -> None:
    """Loops are loops of asyncio."""
    loop: asyncio.BaseEventLoop = qtinter.new_event_loop()
    assert_type(qtinter.new_event_loop(), qtinter.QiBaseEventLoop)
    assert_type(loop.run_until_complete(work(1)), str)
    selector_loop: asyncio.SelectorEventLoop = qtinter.QiSelectorEventLoop(None)
    selector_loop.close()
    qtinter.QiSelectorEventLoop(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def tasks(coro: Coroutine[None, None, bytes]) -> None:
    """run_task() keeps the type of the result."""
    assert_type(qtinter.run_task(work(1)), "asyncio.Task[str]")
    assert_type(
        qtinter.run_task(coro, allow_task_nesting=False, name="task"), "asyncio.Task[bytes]"
    )
    assert_type(await qtinter.run_task(work(1)), str)
    qtinter.run_task(work)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    qtinter.run_task(asyncio.sleep(0), "name")  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]


async def modal_calls() -> None:
    """modal() keeps parameters and result."""
    assert_type(await qtinter.modal(question)("Sure?", default=1), bool)
    await qtinter.modal(question)(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await qtinter.modal(question)("Sure?", 1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    qtinter.modal(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def hosts() -> None:
    """An attachment is a context manager that gives itself, and keeps the type of a coroutine."""
    with qtinter.attach(shutdown_timeout=1) as attachment:
        assert_type(attachment, qtinter.Attachment)
        assert_type(attachment.create_task(work(1), name="work"), "asyncio.Task[str]")
        assert_type(attachment.get_loop(), qtinter.QiBaseEventLoop)
    assert_type(attachment.close(), None)


def wrong_hosts() -> None:
    """A task is made from a coroutine."""
    qtinter.attach().create_task(work)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def executors() -> None:
    """An executor keeps the parameters and the result of a job."""
    with qtinter.QThreadExecutor(2, thread_name_prefix="worker") as executor:
        assert_type(executor.submit(question, "title", default=1).result(), bool)
        loop = asyncio.get_running_loop()
        assert_type(await loop.run_in_executor(executor, question, "title"), bool)
        job = executor.submit_with_progress(question, "title", progress=print)
        assert_type(job.result(), bool)


def wrong_executors() -> None:
    """A job is called with what it takes."""
    qtinter.QThreadExecutor("2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    qtinter.QThreadExecutor().submit(question)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
