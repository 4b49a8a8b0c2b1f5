"""Iterate, give way, wake, stop, hand errors over. READ THIS FIRST.

An asyncio loop alternates between waiting and running what is ready. Embedded, it leaves the
waiting to Qt:

    plain asyncio  | select ....... | run | select ..... | run | select ............. | run |

    embedded       | Qt waits       |slice| Qt's turn    |slice| Qt waits             |slice|
                                    ^                    ^                            ^
                             an fd is readable    the slice was used up,       a deadline, or
                                                  asyncio is not done          injected code

A *slice* is a row of iterations (`BaseEventLoop._run_once`, untouched). It ends when an iteration
finds nothing to do, or when asyncio has had the thread long enough. While Qt has the thread, the
loop is in one of two states:

    asleep   Nothing is ready. Armed are the poller (for I/O), the alarm (for the next deadline)
             and `loop._wake`, which injected code calls when it adds work.
    awake    Something is ready. A slice follows each turn of Qt.

`loop._wake` tells which: it is None unless the loop is asleep, so that `call_soon()` pays for one
look at an attribute.

Any callback may open a nested Qt loop (a modal dialog), and nobody tells us. So the alarm is always
set to ring shortly after a slice began. If it rings while an iteration is on the stack, Qt has the
thread inside that iteration; the slice that follows is a nested one: see nesting.py. Mostly it
rings for nothing: while slices follow each other closely, to move it costs more than that. A loop
that sleeps long moves it to its deadline, and sleeps on.

No exception leaves a function that Qt calls. It is kept, the run ends, and whoever started the run
raises it.

Private names of asyncio (`_run_once`, `_ready`, `_stopping`, `_selector`, `_write_to_self`): checked
on Python 3.9 to 3.15.
"""

from __future__ import annotations

import asyncio
import math
import signal
import sys
import threading
from time import monotonic
from typing import Any, Callable

from .. import _qt
from .interrupts import Interrupts
from .nesting import Nesting

# How soon after the beginning of a slice a nested Qt loop is noticed. Bounds the cost of spurious
# alarms, a few µs each, and the time for which the other tasks stand still.
NOTICE_NESTING = 0.005

# How often code that is held back for somebody who does not report back is tried again.
RETRY = 0.02


class Driver:
    """One run of a logical loop in the physical loop of its thread; exists while the run lasts.

    Args:
        loop: the logical loop.
        iterate: asyncio's `_run_once` of that loop.
        qt_loop: the physical loop that this run executes (nested mode), or None if the application
            executes it (attached mode).
        handle_sigint: whether Ctrl-C ends the run; see interrupts.py.
        may_end: whether SIGTERM does.
    """

    def __init__(
        self,
        loop: Any,
        iterate: Callable[[], None],
        qt_loop: _qt.EventLoop | None,
        *,
        handle_sigint: bool,
        may_end: bool = True,
    ) -> None:
        self._loop = loop
        self._iterate = iterate
        self._qt_loop = qt_loop
        self._multiplexer = loop._selector
        self._thread_id = threading.get_ident()
        self._deadline = math.inf
        self._asleep_since = -math.inf
        self._sleeps_long = False
        self._loop_level = _qt.level_meter() if qt_loop is None else qt_loop.loop_level
        self._depth = 0  # Iterations on the stack.
        self._level = 0  # Qt event loops on the stack when the innermost slice began.
        self._has_begun = False
        self.is_over = False
        self.error: BaseException | None = None
        self._nesting = Nesting(loop)
        self._alarm = _qt.Alarm(self._alarm_rang)
        self._turn = _qt.Alarm(self._qt_had_its_turn)
        self._poller = self._multiplexer.open_poller(loop, self._io_ready, self.wake)
        self._interrupts = Interrupts(self, loop, is_open=handle_sigint, may_end=may_end)
        if qt_loop is None:
            self._alarm.set_now()

    def run(self) -> None:
        """Loop thread, nested mode. Execute the physical loop until the run ends or Qt leaves it."""
        assert self._qt_loop is not None
        self._qt_loop.run(lambda: self._has_begun, begin=self._alarm.set_now)

    def close(self) -> None:
        """Loop thread, outside iterations. Detach from Qt.

        What has been calling us forgets us. A cycle would keep us, and the loop, until the next
        garbage collection, which for short runs would take a fifth of the time.
        """
        self.is_over = True
        self._loop._wake = None
        self._alarm.close()
        self._turn.close()
        self._multiplexer.close_poller()
        self._nesting.close()
        self._loop_level = _qt.loop_level  # Which holds no QThread.
        self._interrupts.close()  # Last: it is what keeps Ctrl-C from all this.

    # What others ask for.

    def is_on_stack(self) -> bool:
        """Loop thread. Tell whether the logical loop is running the caller."""
        return self._depth > 0 or asyncio.current_task(self._loop) is not None

    def tasks_on_stack(self) -> set[asyncio.Task[Any]]:
        """Loop thread. The tasks whose code is being executed, one inside the other."""
        task = asyncio.current_task(self._loop)
        return self._nesting.tasks_aside() | ({task} if task is not None else set())

    def is_iterating(self) -> bool:
        """Loop thread. Tell whether Python code of the logical loop has the thread, not Qt."""
        return self._depth > 0 and self._loop_level() == self._level

    def is_in_nested_qt_loop(self) -> bool:
        """Loop thread. Tell whether Qt has the thread although an iteration is on the stack."""
        return self._depth > 0 and not self.is_iterating()

    def has_dialogs(self) -> bool:
        """Loop thread. Tell whether Qt loops are nested in the one that this run executes."""
        return self._qt_loop is not None and self._loop_level() > self._qt_loop.level

    def is_outside(self) -> bool:
        """Loop thread. Tell whether the code that started an attached run has the thread."""
        return self._qt_loop is None and self._loop_level() == 0

    def wake(self) -> None:
        """Any thread, while asleep. Make sure that an iteration will run soon."""
        if threading.get_ident() == self._thread_id:
            self._loop._wake = None
            self._turn.set_now()
        else:
            # call_soon() from a wrong thread, an error that asyncio reports in debug mode only.
            # Nothing is lost by it, and Qt timers stay untouched.
            self._loop._write_to_self()

    def interrupted(self, error: BaseException) -> None:
        """Loop thread. The handler of a signal has raised `error` where it must not."""
        self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Loop thread. End the run, which then raises `error`."""
        if self.error is None:
            self.error = error
        self.is_over = True
        self._loop._stopping = True  # An iteration further down the stack is to be the last.
        self._leave(dialogs=True)
        if isinstance(error, KeyboardInterrupt) and self.is_outside() and _qt.is_main_thread():
            _qt.raise_signal_soon(signal.SIGINT)  # In who calls processEvents(), maybe for ever.

    def renew_wakeup_fd(self) -> None:
        """Loop thread. asyncio may have reset the wake-up fd of the signal module."""
        self._interrupts.renew()

    # Called by Qt, in the loop's thread.

    def _alarm_rang(self) -> None:
        if self._loop._wake is None:
            if self.is_over and not self._has_begun:
                self._leave(dialogs=False)  # Again: Ctrl-C came just before Qt's loop was executed.
            elif self._depth or not self._has_begun:
                self._run_slice()
            return
        if monotonic() >= self._deadline:
            self._run_slice()
        else:  # It was set for Qt loops that the last slice might have opened.
            self._alarm.move(self._deadline)
        self._interrupts.look()

    def _qt_had_its_turn(self) -> None:
        if self._loop._wake is None:  # Not if all has been done meanwhile.
            self._run_slice()

    def _io_ready(self) -> None:
        # Awake between slices, a slice is to come: Qt shall have its turn first.
        if self.is_over:
            self._poller.stop()
        elif self._loop._wake is not None or self._depth:
            self._run_slice()

    def _run_slice(self) -> None:
        if self.is_over:
            return
        library = _swap_current_library(None)
        try:
            if self.is_on_stack():
                with self._nesting:
                    self._slice()
                    self._nesting.settle()
                    # With no iteration below us, nobody notices when the code in the way returns.
                    must_retry = self._depth == 0 and self._nesting.is_holding()
                    self._give_way(at_most=RETRY if must_retry else None)
            else:
                self._slice()
                if self._nesting.has_overtaken:
                    self._nesting.settle()
                if self._loop._stopping:
                    self._stop()
                if not self.is_over:
                    self._give_way()
        except BaseException as error:
            self.fail(error)
        finally:
            if library is not None:
                _swap_current_library(library)

    def _slice(self) -> None:
        loop, multiplexer, iterate = self._loop, self._multiplexer, self._iterate
        loop._wake = None
        self._has_begun = True
        now = monotonic()
        end = now + self._poller.slice
        self._sleeps_long = now - self._asleep_since > NOTICE_NESTING
        self._alarm.set(now + NOTICE_NESTING)
        outer_level, self._level = self._level, self._loop_level()
        self._depth += 1
        try:
            while True:
                iterate()
                if loop._stopping or monotonic() >= end:
                    break
                # The iteration would have waited. If it ran something all the same, because a
                # timer became due in between, that may have made something ready.
                if multiplexer.patience != 0 and not loop._ready:
                    break
        finally:
            self._depth -= 1
            self._level = outer_level

    # Between slices.

    def _give_way(self, at_most: float | None = None) -> None:
        patience = self._multiplexer.patience
        if patience == 0 or self._loop._ready:
            self._loop._wake = None  # A slice nested in this one may have fallen asleep.
            self._turn.set_now()
            return
        if at_most is not None:
            patience = at_most if patience is None else min(patience, at_most)
        # Fall asleep.
        now = self._asleep_since = monotonic()
        self._deadline = math.inf if patience is None else now + patience
        if self._sleeps_long:
            self._alarm.move(self._deadline)
            self._interrupts.look()
        else:
            self._alarm.set(self._deadline)
        self._poller.arm()
        self._loop._wake = self.wake
        if self._loop._ready:  # By call_soon() from a wrong thread, in the last moment.
            self.wake()

    def _stop(self) -> None:
        if self._qt_loop is None:
            # The application's loop returns, but the logical loop stays: it may be executed again.
            self._loop._stopping = False
        else:
            self.is_over = True
        self._leave(dialogs=False)

    def _leave(self, *, dialogs: bool) -> None:
        """Make the physical loop return to whoever executes it; with the loops nested in it?"""
        if self._qt_loop is not None:
            self._qt_loop.leave()
        if self._qt_loop is None or (dialogs and self.has_dialogs()):
            _qt.leave_event_loops()


def _swap_current_library(name: str | None) -> str | None:
    """Tell sniffio which library is running; return what it thought.

    trio says that it is, once for a whole step of a task, which may be executing the Qt loop that
    runs us.
    """
    sniffio = sys.modules.get("sniffio")
    if sniffio is None:
        return None
    before: str | None = sniffio.thread_local.name
    if name is not before:
        sniffio.thread_local.name = name
    return before
