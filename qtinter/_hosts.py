"""Several users of one loop in a host, an application that executes Qt itself: plugins, notebooks.

The loop is not the running loop while Qt or the host has the thread (_engine/hosted.py), so copies
of this package, of whatever versions, do not see each other: each has a loop of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from . import _qt
from ._cleanup import (
    at_exit,
    end_tasks,
    ending,
    finish,
    finish_in_place,
    not_at_exit,
    run_in_place,
)
from ._loops import (
    QiBaseEventLoop,
    hosted_loops,
    new_event_loop,
    nothing_running,
    task_watchers,
)

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")


def attach(*, shutdown_timeout: float | None = None) -> Attachment:
    """Attach asyncio to an application that executes Qt's loop itself, and go on doing so.

    For plugins of programs such as Maya, Houdini, QGIS or napari, and for IPython (`%gui qt`). It
    may be called before Qt's loop is executed, or by code that Qt called. All attachments of a
    thread share one loop; the last one to close closes it. Where the application has a QiRunner
    open, its loop is used, and left open. Neither the application nor Qt's loop is ever executed or
    made to quit; KeyboardInterrupt and SystemExit raised by a task are reported to the loop's
    exception handler.

    Args:
        shutdown_timeout: seconds that `close()` may wait for cancelled tasks, and then for the
            executor; None for no limit.

    Raises:
        RuntimeError: there is no application object.
    """
    _qt.require_application("attach()")
    hosted = hosted_loops.get(threading.get_ident(), [])
    loop = asyncio._get_running_loop()
    if hosted:
        loop = hosted[-1] if _Users.may_join(hosted[-1]) else None
    if not isinstance(loop, QiBaseEventLoop):
        loop = new_event_loop()
        loop.attach_to_host()
    return Attachment(loop, shutdown_timeout)


class Attachment:
    """What `attach()` returns: one user of a loop. A context manager that closes itself.

    Its tasks are those made by `create_task()`, and all that these make in turn, the slots that they
    call included. What Qt calls meanwhile is not theirs, even while one of them has a dialog open.
    """

    def __init__(self, loop: QiBaseEventLoop, shutdown_timeout: float | None) -> None:
        self._loop = loop
        self._shutdown_timeout = shutdown_timeout
        self._thread = threading.current_thread()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_closed = False
        _Users.of(loop).add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def get_loop(self) -> QiBaseEventLoop:
        """Return the loop.

        Raises:
            RuntimeError: the attachment is closed, or so is the QiRunner whose loop it uses.
        """
        if self._is_closed or self._loop.is_closed():
            raise RuntimeError(
                "the attachment, or the QiRunner whose loop it uses, is closed; call "
                "qtinter.attach() for another one"
            )
        return self._loop

    def create_task(
        self,
        coro: Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[T]:
        """Return a task that runs `coro`, and is cancelled by `close()`.

        Args:
            coro: the coroutine.
            name: name of the task; None for that of the coroutine function.
            context: context of which a copy is used; None for the current one.

        Raises:
            RuntimeError: the attachment is closed, or so is the QiRunner whose loop it uses.
        """
        try:
            loop = self.get_loop()
        except RuntimeError:
            coro.close()  # It was never awaited; the error says why.
            raise
        context = contextvars.copy_context() if context is None else context.copy()
        context.run(_attachment.set, self)
        name = name or getattr(coro, "__qualname__", None)
        task = context.run(lambda: loop.create_task(coro, name=name))
        self._add(task)
        return task

    def close(self) -> None:
        """Cancel this attachment's tasks and let them finish; the last one also closes the loop.

        Qt goes on meanwhile, and so do the tasks of others. A second call does nothing.

        Raises:
            RuntimeError: called in another thread, or by code that one of the tasks (of the last
                attachment: the loop) is running.
        """
        if self._is_closed:
            return
        if threading.current_thread() is not self._thread:
            raise RuntimeError("close() must be called in the thread of attach()")
        users = _Users.of(self._loop)
        if self._tasks & self._loop.tasks_on_stack() or (
            users.is_last(self) and self._loop.is_on_stack()
        ):
            raise RuntimeError(
                "the attachment cannot be closed by code that it is running; close it in a slot"
            )
        self._is_closed = True
        if self._tasks and users.is_loop_called():
            ending.add(self._loop)
            run_in_place(
                self._loop, end_tasks(lambda: self._tasks, self._loop, self._shutdown_timeout)
            )
        users.remove(self, self._shutdown_timeout)

    def _add(self, task: asyncio.Task[Any]) -> None:
        """Called for each task made in the context of one of ours, and for those of `create_task()`."""
        if task not in self._tasks:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


_attachment: contextvars.ContextVar[Attachment] = contextvars.ContextVar("qtinter attachment")


class _Users:
    """The attachments of a loop, and who notices its tasks.

    Not by a task factory: anybody may set another, and run_task() uses none.
    """

    _by_loop: dict[QiBaseEventLoop, _Users] = {}  # noqa: RUF012  # one for the process

    def __init__(self, loop: QiBaseEventLoop) -> None:
        self._loop = loop
        self._owns_loop = loop in hosted_loops.get(threading.get_ident(), [])
        self._attachments: set[Attachment] = set()
        loop.create_task = self._create_task  # type: ignore[method-assign]
        task_watchers[loop] = self._watch
        if threading.current_thread() is threading.main_thread():
            at_exit(self._process_ends)

    @classmethod
    def of(cls, loop: QiBaseEventLoop) -> _Users:
        """The users of a loop."""
        if loop not in cls._by_loop:
            cls._by_loop[loop] = cls(loop)
        return cls._by_loop[loop]

    @classmethod
    def may_join(cls, loop: QiBaseEventLoop) -> bool:
        """Tell whether a hosted loop takes another one: not if it is closing, or Qt has forgotten it."""
        return loop in cls._by_loop and loop.is_called_by_qt()

    def is_loop_called(self) -> bool:
        """Tell whether Qt calls the loop, so that tasks may finish in it."""
        return self._loop.is_called_by_qt() if self._owns_loop else _qt.has_application()

    def add(self, attachment: Attachment) -> None:
        """One more."""
        self._attachments.add(attachment)

    def is_last(self, attachment: Attachment) -> bool:
        """Tell whether the loop has to be closed with this attachment."""
        return self._owns_loop and self._attachments == {attachment}

    def remove(self, attachment: Attachment, timeout: float | None) -> None:
        """One less. The last one closes the loop, unless it belongs to somebody else."""
        self._attachments.discard(attachment)
        if self._attachments:
            return
        del self._by_loop[self._loop]
        not_at_exit(self._process_ends)
        del task_watchers[self._loop]
        del self._loop.create_task
        if self._owns_loop:
            if self.is_loop_called():
                finish_in_place(self._loop, timeout)
            is_finished = self.is_loop_called()
            self._loop.detach()
            if not is_finished:
                with nothing_running():
                    finish(self._loop, timeout)
            self._loop.close()

    def _process_ends(self) -> None:
        """Called by Python at exit, if somebody forgot to close."""
        for attachment in list(self._attachments):
            with contextlib.suppress(RuntimeError):
                attachment.close()

    def _create_task(self, coro: Any, **keywords: Any) -> Any:
        task = type(self._loop).create_task(self._loop, coro, **keywords)
        self._watch(task)
        return task

    def _watch(self, task: asyncio.Task[Any]) -> None:
        attachment = _attachment.get(None)
        # The context may have come from another thread; and a slot that a Qt loop inside a coroutine
        # calls has the context of that coroutine.
        if attachment in self._attachments and not self._loop.is_in_nested_qt_loop():
            assert attachment is not None
            attachment._add(task)
