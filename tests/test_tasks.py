"""run_task() and modal()."""

from __future__ import annotations

import asyncio
import contextvars
import sys

import pytest
from harness import exec_until, output_of
from qtpy import QtCore

import qtinter
from qtinter import modal, run_task

variable = contextvars.ContextVar("variable", default="default")


def test_first_step_runs_at_once(run):
    """The first step of the coroutine has run when run_task() returns; the rest runs later."""
    log = []

    async def work():
        log.append("first step")
        await asyncio.sleep(0)
        log.append("second step")
        return "result"

    async def main():
        task = run_task(work(), name="the task")
        log.append("returned")
        assert task.get_name() == "the task"
        assert await task == "result"

    run(main)
    assert log == ["first step", "returned", "second step"]


def test_task_that_does_not_suspend(run):
    """A coroutine that does not suspend is done when run_task() returns, with its result or its error."""

    async def give(value):
        if isinstance(value, Exception):
            raise value
        return value

    async def main():
        assert run_task(give(1)).result() == 1
        assert isinstance(run_task(give(KeyError())).exception(), KeyError)

    run(main)


def test_current_task(run):
    """Inside the first step the new task is current, after it the caller's is again."""
    seen = []

    async def work():
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    async def main():
        me = asyncio.current_task()
        task = run_task(work())
        assert asyncio.current_task() is me
        await task
        assert seen == [task, task]

    run(main)


def test_in_a_slot(kind):
    """run_task() works in a slot, where no task is current."""
    tasks = []

    async def work():
        assert asyncio.current_task() is not None
        await asyncio.sleep(0.001)
        return "done"

    with qtinter.QiRunner(loop_factory=kind.qi):
        QtCore.QTimer.singleShot(0, lambda: tasks.append(run_task(work())))
        exec_until(lambda: tasks and tasks[0].done())
    assert tasks[0].result() == "done"


def test_task_in_task_in_task(run):
    """run_task() works in the first step of a task that run_task() started."""

    async def work(depth):
        inner = run_task(work(depth - 1)) if depth else None
        assert asyncio.current_task() is not inner
        await asyncio.sleep(0.001)
        return depth + (await inner if inner else 0)

    async def main():
        return await run_task(work(5))

    assert run(main) == 15


def test_task_nesting_can_be_refused(run):
    """With allow_task_nesting=False a call inside a task is an error, and the coroutine is closed."""

    async def work():
        pass

    async def main():
        with pytest.raises(RuntimeError, match=r"asyncio\.create_task"):
            run_task(work(), allow_task_nesting=False)
        done = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(
            lambda: done.set_result(run_task(work(), allow_task_nesting=False))
        )
        await (await done)

    run(main)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tasks take a context since Python 3.11")
def test_context(run):
    """A task runs in a copy of the current context, or in the one it is given."""

    async def work(value):
        before = variable.get()
        variable.set(value)
        await asyncio.sleep(0)
        return before, variable.get()

    async def main():
        variable.set("main")
        assert await run_task(work("own")) == ("main", "own")
        assert variable.get() == "main"
        context = contextvars.copy_context()
        assert await run_task(work("given"), context=context) == ("main", "given")
        assert context[variable] == "given"

    run(main)


@pytest.mark.skipif(sys.version_info >= (3, 11), reason="tasks take a context since Python 3.11")
def test_context_is_refused(run):
    """Before Python 3.11 a context is an error, and the coroutine is closed."""

    async def main():
        with pytest.raises(RuntimeError, match=r"3\.11"):
            run_task(asyncio.sleep(0), context=contextvars.copy_context())

    run(main)


def test_without_a_loop(qapp):
    """Without a running loop run_task() is an error, and the coroutine is closed."""
    with pytest.raises(RuntimeError, match="no running event loop"):
        run_task(asyncio.sleep(0))


@pytest.mark.parametrize("thing", [asyncio.sleep, None, 5])
def test_not_a_coroutine(run, thing):
    """run_task() of anything but a coroutine is a TypeError."""

    async def main():
        with pytest.raises(TypeError, match="needs a coroutine"):
            run_task(thing)

    run(main)


def test_modal(run):
    """modal() runs a function between two iterations, and gives its result or its error."""

    async def main():
        def blocking(argument, *, keyword):
            assert asyncio.current_task() is None
            qt_loop = QtCore.QEventLoop()
            QtCore.QTimer.singleShot(5, qt_loop.quit)
            qt_loop.exec_()
            return argument + keyword

        ticks = []

        async def tick():
            while True:
                await asyncio.sleep(0.001)
                ticks.append(None)

        ticking = asyncio.ensure_future(tick())
        assert await modal(blocking)(1, keyword=2) == 3
        assert ticks
        ticking.cancel()
        with pytest.raises(ZeroDivisionError):
            await modal(lambda: 1 / 0)()

    run(main)


def test_modal_in_the_first_step(kind):
    """modal() works in the first step of a task that a slot starts."""
    tasks = []

    async def work():
        return await modal(lambda: "result")()

    with qtinter.QiRunner(loop_factory=kind.qi):
        QtCore.QTimer.singleShot(0, lambda: tasks.append(run_task(work())))
        exec_until(lambda: tasks and tasks[0].done())
    assert tasks[0].result() == "result"


def test_modal_that_is_cancelled(run):
    """Cancelling the awaiting task does not interrupt the function; its result is dropped."""
    log = []

    async def main():
        started = asyncio.Event()

        def blocking():
            qt_loop = QtCore.QEventLoop()
            QtCore.QTimer.singleShot(20, qt_loop.quit)
            started.set()
            qt_loop.exec_()
            log.append("returned")

        waiting = asyncio.ensure_future(_await(modal(blocking)()))
        await started.wait()
        waiting.cancel()
        await asyncio.wait([waiting])
        log.append(waiting.cancelled())
        while len(log) < 2:
            await asyncio.sleep(0.001)

    run(main)
    assert log == [True, "returned"]


async def _await(awaitable):
    return await awaitable


def test_modal_errors(qapp):
    """modal() of what cannot be called is a TypeError; calling the wrapper without a Qt-backed loop is a RuntimeError."""
    with pytest.raises(TypeError, match="needs a callable"):
        modal(5)
    with pytest.raises(RuntimeError, match="no event loop is running"):
        modal(print)()

    async def main():
        with pytest.raises(RuntimeError, match="the running loop is"):
            modal(print)()

    asyncio.run(main())


def test_modal_and_fatal_errors(kind):
    """SystemExit from the function ends the run."""

    async def main():
        await modal(sys.exit)(7)

    loop = kind.qi()
    task = loop.create_task(main())
    with pytest.raises(SystemExit):
        loop.run_forever()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()


def test_modal_when_the_run_is_ending():
    """After sys.exit() in a slot, modal() opens nothing that would keep the run from ending; its task is cancelled."""
    lines = output_of("""
        app = QtCore.QCoreApplication([])
        qt_loop = QtCore.QEventLoop()
        async def leave():
            sys.exit(3)
        async def main():
            QtCore.QTimer.singleShot(0, qtinter.asyncslot(leave))
            try:
                await qtinter.modal(getattr(qt_loop, "exec", None) or qt_loop.exec_)()
            except asyncio.CancelledError:
                say("cancelled")
                raise
        with qtinter.using_qt_from_asyncio():
            try:
                asyncio.run(main())
            except SystemExit as error:
                say(error.code)
    """)
    assert lines == ["cancelled", "3"]


@pytest.mark.parametrize("start", ["attach", "QiRunner"])
def test_modal_when_its_task_is_about_to_be_cancelled(qapp, start):
    """A call that Qt was to make when close() came is not made: a dialog would keep close() waiting. Clean-up may make others."""
    calls = []

    async def ask():
        try:
            await modal(calls.append)("before")
        finally:
            await modal(calls.append)("clean-up")

    user = qtinter.attach() if start == "attach" else qtinter.QiRunner()
    if start == "QiRunner":
        user.start()
    task = run_task(ask())
    if start == "attach":
        user._add(task)
    user.close()
    assert task.cancelled()
    assert calls == ["clean-up"]
