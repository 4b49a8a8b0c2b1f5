"""The threads of `loop.run_in_executor(None, ...)`, none of which can keep the process from ending.

Private names, checked on Python 3.9 to 3.15: `_default_executor` and `_executor_shutdown_called` of
asyncio's loops, `_threads` and `_threads_queues` of concurrent.futures, `_daemonic` of threading.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import concurrent.futures.thread
import contextlib
import logging
import sys
import threading
from typing import Any, Callable

logger = logging.getLogger("qtinter")


class DefaultExecutor(concurrent.futures.thread.ThreadPoolExecutor):
    """The executor that asyncio would make, but a thread that is stuck can be abandoned.

    Python waits for its threads before it exits, and a call such as getaddrinfo() cannot be
    interrupted. So these threads are daemons, for which only concurrent.futures waits.
    """

    def __init__(self) -> None:
        super().__init__(thread_name_prefix="asyncio")

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        # A new thread is a daemon if the one that starts it is; there is no other way to say it.
        thread: Any = threading.current_thread()
        was_daemonic, thread._daemonic = thread._daemonic, True
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            thread._daemonic = was_daemonic

    def abandon(self) -> None:
        """Let the process end without waiting for the threads that are left."""
        for thread in self._threads:
            concurrent.futures.thread._threads_queues.pop(thread, None)  # type: ignore[attr-defined]


async def shut_down_executor(loop: Any, timeout: float | None) -> None:
    """As `loop.shutdown_default_executor(timeout)`, but past the timeout say what is stuck.

    asyncio (3.12 and later; 3.12 does not look at its timeout) leaves a thread behind that waits,
    and that the process then waits for.
    """
    loop._executor_shutdown_called = True
    executor = loop._default_executor
    if executor is None:
        return
    finished = loop.create_future()

    def shut_down() -> None:
        executor.shutdown(wait=True)
        with contextlib.suppress(RuntimeError):  # Too late, the loop is closed.
            loop.call_soon_threadsafe(finished.cancel)

    threading.Thread(target=shut_down, daemon=True).start()
    began = loop.time()
    try:
        await asyncio.wait({finished}, timeout=timeout)
    finally:
        if not finished.done():
            stuck = sorted(filter(None, map(_whereabouts, getattr(executor, "_threads", ()))))
            logger.error(
                "the executor is not finished after %.1f s; %s",
                loop.time() - began,
                "; ".join(stuck),
            )


def abandon_executor(loop: Any) -> None:
    """When a loop has ended: do not wait for the threads that are left, if any."""
    if isinstance(loop._default_executor, DefaultExecutor):
        loop._default_executor.abandon()


def _whereabouts(thread: threading.Thread) -> str | None:
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is None:
        return None
    code = frame.f_code
    return f"{thread.name} is in {code.co_name} ({code.co_filename}:{frame.f_lineno})"
