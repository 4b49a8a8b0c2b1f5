"""The only door to Qt: what the package needs of QtCore, alike on every binding.

Differences between bindings live here, each as one named function.
"""

from typing import Any

from . import binding
from .application import Anchor as Anchor
from .application import application as application
from .application import ensure_dispatcher as ensure_dispatcher
from .application import has_application as has_application
from .application import is_in_thread_of as is_in_thread_of
from .application import is_main_thread as is_main_thread
from .application import is_qobject as is_qobject
from .application import leave_event_loops as leave_event_loops
from .application import level_meter as level_meter
from .application import loop_level as loop_level
from .application import require_application as require_application
from .binding import enum as enum
from .binding import is_alive as is_alive
from .binding import is_pyqt as is_pyqt
from .event_loops import EventLoop as EventLoop
from .event_loops import execute_application as execute_application
from .event_loops import quit_application as quit_application
from .signals import disconnect as disconnect
from .signals import keep as keep
from .signals import relay as relay
from .signals import slot as slot
from .signals import spare_process as spare_process
from .signals import when_not_dying as when_not_dying
from .thread_loops import ThreadLoop as ThreadLoop
from .waking import Alarm as Alarm
from .waking import ReadNotifier as ReadNotifier
from .waking import call_in_thread_of as call_in_thread_of
from .waking import call_later as call_later
from .waking import call_soon as call_soon
from .waking import doorbell as doorbell
from .waking import is_calling_us as is_calling_us
from .waking import milliseconds as milliseconds
from .waking import raise_signal_soon as raise_signal_soon


def __getattr__(name: str) -> Any:
    """QtCore is imported when it is first asked for."""
    if name == "QtCore":
        return binding.QtCore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
