"""Whatever ends a program, tasks clean up and the exit code is kept: expected.md, cell by cell.

The programs run beside each other, each in a process of its own. QTINTER_SOAK=200 runs each of them
200 times.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from exits.matrix import Cell, Outcome, assert_as_expected, cells, run

AT_A_TIME = 3  # They wait most of the time; more would be slow enough to be taken for a hang.
TIMES = int(os.environ.get("QTINTER_SOAK", "1"))

Outcomes = dict[tuple[Cell, int], "Future[Outcome]"]


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> Iterator[Outcomes]:
    """Start the programs of all tests that were selected."""
    programs = [
        (item.callspec.params["cell"], item.callspec.params["repetition"])
        for item in request.session.items
        if item.module is request.module
    ]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        outcomes = {program: pool.submit(run, program[0]) for program in programs}
        yield outcomes
        for future in outcomes.values():
            future.cancel()


@pytest.mark.parametrize("repetition", range(TIMES), ids=lambda number: f"{number + 1}")
@pytest.mark.parametrize("cell", cells(), ids=lambda cell: f"{cell.way}, {cell.mode}")
def test_exit(cell: Cell, repetition: int, outcomes: Outcomes) -> None:
    """A program that ends in this way in this mode does what users expect."""
    assert_as_expected(cell, outcomes[cell, repetition].result())
