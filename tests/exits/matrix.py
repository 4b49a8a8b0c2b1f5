"""Reads expected.md, runs program.py for a cell of it, and compares."""

from __future__ import annotations

import pathlib
import re
import signal
import subprocess
import sys
import time
from typing import NamedTuple

HERE = pathlib.Path(__file__).parent
LIMIT = 25  # seconds, for a program that takes half a second
CLEANED_UP = ["Qt", "asyncio", "generator"]

# The last line of standard error, by what the cell says.
TRACEBACKS = {
    "interrupt": "KeyboardInterrupt",
    "error": "ZeroDivisionError: division by zero",
    "stopped": "RuntimeError: Event loop stopped before Future completed.",
}
CODES = {
    "interrupt": -signal.SIGINT,
    "error": 1,
    "stopped": 1,
    "killed": -signal.SIGTERM,
    "reported": 0,
    "lost": 0,
}


class Cell(NamedTuple):
    """A field of the table."""

    way: str
    mode: str
    expected: str


class Outcome(NamedTuple):
    """How a program ended."""

    code: int
    cleaned_up: list[str]
    errors: str


def cells() -> list[Cell]:
    """Read the table; on Windows, nobody else can send a signal to one process alone."""
    table = [
        [field.strip() for field in line.strip("|\n").split("|")]
        for line in (HERE / "expected.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    (_, *modes), _, *rows = table
    return [
        Cell(way, mode, expected)
        for way, *row in rows
        for mode, expected in zip(modes, row)
        if expected != "-" and not (sys.platform == "win32" and way.startswith("SIG"))
    ]


def run(cell: Cell) -> Outcome:
    """Run the program to its end."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(HERE / "program.py"), cell.way, cell.mode],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    if cell.way.startswith("SIG"):
        for line in process.stdout:
            if line.startswith("send "):
                time.sleep(0.03)  # It says so before it waits.
                process.send_signal(getattr(signal, line.split()[1]))
                break
            lines.append(line.strip())
    try:
        output, errors = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
        errors += f"\nIt hung; killed after {LIMIT} s."
    lines += output.splitlines()
    cleaned_up = sorted(line for line in lines if line in CLEANED_UP)
    return Outcome(process.returncode, cleaned_up, without_noise(errors))


def assert_as_expected(cell: Cell, outcome: Outcome) -> None:
    """Compare what has happened with what the table says."""
    what = cell.expected
    assert outcome.code == (CODES[what] if what in CODES else int(what)), outcome
    assert outcome.cleaned_up == ([] if what in ("killed", "lost") else CLEANED_UP), outcome
    if what in TRACEBACKS:
        *before, last = _messages(outcome.errors)
        assert last == TRACEBACKS[what], outcome
        # asyncio.Runner turns the cancellation of the main task into KeyboardInterrupt.
        assert set(before) <= {"asyncio.exceptions.CancelledError"}, outcome
    elif what == "lost":
        # Not if the interpreter is gone before the loop.
        assert cell.way != "dropped" or "unclosed event loop" in outcome.errors, outcome
    elif what == "reported":
        assert "in a host, which qtinter does not end" in outcome.errors, outcome
    else:
        assert outcome.errors == "", outcome


def _messages(errors: str) -> list[str]:
    """The lines that are no part of the body of a traceback."""
    body = re.compile(
        r"\s|$|Traceback \(most recent call last\):"
        r"|During handling of the above exception, another exception occurred:"
    )
    return [line for line in errors.splitlines() if not body.match(line)]


def without_noise(errors: str) -> str:
    """What Qt 5 says about the machine does not matter here."""
    return "".join(
        line for line in errors.splitlines(True) if not line.startswith("QStandardPaths: ")
    )
