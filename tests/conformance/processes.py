"""Run a test module in as many processes as it takes.

A test that crashes or hangs ends its process, and is one result; another process runs the tests
after it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

CHILD = Path(__file__).resolve().with_name("child.py")
LONGEST_TEST = 60.0  # seconds
LONGEST_MODULE = 900.0

FINE = ("passed", "skipped")


class Outcome(NamedTuple):
    """How a test has ended: passed, failed, skipped, crashed or hung; and what there is to say."""

    name: str
    detail: str = ""


@dataclass
class Results:
    """What the tests of a module did.

    Attributes:
        outcomes: of the tests, by name.
        census: what the processes built and ran; see loops.py.
        seconds: how long they took.
        again: the tests that passed only when the module was run again.
    """

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    census: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    again: list[str] = field(default_factory=list)

    def failures(self) -> list[str]:
        """The tests that ended badly."""
        return [test for test, outcome in self.outcomes.items() if outcome.name not in FINE]

    def accept(self, later: Results, tests: list[str]) -> None:
        """Let these tests have passed if they did when the module was run again."""
        for test in tests:
            if later.outcomes.get(test) == Outcome("passed"):
                self.outcomes[test] = Outcome("passed")
                self.again.append(test)
        self.seconds += later.seconds


def run_module(module: str, way: str, limit: float = LONGEST_TEST) -> Results:
    """Run the tests of a module, each of which may take `limit` seconds."""
    results = Results()
    start = time.monotonic()
    while not _run_process(results, module, way, limit):
        pass
    results.seconds = round(time.monotonic() - start, 1)
    return results


def _run_process(results: Results, module: str, way: str, limit: float) -> bool:
    """Run what has not been run yet; tell whether nothing is left."""
    done = json.dumps(list(results.outcomes)).encode()
    folder = Path(tempfile.mkdtemp(prefix="conformance-"))  # Tests write to the working directory.
    notes, log = folder / "notes.json", folder / "log.txt"
    try:
        with open(log, "wb") as output:
            command = [sys.executable, CHILD, module, way, notes, str(limit)]
            code = _execute(list(map(str, command)), done, output, folder)
        running, has_finished = _read(notes, results)
        if running is not None or not has_finished or code != 0:
            text = log.read_text("utf-8", errors="replace")[-6000:]
            how = "hung" if code is None or "Timeout (" in text else "crashed"
            results.outcomes[running or f"{module}, the end of the process"] = Outcome(
                how, f"exit code {code}\n{text}"
            )
        return running is None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _execute(command: list[str], data: bytes, output: object, folder: Path) -> int | None:
    """Run a command with all the processes it starts; return its exit code, None if it hangs."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=_environment(),
        start_new_session=True,
    )
    try:
        process.communicate(data, timeout=LONGEST_MODULE)
        return process.returncode
    except subprocess.TimeoutExpired:
        return None
    finally:
        if sys.platform == "win32":
            process.kill()
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _environment() -> dict[str, str]:
    # The command runs in another folder.
    path = [
        os.path.abspath(name) for name in os.environ.get("PYTHONPATH", "").split(os.pathsep) if name
    ]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONWARNINGS": "default",
    }


def _read(path: Path, results: Results) -> tuple[str | None, bool]:
    """Add what a process has noted; return the test it did not end, and whether it did all."""
    running, has_finished = None, False
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        note = json.loads(line)
        if "started" in note:
            running = note["started"]
        elif "ended" in note:
            running = None
            results.outcomes[note["ended"]] = Outcome(note["outcome"], note["detail"])
        else:
            has_finished = True
            results.census.update(note["census"])
    return running, has_finished
