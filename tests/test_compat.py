"""What differs between Python versions."""

from __future__ import annotations

import asyncio
import sys

import pytest

from qtinter import _compat


@pytest.fixture
def loop():
    """A plain loop."""
    loop = asyncio.SelectorEventLoop()
    yield loop
    loop.close()


def test_swap_current_task(loop):
    """swap_current_task() replaces the current task and returns the one before, None included."""

    async def main():
        me = asyncio.current_task()
        assert _compat.swap_current_task(loop, None) is me
        assert asyncio.current_task() is None
        assert _compat.swap_current_task(loop, None) is None
        assert _compat.swap_current_task(loop, me) is None
        assert asyncio.current_task() is me

    loop.run_until_complete(main())


def test_begin_and_end_run(loop):
    """Between begin_run() and end_run() the loop counts as running in this thread, async generators included."""
    hooks = sys.get_asyncgen_hooks()
    _compat.begin_run(loop)
    assert asyncio.get_running_loop() is loop
    assert loop.is_running()
    assert sys.get_asyncgen_hooks() != hooks
    _compat.end_run(loop)
    assert asyncio._get_running_loop() is None
    assert not loop.is_running()
    assert sys.get_asyncgen_hooks() == hooks


def test_begin_run_of_a_running_or_closed_loop(loop):
    """begin_run() of a running loop is an error that changes nothing; so is that of a closed one."""
    _compat.begin_run(loop)
    with pytest.raises(RuntimeError, match="already running"):
        _compat.begin_run(loop)
    assert asyncio.get_running_loop() is loop
    _compat.end_run(loop)
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        _compat.begin_run(loop)


def test_debug_mode_of_a_run(loop):
    """begin_run() of a loop in debug mode tracks the origin of coroutines, end_run() ends that."""
    loop.set_debug(True)
    depth = sys.get_coroutine_origin_tracking_depth()
    _compat.begin_run(loop)
    assert sys.get_coroutine_origin_tracking_depth() > depth
    _compat.end_run(loop)
    assert sys.get_coroutine_origin_tracking_depth() == depth


def test_policy():
    """get_policy() and set_policy() are those of asyncio, without a warning."""
    before = _compat.get_policy()
    policy = _compat.DefaultPolicy()
    _compat.set_policy(policy)
    assert _compat.get_policy() is policy
    _compat.set_policy(before)
    assert _compat.get_policy() is before
