"""A workload on our loop and on asyncio's own, in turns in one process; prints the ratios as JSON.

On a machine whose speed changes from second to second, whole processes say little about a few per
cent. The turns are short, so both loops see the same machine.

python pairs.py CONTENDER WORKLOAD
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from contenders import CONTENDERS
from worker import WARM
from workload import CLOCKS, WALL, workloads

# The workloads that can be cut into short pieces.
NAMES = (
    "sleep_zero",
    "tasks",
    "call_soon",
    "call_later",
    "call_soon_threadsafe",
    "echo",
    "echo_50",
    "lines",
    "sparse",
    "bulk",
)
TURNS = 25
PART = 20  # of the workload in each turn


def main() -> None:
    """See the module's docstring."""
    contender, name = sys.argv[1:]
    workload = workloads()[name]
    clock, count = CLOCKS[workload.clock or WALL], max(workload.count // PART, 1)
    bytearray(WARM)  # As in worker.py.
    loops = [CONTENDERS[contender].new_loop(), asyncio.new_event_loop()]
    ratios = []
    for _ in range(TURNS + 1):
        ours, plain = (loop.run_until_complete(workload.function(count, clock)) for loop in loops)
        ratios.append(ours / plain)
    print(json.dumps({"ratios": ratios[1:]}), flush=True)  # Without the first, which warms up.
    os._exit(0)


if __name__ == "__main__":
    main()
