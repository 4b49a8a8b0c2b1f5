"""Ctrl-C and SIGTERM: wake Qt, and raise where it does no harm.

Python runs signal handlers only between bytecodes, and there are none while Qt waits. The wake-up
fd of the signal module, set to the loop's self-pipe, makes the selector readable: Qt calls the
driver, and bytecode runs.

Whatever Python handler is installed (Python's own, asyncio.Runner's, the user's) is called where it
may raise:

- inside an iteration, unless Qt has the thread again: here, as in plain asyncio. Not in asyncio's own
  code, which takes and adds handles, and tells who waits for what: something would be lost, and a
  task could never be ended. Nor in a finalizer: Python prints what is raised there, and goes on. The
  iteration goes on, and then the run ends and raises it;
- while the code that started an attached run has the thread, before or after `app.exec()`: here, as
  without us. If it is executing `processEvents()`, and Qt has called us there, it is only when we
  have returned that nothing stands between;
- otherwise Qt has the thread, or a function that Qt called. An exception there would abort the
  process (PyQt) or be printed and forgotten (PySide). It is kept; the run ends and raises it. But
  if an earlier signal has had no effect, because a slot does not return, the exception ends the slot.

asyncio.Runner's handler raises at the second Ctrl-C only; at the first it cancels the main task. A
dialog would keep that from having an effect, so then the first one is enough.

SIGTERM has no handler in Python, and ends the process before any `finally`. If nobody has changed
that, it raises SystemExit while the run lasts, with the exit code that a shell would report.

A wake-up fd that somebody had set before is written to as well.

What does not work: looking at the interrupted frame for more than whether it is asyncio's or our own
(it may be anybody's), and a timer that runs bytecode now and then (it wakes an idle machine).
"""

from __future__ import annotations

# The functions of the signal module try to make an enum of the handler, which takes some µs each.
import _signal  # type: ignore[import-not-found]
import asyncio
import contextlib
import math
import os
import signal
import socket
import sys
import threading
from time import monotonic
from types import FrameType
from typing import Any, Callable, Protocol, Union

from .. import _qt


class Run(Protocol):
    """What Interrupts needs of the driver."""

    def is_iterating(self) -> bool: ...
    def is_outside(self) -> bool: ...
    def has_dialogs(self) -> bool: ...
    def interrupted(self, error: BaseException) -> None: ...


# The signals that programs have handlers for.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGBREAK")
_NUMBERS = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
_MARK = b"\xff"  # No signal has this number.

# Signals that come within this many seconds are one Ctrl-C: who has started the program may pass on
# the terminal's.
_AT_ONCE = 0.01

# Never interrupted; what the last two do is called by the garbage collector.
_SPARED_PACKAGES = ("asyncio", "qtinter", "qtpy", "weakref", "_weakrefset")

# Where asyncio calls its own callbacks, or anybody's.
_CALL_BACK = asyncio.Handle._run.__code__

# What asyncio's functions call, or anybody's. Delete the names when 3.9 goes: in debug mode, most of
# the time is spent in these.
_STANDARD_PACKAGES = getattr(sys, "stdlib_module_names", ("traceback", "linecache"))

Handler = Union[Callable[[int, Union[FrameType, None]], Any], int, None]


class Interrupts:
    """While it is open, signals wake the loop, and their handlers raise safely. Main thread only."""

    def __init__(self, run: Run, loop: Any, *, is_open: bool, may_end: bool = True) -> None:
        self._run = run
        self._loop = loop
        self._may_end = may_end  # Whether SIGTERM, which would end the process, may end the run.
        self._is_open = is_open and threading.current_thread() is threading.main_thread()
        self._marked_at = -math.inf
        self._muted_fd = -1  # The wake-up fd, while a signal is to be delivered again.
        self._handlers: dict[int, Handler] = {}
        if self._is_open:
            self._process = os.getpid()
            self._fd = loop._csock.fileno()
            self._previous_fd = -1
            self._install()  # First: until then Ctrl-C may be raised.
            self._previous_fd = signal.set_wakeup_fd(self._fd, warn_on_full_buffer=False)

    def close(self) -> None:
        """Put back what was there before, unless somebody has replaced it meanwhile."""
        if self._is_open:
            self._unmute()
            fd = signal.set_wakeup_fd(-1)
            if fd == self._fd:
                fd = self._previous_fd
            if fd != -1:
                signal.set_wakeup_fd(fd, warn_on_full_buffer=False)
            # From here on Ctrl-C may be raised, and what is left of this be left out.
            self._is_open = False
            for number, handler in self._handlers.items():
                if _signal.getsignal(number) == self._signalled:
                    _signal.signal(number, handler)
        del self._run  # See Driver.close().

    def renew(self) -> None:
        """asyncio has reset a handler and maybe the wake-up fd, as remove_signal_handler() does."""
        if self._is_open:
            signal.set_wakeup_fd(self._fd, warn_on_full_buffer=False)
            self._install()

    def look(self) -> None:
        """Now and then: somebody may have installed another handler."""
        if self._is_open:
            self._install()

    def _install(self) -> None:
        for number in _NUMBERS:
            handler = _signal.getsignal(number)
            owner = getattr(handler, "__self__", None)
            is_ours = isinstance(owner, Interrupts) and owner._is_open
            if not is_ours and (
                callable(handler)
                or (self._may_end and number == signal.SIGTERM and handler == signal.SIG_DFL)
            ):
                self._handlers[number] = handler
                _signal.signal(number, self._signalled)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        handler = self._handlers[number]
        if not self._is_open or os.getpid() != self._process:
            # Somebody has put us back after the run, or this is a forked child of the process, which
            # has other things to do than to end our run.
            _signal.signal(number, handler)
            signal.raise_signal(number)
            return
        if self._run.is_outside() and not self._run.is_iterating() and _qt.is_calling_us(frame):
            self._mute()  # Or Qt would call us again at once.
            _qt.raise_signal_soon(number)
            return
        self._unmute()
        self._tell_others(number)
        self._call(handler, number, frame)

    def _call(self, handler: Handler, number: int, frame: FrameType | None) -> None:
        is_stuck = self._is_stuck()
        self._mark()
        try:
            if callable(handler):
                handler(number, frame)
            else:
                raise SystemExit(128 + number)
        except BaseException as error:
            if not self._is_open or self._run.is_outside():
                raise
            must_go_on = _must_go_on(frame)
            if self._run.is_iterating() and (is_stuck or not must_go_on):
                raise
            if is_stuck and not must_go_on:
                raise _qt.spare_process(_Insisting()) from None
            self._run.interrupted(error)
        else:
            if _belongs_to_runner(handler) and self._run.has_dialogs():
                self._run.interrupted(KeyboardInterrupt())

    def _mute(self) -> None:
        if self._muted_fd == -1:
            self._muted_fd = signal.set_wakeup_fd(-1)

    def _unmute(self) -> None:
        if self._muted_fd != -1:
            signal.set_wakeup_fd(self._muted_fd, warn_on_full_buffer=False)
            self._muted_fd = -1

    def _tell_others(self, number: int) -> None:
        if sys.platform != "win32" and self._previous_fd not in (-1, self._fd):
            with contextlib.suppress(OSError):
                os.write(self._previous_fd, bytes([number]))

    # A mark in the self-pipe, which the loop passes over, tells whether it has read the pipe since
    # an earlier signal. If not, a slot does not return.

    def _mark(self) -> None:
        self._marked_at = monotonic()
        with contextlib.suppress(OSError):
            self._loop._csock.send(_MARK)

    def _is_stuck(self) -> bool:
        if monotonic() - self._marked_at > _AT_ONCE:
            with contextlib.suppress(OSError):
                return _MARK in self._loop._ssock.recv(4096, socket.MSG_PEEK)
        return False


class _Insisting(BaseException):
    """The second Ctrl-C, raised in a slot, and printed by the binding.

    No KeyboardInterrupt: if one has been printed, Python 3.15 ends the process as if by SIGINT.
    """


def _must_go_on(frame: FrameType | None) -> bool:
    """Tell whether asyncio or qtinter was interrupted, what they call, or a finalizer; not whom they call back."""
    innermost = frame
    while frame is not None:
        code = frame.f_code
        package = str(frame.f_globals.get("__name__")).partition(".")[0]
        if package in _SPARED_PACKAGES or code.co_name == "__del__":
            return frame is innermost or code is not _CALL_BACK
        if package not in _STANDARD_PACKAGES:
            return False
        frame = frame.f_back
    return False


def _belongs_to_runner(handler: Handler) -> bool:
    """Tell whether it is the handler of an asyncio.Runner: a partial of one of its methods, 3.11 to 3.15."""
    owner = getattr(getattr(handler, "func", None), "__self__", None)
    return any(kind.__module__ == "asyncio.runners" for kind in type(owner).__mro__)
