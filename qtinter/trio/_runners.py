"""Who starts and ends a trio run, and sees to it that none is abandoned."""

from __future__ import annotations

import contextlib
import functools
import signal
import threading
from collections.abc import Awaitable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, TypeVar

import trio

from .. import _qt
from .._cleanup import at_exit, not_at_exit
from ._guests import GuestRun
from ._signals import Signals

if TYPE_CHECKING:
    from typing_extensions import Self, TypeVarTuple, Unpack

    Ts = TypeVarTuple("Ts")
T = TypeVar("T")


def run(
    async_fn: Callable[[Unpack[Ts]], Awaitable[T]], *args: Unpack[Ts], **options: Any
) -> T | None:
    """Run trio as a guest of Qt until `async_fn(*args)` is done, and return its result.

    Executes Qt's loop meanwhile: that of the application, or a nested one if Qt is running already,
    as in a slot. When the main function is done, Qt is left and slots that are still running are
    cancelled.

    If Qt is left first, because the last window was closed or by `app.quit()` or `app.exit(n)`, the
    main function is cancelled. What it awaits while it cleans up may involve Qt all the same.

    Args:
        async_fn: the main function.
        args: its arguments.
        options: those of trio.lowlevel.start_guest_run that are not about the host: `clock`,
            `instruments`, `restrict_keyboard_interrupt_to_checkpoints`, `strict_exception_groups`.

    Returns:
        The result of the main function; None if it ended by being cancelled.

    Raises:
        RuntimeError: there is no application object, or a trio run is going on in this thread.
        KeyboardInterrupt: by Ctrl-C, when everything is cleaned up. As in trio.run, it is raised in
            the main function first.
        SystemExit: raised by a task or a slot, or by SIGTERM; or the main function was cancelled by
            `app.exit(n)` with a code that is not 0, which is the exit code.
        Exception: what the main function raised.
    """
    with TrioRunner(functools.partial(async_fn, *args), options, lingers=False) as runner:
        code = runner.execute()
    if code != 0 and runner.was_cancelled():
        raise SystemExit(code)
    result: T | None = runner.result()
    return result


def using_trio_from_qt(
    async_fn: Callable[[Unpack[Ts]], Awaitable[Any]] | None = None,
    *args: Unpack[Ts],
    **options: Any,
) -> TrioRunner:
    """Let trio run inside the Qt loop that the program executes: `with using_trio_from_qt(main): app.exec()`.

    The run begins with the `with` statement and ends with it, whether `async_fn` has returned
    before or not: it is cancelled, and so are slots. Meanwhile `app.exec()` may be called any
    number of times, or be running already. If `async_fn` raises an exception, Qt is left, and the
    `with` statement raises it; so it is with Ctrl-C, and with KeyboardInterrupt and SystemExit from
    slots.

    Args:
        async_fn: the main function; None if slots are all there is.
        args: its arguments.
        options: as for `run`.

    Returns:
        A context manager with the methods `start()`, `close()` and `result()`.

    Raises:
        RuntimeError: as `run`, when the `with` statement is entered.
    """
    main = trio.lowlevel.checkpoint if async_fn is None else functools.partial(async_fn, *args)
    return TrioRunner(main, options, lingers=True)


class TrioRunner:
    """One trio run in this thread, from `start()` to `close()`, or from begin to end of a `with` statement.

    Args:
        main: the main function.
        options: for trio.lowlevel.start_guest_run.
        lingers: whether the run goes on after `main` has returned.
    """

    def __init__(
        self, main: Callable[[], Awaitable[Any]], options: dict[str, Any], *, lingers: bool
    ) -> None:
        self._options = options
        self._lingers = lingers
        self._main = main
        self._thread = threading.current_thread()
        self._guest: GuestRun | None = None
        self._is_open = False
        self._leave: Callable[[], None] | None = None  # What makes Qt return to us.
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Begin. The first step of the main function is made when Qt has the thread.

        Raises:
            RuntimeError: there is no application object, a trio run is going on in this thread, or
                this one was started before.
        """
        if self._guest is not None:
            raise RuntimeError("a trio run can be started only once; make another one")
        _qt.require_application("a trio run")
        if trio.lowlevel.in_trio_run():
            raise RuntimeError(
                "a trio run is going on in this thread, and trio allows one at a time; "
                "start tasks in it, or let it end first"
            )
        _qt.ensure_dispatcher()
        self._thread = threading.current_thread()
        guest = GuestRun(self._main, self._ended, lingers=self._lingers)
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(guest.close)
            handler = signal.getsignal(signal.SIGINT)
            guest.start(**self._options)
            if self._thread is threading.main_thread():
                cleanup.enter_context(Signals(guest, handler, self.is_outside))
                at_exit(self._exit)
                cleanup.callback(not_at_exit, self._exit)
            self._cleanup = cleanup.pop_all()
        self._guest = guest
        self._is_open = True

    def close(self) -> None:
        """Cancel the main function and all slots, and let them clean up. A second call does nothing.

        What they await meanwhile may involve Qt, even after `QCoreApplication.quit()`.

        Raises:
            RuntimeError: called in another thread, or while a trio task is on the stack.
            BaseException: what the main function has raised, or what ended the run.
        """
        guest = self._guest
        if guest is None or not self._is_open:
            return
        if threading.current_thread() is not self._thread:
            raise RuntimeError("close() must be called in the thread of start()")
        if guest.is_ticking():
            raise RuntimeError(
                "a trio run cannot be closed while one of its tasks executes a Qt loop, or by a task; "
                "leave Qt's loops first (QCoreApplication.quit()), or close it in a slot or after app.exec()"
            )
        self._is_open = False
        guest.cancel()
        with self._cleanup:
            while guest.outcome is None:
                self._finish(guest)
        error = guest.error()
        if error is not None:
            raise error

    def result(self) -> Any:
        """Return what the main function has returned; None before, and if it was cancelled."""
        return None if self._guest is None else self._guest.result

    def was_cancelled(self) -> bool:
        """Tell whether the main function ended by being cancelled."""
        return self._guest is not None and self._guest.was_cancelled()

    def execute(self) -> int:
        """Execute Qt's loop until the run has ended, or Qt leaves it. Return the exit code of the application.

        If Qt is running already, that code is not known here; whoever executes the application gets
        it.
        """
        if _qt.loop_level() > 0 or not _qt.is_in_thread_of(_qt.application()):
            self._execute_nested()
            return 0
        self._leave = _qt.leave_event_loops
        try:
            return _qt.execute_application()
        finally:
            self._leave = None

    def is_outside(self) -> bool:
        """Tell whether the code that started the run has the thread, and Qt is not running."""
        assert self._guest is not None
        is_in_qt = self._leave is not None or _qt.loop_level() > 0
        return self._is_open and not is_in_qt and not self._guest.is_ticking()

    def _finish(self, guest: GuestRun) -> None:
        if _qt.has_application():
            self._execute_nested()
        else:
            guest.run_natively()

    def _execute_nested(self) -> None:
        assert self._guest is not None
        guest, began = self._guest, self._guest.slices
        loop = _qt.EventLoop()

        def leave() -> None:
            loop.leave()
            if _qt.loop_level() > loop.level and _is_interrupt(guest.error()):
                _qt.leave_event_loops()  # A slot executes a dialog, which would keep us waiting.

        self._leave = leave
        loop.run(lambda: guest.slices != began)
        self._leave = None

    def _ended(self) -> None:
        """Called in the last tick."""
        guest = self._guest
        assert guest is not None
        if self._leave is not None:
            self._leave()
        elif guest.error() is not None:
            # The program executes Qt's loop; it is to come to the end of its `with` statement.
            _qt.leave_event_loops()

    def _exit(self) -> None:
        """The interpreter exits, maybe because a slot has called sys.exit(), and nobody has closed the run."""
        assert self._guest is not None
        # A task that is on the stack cannot go on, so there is nothing to be done about its run.
        if threading.current_thread() is self._thread and not self._guest.is_ticking():
            with contextlib.suppress(KeyboardInterrupt, SystemExit):
                self.close()


def _is_interrupt(error: BaseException | None) -> bool:
    """Tell KeyboardInterrupt and SystemExit, maybe in a group, from other errors, and from none."""
    return error is not None and not isinstance(error, Exception)
