"""The Qt event loop of a thread of ours, which Qt did not start."""

from __future__ import annotations

import contextlib
from typing import Any, Callable

from . import binding
from .application import ensure_dispatcher, has_application
from .event_loops import execute
from .waking import doorbell


class ThreadLoop:
    """The Qt event loop of a thread that Qt did not start; `callback`, called by it, must not raise.

    Its objects are children of the thread's dispatcher: the bindings delete objects that belong to
    Python together with the application, also those that another thread is using.
    """

    def __init__(self, callback: Callable[[], None]) -> None:
        core = binding.QtCore
        ensure_dispatcher()
        self._loop: Any = core.QEventLoop()
        self._bell: Any = doorbell(callback)
        # Kept: PySide would take a parent that is no longer known for a reason to keep the children.
        self._dispatcher: Any = core.QAbstractEventDispatcher.instance()
        for thing in (self._loop, self._bell):
            # PyQt sometimes finds the wrapper of a dispatcher that died at the same address.
            with contextlib.suppress(RuntimeError):
                thing.setParent(self._dispatcher)

    def run(self) -> None:
        """Return after `leave()`, or when code in the thread makes its Qt loops return."""
        execute(self._loop)

    def ring(self) -> None:
        """Any thread. Have the callback called; unless there is no application, then nothing is."""
        bell = self._bell
        if bell is not None:
            bell.ring()

    def leave(self) -> None:
        """Any thread. Make all Qt loops of the thread return, and those to come at once."""
        # Asked for each time: PyQt may take a wrapper that is kept for that of a dead object.
        self._bell.thread().quit()

    def close(self) -> None:
        """Do in time what Qt does in the last moment of a thread, when nobody waits for it any more.

        `finished` is emitted, and what was to be deleted is deleted. PySide forgets the QThread and
        its dispatcher: on every object that it knows hangs a property whose destruction takes the
        GIL, which ends the process if Python is just exiting.
        """
        core = binding.QtCore
        thread = core.QThread.currentThread()
        # It is an error to disconnect nothing. A slot of C++, because PySide2 has one receiver for all
        # connections to a Python function, and no lock for it.
        thread.finished.connect(self._loop.quit)
        direct = binding.enum(core.Qt, "ConnectionType", "DirectConnection")
        core.QMetaObject.invokeMethod(thread, "finished", direct)
        thread.finished.disconnect()
        self._bell.close()
        self._bell.setParent(None)
        self._loop.setParent(None)
        if has_application():
            deferred = binding.enum(core.QEvent, "Type", "DeferredDelete")
            core.QCoreApplication.sendPostedEvents(None, int(deferred))
        if not binding.is_pyqt():
            for thing in (self._dispatcher, thread):
                thing.setProperty("_PySideInvalidatePtr", None)
        # Last, because PySide2 forgets the QThread with any object that was asked for it.
        self._bell = self._loop = self._dispatcher = None
