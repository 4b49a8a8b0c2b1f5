"""A run in a host: an application that executes Qt itself, and that we must not disturb.

It differs from an attached run in three things.

- The logical loop is the running loop of the thread for as long as a slice lasts, and then again
  whoever was before: IPython and Jupyter keep a loop of their own running while they execute Qt, and
  so may another plugin. If there is none, ours may stay.
- It makes no Qt loop return. What would end another run, KeyboardInterrupt, SystemExit and stop(),
  is reported, and the run goes on.
- A wake-up fd for signals that somebody else has set stays in place, and so does the effect of
  signals: SystemExit raised by a handler of the host's ends the process.
"""

from __future__ import annotations

import signal
import threading
from typing import Any, Callable, NoReturn

from .. import _qt
from .driver import Driver


class HostedDriver(Driver):
    """One run of a logical loop in a host."""

    def __init__(self, loop: Any, iterate: Callable[[], None]) -> None:
        super().__init__(loop, iterate, None, handle_sigint=_is_wakeup_fd_free(), may_end=False)
        self._anchor = _qt.Anchor()

    def close(self) -> None:
        super().close()
        self._anchor.close()

    def is_called_by_qt(self) -> bool:
        """Loop thread. Tell whether the application is still the one that this run began with."""
        return _qt.has_application() and self._anchor.holds()

    def interrupted(self, error: BaseException) -> None:
        """Loop thread. A handler has raised `error`."""
        if isinstance(error, SystemExit):
            _qt.call_soon(lambda: _raise(error))  # By Qt, as without us.
        else:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Loop thread. Report what cannot be raised anywhere."""
        self._loop.call_exception_handler(
            {
                "message": f"{type(error).__name__} in a host, which qtinter does not end",
                "exception": error,
            }
        )
        self._turn.set_now()  # The slice may have been cut short.

    def _run_slice(self) -> None:
        try:
            with self._loop.entered():
                super()._run_slice()
        except BaseException as error:
            self.fail(error)

    def _leave(self, *, dialogs: bool) -> None:
        pass


def _raise(error: BaseException) -> NoReturn:
    raise error


def _is_wakeup_fd_free() -> bool:
    if threading.current_thread() is not threading.main_thread():
        return False
    fd = signal.set_wakeup_fd(-1)
    if fd != -1:
        signal.set_wakeup_fd(fd)
    return fd == -1
