"""Ctrl-C: wake Qt, and raise where it does no harm.

Python runs signal handlers only between bytecodes, and there are none while Qt waits. The wake-up
fd of the signal module, set to the loop's self-pipe, makes the selector readable: Qt calls the
driver, and bytecode runs.

Whatever Python handler is installed for SIGINT (Python's own, asyncio.Runner's, the user's) is
called where it may raise:

- inside an iteration, unless Qt has the thread again: here, as in plain asyncio;
- while the code that started an attached run has the thread, before or after `app.exec()`: here, as
  without us;
- otherwise Qt has the thread, or a function that Qt called. An exception there would abort the
  process (PyQt) or be printed and forgotten (PySide). It is kept; the run ends and raises it.

What does not work: looking at the interrupted frame (it may be anybody's), and a timer that runs
bytecode now and then (it wakes an idle machine).
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Callable, Protocol, Union


class Run(Protocol):
    """What Interrupts needs of the driver."""

    def is_iterating(self) -> bool: ...
    def is_outside(self) -> bool: ...
    def fail(self, error: BaseException) -> None: ...


Handler = Union[Callable[[int, Union[FrameType, None]], Any], int, None]


class Interrupts:
    """While it is open, signals wake the loop and SIGINT raises safely. Main thread only."""

    def __init__(self, run: Run, loop: Any, *, is_open: bool) -> None:
        self._run = run
        self._loop = loop
        self._is_open = is_open and threading.current_thread() is threading.main_thread()
        if not self._is_open:
            return
        self._previous_fd = signal.set_wakeup_fd(loop._csock.fileno(), warn_on_full_buffer=False)
        self._handler: Handler = signal.getsignal(signal.SIGINT)
        if callable(self._handler):
            signal.signal(signal.SIGINT, self._interrupted)

    def close(self) -> None:
        """Put back what was there before, unless somebody has replaced it meanwhile."""
        if not self._is_open:
            return
        self._is_open = False
        if signal.getsignal(signal.SIGINT) == self._interrupted:
            signal.signal(signal.SIGINT, self._handler)
        fd = signal.set_wakeup_fd(-1)
        if fd == self._loop._csock.fileno():
            fd = self._previous_fd
        if fd != -1:
            signal.set_wakeup_fd(fd, warn_on_full_buffer=False)

    def renew(self) -> None:
        """asyncio has reset the wake-up fd, as it does with the last signal handler of the loop."""
        if self._is_open:
            signal.set_wakeup_fd(self._loop._csock.fileno(), warn_on_full_buffer=False)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        assert callable(self._handler)
        if self._run.is_iterating() or self._run.is_outside():
            self._handler(number, frame)
            return
        try:
            self._handler(number, frame)
        except BaseException as error:
            self._run.fail(error)
