"""The logical loops: asyncio's own loops, embedded in Qt while they run.

Not done here: how they are embedded (_engine/driver.py) and who attaches them (_runners.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import selectors
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Callable

from . import _qt
from ._cleanup import at_exit, closing, finish_in_place, finish_slots, not_at_exit
from ._compat import begin_run, end_run, swap_current_task
from ._default_executor import DefaultExecutor
from ._engine.driver import Driver
from ._engine.hosted import HostedDriver
from ._engine.multiplexers import EmbeddedSelector

if sys.platform == "win32":
    from ._engine.multiplexers import EmbeddedProactor

# What transports of asyncio are ready to receive with one call.
_RECEIVED_AT_ONCE = 256 * 1024

# The loops that are attached to hosts, by thread. Of several, the last one is in use, and the others
# are on their way out.
hosted_loops: dict[int, list[QiBaseEventLoop]] = {}

# Called with each task that run_task() starts, which create_task() does not make, by loop.
task_watchers: dict[asyncio.AbstractEventLoop, Callable[[asyncio.Task[Any]], None]] = {}


@contextlib.contextmanager
def nothing_running() -> Iterator[None]:
    """Put the loop that is running in this thread aside meanwhile, if there is one, with its task."""
    loop = asyncio._get_running_loop()
    task = None if loop is None else swap_current_task(loop, None)
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        if loop is not None:
            asyncio._set_running_loop(loop)
            swap_current_task(loop, task)


class QiBaseEventLoop(asyncio.BaseEventLoop):
    """What all logical loops have in common.

    `run_forever()` and what is built on it (`run_until_complete`, `asyncio.run`) execute a
    QEventLoop: nested mode. If Qt leaves it, because of `QCoreApplication.exit()` for example, the
    run stops as if `stop()` had been called.

    Raises:
        RuntimeError: `run_forever()` when there is no application object.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # Few, with asyncio's own not more than 30: since Python 3.11 access to all of them would take
        # longer, a tenth of an iteration.
        self._driver: Driver | None = None
        self._is_told = False
        # While the loop is asleep: what injected code has to call when it adds work.
        self._wake: Callable[[], None] | None = None

    # Nested mode.

    def _run_once(self) -> None:
        """Run everything: asyncio's run_forever() takes a whole run in Qt for one iteration.

        So all that asyncio does around its iterations is done by asyncio, on every version.
        """
        if self._selector.was_embedded and not _qt.has_application():
            self._iteration()  # A native run: somebody cleans up after the application is gone.
            return
        _qt.require_application("a Qt-backed event loop")
        if self._driver is not None:
            raise RuntimeError("This event loop is attached to the application, and so running")
        qt_loop = _qt.EventLoop()
        driver = self._driver = Driver(self, self._iteration, qt_loop, handle_sigint=True)
        if threading.current_thread() is threading.main_thread():
            at_exit(self._process_ends)
        try:
            driver.run()
        finally:
            not_at_exit(self._process_ends)
            self._disembed()
        self._stopping = True  # Also if it was Qt that left the run.
        if driver.error is not None:
            raise driver.error

    def _process_ends(self) -> None:
        """Called by Python at exit in the middle of a nested run: sys.exit() in a slot does that."""
        self.stop = lambda: None  # type: ignore[method-assign]  # There is nobody to return to.
        finish_in_place(self, None)

    # Attached mode.

    def attach(self, *, handle_sigint: bool = True) -> None:
        """For QiRunner: become the running loop, iterated by whatever Qt loop this thread executes.

        KeyboardInterrupt and SystemExit make Qt leave its loops; `detach()` returns them.
        """
        _qt.require_application("a Qt-backed event loop")
        _qt.ensure_dispatcher()
        begin_run(self)
        self._driver = Driver(self, self._iteration, None, handle_sigint=handle_sigint)

    def attach_to_host(self) -> None:
        """For attach(): be iterated as after `attach()`, but see engine/hosted.py for what differs."""
        _qt.require_application("a Qt-backed event loop")
        _qt.ensure_dispatcher()
        self._driver = HostedDriver(self, self._iteration)
        hosted_loops.setdefault(threading.get_ident(), []).append(self)

    def is_called_by_qt(self) -> bool:
        """For hosted loops: tell whether Qt still calls this loop; not if its application is gone."""
        return isinstance(self._driver, HostedDriver) and self._driver.is_called_by_qt()

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Be the running loop of this thread meanwhile; and afterwards, if there was none before."""
        other = asyncio._get_running_loop()
        if other is self:
            yield
            return
        with nothing_running():
            begin_run(self)
            try:
                yield
            finally:
                if other is not None:
                    end_run(self)

    def detach(self) -> BaseException | None:
        """Undo `attach()` or `attach_to_host()`; return what ended the run, if anything.

        Raises:
            RuntimeError: called by code that the loop itself is running.
        """
        assert self._driver is not None
        if self.is_on_stack():
            raise RuntimeError(
                "the loop cannot be closed by code that it is running; leave Qt's loop first "
                "(QCoreApplication.quit()), or close it in a slot or after app.exec()"
            )
        error = self._driver.error
        self._disembed()
        here = threading.get_ident()
        if self in hosted_loops.get(here, []):
            hosted_loops[here].remove(self)
            if not hosted_loops[here]:
                del hosted_loops[here]
        if asyncio._get_running_loop() is self:
            end_run(self)
        return error

    def fail(self, error: BaseException) -> None:
        """For code that Qt calls: end the run, which raises `error`; nothing may be raised into Qt."""
        if self._driver is not None:
            self._driver.fail(error)
        else:
            self.call_exception_handler(
                {"message": "exception after the event loop had ended", "exception": error}
            )

    def is_over(self) -> bool:
        """Tell whether the run has ended, or is about to, so that nothing is run any more."""
        return self._driver is None or self._driver.is_over

    def has_failed(self) -> bool:
        """Tell whether the run is about to end with an exception."""
        return self._driver is not None and self._driver.error is not None

    def is_on_stack(self) -> bool:
        """Tell whether the loop is running the caller."""
        return self._driver is not None and self._driver.is_on_stack()

    def tasks_on_stack(self) -> set[asyncio.Task[Any]]:
        """Return the tasks that are running the caller, one inside the other."""
        return set() if self._driver is None else self._driver.tasks_on_stack()

    def is_in_nested_qt_loop(self) -> bool:
        """Tell whether the caller is a slot or the like, called by a Qt loop that the loop's code has opened."""
        return self._driver is not None and self._driver.is_in_nested_qt_loop()

    _selector: Any  # Known to typeshed on Windows only.
    _default_executor: Any

    def poller_name(self) -> str:
        """Return the name of what waits for I/O inside Qt while this loop runs, for bug reports."""
        return type(self._selector.poller).__name__

    def _disembed(self) -> None:
        driver, self._driver = self._driver, None  # Closed or not, if Ctrl-C comes now.
        assert driver is not None
        driver.close()

    @property
    def _iteration(self) -> Callable[[], None]:
        """asyncio's own iteration."""
        iterate: Callable[[], None] = super()._run_once  # type: ignore[misc]
        return iterate

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, (KeyboardInterrupt, SystemExit)) and isinstance(
            context.get("future"), asyncio.Task
        ):
            return  # The task has raised it and ended the run; now, being freed, it tells once more.
        super().call_exception_handler(context)

    # Injected code. While the loop is asleep, whatever adds work wakes it. Not so in _call_soon(),
    # which call_soon_threadsafe() shares: that one writes to the self-pipe, which the poller sees.

    if not TYPE_CHECKING:  # typeshed says how these are called, and knows no private names.

        def run_in_executor(self, executor, func, *args):
            if executor is None and self._default_executor is None:
                self.set_default_executor(DefaultExecutor())
            return super().run_in_executor(executor, func, *args)

        def call_soon(self, callback, *args, context=None):
            if self._debug or self._closed:
                handle = super().call_soon(callback, *args, context=context)
                _forget_caller(handle)
            else:
                # What asyncio does after these two checks, with one call less.
                handle = self._call_soon(callback, args, context)
            if self._wake is not None:
                self._wake()
            return handle

        def call_later(self, delay, callback, *args, context=None):
            if self._debug or delay is None:
                timer = super().call_later(delay, callback, *args, context=context)
                _forget_caller(timer)
                return timer
            # What asyncio does after these two checks, without a detour over our own call_at().
            timer = super().call_at(self.time() + delay, callback, *args, context=context)
            if self._wake is not None:
                self._wake()
            return timer

        def call_at(self, when, callback, *args, context=None):
            timer = super().call_at(when, callback, *args, context=context)
            _forget_caller(timer)
            if self._wake is not None:
                self._wake()
            return timer

    def stop(self) -> None:
        super().stop()
        if self._wake is not None:
            self._wake()

    def close(self) -> None:
        """Close the loop. Tasks that slots have started are cancelled first, and let finish."""
        try:
            is_idle = not self.is_closed() and not self.is_running()
            if is_idle and asyncio._get_running_loop() is None:
                finish_slots(self)
        finally:
            super().close()
            closing.discard(self)

    # Calls from other threads. For each of them asyncio writes a byte to its self-pipe, which costs
    # more than all the rest, and makes two threads fight for the GIL. One byte that is on its way is
    # enough: who relies on it has added his handle already, and who reads it looks for handles then.

    def _write_to_self(self) -> None:
        if not self._is_told:
            self._is_told = True
            try:
                super()._write_to_self()  # type: ignore[misc]
            except BaseException:  # Ctrl-C.
                self._is_told = False
                raise


class QiSelectorEventLoop(QiBaseEventLoop, asyncio.SelectorEventLoop):
    """asyncio's selector event loop, embedded in Qt while it runs.

    Args:
        selector: the selector to use, None for the default one of the selectors module. One with
            an fd of its own (epoll, kqueue) is waited for by Qt itself, any other by a helper
            thread.
    """

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        super().__init__(EmbeddedSelector(selector or selectors.DefaultSelector()))
        _warm_up_malloc()

    def _read_from_self(self) -> None:
        try:
            super()._read_from_self()  # type: ignore[misc]
        finally:
            self._is_told = False  # Not before: it reads to the end, also what comes meanwhile.

    def remove_signal_handler(self, sig: int) -> bool:
        removed = super().remove_signal_handler(sig)
        if self._driver is not None:
            self._driver.renew_wakeup_fd()
        return removed


@functools.cache
def _warm_up_malloc() -> None:
    """Once in a process: let malloc see a block freed that is as large as what a recv() asks for.

    Before it has, glibc's gets those 256 KiB from the kernel for each recv() and gives them back, which
    takes longer than all else.
    """
    bytes(_RECEIVED_AT_ONCE)


def _forget_caller(handle: Any) -> None:
    """In debug mode, leave our own frame out of where the handle was created, as asyncio does."""
    if handle._source_traceback:
        del handle._source_traceback[-1]


if sys.platform == "win32":

    class QiProactorEventLoop(QiBaseEventLoop, asyncio.ProactorEventLoop):
        """asyncio's proactor event loop (IOCP), embedded in Qt while it runs; Windows only."""

        def __init__(self) -> None:
            super().__init__(EmbeddedProactor())

        def _loop_self_reading(self, *args: Any) -> None:
            self._is_told = False
            super()._loop_self_reading(*args)  # type: ignore[misc]

    QiDefaultEventLoop = QiProactorEventLoop
else:
    QiDefaultEventLoop = QiSelectorEventLoop


def new_event_loop() -> QiBaseEventLoop:
    """Return a new Qt-backed loop of the kind asyncio uses by default on this platform.

    For use as `loop_factory` of asyncio.run, asyncio.Runner, pytest-asyncio or anyio.

    Raises:
        RuntimeError: there is no application object.
    """
    _qt.require_application("new_event_loop()")
    return QiDefaultEventLoop()
