"""Slots whose calls must not overlap: who runs, and who comes next."""

from __future__ import annotations

import asyncio
import collections
from typing import Any

from ._bridges import Scheduler


class Line:
    """Calls that must not overlap: of one slot, and of one object if it is a method. Exists while there are any.

    Who comes when is settled when the slot is called: trio starts tasks in any order.
    """

    def __init__(self) -> None:
        self.tasks: set[asyncio.Future[Any]] = set()
        self._waiting: collections.deque[asyncio.Future[None]] = collections.deque()
        self._is_taken = False

    def enter(self, scheduler: Scheduler) -> asyncio.Future[None] | None:
        """Return what a call has to await before its turn comes; None if it has come."""
        if not self._is_taken:
            self._is_taken = True
            return None
        ticket: asyncio.Future[None] = scheduler.create_future()
        self._waiting.append(ticket)
        return ticket

    def leave(self, ticket: asyncio.Future[None] | None) -> None:
        """The call with this ticket is over, maybe before its turn has come."""
        if ticket is not None and (not ticket.done() or ticket.cancelled()):
            ticket.cancel()
            return
        while self._waiting:
            following = self._waiting.popleft()
            if not following.done():
                following.set_result(None)
                return
        self._is_taken = False
