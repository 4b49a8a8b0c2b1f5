"""What a workload is: a function that does something and returns what it cost.

A workload runs unchanged on every contender. It is an async function of a count and a clock, run by
the contender's loop, or a plain function of a count, a clock and the contender itself. It returns
seconds, bytes or a number. What a contender cannot do raises NotImplementedError.

Modules of workloads register them with `workload`.
"""

from __future__ import annotations

import importlib
import math
import sys
import time
from typing import Any, Callable, NamedTuple

# The processor's time, of all threads, where other load of the machine must not count; the time on
# the wall where waiting is what is measured.
CPU = "CPU"
WALL = "wall"
CLOCKS: dict[str, Callable[[], float]] = {CPU: time.process_time, WALL: time.perf_counter}

# What a unit is worth in the seconds, bytes or numbers that workloads return.
UNITS = {"µs": 1e-6, "ms": 1e-3, "KiB": 1024.0, "MiB": 1024.0**2, "": 1.0}


class Goal(NamedTuple):
    """The most that this package allows itself: a ratio to plain asyncio, or a value."""

    limit: float
    is_ratio: bool = True


class Workload(NamedTuple):
    """A function, and how to run it and show its result.

    Attributes:
        name: of the function, also on the command line.
        function: see the module's docstring.
        title: for the table.
        unit: a key of UNITS, in which the result is shown.
        clock: a key of CLOCKS; None if no time is measured.
        count: how often to do it.
        goal: for this package, if it has one.
        is_fresh: whether the process is measured as it is, with an allocator that is not warm.
    """

    name: str
    function: Callable[..., Any]
    title: str
    unit: str
    clock: str | None
    count: int
    goal: Goal | None
    is_fresh: bool


MODULES = ("scheduling", "network", "lateness", "footprint", "nesting", "adaptors")

_registered: dict[str, Workload] = {}


def workload(
    title: str,
    unit: str,
    clock: str | None,
    *,
    count: int,
    goal: Goal | None = None,
    is_fresh: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a workload; arguments as in `Workload`."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        name = function.__name__
        _registered[name] = Workload(name, function, title, unit, clock, count, goal, is_fresh)
        return function

    return register


def workloads() -> dict[str, Workload]:
    """All workloads by name, in the order of the table."""
    for module in MODULES:
        importlib.import_module(module)
    return _registered


def qt_core() -> Any:
    """The QtCore that this process has imported."""
    for binding in ("PySide6", "PyQt6", "PyQt5", "PySide2"):
        if f"{binding}.QtCore" in sys.modules:
            return sys.modules[f"{binding}.QtCore"]
    raise NotImplementedError("there is no Qt")


def percentile(samples: list[float], percent: float) -> float:
    """The smallest sample that `percent` of them do not exceed."""
    return sorted(samples)[math.ceil(len(samples) * percent / 100) - 1]
