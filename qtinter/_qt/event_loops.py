"""Executing Qt's event loops."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Callable

from . import binding
from .application import application, is_in_thread_of, leave_event_loops, level_meter, loop_level
from .waking import call_soon, show_posted_events


def execute_application() -> int:
    """Execute the application's loop, or this thread's if it is not the main one; return its exit code."""
    app = application()
    return _execute_here(app) if is_in_thread_of(app) else execute(binding.QtCore.QEventLoop())


def _execute_here(app: Any) -> int:
    """Execute the application in its own thread; somebody may block its signals, and so quit silently."""
    were_blocked = app.signalsBlocked()
    try:
        return execute(app)
    finally:
        app.blockSignals(were_blocked)


def quit_application(*, silently: bool) -> None:
    """Make `execute_application()` return; silently: the signal aboutToQuit is not emitted."""
    app = application()
    if silently and is_in_thread_of(app):
        app.blockSignals(True)
    leave_event_loops()


def _nothing() -> None:
    pass


class EventLoop:
    """A Qt event loop that runs until `leave()` or until Qt leaves it; also after `quit()`.

    In the main thread, with no other Qt loop below, the application is executed, and the loop inside
    it, if that is wanted. Qt takes an application for one that can quit, and reports its last window,
    only then. What belongs to an application's end is left out: `leave()` does not emit
    aboutToQuit, and that the last window closes does not quit.

    Attributes:
        level: how many Qt loops this thread is executing when this is the innermost one.
        loop_level: tells how many it is executing now; quicker than the function of that name.
    """

    def __init__(self, *, in_application: bool = True) -> None:
        self._loop: Any = binding.QtCore.QEventLoop()
        self._in_application = in_application
        self.loop_level = level_meter()
        self._left = False
        self._is_inside = False
        self.level = 0

    def run(self, has_begun: Callable[[], bool], begin: Callable[[], None] = _nothing) -> None:
        """Run; `begin` is called first, and `has_begun` tells whether anything has happened since."""
        app = application()
        if self._in_application and self.loop_level() == 0 and is_in_thread_of(app):
            self._run_in(app, begin)
        else:
            begin()
            self._run(has_begun)
        self._loop = None
        self.loop_level = loop_level  # Which holds no QThread.

    def leave(self) -> None:
        """Make `run()` return, not before the Qt loops that are nested in it have returned."""
        self._left = True
        if self._is_inside:
            self._loop.exit()
        elif self.level:
            application().exit()

    def _run(self, has_begun: Callable[[], bool]) -> None:
        """Run inside other loops or in another thread.

        If nothing has begun and exec() returns -1, Qt refuses to execute loops:
        QCoreApplication.quit() and exit() set a flag that only QCoreApplication.exec() resets.
        Clean-up must still run, so events are processed by hand.
        """
        outer_level, self.level = self.level, self.loop_level() + 1
        self._is_inside = True
        show_posted_events()
        if not self._left and execute(self._loop) == -1 and not has_begun():
            flags = binding.enum(
                binding.QtCore.QEventLoop, "ProcessEventsFlag", "WaitForMoreEvents"
            )
            while not self._left:
                self._loop.processEvents(flags)
        self._is_inside = False
        self.level = outer_level

    def _run_in(self, app: Any, begin: Callable[[], None]) -> None:
        """Run inside the application's own loop."""

        def inside() -> None:
            begin()
            # Not if something that Qt called earlier has opened a dialog.
            if self.loop_level() == 1:
                self._run(lambda: True)
                if self._left:
                    app.blockSignals(True)
                    leave_event_loops()

        self.level = 1
        call_soon(inside)
        with _not_quitting(app):
            _execute_here(app)
        self.level = 0


@contextlib.contextmanager
def _not_quitting(app: Any) -> Iterator[None]:
    """Meanwhile the application does not quit because its last window closes (QtCore has no windows)."""
    has_windows = hasattr(type(app), "quitOnLastWindowClosed")
    quits = has_windows and app.quitOnLastWindowClosed()
    if quits:
        app.setQuitOnLastWindowClosed(False)
    try:
        yield
    finally:
        if quits:
            app.setQuitOnLastWindowClosed(True)


def execute(executable: Any) -> int:
    """Call its exec(); return what that returns."""
    execute = getattr(executable, "exec", None) or executable.exec_  # PySide2 has exec_ only.
    code: int = execute()
    return code
