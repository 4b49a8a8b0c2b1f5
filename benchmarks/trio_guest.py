"""What trio costs as a guest of Qt: plain trio, this package, and qtrio 0.8.

    checkpoint   checkpoints per second, of one task, and of 100 tasks at once
    sleep        how late sleep(2 ms) returns: median and 99th percentile
    echo         a round trip of one byte between two tasks through a socket pair

    python benchmarks/trio_guest.py [ROUNDS]

The contenders run in turn, in processes of their own, in one virtual environment, which is made on first use: so they
have the same trio, the same binding and the same machine. Ratios are medians of the ratios to plain trio in the same
round.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
CONTENDERS = ["trio", "qtinter", "qtrio"]
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


async def measure() -> dict[str, float]:
    """Return what was measured, in the units of the table."""
    import trio

    async def check(count: int) -> None:
        for _ in range(count):
            await trio.lowlevel.checkpoint()

    began = time.perf_counter()
    await check(CHECKPOINTS)
    results = {"checkpoints/s, 1 task": CHECKPOINTS / (time.perf_counter() - began)}

    began = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(TASKS):
            nursery.start_soon(check, CHECKPOINTS // TASKS)
    results["checkpoints/s, 100 tasks"] = CHECKPOINTS / (time.perf_counter() - began)

    late = []
    for _ in range(SLEEPS):
        began = time.perf_counter()
        await trio.sleep(0.002)
        late.append((time.perf_counter() - began - 0.002) * 1e6)
    late.sort()
    results["sleep: late by µs, median"] = late[SLEEPS // 2]
    results["sleep: late by µs, 99 %"] = late[SLEEPS * 99 // 100]

    left, right = trio.socket.socketpair()
    with left, right:

        async def echo() -> None:
            while data := await right.recv(1):
                await right.send(data)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo)
            began = time.perf_counter()
            for _ in range(ECHOES):
                await left.send(b"x")
                await left.recv(1)
            results["echo, µs"] = (time.perf_counter() - began) / ECHOES * 1e6
            nursery.cancel_scope.cancel()
    return results


def run(contender: str) -> None:
    """Measure in this process, print one line for each figure."""
    results: Any
    if contender == "trio":
        import trio

        results = trio.run(measure)
    elif contender == "qtinter":
        import importlib

        import qtpy

        import qtinter.trio

        app = importlib.import_module(f"{qtpy.API_NAME}.QtWidgets").QApplication([])
        results = qtinter.trio.run(measure)
        del app
    else:
        import qts

        qts.set_wrapper(getattr(qts, WRAPPERS[os.environ["QT_API"]]))
        import qtrio

        results = qtrio.run(measure)
    for name, value in results.items():
        print(f"{name}: {value}")


def interpreter() -> str:
    """Make the virtual environment of all contenders; return its Python."""
    binding = os.environ["QT_API"]
    folder = Path(
        tempfile.gettempdir(), f"qtinter-benchmarks-{sys.version_info[1]}", f"trio-{binding}"
    )
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        packages = ["trio", "qtrio==0.8.0", "qtpy", BINDINGS[binding]]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        (folder / "complete").touch()
    return str(python)


def measure_all(python: str) -> dict[str, dict[str, float]]:
    """One round: the figures of each contender."""
    found: dict[str, dict[str, float]] = {}
    for contender in CONTENDERS:
        output = subprocess.run(
            [python, __file__, "--run", contender],
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        pairs = (line.rpartition(": ")[::2] for line in output.splitlines())
        found[contender] = {name: float(value) for name, value in pairs}
    return found


def main(rounds: int) -> None:
    """Print a Markdown table."""
    os.environ.setdefault("QT_API", "pyside6")
    python = interpreter()
    all_rounds = [measure_all(python) for _ in range(rounds)]
    print(
        f"Medians of {rounds} rounds on {os.environ['QT_API']}; in brackets the ratio to plain trio.\n"
    )
    print("|  |", " | ".join(CONTENDERS), "|")
    print("|---|" + "---|" * len(CONTENDERS))
    for name in all_rounds[0]["trio"]:
        cells = []
        for contender in CONTENDERS:
            value = statistics.median(found[contender][name] for found in all_rounds)
            ratio = statistics.median(
                found[contender][name] / found["trio"][name] for found in all_rounds
            )
            cells.append(f"{value:,.0f} ({ratio:.2f})")
        print(f"| {name} |", " | ".join(cells), "|")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        run(sys.argv[2])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
