"""What trio costs as a guest of Qt: plain trio, this package, and qtrio 0.8; written into docs/trio.md.

    checkpoint   checkpoints per second, of one task, and of 100 tasks at once
    sleep        how late sleep(2 ms) returns: median and 99th percentile
    echo         a round trip of one byte between two tasks through a socket pair

    python benchmarks/trio_guest.py [--rounds N] [--binding NAME] [--page FILE]

The contenders run in turn, in processes of their own, in one virtual environment, which is made on first use: so they
have the same trio, the same binding and the same machine. Ratios are medians of the ratios to plain trio in the same
round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import environments
from run import about

PAGE = environments.CHECKOUT / "docs" / "trio.md"
MARK = "<!-- What follows is written by benchmarks/trio_guest.py. -->\n"
TITLES = {"trio": "plain trio", "qtinter": "this package", "qtrio": "qtrio"}
CONTENDERS = list(TITLES)
BINDINGS = {"pyside6": "PySide6-Essentials", "pyqt6": "PyQt6", "pyqt5": "PyQt5"}
WRAPPERS = {  # as qtrio knows them
    "pyside6": "pyside_6_wrapper",
    "pyqt6": "pyqt_6_wrapper",
    "pyqt5": "pyqt_5_wrapper",
}
CHECKPOINTS = 40_000
TASKS = 100
SLEEPS = 300
ECHOES = 1_000


async def measure(part: int) -> dict[str, float]:
    """Return what was measured, in the units of the table; everything is done `part` times less often."""
    import trio

    checkpoints, sleeps, echoes = CHECKPOINTS // part, SLEEPS // part, ECHOES // part

    async def check(count: int) -> None:
        for _ in range(count):
            await trio.lowlevel.checkpoint()

    began = time.perf_counter()
    await check(checkpoints)
    results = {"checkpoints/s, 1 task": checkpoints / (time.perf_counter() - began)}

    began = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(TASKS):
            nursery.start_soon(check, checkpoints // TASKS)
    results["checkpoints/s, 100 tasks"] = checkpoints / (time.perf_counter() - began)

    late = []
    for _ in range(sleeps):
        began = time.perf_counter()
        await trio.sleep(0.002)
        late.append((time.perf_counter() - began - 0.002) * 1e6)
    late.sort()
    results["sleep: late by µs, median"] = late[sleeps // 2]
    results["sleep: late by µs, 99 %"] = late[sleeps * 99 // 100]

    left, right = trio.socket.socketpair()
    with left, right:

        async def echo() -> None:
            while data := await right.recv(1):
                await right.send(data)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo)
            began = time.perf_counter()
            for _ in range(echoes):
                await left.send(b"x")
                await left.recv(1)
            results["echo, µs"] = (time.perf_counter() - began) / echoes * 1e6
            nursery.cancel_scope.cancel()
    return results


def run(contender: str, part: int = 1) -> None:
    """Measure in this process, print one line for each figure."""
    results: Any
    if contender == "trio":
        import trio

        results = trio.run(measure, part)
    elif contender == "qtinter":
        import importlib

        import qtpy

        import qtinter.trio

        app = importlib.import_module(f"{qtpy.API_NAME}.QtWidgets").QApplication([])
        results = qtinter.trio.run(measure, part)
        del app
    else:
        import qts

        qts.set_wrapper(getattr(qts, WRAPPERS[os.environ["QT_API"]]))
        import qtrio

        results = qtrio.run(measure, part)
    for name, value in results.items():
        print(f"{name}: {value}")


def interpreter(binding: str) -> str:
    """Make the virtual environment of all contenders; return its Python."""
    folder = environments.folder() / f"trio-{binding}"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        packages = ["trio", "qtrio==0.8.0", "qtpy", BINDINGS[binding]]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        (folder / "complete").touch()
    return str(python)


def measure_all(python: str, binding: str) -> dict[str, dict[str, float]]:
    """One round: the figures of each contender."""
    found: dict[str, dict[str, float]] = {}
    variables = {
        "QT_QPA_PLATFORM": "offscreen",  # There are no windows, but qtrio makes a QApplication.
        **os.environ,
        "QT_API": binding,
        "PYTHONPATH": str(environments.CHECKOUT),
    }
    for contender in CONTENDERS:
        output = subprocess.run(
            [python, __file__, "--run", contender],
            env=variables,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        pairs = (line.rpartition(": ")[::2] for line in output.splitlines())
        found[contender] = {name: float(value) for name, value in pairs}
    return found


def table(rows: list[list[str]]) -> str:
    """A table in Markdown."""
    head, *body = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body))


def figures(rounds: list[dict[str, dict[str, float]]]) -> list[list[str]]:
    """The rows of the table: medians, and ratios to plain trio."""
    rows = [["", *TITLES.values()]]
    for name in rounds[0]["trio"]:
        row = [name]
        for contender in CONTENDERS:
            value = statistics.median(found[contender][name] for found in rounds)
            ratio = statistics.median(
                found[contender][name] / found["trio"][name] for found in rounds
            )
            row.append(f"{value:,.0f} ({ratio:.2f})")
        rows.append(row)
    return rows


def main() -> None:
    """Measure, and write the figures into the page."""
    parser = argparse.ArgumentParser(description="Measure trio as a guest of Qt.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--binding", choices=BINDINGS, default="pyside6")
    parser.add_argument("--page", type=Path, default=PAGE, help="what to write into")
    asked = parser.parse_args()
    python = interpreter(asked.binding)
    facts = about({"": python}, asked.rounds)
    rounds = [measure_all(python, asked.binding) for _ in range(asked.rounds)]
    parts = [
        "Medians; in brackets the ratio to plain trio.",
        table(figures(rounds)),
        table([["", ""], *([name, value] for name, value in facts.items())]),
    ]
    text = asked.page.read_text("utf-8").partition(MARK)[0]
    asked.page.write_text(text + MARK + "\n" + "\n\n".join(parts) + "\n", "utf-8")
    print(f"Written: {asked.page}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        run(sys.argv[2], *map(int, sys.argv[3:]))
    else:
        main()
