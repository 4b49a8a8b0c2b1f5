"""One workload on one contender in this process; prints the result as JSON.

python worker.py CONTENDER WORKLOAD COUNT
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys

from contenders import CONTENDERS, Contender
from growth import growths
from workload import CLOCKS, WALL, Workload, workloads

WARM = 8 << 20


def run(workload: Workload, contender: Contender, count: int) -> float:
    """Return what the workload returns."""
    clock = CLOCKS[workload.clock or WALL]
    if not workload.is_fresh:
        bytearray(WARM)  # It is freed again, and malloc has learnt.
    if not inspect.iscoroutinefunction(workload.function):
        return workload.function(count, clock, contender)
    loop = contender.new_loop()
    if not workload.is_fresh:
        loop.run_until_complete(asyncio.sleep(0.001))
    return loop.run_until_complete(workload.function(count, clock))


def main() -> None:
    """See the module's docstring."""
    contender, name, count = sys.argv[1:]
    workload = {**workloads(), **growths()}[name]
    try:
        answer = {"value": run(workload, CONTENDERS[contender], int(count))}
    except NotImplementedError as error:
        answer = {"none": str(error) or "not implemented"}
    print(json.dumps(answer), flush=True)
    os._exit(0)  # How a contender leaves Qt and its loop behind is not what is measured.


if __name__ == "__main__":
    main()
