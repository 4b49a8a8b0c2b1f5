"""Measure every workload on every contender, and write docs/benchmarks.md.

    python benchmarks/run.py [--rounds N] [--goal-rounds N] [--pair-rounds N] [--binding NAME]...
        [--only NAME]... [--quick]

Workloads and contenders are run in turn, process by process, so that all see the same machine. The
environments of the contenders are made on first use (environments.py). `--quick` makes none: this
package and plain asyncio run in the Python that runs this, each workload once and tiny, to see
whether everything works.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Callable, NamedTuple

import environments
import pairs
from contenders import BINDINGS, CONTENDERS, Entry
from growth import growths
from report import Report
from results import Results
from workload import Workload, workloads

PAGE = environments.CHECKOUT / "docs" / "benchmarks.md"
PATIENCE = 120  # seconds for one process
QUICK = 100  # times less


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="Measure every workload on every contender.")
    parser.add_argument("--rounds", type=int, default=3, help="of everything")
    parser.add_argument(
        "--goal-rounds",
        type=int,
        default=9,
        help="after them, of workloads with a goal on this package and plain asyncio",
    )
    parser.add_argument(
        "--pair-rounds", type=int, default=3, help="then, of both in turns in one process"
    )
    parser.add_argument(
        "--binding", action="append", choices=BINDINGS, help="the first one for everybody"
    )
    parser.add_argument("--only", action="append", metavar="NAME", help="a workload or contender")
    parser.add_argument("--quick", action="store_true", help="see whether everything works")
    parser.add_argument("--page", type=Path, default=PAGE, help="what to write")
    parser.add_argument("--results", type=Path, help="keep the values in this file")
    parser.add_argument("--render", type=Path, help="write what such a file holds; do not measure")
    return parser.parse_args()


def entries(bindings: list[str], only: list[str]) -> list[Entry]:
    """Who takes part: everybody on the first binding, this package on the others as well."""
    names = [name for name in CONTENDERS if name in only] or list(CONTENDERS)
    found = [Entry(name, bindings[0]) for name in dict.fromkeys(["plain", *names])]
    return found + [Entry("qtinter", binding) for binding in bindings[1:]]


def selected(only: list[str], is_quick: bool) -> list[Workload]:
    """The workloads asked for; a kind of growth stands for its sizes."""
    everything = {**workloads(), **growths()}
    names = [name for name in everything if name in only or name.split("-")[0] in only]
    if not names:
        names = list(everything)
    if is_quick:
        names = [name for name in names if name not in growths() or everything[name].count <= 10]
    return [everything[name] for name in names]


class Measurement:
    """Runs workloads in processes and files what they print."""

    def __init__(self, pythons: dict[str, str], results: Results, is_quick: bool) -> None:
        self._pythons = pythons
        self._results = results
        self._is_quick = is_quick

    def run(self, workload: Workload, entry: Entry) -> None:
        """Run a workload on a contender once; not again if it could not do it before."""
        reason = self._results.reason(workload.name, entry.key)
        if reason is None:
            answer = self._ask(workload, entry)
            if "value" in answer:
                self._results.add(workload.name, entry.key, float(answer["value"]))
                return
            reason = str(answer["none"])
        self._results.add_none(workload.name, entry.key, reason)

    def pair(self, workload: Workload, entry: Entry) -> None:
        """Run a workload on a contender and on plain asyncio in turns, in one process."""
        answer = self._run("pairs.py", workload, entry)
        self._results.add_pairs(workload.name, entry.key, answer["ratios"])

    def _ask(self, workload: Workload, entry: Entry) -> dict[str, Any]:
        count = workload.count
        if self._is_quick and workload.name not in growths():
            count = max(count // QUICK, 1)
        return self._run("worker.py", workload, entry, str(count))

    def _run(
        self, program: str, workload: Workload, entry: Entry, *arguments: str
    ) -> dict[str, Any]:
        path = Path(__file__).with_name(program)
        command = [self._pythons[entry.key], str(path), entry.name, workload.name, *arguments]
        variables = dict(os.environ) if self._is_quick else environments.variables(entry)
        variables["QT_API"] = entry.binding or ""
        try:
            ended = subprocess.run(
                command, env=variables, capture_output=True, text=True, timeout=PATIENCE
            )
        except subprocess.TimeoutExpired:
            return {"none": f"{workload.title}: not done in {PATIENCE} s"}
        if ended.returncode != 0:
            if entry.contender.is_this or entry.name == "plain":
                raise RuntimeError(f"{workload.name} on {entry.key} failed:\n{ended.stderr}")
            last = ended.stderr.strip().splitlines()[-1:]
            return {"none": f"{workload.title}: {' '.join(last) or ended.returncode}"}
        answer: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
        return answer


def rotated(entries: list[Entry], by: int) -> Iterator[Entry]:
    """Nobody always comes first."""
    yield from entries[by % len(entries) :]
    yield from entries[: by % len(entries)]


def about(pythons: dict[str, str], rounds: str) -> dict[str, str]:
    """The machine, the versions and the date."""
    packages: dict[str, str] = {}
    for python in dict.fromkeys(pythons.values()):
        packages.update(environments.versions(python))
    ours = {"qtinter", "QtPy", "PySide6_Essentials", "PyQt6", "PyQt5"}
    shown = ours | {"uvloop", "qasync", "trio", "qtrio"}
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "system": platform.platform(),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": ", ".join(f"{name} {packages[name]}" for name in sorted(shown & set(packages))),
        "other load at the start": f"{os.getloadavg()[0]:.1f} processes"
        if hasattr(os, "getloadavg")
        else "unknown",
        "rounds": rounds,
    }


def processor() -> str:
    """The name of the processor's model."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


class Step(NamedTuple):
    """One workload, for each of some contenders."""

    title: str
    measure: Callable[[Workload, Entry], None]
    workload: Workload
    entries: Iterable[Entry]


def steps(
    asked: argparse.Namespace, measurement: Measurement, entries: list[Entry], only: list[str]
) -> Iterator[Step]:
    """Rounds of everything, of what has a goal, and of what can be done in turns in one process."""
    chosen = selected(only, asked.quick)
    with_goal = [workload for workload in chosen if workload.goal is not None]
    in_turns = [workload for workload in chosen if workload.name in pairs.NAMES]
    ours = [entry for entry in entries if entry.name == "qtinter"]
    ours_and_plain = [entry for entry in entries if entry.name in ("plain", "qtinter")]
    for times, name, measure, some, who in (
        (1 if asked.quick else asked.rounds, "round", measurement.run, chosen, entries),
        (
            0 if asked.quick else asked.goal_rounds,
            "goals",
            measurement.run,
            with_goal,
            ours_and_plain,
        ),
        (1 if asked.quick else asked.pair_rounds, "pairs", measurement.pair, in_turns, ours),
    ):
        for turn in range(times):
            for workload in some:
                yield Step(f"{name} {turn + 1}", measure, workload, rotated(who, turn))


def measure(asked: argparse.Namespace) -> Results:
    """Run what is asked for."""
    only = asked.only or []
    bindings = asked.binding or ["pyside6", "pyqt6", "pyqt5"]
    if asked.quick:
        bindings = asked.binding or [os.environ.get("QT_API") or "pyside6"]
        only = [*only, "qtinter"]
    taking_part = entries(bindings, only)
    pythons = {
        entry.key: sys.executable if asked.quick else environments.interpreter(entry)
        for entry in taking_part
    }
    titles = {entry.key: entry.title for entry in taking_part}
    rounds = f"{asked.rounds}, for the goals {asked.rounds + asked.goal_rounds}"
    results = Results(about(pythons, "1" if asked.quick else rounds), titles)
    measurement = Measurement(pythons, results, asked.quick)
    for step in steps(asked, measurement, taking_part, only):
        print(f"{step.title}: {step.workload.name}", file=sys.stderr, flush=True)
        for entry in step.entries:
            step.measure(step.workload, entry)
        if asked.results:
            results.save(asked.results)
    return results


def main() -> None:
    """See the module's docstring."""
    asked = arguments()
    results = Results.load(asked.render) if asked.render else measure(asked)
    Report(results).write(asked.page)
    print(f"Written: {asked.page}")


if __name__ == "__main__":
    main()
