"""What waits inside Qt for I/O while the loop is asleep: a notifier, or a helper thread.

An epoll or kqueue fd is readable when any fd registered in it is, so one QSocketNotifier does for
all. Only what has no such fd (IOCP, select(), poll()) is waited for in a thread, which has to fight
for the GIL: with Qt saturated by Python code, it comes late.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any, Callable, Protocol

from .. import _qt

# How many seconds asyncio may keep the thread before Qt gets its turn. A turn of Qt takes some µs,
# so this costs about 1 %; it is also what asyncio adds to the lateness of a Qt timer.
SLICE = 0.0007

# With a helper thread: a Qt timer is no later then than beside the earlier qtinter, which knows no
# other way to wait, and gives way to Qt after each iteration. Costs about 3 %.
SHORT_SLICE = 0.0001


class Poller(Protocol):
    """Calls `ready()` in Qt when there is I/O, at least once after each `arm()`.

    Attributes:
        slice: how long a slice of its loop is, in seconds.
    """

    slice: float

    def arm(self) -> None:
        """Loop thread. The loop falls asleep."""

    def recall(self) -> bool:
        """Loop thread. Take the selector back; tell whether something was waiting in it."""
        ...

    def stop(self) -> None:
        """Loop thread. The run is over, though Qt goes on: nobody takes what there is."""

    def close(self) -> None:
        """Loop thread. End all waiting."""


class NotifierPoller:
    """Lets Qt watch the selector's own fd, all the time once the loop has fallen asleep.

    Many runs never do: those that asyncio.run() ends with have nothing to wait for.
    """

    slice = SLICE

    def __init__(self, fd: int, ready: Callable[[], None]) -> None:
        self._fd = fd
        self._ready = ready
        self._notifier: _qt.ReadNotifier | None = None

    def arm(self) -> None:
        """Level-triggered: readiness that came meanwhile is reported as well."""
        if self._notifier is None:
            self._notifier = _qt.ReadNotifier(self._fd, self._ready)

    def recall(self) -> bool:
        """Looking at a selector from two sides does no harm."""
        return False

    def stop(self) -> None:
        """Loop thread. Or the readiness, which is level-triggered, would spin."""
        if self._notifier is not None:
            self._notifier.stop()

    def close(self) -> None:
        """Loop thread. To be called before the selector is closed."""
        if self._notifier is not None:
            self._notifier.close()
            self._notifier = None
        del self._ready  # See Driver.close().


class ThreadPoller:
    """Waits in a helper thread: sent out by `arm()`, it waits once, reports once, and rests.

    Args:
        wait: blocks until there is I/O; run by the helper. May return without any.
        interrupt: makes `wait` return soon; run by the loop's thread.
        ready: called in Qt, in the loop's thread, when `wait` returned by itself.
        shares: the loop may use the selector while the helper waits in it.
    """

    slice = SHORT_SLICE

    def __init__(
        self,
        wait: Callable[[], Any],
        interrupt: Callable[[], None],
        ready: Callable[[], None],
        *,
        shares: bool,
    ) -> None:
        self._wait = wait
        self._interrupt = interrupt
        self._ready = ready
        self._shares = shares
        self._doorbell: Any = None  # Made with the thread.
        self._go = threading.Semaphore(0)
        self._back = threading.Semaphore(0)
        self._is_out = False
        self._is_recalled = False
        self._is_closing = False
        self._thread: threading.Thread | None = None  # Not before there is something to wait for.

    def arm(self) -> None:
        """Loop thread. Send the helper out, unless it still is."""
        if self._is_out and self._back.acquire(blocking=False):
            self._is_out = False
        if not self._is_out:
            self._is_out = True
            self._is_recalled = False
            if self._thread is None:
                self._doorbell = _qt.doorbell(self._ready)
                self._thread = threading.Thread(
                    target=self._run, name="qtinter poller", daemon=True
                )
                self._thread.start()
            self._go.release()

    def recall(self) -> bool:
        """Loop thread. Make the helper come back, if the selector cannot be shared with it."""
        if self._shares or not self._is_out:
            return False
        self._fetch()
        return True

    def stop(self) -> None:
        """Loop thread. The helper is not sent out again."""

    def close(self) -> None:
        """Loop thread. End the helper."""
        if self._is_out:
            self._fetch()
        thread, self._thread = self._thread, None  # A cycle would keep it until the next gc.
        if thread is not None:
            self._is_closing = True
            self._go.release()
            thread.join()
            self._doorbell.close()
            self._doorbell = None
        del self._ready  # See Driver.close().

    def _fetch(self) -> None:
        self._is_recalled = True  # The helper then does not ring: nobody has to be told.
        if not self._back.acquire(blocking=False):
            self._interrupt()
            self._back.acquire()
        self._is_out = False

    def _run(self) -> None:
        # Helper thread.
        while True:
            self._go.acquire()
            if self._is_closing:
                return
            with contextlib.suppress(Exception):  # The loop's own select() will meet it, and raise.
                self._wait()
            self._back.release()
            if not self._is_recalled:
                self._doorbell.ring()
