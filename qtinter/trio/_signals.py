"""Ctrl-C and other signals during a trio run: wake Qt, and raise where it does no harm.

trio's own handler of SIGINT raises KeyboardInterrupt in the task that it interrupts, or asks the
main function to raise it. But it does not know that the task may be executing a nested Qt loop, and
that the code on top of the stack is a slot then, out of which nothing may be raised. So it is
called by us.

Not done here: what is the same for asyncio (_engine/interrupts.py).
"""

from __future__ import annotations

import contextlib
import signal
import socket
from types import FrameType
from typing import Any, Callable

from .. import _qt
from .._engine.interrupts import Interrupts
from ._guests import GuestRun


class Signals:
    """While it is entered, signals wake Qt, and their handlers raise safely. Main thread only.

    Args:
        guest: the run, which has begun.
        handler: the handler of SIGINT before it began.
        is_outside: tells whether the code that started the run has the thread, and Qt is not
            running.
    """

    def __init__(self, guest: GuestRun, handler: Any, is_outside: Callable[[], bool]) -> None:
        self.is_outside = is_outside
        self._guest = guest
        self._handler = handler
        self._trio_handler: Any = signal.getsignal(signal.SIGINT)
        self.error: BaseException | None = None

    def __enter__(self) -> None:
        self._cleanup = contextlib.ExitStack()
        if isinstance(getattr(self._handler, "__self__", None), Interrupts):
            return  # A Qt-backed loop does all this. It makes Qt return, and then we are closed.
        self._ssock, self._csock = socket.socketpair()  # As Interrupts knows them from asyncio.
        for end in (self._ssock, self._csock):
            end.setblocking(False)
            self._cleanup.callback(end.close)
        self._cleanup.callback(_qt.ReadNotifier(self._ssock.fileno(), self._woken).close)
        if self._trio_handler is not self._handler:
            signal.signal(signal.SIGINT, self._interrupted)
            self._cleanup.callback(self._restore)
        self._cleanup.callback(Interrupts(self, self, is_open=True).close)

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def _restore(self) -> None:
        if signal.getsignal(signal.SIGINT) == self._interrupted:
            signal.signal(signal.SIGINT, self._handler)

    def _woken(self) -> None:
        """Called by Qt. That Python code runs is enough: handlers do."""
        with contextlib.suppress(BlockingIOError):
            self._ssock.recv(4096)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if self._guest.has_thread():
            self._trio_handler(number, frame)
        elif self.is_outside():
            self._handler(number, frame)
        else:
            raise KeyboardInterrupt  # Into the arms of Interrupts.

    # What Interrupts needs to know.

    def is_iterating(self) -> bool:
        return self._guest.has_thread() and not self._guest.is_protected()

    def has_dialogs(self) -> bool:
        return False  # Asked for asyncio.Runner only.

    def interrupted(self, error: BaseException) -> None:
        if isinstance(error, KeyboardInterrupt) and self._trio_handler is not self._handler:
            # Without a frame, it asks the main function.
            self._trio_handler(signal.SIGINT, None)
        else:
            self.error = error
            self._guest.fail(error)
        if self._guest.is_ticking():
            _qt.leave_event_loops()  # A task executes one, and cannot go on before.
