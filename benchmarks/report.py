"""Writes what was measured: a Markdown page, and pictures beside it."""

from __future__ import annotations

import statistics
from pathlib import Path

import growth
import plots
from results import BASELINE, Results, summary
from workload import UNITS, Workload, workloads

NOTES = Path(__file__).with_name("notes.md")
THIS = "qtinter/"

HOW = """\
Medians of several rounds. In each round every workload runs on every contender in turn, each in a
process of its own; the later rounds are for the goals, of which they have this package and plain
asyncio only. A ratio is the median of the ratios to plain asyncio in the same round; in brackets
are the lowest and the highest. *At best* compares the fastest round of each: who else uses the
machine has the least influence on that. *CPU* is the time of the processor, of all threads, *wall*
that on the wall. Both ends of a connection are in the same process. malloc has been warmed up with
a block of 8 MiB, except in fresh processes. Contenders run on the binding that is named first; the
thread poller gets the selector that qtinter 0.11 has in its thread.

`python benchmarks/run.py` makes this page: see [run.py](../benchmarks/run.py)."""


def number(value: float) -> str:
    """Three digits, or more before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


PAIRS = """\
Here the loop of this package and that of plain asyncio run a twentieth of the workload in turns, in
the same process, so that both see the same machine. Ratios of CPU time: the median of all turns, and
in brackets the quarter below and above which the others are."""


class Report:
    """The parts of the page, from the results."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._workloads = {name: found for name, found in workloads().items() if results.has(name)}
        first_binding = next(key for key in results.titles if "/" in key).split("/")[1]
        # Of this package, the other bindings have a table of their own.
        self._keys = [
            key for key in results.titles if key.endswith(first_binding) or "/" not in key
        ]
        self._ours = [key for key in results.titles if key.startswith(THIS)]
        self._footnotes: list[str] = []

    def write(self, page: Path) -> None:
        """Write the page and its pictures."""
        page.parent.mkdir(parents=True, exist_ok=True)
        pictures = self._pictures()
        for name, picture in pictures.items():
            page.with_name(f"{page.stem}-{name}.svg").write_text(picture, "utf-8")
        about = self._results.about
        parts = [
            "# Benchmarks",
            HOW,
            _table(["", ""], [[name, value] for name, value in about.items()]),
            "## Goals",
            self._goals(),
            *self._pairs(),
            *([NOTES.read_text("utf-8").strip()] if NOTES.exists() else []),
            "## Medians",
            self._medians(),
            "## Ratios to plain asyncio",
            self._ratios(),
        ]
        parts += [f"![{name}]({page.stem}-{name}.svg)" for name in pictures]
        parts += ["## What contenders cannot do"] if self._footnotes else []
        parts.append("\n".join(self._footnotes))
        page.write_text("\n\n".join(parts).strip() + "\n", "utf-8")

    # Tables.

    def _goals(self) -> str:
        head = ["workload", "goal", *[key.split("/")[1] for key in self._ours]]
        rows = []
        for name, workload in self._workloads.items():
            if workload.goal is not None:
                rows.append([workload.title, self._goal(workload)])
                rows[-1] += [self._against_goal(name, workload, key) for key in self._ours]
        return _table(head, rows)

    def _goal(self, workload: Workload) -> str:
        assert workload.goal is not None
        if workload.goal.is_ratio:
            return f"ratio ≤ {workload.goal.limit:.2f}"
        return f"≤ {number(workload.goal.limit / UNITS[workload.unit])} {workload.unit}".strip()

    def _against_goal(self, name: str, workload: Workload, key: str) -> str:
        assert workload.goal is not None
        of = self._results.ratios if workload.goal.is_ratio else self._results.values
        values = of(name, key)
        if not values:
            return "none"
        found = summary(values)
        unit = 1.0 if workload.goal.is_ratio else UNITS[workload.unit]
        text, low, high = (number(value / unit) for value in found)
        is_met = found.median <= workload.goal.limit
        best = ""
        if workload.goal.is_ratio:
            ours, plain = (self._results.values(name, who) for who in (key, BASELINE))
            best = f", at best {number(min(ours) / min(plain))}"
        return f"{text} ({low}–{high}){best} {'met' if is_met else '**not met**'}"  # noqa: RUF001

    def _pairs(self) -> list[str]:
        rows = []
        for name, workload in self._workloads.items():
            of_all = [self._results.pairs(name, key) for key in self._ours]
            if all(of_all):
                rows.append([workload.title])
                for low, median, high in (statistics.quantiles(ratios) for ratios in of_all):
                    rows[-1].append(f"{median:.2f} ({low:.2f}–{high:.2f})")  # noqa: RUF001
        if not rows:
            return []
        head = ["workload", *[key.split("/")[1] for key in self._ours]]
        return ["## In turns in one process", PAIRS, _table(head, rows)]

    def _medians(self) -> str:
        rows = []
        for name, workload in self._workloads.items():
            clock = f", {workload.clock}" if workload.clock else ""
            row = [f"{workload.title}{', ' if workload.unit else ''}{workload.unit}{clock}"]
            for key in self._keys:
                values = self._results.values(name, key)
                row.append(
                    number(summary(values).median / UNITS[workload.unit])
                    if values
                    else self._none(name, key)
                )
            rows.append(row)
        return _table(["workload", *self._titles()], rows)

    def _ratios(self) -> str:
        rows = []
        for name, workload in self._workloads.items():
            if not any(self._results.values(name, BASELINE)):
                continue
            row = [workload.title]
            for key in self._keys[1:]:
                ratios = self._results.ratios(name, key)
                if ratios:
                    text, low, high = (number(value) for value in summary(ratios))
                    row.append(f"{text} ({low}–{high})")  # noqa: RUF001
                else:
                    row.append("none")
            rows.append(row)
        return _table(["workload", *self._titles()[1:]], rows)

    def _none(self, name: str, key: str) -> str:
        reason = self._results.reason(name, key)
        if reason is None:
            return ""
        footnote = f"- {self._results.titles[key]}: {reason}"
        if footnote not in self._footnotes:
            self._footnotes.append(footnote)
        return "none"

    def _titles(self) -> list[str]:
        return [self._results.titles[key] for key in self._keys]

    # Pictures.

    def _pictures(self) -> dict[str, str]:
        pictures = {}
        rows: dict[str, list[float | None]] = {}
        for name, workload in self._workloads.items():
            if any(self._results.values(name, BASELINE)):
                title = workload.title.replace("`", "")
                rows[title] = [self._median_ratio(name, key) for key in self._keys]
        if rows:
            title = "Ratio to plain asyncio; less is better"
            pictures["ratios"] = plots.dots(title, self._titles(), rows)
        for kind in growth.KINDS:
            lines = self._lines(kind)
            if any(lines.values()):
                title = f"One event beside more and more {kind}"
                pictures[kind] = plots.curves(title, "µs", lines)
        return pictures

    def _median_ratio(self, name: str, key: str) -> float | None:
        ratios = self._results.ratios(name, key)
        return summary(ratios).median if ratios else None

    def _lines(self, kind: str) -> dict[str, dict[float, float]]:
        lines: dict[str, dict[float, float]] = {}
        for key in self._keys:
            line = lines.setdefault(self._results.titles[key], {})
            for size in growth.SIZES:
                values = self._results.values(f"{kind}-{size}", key)
                if values:
                    line[size] = summary(values).median / UNITS["µs"]
        return lines
