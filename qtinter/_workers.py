"""The threads of a QThreadExecutor.

The workers are Python threads, which Qt adopts: names, tracing, `threading.local` and the stack size
are as in any Python thread. Tried and left: subclasses of QThread. PySide destroys the objects that
Python owns when the application goes, and Qt ends the process if one is a QThread that still runs.

A worker executes one QEventLoop from its first to its last moment. Who adds a job rings an idle
worker (an event is posted); the worker runs what waits in the queue, and lets Qt have its turn now
and then. A job may open nested loops: a worker that has a job is not rung.
"""

from __future__ import annotations

import atexit
import collections
import concurrent.futures
import contextlib
import functools
import itertools
import logging
import threading
import time
from concurrent.futures.thread import BrokenThreadPool
from typing import Any, Callable

from . import _qt

logger = logging.getLogger("qtinter")

# How long a worker runs one job after the other before the Qt objects of its thread get a turn.
SLICE = 0.005


class Job:
    """What a worker is to call, and the future of its result."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.call = call
        self.future: concurrent.futures.Future[Any] = concurrent.futures.Future()

    def run(self) -> Callable[[], None]:
        """Worker. Make the call; return what makes its result known."""
        future, call = self.future, self.call
        if not future.set_running_or_notify_cancel():
            return _nothing
        try:
            return functools.partial(future.set_result, call())
        except BaseException as error:
            return functools.partial(future.set_exception, error)
        finally:
            del self, future, call  # The traceback of `error` holds this frame.


def _nothing() -> None:
    pass


class Pool:
    """The workers and the queue of one executor, which they do not keep alive.

    The garbage collector may have `abandon()` called at any moment, also in a thread that has the
    lock of this pool or another.
    """

    def __init__(self, size: int, name: str, initialize: Callable[[], object] | None) -> None:
        self.threads: set[Worker] = set()  # Those too that are about to end.
        self._count = 0  # Of those that are not.
        self._size = size
        self._names = (f"{name}_{number}" for number in itertools.count())
        self._initialize = initialize
        self._lock = threading.RLock()
        self._jobs: collections.deque[Job] = collections.deque()
        self._idle: dict[Worker, None] = {}  # In the order in which they became so.
        self._is_closing = False
        self._is_broken = False

    def add(self, job: Job) -> None:
        """Any thread. Have the job done by an idle worker, a new one, or whoever is free first."""
        with self._lock:
            self._check_open()
            # The calling worker may count as idle, but has its caller to return to first.
            idle = [worker for worker in self._idle if worker is not threading.current_thread()]
            if not idle and self._count < self._size:
                self._start_worker()
            self._jobs.append(job)
            if idle:
                self._idle.pop(idle[-1], None)
                idle[-1].ring()

    def _check_open(self) -> None:
        if _exit.is_near:
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")
        if self._is_broken:
            raise BrokenThreadPool(_BROKEN)
        if self._is_closing:
            raise RuntimeError(
                "cannot schedule new futures after shutdown; create another QThreadExecutor"
            )
        _qt.require_application("QThreadExecutor")

    def _start_worker(self) -> None:
        worker = Worker(self, next(self._names))
        worker.start()
        self.threads = {thread for thread in self.threads if thread.is_alive()} | {worker}
        self._count += 1
        _exit.watch(self)

    def abandon(self) -> None:
        """Any thread, also in the garbage collector, so without the lock: as `close()`."""
        self._is_closing = True
        for worker in self.threads:
            worker.ring()

    def is_alive(self) -> bool:
        """Any thread. Tell whether there are threads."""
        return any(thread.is_alive() for thread in self.threads)

    def close(self, *, cancel_futures: bool = False) -> None:
        """Any thread. Take no more jobs, and let the workers end."""
        with self._lock:
            self._is_closing = True
            cancelled = list(self._jobs) if cancel_futures else []
            if cancel_futures:
                self._jobs.clear()
            # Without an application Qt delivers no events: nobody hears a ring, and the Qt loops of
            # a job have nothing to wait for.
            for worker in list(self._idle if _qt.has_application() else self.threads):
                worker.leave()
            self._idle.clear()
        for job in cancelled:
            job.future.cancel()
            job.future.set_running_or_notify_cancel()

    def join(self) -> None:
        """Block until all threads have ended."""
        while self.is_alive():
            for thread in self.threads:
                thread.join()
        _exit.release()

    # Called by workers.

    def initialize(self) -> bool:
        """Call the initializer; if it fails, so does everything."""
        try:
            if self._initialize is not None:
                self._initialize()
            return True
        except BaseException:
            logger.critical("the initializer of a QThreadExecutor failed", exc_info=True)
        with self._lock:
            self._is_broken = True
            jobs = list(self._jobs)
            self._jobs.clear()
        self.close()
        for job in jobs:
            if job.future.set_running_or_notify_cancel():
                job.future.set_exception(BrokenThreadPool(_BROKEN))
        return False

    def take(self, worker: Worker) -> Job | None:
        """The next job for `worker`; None if there is none: it is idle, or leaves."""
        with self._lock:
            self._idle[worker] = None
            if self._jobs:
                self._idle.pop(worker, None)
                return self._jobs.popleft()
            if self._is_closing:
                worker.leave()
            return None

    def rest(self, worker: Worker) -> None:
        """Before a result is known: who waits for it shall find `worker` idle, not start another."""
        with self._lock:
            if not self._jobs:
                self._idle[worker] = None

    def retire(self, worker: Worker) -> None:
        """The Qt loop of `worker` has ended: asked by us, by code in it, or with the application."""
        with self._lock:
            self._idle.pop(worker, None)
            self._count -= 1
            if self._jobs and _qt.has_application():
                self._start_worker()
        while self._jobs and not _qt.has_application():
            with contextlib.suppress(IndexError):  # Somebody else was faster.
                self._jobs.popleft().run()()
        with self._lock:
            worker.forget_loop()


_BROKEN = "the initializer of this QThreadExecutor failed (see the log); create another one"


class Worker(threading.Thread):
    """A thread that executes a Qt loop. A daemon, so that Python exits as far as `Exit`."""

    def __init__(self, pool: Pool, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._pool = pool
        self._loop: _qt.ThreadLoop | None = None
        self._is_busy = False

    def ring(self) -> None:
        """Any thread. There is something to do, or to end."""
        if self._loop is not None:
            self._loop.ring()

    def leave(self) -> None:
        """Any thread, with the pool's lock. End, whatever Qt loops are being executed."""
        if self._loop is not None:
            self._loop.leave()

    def run(self) -> None:
        self._loop = loop = _qt.ThreadLoop(self._work)
        if self._pool.initialize() and _qt.has_application():
            loop.ring()
            loop.run()
        self._pool.retire(self)
        loop.close()

    def forget_loop(self) -> None:
        """This thread, with the pool's lock. Nobody shall use the Qt loop any more."""
        self._loop = None

    def _work(self) -> None:
        # Called by Qt, maybe by a loop that a job executes.
        if self._is_busy:
            return
        self._is_busy = True
        end = time.monotonic() + SLICE
        try:
            while (job := self._pool.take(self)) is not None:
                settle = job.run()
                self._pool.rest(self)
                settle()
                del job, settle
                if time.monotonic() >= end:
                    self.ring()
                    return
        except BaseException:  # Of a callback of the future.
            logger.exception("exception in a callback of a future of a QThreadExecutor")
            self.ring()
        finally:
            self._is_busy = False


class Exit:
    """Keeps the application while there are workers, and ends them when Python exits.

    A handler of atexit runs before those that are older: here, before those of the binding, which
    take the application down.
    """

    def __init__(self) -> None:
        self.is_near = False
        self._lock = threading.RLock()
        self._pools: set[Pool] = set()
        self._application: Any = None
        self._is_watching = False

    def watch(self, pool: Pool) -> None:
        """Any thread. `pool` has workers."""
        with self._lock:
            self._pools = {other for other in self._pools if other.is_alive()} | {pool}
            self._application = _qt.application()
            if not self._is_watching:
                self._is_watching = True
                atexit.register(self._end_all)

    def release(self) -> None:
        """Any thread. Let the application go, but only where it may be destroyed."""
        if threading.current_thread() is threading.main_thread():
            with self._lock:
                application = self._application
                if not any(pool.is_alive() for pool in self._pools):
                    self._application = None
            del application  # Outside the lock: whatever that sets off.

    def _end_all(self) -> None:
        self.is_near = True
        # More than once: a job may just be submitting to a pool that had no workers before.
        while pools := [pool for pool in list(self._pools) if pool.is_alive()]:
            for pool in pools:
                pool.close()
            for pool in pools:
                pool.join()
        self.release()


_exit = Exit()
