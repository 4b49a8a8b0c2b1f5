"""What differs between Python versions; each entry names the release that lets us delete it.

Private names of asyncio appear here with the versions they were checked on: 3.9 to 3.15.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread
import contextvars
import sys
import threading
from collections.abc import Coroutine
from typing import Any

# Swapping the current task. The C implementation is the one exported by asyncio.tasks.
if sys.version_info >= (3, 13):
    swap_current_task = asyncio.tasks._swap_current_task  # type: ignore[attr-defined]
else:  # Delete when 3.12 goes. 3.12 has a function for it, which fails if there is nothing to swap.

    def swap_current_task(loop: Any, task: Any) -> Any:
        """Make `task` (or None) the current task of `loop`; return the one before."""
        previous = asyncio.current_task(loop)
        if previous is not None:
            asyncio.tasks._leave_task(loop, previous)  # type: ignore[attr-defined]
        if task is not None:
            asyncio.tasks._enter_task(loop, task)  # type: ignore[attr-defined]
        return previous


# Entering and leaving the state in which a loop counts as running, without running it. asyncio
# offers it to embedders since 3.13.
if sys.version_info >= (3, 13):

    def begin_run(loop: Any) -> None:
        """Make `loop` the running loop of this thread."""
        loop._check_closed()
        loop._check_running()  # 3.13 checks inside, but undoes the run it found if that fails.
        loop._run_forever_setup()

    def end_run(loop: Any) -> None:
        """Undo `begin_run`."""
        loop._run_forever_cleanup()

else:  # Delete when 3.12 goes.

    def begin_run(loop: Any) -> None:
        """Make `loop` the running loop of this thread."""
        loop._check_closed()
        loop._check_running()
        if sys.platform == "win32" and isinstance(loop, asyncio.ProactorEventLoop):
            loop.call_soon(loop._loop_self_reading)
        loop._set_coroutine_origin_tracking(loop.get_debug())
        loop._qi_asyncgen_hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(
            firstiter=loop._asyncgen_firstiter_hook, finalizer=loop._asyncgen_finalizer_hook
        )
        loop._thread_id = threading.get_ident()
        asyncio._set_running_loop(loop)

    def end_run(loop: Any) -> None:
        """Undo `begin_run`."""
        asyncio._set_running_loop(None)
        loop._thread_id = None
        loop._stopping = False
        sys.set_asyncgen_hooks(*loop._qi_asyncgen_hooks)
        loop._set_coroutine_origin_tracking(False)
        if sys.platform == "win32" and isinstance(loop, asyncio.ProactorEventLoop):
            reading = loop._self_reading_future
            if reading is not None:
                overlapped = reading._ov
                reading.cancel()
                # While the kernel still owns the overlapped object, a later poll completes it.
                if overlapped is not None and not overlapped.pending:
                    loop._proactor._unregister(overlapped)
                loop._self_reading_future = None


# A task whose first step has already run.
if sys.version_info >= (3, 12):

    def start_task(
        loop: asyncio.AbstractEventLoop,
        coro: Coroutine[Any, Any, Any],
        name: str | None,
        context: contextvars.Context | None,
    ) -> asyncio.Task[Any]:
        """Create a task and run its first step at once, whatever task is current."""
        return asyncio.Task(coro, loop=loop, name=name, context=context, eager_start=True)

else:  # Delete when 3.11 goes.

    def start_task(
        loop: Any,
        coro: Coroutine[Any, Any, Any],
        name: str | None,
        context: contextvars.Context | None,
    ) -> asyncio.Task[Any]:
        """Create a task and run its first step at once, whatever task is current."""
        if context is not None and sys.version_info < (3, 11):
            raise RuntimeError("a task can be given a context only on Python 3.11 and later")
        keywords = {} if context is None else {"context": context}
        first_step: list[Any] = []
        # A new task hands its first step to call_soon(), which we stand in for meanwhile.
        loop.call_soon = lambda step, *, context: first_step.extend([context, step])
        try:
            task = asyncio.Task(coro, loop=loop, name=name, **keywords)
        finally:
            del loop.call_soon
        step_context, step = first_step
        previous = swap_current_task(loop, None)
        try:
            step_context.run(step)
        finally:
            swap_current_task(loop, previous)
        return task


# The current event loop policy. Public functions warn since 3.14; policies are gone in 3.16.
if sys.version_info >= (3, 14):

    def get_policy() -> Any:
        """Return the policy in force."""
        return asyncio.events._get_event_loop_policy()  # type: ignore[attr-defined]

    def set_policy(policy: Any) -> None:
        """Set the policy in force; None for asyncio's default."""
        asyncio.events._set_event_loop_policy(policy)  # type: ignore[attr-defined]

    DefaultPolicy: Any = asyncio.events._BaseDefaultEventLoopPolicy  # type: ignore[attr-defined]
else:  # Delete when 3.13 goes.

    def get_policy() -> Any:
        """Return the policy in force."""
        return asyncio.get_event_loop_policy()

    def set_policy(policy: Any) -> None:
        """Set the policy in force; None for asyncio's default."""
        asyncio.set_event_loop_policy(policy)

    DefaultPolicy = asyncio.DefaultEventLoopPolicy


# Python 3.15 imports some names of its library lazily. Once PySide6 is imported (6.12), attributes of
# modules no longer resolve such names, and asyncio finds an object that is no executor. Giving the
# module what Python would have put there helps. Delete when PySide6 knows lazy imports.
if sys.version_info >= (3, 15):
    concurrent.futures.ThreadPoolExecutor = concurrent.futures.thread.ThreadPoolExecutor  # type: ignore[misc]
