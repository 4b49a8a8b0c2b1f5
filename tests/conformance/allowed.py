"""The tests that cannot apply to a loop that is embedded in Qt, each with the reason.

They pass with plain asyncio. One that passes with ours as well makes the run fail: it has to leave
this list. In nested mode, the list is empty.
"""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase
from typing import NamedTuple

ATTACHED = ("attached",)


class Entry(NamedTuple):
    """Tests that fail for a reason.

    Attributes:
        pattern: of names, as in fnmatch, after the package's name.
        reason: why they cannot pass.
        ways: the kinds of runs that it concerns; see loops.py.
        since: the first Python version that it concerns.
        until: the first one that it does not concern any more.
    """

    pattern: str
    reason: str
    ways: tuple[str, ...]
    since: tuple[int, ...]
    until: tuple[int, ...]

    def matches(self, test: str) -> bool:
        """Tell whether it is about this test."""
        return fnmatchcase(test, self.pattern)


# Once open, a QiRunner's loop is the running loop of its thread, also between the coroutines that it
# runs; that of an asyncio.Runner is not.
RUNNING = "synchronous test of an IsolatedAsyncioTestCase, whose loop is running: it runs a loop"
FORKED = "forks the process while it executes the application, and executes it in the copy too"

ENTRIES = [
    Entry("test_taskgroups.*.test_coro_closed_when_tg_closed", RUNNING, ATTACHED, (3, 12), (3, 14)),
    Entry("test_unix_events.*.test_fork_signal_handling", RUNNING, ATTACHED, (3, 12), (3, 14)),
    Entry("test_events.*.test_get_event_loop_new_process", FORKED, ATTACHED, (3, 9), (3, 12)),
]


def entries(way: str) -> list[Entry]:
    """The entries that concern this Python."""
    return [
        entry
        for entry in ENTRIES
        if way in entry.ways and entry.since <= sys.version_info < entry.until
    ]
