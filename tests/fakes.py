"""Stand-ins for what the parts of the engine work with."""

from __future__ import annotations

import selectors
import threading


class Wait:
    """A blocking wait that lasts until `end()`, and then raises `error`; `started` is released when it begins."""

    def __init__(self):
        self.error = None
        self.started = threading.Semaphore(0)
        self.count = 0
        self._ended = threading.Semaphore(0)

    def __call__(self):
        """Wait."""
        self.count += 1
        self.started.release()
        if not self._ended.acquire(timeout=10):
            raise AssertionError("nobody has ended the wait")
        if self.error is not None:
            raise self.error

    def end(self):
        """End this wait, or the next one."""
        self._ended.release()

    def clear(self):
        """Forget what was left over."""
        while self._ended.acquire(blocking=False):
            pass
        while self.started.acquire(blocking=False):
            pass


class Loop:
    """A loop as a selector sees it."""

    def __init__(self):
        self.writes = 0

    def _write_to_self(self):
        self.writes += 1


class Selector(selectors.BaseSelector):
    """A selector without an fd, whose answers are prepared."""

    def __init__(self):
        self.answers = []
        self.timeouts = []
        self.keys = {}
        self.is_closed = False

    def select(self, timeout=None):
        """Give the next answer."""
        self.timeouts.append(timeout)
        return self.answers.pop(0) if self.answers else []

    def register(self, fileobj, events, data=None):
        """Add a key."""
        if fileobj in self.keys:
            raise KeyError(fileobj)
        self.keys[fileobj] = selectors.SelectorKey(fileobj, fileobj, events, data)
        return self.keys[fileobj]

    def unregister(self, fileobj):
        """Remove a key."""
        return self.keys.pop(fileobj)

    def get_map(self):
        """Return the keys."""
        return self.keys

    def close(self):
        """Note that it was called."""
        self.is_closed = True


class Poller:
    """A poller that is waiting in the selector, and notes what is asked of it."""

    def __init__(self):
        self.is_waiting = True
        self.calls = []

    def recall(self):
        """End the wait."""
        self.calls.append("recall")
        was_waiting, self.is_waiting = self.is_waiting, False
        return was_waiting

    def close(self):
        """End all."""
        self.calls.append("close")
