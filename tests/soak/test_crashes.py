"""Random programs do not crash, however they end and in whatever order their objects go.

A few of them, always the same, unless QTINTER_PROGRAMS=500, as in `tox -e soak`, asks for that many; QTINTER_SEED=1000 begins with
another seed.
"""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import pytest

HERE = pathlib.Path(__file__).parent
AT_A_TIME = 2
LIMIT = 25  # seconds, for a program that takes one
FIRST = int(os.environ.get("QTINTER_SEED", "0"))
SEEDS = range(FIRST, FIRST + int(os.environ.get("QTINTER_PROGRAMS", "4")))

# Every allocation is checked, and freed memory is overwritten. A dropped loop may warn.
ENVIRONMENT = {**os.environ, "PYTHONMALLOC": "debug", "PYTHONWARNINGS": "default"}


class Outcome(NamedTuple):
    """How a program ended."""

    code: int
    output: str
    errors: str


def run(seed: int) -> Outcome:
    """Run the program with this seed to its end."""
    process = subprocess.Popen(
        [sys.executable, "-X", "dev", "-X", "faulthandler", str(HERE / "program.py"), str(seed)],
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        output, errors = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # faulthandler says where it hangs.
        output, errors = process.communicate()
    return Outcome(process.returncode, output, errors)


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> Iterator[dict[int, Future[Outcome]]]:
    """Start the programs of all tests that were selected."""
    seeds = [
        item.callspec.params["seed"]
        for item in request.session.items
        if item.module is request.module
    ]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        outcomes = {seed: pool.submit(run, seed) for seed in seeds}
        yield outcomes
        for future in outcomes.values():
            future.cancel()


@pytest.mark.parametrize("seed", SEEDS)
def test_random_program(seed: int, outcomes: dict[int, Future[Outcome]]) -> None:
    """A random program neither crashes nor hangs; the tasks of a loop that it closes have ended."""
    code, output, errors = outcomes[seed].result()
    said = f"\n{output}\n{errors[-5000:]}"
    if "end: SIGINT" in output and code == -signal.SIGINT:
        return  # Ctrl-C came before or after the run.
    assert code == 0, said
    assert "Fatal Python error" not in errors, said
    assert "not ended" not in output or "end: SIGINT" in output, said
