"""What a slot and a signal cost, beside qtinter 0.11 and qasync 0.28.

    slot      connect an asyncslot, emit, finish (its coroutine does not suspend), disconnect
    emit      emit to an asyncslot that is connected already
    signal    an asyncsignal round trip: wait, emit in the next iteration, resume

    python benchmarks/slots.py [ROUNDS]

Each contender runs in processes of its own, in turn, so that all see the same machine. The earlier
qtinter has our import name, so the others get virtual environments of their own, made on first use.
qasync has nothing to await a signal with; there it is a future that a slot resolves.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable

import qtpy

PEERS = {"qtinter 0.11": "qtinter==0.11.0", "qasync 0.28": "qasync==0.28.0"}
BINDINGS = {"pyside6": "PySide6-Essentials", "pyqt6": "PyQt6", "pyqt5": "PyQt5"}
COUNT = 3000


async def measure(
    core: Any,
    make_slot: Callable[[Any], Any],
    wait_for: Callable[[Any], Any],
) -> dict[str, float]:
    """Return microseconds per operation."""
    kind = getattr(core, "Signal", None) or core.pyqtSignal
    sender = type("Sender", (core.QObject,), {"signal": kind(int)})()
    loop = asyncio.get_running_loop()
    finished: list[int] = []

    async def work(value: int) -> None:
        finished.append(value)

    async def all_finished() -> None:
        while len(finished) < COUNT:
            await asyncio.sleep(0)
        finished.clear()

    results = {}
    began = time.perf_counter()
    for value in range(COUNT):
        slot = make_slot(work)
        sender.signal.connect(slot)
        sender.signal.emit(value)
        sender.signal.disconnect(slot)
    await all_finished()
    results["slot"] = time.perf_counter() - began

    slot = make_slot(work)
    sender.signal.connect(slot)
    began = time.perf_counter()
    for value in range(COUNT):
        sender.signal.emit(value)
    await all_finished()
    results["emit"] = time.perf_counter() - began
    sender.signal.disconnect(slot)

    began = time.perf_counter()
    for value in range(COUNT):
        waiting = wait_for(sender.signal)
        loop.call_soon(sender.signal.emit, value)
        await waiting
    results["signal"] = time.perf_counter() - began
    return {name: seconds / COUNT * 1e6 for name, seconds in results.items()}


def future_of(signal: Any) -> Any:
    """A future for the next emission, by hand."""
    future = asyncio.get_running_loop().create_future()

    def resolve(value: int) -> None:
        signal.disconnect(resolve)
        future.set_result(value)

    signal.connect(resolve)
    return future


def run(contender: str) -> None:
    """Measure in this process, print one line for each operation."""
    core = importlib.import_module(f"{qtpy.API_NAME}.QtCore")
    app = core.QCoreApplication([])
    if contender.startswith("qasync"):
        import qasync

        loop = qasync.QEventLoop(app)
        results = loop.run_until_complete(measure(core, qasync.asyncSlot(int), future_of))
    else:
        import qtinter

        with qtinter.using_qt_from_asyncio():
            results = asyncio.run(measure(core, qtinter.asyncslot, qtinter.asyncsignal))
    for name, microseconds in results.items():
        print(name, microseconds)


def interpreter(requirement: str) -> str:
    """Make a virtual environment with a contender and the binding in use; return its Python."""
    name = requirement.replace("==", "-") + "-" + qtpy.API
    folder = Path(tempfile.gettempdir(), f"qtinter-benchmarks-{sys.version_info[1]}", name)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        packages = [requirement, "qtpy", BINDINGS[qtpy.API]]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        (folder / "complete").touch()
    return str(python)


def main(rounds: int) -> None:
    """Print a Markdown table of medians."""
    pythons = {"this": sys.executable}
    pythons.update({name: interpreter(requirement) for name, requirement in PEERS.items()})
    found: dict[str, dict[str, list[float]]] = {}
    for _ in range(rounds):
        for contender, python in pythons.items():
            environment = {**os.environ, "QT_API": qtpy.API}
            if contender != "this":
                environment.pop("PYTHONPATH", None)
            output = subprocess.run(
                [
                    python,
                    "-P" if sys.version_info >= (3, 11) else "-s",
                    __file__,
                    "--run",
                    contender,
                ],
                env=environment,
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            ).stdout
            for line in output.splitlines():
                name, value = line.split()
                found.setdefault(name, {}).setdefault(contender, []).append(float(value))
    print(f"Median µs per operation on {qtpy.API_NAME}, {rounds} rounds.\n")
    print("| operation |", " | ".join(pythons), "|")
    print("|---|" + "---|" * len(pythons))
    for name, by_contender in found.items():
        cells = [f"{statistics.median(by_contender[contender]):.1f}" for contender in pythons]
        print(f"| {name} |", " | ".join(cells), "|")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        run(sys.argv[2])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
