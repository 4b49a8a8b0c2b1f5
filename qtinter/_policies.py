"""Event loop policies that make Qt-backed loops, for code that needs a policy.

asyncio removes policies in Python 3.16; prefer `loop_factory=qtinter.new_event_loop` (3.11 and
later).
"""

from __future__ import annotations

import asyncio
import sys

from . import _qt
from ._compat import DefaultPolicy
from ._loops import QiSelectorEventLoop, new_event_loop

if sys.platform == "win32":
    from ._loops import QiProactorEventLoop


class QiDefaultEventLoopPolicy(DefaultPolicy):
    """asyncio's default policy, whose `new_event_loop()` is `qtinter.new_event_loop()`."""

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return new_event_loop()


class QiSelectorEventLoopPolicy(DefaultPolicy):
    """asyncio's default policy, whose `new_event_loop()` makes a QiSelectorEventLoop."""

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        _qt.require_application("new_event_loop()")
        return QiSelectorEventLoop()


if sys.platform == "win32":

    class QiProactorEventLoopPolicy(DefaultPolicy):
        """asyncio's default policy, whose `new_event_loop()` makes a QiProactorEventLoop."""

        def new_event_loop(self) -> asyncio.AbstractEventLoop:
            _qt.require_application("new_event_loop()")
            return QiProactorEventLoop()
