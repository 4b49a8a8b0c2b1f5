"""What the engine takes for granted about asyncio, on plain loops: without importing qtinter."""

from __future__ import annotations

import asyncio
import collections
import contextvars
import inspect
import selectors
import sys

import pytest


@pytest.fixture
def loop():
    """A plain selector loop."""
    loop = asyncio.SelectorEventLoop()
    yield loop
    loop.close()


class Impatient(selectors.DefaultSelector):
    """A selector that never waits."""

    timeouts: list

    def select(self, timeout=None):
        """Look, and go."""
        self.timeouts.append(timeout)
        return super().select(0)


def test_an_iteration_accepts_that_nothing_is_ready():
    """_run_once() asks the selector how long it would wait, and accepts an empty answer before that time."""
    selector = Impatient()
    selector.timeouts = []
    loop = asyncio.SelectorEventLoop(selector)
    loop._run_once()
    log = []
    loop.call_later(30, log.append, 1)
    loop._run_once()
    assert log == []
    assert selector.timeouts[0] is None
    assert 29 < selector.timeouts[1] <= 30
    loop.call_soon(log.append, 2)
    loop._run_once()
    assert log == [2]
    assert selector.timeouts[2] == 0
    loop.close()


def test_an_iteration_does_not_wait_while_stopping(loop):
    """While `_stopping` is set, _run_once() selects with timeout 0."""
    loop._stopping = True
    loop._run_once()


def test_an_iteration_counts_first_and_pops_then(loop):
    """_run_once() takes handles with `_ready.popleft()`, as many as there were when it began."""
    popped = []

    class Queue(collections.deque):
        def popleft(self):
            popped.append(len(self))
            return super().popleft()

    loop._ready = Queue()
    loop.call_soon(loop.call_soon, int)
    loop.call_soon(int)
    loop._run_once()
    assert popped == [2, 2]
    assert len(loop._ready) == 1


def test_an_iteration_skips_cancelled_handles(loop):
    """A cancelled handle in the queue is skipped, whoever put it there."""
    log = []
    handle = asyncio.Handle(log.append, (1,), loop)
    handle.cancel()
    loop._ready.append(handle)
    loop.call_soon(log.append, 2)
    loop._run_once()
    assert log == [2]
    assert handle._cancelled


def test_handles_have_a_context(loop):
    """`Handle._context` is the context in which the handle runs."""
    context = contextvars.copy_context()
    assert loop.call_soon(int, context=context)._context is context
    assert loop.call_later(0, int, context=context)._context is context


def test_a_context_cannot_be_entered_twice():
    """Context.run() inside itself raises RuntimeError, which is how nested iterations know."""
    context = contextvars.copy_context()
    with pytest.raises(RuntimeError, match="already entered"):
        context.run(context.run, int)


def test_call_soon_is_check_and_call_soon(loop):
    """Outside debug mode call_soon() is the check for a closed loop and `_call_soon(callback, args, context)`."""
    assert list(inspect.signature(loop._call_soon).parameters) == ["callback", "args", "context"]
    handle = loop._call_soon(int, (), None)
    assert loop._ready[-1] is handle


def test_other_threads_write_to_the_self_pipe():
    """call_soon_threadsafe() makes the selector ready through `_csock`."""
    loop = asyncio.SelectorEventLoop()
    assert loop._selector.select(0) == []
    loop.call_soon_threadsafe(int)
    assert len(loop._selector.select(0)) == 1
    assert loop._csock.fileno() != -1
    loop.close()


def test_the_data_of_a_selector_key_is_reader_and_writer(loop):
    """asyncio registers (reader handle, writer handle) with its selector."""
    loop.add_reader(loop._csock, int)
    reader, writer = loop._selector.get_key(loop._csock).data
    assert isinstance(reader, asyncio.Handle)
    assert writer is None
    loop.remove_reader(loop._csock)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="made for embedders in Python 3.13")
def test_a_run_can_be_set_up_and_cleaned_up(loop):
    """_run_forever_setup() makes the loop the running one, _run_forever_cleanup() undoes it."""
    loop._run_forever_setup()
    assert asyncio.get_running_loop() is loop
    loop._run_forever_cleanup()
    assert asyncio._get_running_loop() is None


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_tasks_can_start_eagerly(loop):
    """Task(eager_start=True) runs its first step in the constructor, also while another task is current."""

    async def work():
        return asyncio.current_task()

    async def main():
        task = asyncio.Task(work(), loop=loop, eager_start=True)
        assert task.result() is task
        assert asyncio.current_task() is not task

    loop.run_until_complete(main())
