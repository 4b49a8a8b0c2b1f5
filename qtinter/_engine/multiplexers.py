"""A selector and a proactor that answer at once while their loop is embedded in Qt.

asyncio's iteration begins with `select(timeout)`. Embedded, it must not block: it answers what is
ready now, which may be nothing, and keeps in `patience` how long the iteration would have waited.
The driver lets Qt do that waiting. With no driver (`poller` is None) both behave as asyncio's own.

Private names of selectors (`EpollSelector._selector`, `_fd_to_key`): checked on Python 3.9 to 3.15.
"""

from __future__ import annotations

import asyncio
import select
import selectors
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable

from .pollers import NotifierPoller, Poller, ThreadPoller

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

EventList = list[tuple[selectors.SelectorKey, int]]
_NOTHING: EventList = []  # asyncio only iterates over it

# What epoll mostly says, as selectors say it. All else (errors, hang-ups) is for readers and for
# writers; asyncio passes over the one that there is not.
_KINDS: dict[int, int] = {}
if sys.platform == "linux":
    _KINDS = {select.EPOLLIN: selectors.EVENT_READ, select.EPOLLOUT: selectors.EVENT_WRITE}
_BOTH = selectors.EVENT_READ | selectors.EVENT_WRITE

# Two threads may be in these at once; not in that of a PollSelector, which refuses.
_WAITS_THAT_SHARE = {
    getattr(selectors, name).select
    for name in ("SelectSelector", "EpollSelector", "KqueueSelector")
    if hasattr(selectors, name)
}


class EmbeddedSelector(selectors.BaseSelector):
    """Any selector of the standard library, usable by an embedded loop.

    Attributes:
        poller: what waits inside Qt; None while the loop is not embedded.
        was_embedded: whether it is or has been.
        patience: seconds that the last `select()` would have waited, None for ever; 0 if it found
            something.
        screen: keeps events back that cannot be handled now; None unless Qt loops are nested.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._set_aside: dict[int, selectors.SelectorKey] = {}
        self.poller: Poller | None = None
        self.was_embedded = False
        self.patience: float | None = 0
        self.screen: Callable[[EventList], EventList] | None = None
        # Whether a helper thread may stay where it is while the selector is asked.
        self._shares = getattr(type(selector), "select", None) in _WAITS_THAT_SHARE
        # Set where epoll can be asked without the selector: its poll(), and what is registered.
        self._poll: Callable[[float, int], list[tuple[int, int]]] | None = None
        self._keys: Mapping[int, selectors.SelectorKey] = {}

    def open_poller(self, loop: Any, ready: Callable[[], None], wake: Callable[[], None]) -> Poller:
        """Loop thread. Start to wait inside Qt.

        Args:
            loop: the loop whose selector this is.
            ready: called in Qt when there is I/O.
            wake: called when the poller was recalled, so that an iteration arms it again.
        """
        self._wake = wake
        self.was_embedded = True
        fileno = getattr(self._selector, "fileno", None)
        if fileno is not None:
            self.poller = NotifierPoller(fileno(), ready)
            # A selector of the user's may have a select() of its own, which must not be bypassed.
            if sys.platform == "linux" and type(self._selector) is selectors.EpollSelector:
                self._poll = self._selector._selector.poll  # type: ignore[attr-defined]
                self._keys = self._selector._fd_to_key  # type: ignore[attr-defined]
        else:
            self.poller = ThreadPoller(
                self._selector.select, loop._write_to_self, ready, shares=False
            )
        return self.poller

    def close_poller(self) -> None:
        """Loop thread. Block in `select` again, as asyncio's own loops do."""
        poller, self.poller = self.poller, None
        self._poll = None
        if poller is not None:
            poller.close()
            del self._wake  # See Driver.close().
        self._bring_back()

    def select(self, timeout: float | None = None) -> EventList:
        """Answer the events of now; leave the waiting to Qt."""
        if self._poll is not None:
            # A selector takes its time to find nothing, which is all that a busy loop mostly finds.
            keys = self._keys
            found = self._poll(0, len(keys) or 1)
            if not found:
                self.patience = timeout
                return _NOTHING
            events = [(keys[fd], _KINDS.get(event, _BOTH)) for fd, event in found if fd in keys]
        elif self.poller is None:
            return self._selector.select(timeout)
        else:
            if not self._shares:
                self.poller.recall()
            events = self._selector.select(0)
        self.patience = 0 if events else timeout
        return events if self.screen is None else self.screen(events)

    # Nested Qt loops: an fd whose callback cannot run now would make its level-triggered readiness
    # spin, so it leaves the selector for a while. Nobody notices: it is brought back before anybody
    # looks.

    def set_aside(self, key: selectors.SelectorKey, events: int) -> None:
        """Stop watching `events` of a registered fd until `bring_back()`."""
        if self.poller is not None:
            self.poller.recall()
        self._set_aside.setdefault(key.fd, key)
        remaining = key.events & ~events
        if remaining:
            self._selector.modify(key.fileobj, remaining, key.data)
        else:
            self._selector.unregister(key.fileobj)

    def has_set_aside(self) -> bool:
        """Tell whether something is set aside."""
        return bool(self._set_aside)

    def bring_back(self) -> None:
        """Watch again what was set aside."""
        if self._set_aside:
            self._before_change()

    def _bring_back(self) -> None:
        while self._set_aside:
            fd, key = self._set_aside.popitem()
            try:
                if fd in self._selector.get_map():
                    self._selector.modify(key.fileobj, key.events, key.data)
                else:
                    self._selector.register(key.fileobj, key.events, key.data)
            except (OSError, ValueError):
                pass  # Closed meanwhile: an fd that nobody can be waiting for.

    def _before_change(self) -> None:
        # A helper thread inside the selector would neither see the change nor stand it.
        if self.poller is not None and self.poller.recall():
            self._wake()
        self._bring_back()

    def register(
        self, fileobj: FileDescriptorLike, events: int, data: Any = None
    ) -> selectors.SelectorKey:
        self._before_change()
        return self._selector.register(fileobj, events, data)

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        self._before_change()
        return self._selector.unregister(fileobj)

    def modify(
        self, fileobj: FileDescriptorLike, events: int, data: Any = None
    ) -> selectors.SelectorKey:
        self._before_change()
        return self._selector.modify(fileobj, events, data)

    def get_key(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        self.bring_back()
        return self._selector.get_key(fileobj)

    def get_map(self) -> Mapping[FileDescriptorLike, selectors.SelectorKey]:
        self.bring_back()
        return self._selector.get_map()

    def close(self) -> None:
        self.close_poller()
        self._selector.close()


if sys.platform == "win32":
    import _overlapped  # type: ignore[import-not-found] # typeshed has no stub
    import _winapi

    # The address of the packet that ends the helper thread's wait. Not 0, which asyncio's own poll
    # takes for an error, and no address of an overlapped object.
    _RETURN = 1

    class EmbeddedProactor(asyncio.IocpProactor):
        """asyncio's proactor, usable by an embedded loop.

        Two threads may use a completion port, so the helper takes one packet and posts it back:
        asyncio finds it there, and reads the result from the overlapped object, not the packet.
        """

        _iocp: Any

        def __init__(self) -> None:
            super().__init__()
            self.poller: Poller | None = None
            self.was_embedded = False
            self.patience: float | None = 0
            self.screen: Callable[[EventList], EventList] | None = None

        def open_poller(
            self, loop: Any, ready: Callable[[], None], wake: Callable[[], None]
        ) -> Poller:
            """Loop thread. Start to wait inside Qt, which calls `ready`."""
            self.was_embedded = True
            self.poller = ThreadPoller(self._await_packet, self._post_return, ready, shares=True)
            return self.poller

        def close_poller(self) -> None:
            """Loop thread. Block in `select` again, as asyncio's own loops do."""
            poller, self.poller = self.poller, None
            if poller is not None:
                poller.close()

        def select(self, timeout: float | None = None) -> Any:
            """Answer the completions of now; leave the waiting to Qt."""
            if self.poller is None:
                return super().select(timeout)  # type: ignore[arg-type] # typeshed: whole seconds
            events = super().select(0)
            self.patience = 0 if events else timeout
            return events

        # Nothing is ever set aside: completions do not repeat themselves.

        def has_set_aside(self) -> bool:
            return False

        def bring_back(self) -> None:
            pass

        def close(self) -> None:
            self.close_poller()
            super().close()

        def _await_packet(self) -> bool:
            # Helper thread.
            packet = _overlapped.GetQueuedCompletionStatus(self._iocp, _winapi.INFINITE)
            _, transferred, key, address = packet
            if address == _RETURN:
                return False
            _overlapped.PostQueuedCompletionStatus(self._iocp, transferred, key, address)
            return True

        def _post_return(self) -> None:
            # Key 0: asyncio closes any other key of an unknown packet as a handle.
            _overlapped.PostQueuedCompletionStatus(self._iocp, 0, 0, _RETURN)
