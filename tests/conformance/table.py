"""Put the results of several runs into the table of a page.

    python tests/conformance/table.py docs/conformance.md *.json

The files are those that run.py writes. The table replaces what is between two comments of the page.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

BEGIN = "<!-- table: made by tests/conformance/table.py -->\n"
END = "<!-- end of table -->"

HEAD = """\
| Python | Platform | Binding | Loop | Run | Passed | Not applicable |
|---|---|---|---|--:|--:|--:|
"""


def main() -> int:
    """Rewrite the page; the exit code is 1 if a run had problems, which leaves it alone."""
    page, *files = map(Path, sys.argv[1:])
    reports = [json.loads(file.read_text("utf-8")) for file in files]
    for report in reports:
        for way, verdict in report["ways"].items():
            if verdict["problems"]:
                print(f"{report['python']}, {way}: {len(verdict['problems'])} problems")
                return 1
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(before + BEGIN + table(reports) + END + after, "utf-8")
    return 0


def table(reports: list[dict[str, Any]]) -> str:
    """The table, oldest Python first."""
    rows = [
        (report["platform"], version(report), row(report, way, verdict))
        for report in reports
        for way, verdict in report["ways"].items()
    ]
    return HEAD + "".join(text for _, _, text in sorted(rows, key=lambda row: row[:2]))


def version(report: dict[str, Any]) -> list[int]:
    """Of Python, for sorting."""
    return [int(part) for part in report["python"].split(".")[:2]]


def row(report: dict[str, Any], way: str, verdict: dict[str, Any]) -> str:
    """One line of the table."""
    cells = [report["python"], report["platform"], report["binding"], way]
    cells += [verdict["run"], verdict["passed"], verdict["not_applicable"]]
    return "| " + " | ".join(map(str, cells)) + " |\n"


if __name__ == "__main__":
    sys.exit(main())
