"""asyncdialog and asyncclose: what a window asks its user, without a nested Qt loop.

No GUI module is imported: everything is done with the objects that the caller brings.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from . import _qt
from ._bridges import require_scheduler
from ._signals import asyncsignal
from ._slots import asyncslot

if TYPE_CHECKING:
    W = TypeVar("W")
    E = TypeVar("E")


async def asyncdialog(dialog: Any) -> int:
    """Open a QDialog and wait until it is finished, while everything else goes on: `code = await asyncdialog(dialog)`.

    The dialog is opened by `dialog.open()`, hence modal to its parent's window. Cancelling the wait
    closes it.

    Args:
        dialog: a QDialog, or one of its subclasses.

    Returns:
        The result code, which is QDialog.Accepted, QDialog.Rejected, a button of QMessageBox, or
        what was given to `done()`.

    Raises:
        RuntimeError: no Qt-backed loop is running.
        SenderDestroyedError: the dialog was destroyed before it was finished.
    """
    finished: asyncsignal[int] = asyncsignal(dialog.finished)
    dialog.open()
    try:
        return await finished
    except BaseException:  # Cancelled, whatever the name for it.
        if _qt.is_alive(dialog):
            dialog.done(
                0
            )  # QDialog.Rejected. Unlike close() and reject(), nothing can object to it.
        raise


def asyncclose(fn: Callable[[W, E], Coroutine[Any, Any, object]]) -> Callable[[W, E], None]:
    """Make an event handler from `async def closeEvent(self, event)`.

    The window stays open while the coroutine runs, and everything else goes on. Then it closes,
    unless the coroutine has called `event.ignore()`, was cancelled, or has raised an exception,
    which is reported as that of an asyncslot. Attempts to close it meanwhile do nothing. If the
    coroutine does not suspend, the window closes or stays at once.

    The coroutine is given a close event of its own, which is accepted unless it says otherwise:
    Qt's is gone when its handler has returned.

    Without a running Qt-backed loop, as after the end of the run, the window closes without asking;
    sys.excepthook is told so.
    """
    closing = _Closing(fn)

    @functools.wraps(fn)
    def handler(self: W, event: E) -> None:
        closing.handle(self, event)

    return handler


class _Closing:
    """What happens to the windows of one class that are closing; called by Qt, so nothing may be raised."""

    def __init__(self, fn: Callable[[Any, Any], Coroutine[Any, Any, object]]) -> None:
        # By id: neither the tasks nor close() let a window go.
        self._asked: set[int] = set()
        self._agreed: set[int] = set()

        async def ask(window: Any, event: Any) -> bool:
            await fn(window, event)
            return bool(event.isAccepted())

        functools.update_wrapper(ask, fn)
        self._ask: Callable[[Any, Any], asyncio.Future[bool]] = asyncslot(ask)

    def handle(self, window: Any, event: Any) -> None:
        if id(window) in self._agreed or not _has_loop():
            event.accept()
            return
        event.ignore()
        if id(window) in self._asked:
            return
        self._asked.add(id(window))
        answer = self._ask(window, type(event)())
        if answer.done():
            self._asked.discard(id(window))
            event.setAccepted(_is_yes(answer))
        else:
            answer.add_done_callback(functools.partial(self._close, window))

    def _close(self, window: Any, answer: asyncio.Future[bool]) -> None:
        self._asked.discard(id(window))
        if _is_yes(answer) and _qt.is_alive(window):
            self._agreed.add(id(window))
            try:
                window.close()
            finally:
                self._agreed.discard(id(window))


def _is_yes(answer: asyncio.Future[bool]) -> bool:
    return not answer.cancelled() and answer.exception() is None and answer.result()


def _has_loop() -> bool:
    try:
        require_scheduler("asyncclose()")
    except RuntimeError as error:
        sys.excepthook(type(error), error, error.__traceback__)
        return False
    return True
