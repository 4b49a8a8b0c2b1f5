"""An executor whose threads run a Qt event loop, so that jobs may use Qt objects and timers.

The workers are Python threads, which Qt adopts: names, tracing, `threading.local` and the stack size
are as in any Python thread. Tried and left: subclasses of QThread. PySide destroys the objects that
Python owns when the application goes, and Qt ends the process if one is a QThread that still runs.

A worker executes one QEventLoop from its first to its last moment. Who adds a job rings an idle
worker (an event is posted); the worker runs what waits in the queue, and lets Qt have its turn now
and then. A job may open nested loops: a worker that has a job is not rung.
"""

from __future__ import annotations

import asyncio
import atexit
import collections
import concurrent.futures
import contextlib
import contextvars
import functools
import itertools
import logging
import os
import threading
import time
import weakref
from concurrent.futures.thread import BrokenThreadPool
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from . import _qt

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    P = ParamSpec("P")

T = TypeVar("T")

logger = logging.getLogger("qtinter")

# How long a worker runs one job after the other before the Qt objects of its thread get a turn.
SLICE = 0.005


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
        self._pool = _Pool(
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
        job = _Job(functools.partial(fn, *args, **kwargs))
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


class _Job:
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


class _Pool:
    """The workers and the queue of one executor, which they do not keep alive.

    The garbage collector may have `abandon()` called at any moment, also in a thread that has the
    lock of this pool or another.
    """

    def __init__(self, size: int, name: str, initialize: Callable[[], object] | None) -> None:
        self.threads: set[_Worker] = set()  # Those too that are about to end.
        self._count = 0  # Of those that are not.
        self._size = size
        self._names = (f"{name}_{number}" for number in itertools.count())
        self._initialize = initialize
        self._lock = threading.RLock()
        self._jobs: collections.deque[_Job] = collections.deque()
        self._idle: dict[_Worker, None] = {}  # In the order in which they became so.
        self._is_closing = False
        self._is_broken = False

    def add(self, job: _Job) -> None:
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
        worker = _Worker(self, next(self._names))
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

    def take(self, worker: _Worker) -> _Job | None:
        """The next job for `worker`; None if there is none: it is idle, or leaves."""
        with self._lock:
            self._idle[worker] = None
            if self._jobs:
                self._idle.pop(worker, None)
                return self._jobs.popleft()
            if self._is_closing:
                worker.leave()
            return None

    def rest(self, worker: _Worker) -> None:
        """Before a result is known: who waits for it shall find `worker` idle, not start another."""
        with self._lock:
            if not self._jobs:
                self._idle[worker] = None

    def retire(self, worker: _Worker) -> None:
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


class _Worker(threading.Thread):
    """A thread that executes a Qt loop. A daemon, so that Python exits as far as `_Exit`."""

    def __init__(self, pool: _Pool, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._pool = pool
        self._loop: _ThreadLoop | None = None
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
        self._loop = loop = _ThreadLoop(self._work)
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


class _Exit:
    """Keeps the application while there are workers, and ends them when Python exits.

    A handler of atexit runs before those that are older: here, before those of the binding, which
    take the application down.
    """

    def __init__(self) -> None:
        self.is_near = False
        self._lock = threading.RLock()
        self._pools: set[_Pool] = set()
        self._application: Any = None
        self._is_watching = False

    def watch(self, pool: _Pool) -> None:
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


_exit = _Exit()


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


# About Qt.


class _ThreadLoop:
    """The Qt event loop of a thread that Qt did not start; `callback`, called by it, must not raise.

    Its objects are children of the thread's dispatcher: the bindings delete objects that belong to
    Python together with the application, also those that another thread is using.
    """

    def __init__(self, callback: Callable[[], None]) -> None:
        core = _qt.QtCore
        _qt.ensure_dispatcher()
        self._loop: Any = core.QEventLoop()
        self._bell: Any = _qt.doorbell(callback)
        for thing in (self._loop, self._bell):
            # PyQt sometimes finds the wrapper of a dispatcher that died at the same address.
            with contextlib.suppress(RuntimeError):
                thing.setParent(core.QAbstractEventDispatcher.instance())

    def run(self) -> None:
        """Return after `leave()`, or when code in the thread makes its Qt loops return."""
        (getattr(self._loop, "exec", None) or self._loop.exec_)()

    def ring(self) -> None:
        """Any thread. Have the callback called; unless there is no application, then nothing is."""
        bell = self._bell
        if bell is not None:
            bell.ring()

    def leave(self) -> None:
        """Any thread. Make all Qt loops of the thread return, and those to come at once."""
        # Asked for each time: PyQt may take a wrapper that is kept for that of a dead object.
        self._bell.thread().quit()

    def close(self) -> None:
        """Do in time what Qt does in the last moment of a thread, when nobody waits for it any more.

        `finished` is emitted, and what was to be deleted is deleted. PySide forgets the QThread and
        its dispatcher: on every object that it knows hangs a property whose destruction takes the
        GIL, which ends the process if Python is just exiting.
        """
        core = _qt.QtCore
        thread = core.QThread.currentThread()
        # It is an error to disconnect nothing. A slot of C++, because PySide2 has one receiver for all
        # connections to a Python function, and no lock for it.
        thread.finished.connect(self._loop.quit)
        direct = _qt.enum(core.Qt, "ConnectionType", "DirectConnection")
        core.QMetaObject.invokeMethod(thread, "finished", direct)
        thread.finished.disconnect()
        self._bell.close()
        self._bell.setParent(None)
        self._loop.setParent(None)
        self._bell = self._loop = None
        if _qt.has_application():
            deferred = _qt.enum(core.QEvent, "Type", "DeferredDelete")
            core.QCoreApplication.sendPostedEvents(None, int(deferred))
        if not _qt.is_pyqt():
            for thing in (core.QAbstractEventDispatcher.instance(), thread):
                thing.setProperty("_PySideInvalidatePtr", None)


def _nothing() -> None:
    pass
