"""An executor whose threads run a Qt event loop, so that jobs may use Qt objects and timers.

Not done here: the threads (_workers.py).
"""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import contextlib
import contextvars
import functools
import itertools
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from ._workers import Job, Pool

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    P = ParamSpec("P")

T = TypeVar("T")


class QThreadExecutor(concurrent.futures.Executor):
    """A ThreadPoolExecutor whose threads run a Qt event loop.

    A job may create QObjects, start timers and open a QEventLoop in its thread. What it leaves there
    (somebody must keep a reference, or it has a parent) goes on getting events after the job has
    returned, until the executor is shut down. Then connect `QThread.currentThread().finished` to its
    `deleteLater`, as for any object that lives in a thread.

    Everything else is as in concurrent.futures: workers are started when jobs need them, idle ones
    wait in Qt. Exceptions of any kind, SystemExit too, reach the future and nobody else. An executor
    that is dropped, or left open until Python exits, finishes its jobs; Python waits for them.

    While there are workers the executor holds the application object: Qt crashes if that goes while
    events are delivered in other threads. If it is deleted by force, jobs do run, but Qt loops do
    not.

    For `loop.run_in_executor(executor, fn)`. `loop.set_default_executor()` takes subclasses of
    ThreadPoolExecutor only (TypeError since Python 3.11), which this is not.

    Args:
        max_workers: the largest number of threads; None for what ThreadPoolExecutor used to choose,
            `min(32, os.cpu_count() + 4)`.
        thread_name_prefix: of the names of the threads.
        initializer: called in each thread before its first job. If it raises, the executor is
            broken: its jobs and `submit()` raise concurrent.futures.BrokenExecutor.
        initargs: arguments of `initializer`.

    Raises:
        ValueError: `max_workers` is less than 1.
        TypeError: `initializer` cannot be called.
    """

    _numbers = itertools.count()

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> None:
        if max_workers is None:
            max_workers = min(32, (os.cpu_count() or 1) + 4)
        if max_workers < 1:
            raise ValueError(f"max_workers is {max_workers}; it must be 1 or more")
        if initializer is not None and not callable(initializer):
            raise TypeError(f"initializer is {initializer!r}; it must be callable, or None")
        self._pool = Pool(
            max_workers,
            thread_name_prefix or f"QThreadExecutor-{next(self._numbers)}",
            functools.partial(initializer, *initargs) if initializer is not None else None,
        )
        weakref.finalize(self, self._pool.abandon).atexit = False  # There, all pools are joined.

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> concurrent.futures.Future[T]:
        """Call `fn(*args, **kwargs)` in a worker; return the future of its result.

        Raises:
            RuntimeError: the executor was shut down, Python is exiting, or there is no application
                object.
            concurrent.futures.BrokenExecutor: the initializer has failed.
        """
        job = Job(functools.partial(fn, *args, **kwargs))
        self._pool.add(job)
        return job.future

    def submit_with_progress(
        self, fn: Callable[..., T], /, *args: Any, progress: Callable[..., object], **kwargs: Any
    ) -> concurrent.futures.Future[T]:
        """As `submit(fn, *args, progress=progress, **kwargs)`, but `progress` runs in this thread.

        For a function that tells how far it is by calling its keyword argument `progress`:

            def copy(files, *, progress):
                for number, file in enumerate(files):
                    ...
                    progress(number)

            executor.submit_with_progress(copy, files, progress=bar.setValue)

        The function is given a stand-in, which may be called in any thread, returns None at once,
        and has `progress` called, with the same positional arguments, by the asyncio loop that is
        running here and now. Calls are coalesced: if the loop has not come to the last one yet, the
        new one takes its place. The last of all is always made, before a task of that loop that
        awaits the job goes on. Once the loop is closed the stand-in does nothing.

        Raises:
            RuntimeError: no asyncio loop is running in this thread; and as `submit()`.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(
                "submit_with_progress() has no loop to run `progress` in; call it in a coroutine, "
                "a callback or a slot while an asyncio loop runs in this thread, or use submit()"
            ) from None
        return self.submit(fn, *args, progress=_Progress(loop, progress), **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more jobs; end the workers when they have done those that wait.

        Args:
            wait: whether to block until the workers have ended. Jobs that need this thread's Qt
                loop meanwhile (a blocking queued connection) would never end: then let another
                thread wait, `await asyncio.to_thread(executor.shutdown)`.
            cancel_futures: whether to cancel the jobs that no worker has begun.

        Raises:
            RuntimeError: a job of this executor would wait for itself.
        """
        if wait and threading.current_thread() in self._pool.threads:
            raise RuntimeError(
                "shutdown() was called by a job of this executor and would wait for that job; "
                "use shutdown(wait=False)"
            )
        self._pool.close(cancel_futures=cancel_futures)
        if wait:
            self._pool.join()


class _Progress:
    """Stands in for a progress callback; see `submit_with_progress`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[..., object]) -> None:
        self._loop = loop
        self._callback = callback
        self._context = contextvars.copy_context()
        self._latest: collections.deque[tuple[Any, ...]] = collections.deque(maxlen=1)
        self._lock = threading.Lock()

    def __call__(self, *values: Any) -> None:
        """Any thread."""
        with self._lock:
            is_on_its_way = bool(self._latest)
            self._latest.append(values)
        if not is_on_its_way:
            with contextlib.suppress(RuntimeError):  # The loop is closed.
                self._loop.call_soon_threadsafe(self._deliver, context=self._context)

    def _deliver(self) -> None:
        # Loop thread.
        with self._lock:
            values = self._latest.pop()
        self._callback(*values)
