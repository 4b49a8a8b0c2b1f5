"""The benchmarks run and report; how fast anything is, no test says."""

from __future__ import annotations

import importlib
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path

import pytest
import qtpy

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"

# Some of each kind: callbacks, connections, lateness, a footprint, an adaptor, growth.
SUBSET = ["sleep_zero", "echo_50", "slot_to_coroutine", "loop_lifetime", "emit", "timers"]


def benchmark(*options: str) -> None:
    """Run the command of the benchmarks."""
    command = [sys.executable, str(BENCHMARKS / "run.py"), *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a quick run of the subset has written its page, its pictures and its values."""
    folder = tmp_path_factory.mktemp("benchmarks")
    only = [option for name in SUBSET for option in ("--only", name)]
    benchmark(
        *("--quick", "--binding", qtpy.API, *only),
        *("--page", str(folder / "page.md"), "--results", str(folder / "results.json")),
    )
    return folder


def rows(page: str, title: str) -> list[list[str]]:
    """The cells of a table's body, by row."""
    section = page.split(f"\n## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_workload_runs_on_this_package(folder: Path) -> None:
    """The table of medians has a number for each workload of the subset."""
    medians = rows((folder / "page.md").read_text("utf-8"), "Medians")
    assert len(medians) == len(SUBSET) - 1  # Growth is in a picture.
    assert all(float(row[-1]) > 0 for row in medians)


def test_plain_asyncio_cannot_do_what_needs_qt(folder: Path) -> None:
    """What a contender cannot do is shown as none, and the page says why."""
    page = (folder / "page.md").read_text("utf-8")
    by_title = {row[0]: row[1] for row in rows(page, "Medians")}
    assert by_title["emit to an async slot, µs, CPU"] == "none"
    assert "- plain asyncio: no async slots" in page


def test_goals_are_beside_the_results(folder: Path) -> None:
    """A goal is met or not met, whatever the result."""
    goals = rows((folder / "page.md").read_text("utf-8"), "Goals")
    assert len(goals) == 3
    assert all(row[-1].endswith((" met", "**not met**")) for row in goals)


def test_ratios_of_turns_in_one_process(folder: Path) -> None:
    """Of the subset, two can be cut into pieces that are run in turns."""
    pairs = rows((folder / "page.md").read_text("utf-8"), "In turns in one process")
    assert len(pairs) == 2
    assert all(float(row[1].split()[0]) > 0 for row in pairs)


def test_pictures_show_each_workload(folder: Path) -> None:
    """The pictures are XML that has a dot for each value."""
    dots = {}
    for picture in folder.glob("*.svg"):
        root = xml.etree.ElementTree.parse(picture).getroot()
        dots[picture.stem] = len(root.findall(".//{http://www.w3.org/2000/svg}circle"))
    # Two contenders each have dots in the legend, too. Three workloads run on both of them.
    assert dots == {"page-ratios": 2 + 2 * 3, "page-timers": 2 + 2 * 2}


def test_kept_values_make_the_same_page(folder: Path) -> None:
    """The page can be written again from the values that were kept."""
    again = folder / "again" / "page.md"
    benchmark("--render", str(folder / "results.json"), "--page", str(again))
    assert again.read_text("utf-8") == (folder / "page.md").read_text("utf-8")


def test_ratios_are_those_of_the_same_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow round, slow for everybody, does not change a ratio."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    results = importlib.import_module("results").Results({}, {"plain": "", "other": ""})
    for plain, other in ((1.0, 2.0), (10.0, 20.0), (3.0, None)):
        results.add("workload", "plain", plain)
        results.add("workload", "other", other)
    assert results.ratios("workload", "other") == [2.0, 2.0]


@pytest.mark.parametrize("contender", ["trio", "qtinter"])
def test_trio_guest(contender: str) -> None:
    """Plain trio and this package give every figure of the benchmark of trio."""
    pytest.importorskip("trio")
    pytest.importorskip("qtpy.QtWidgets")
    command = [sys.executable, str(BENCHMARKS / "trio_guest.py"), "--run", contender, "100"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr
    found = [line.rpartition(": ")[::2] for line in ended.stdout.splitlines()]
    names = [name.replace(":", ",").partition(",")[0] for name, _ in found]
    assert names == ["checkpoints/s", "checkpoints/s", "sleep", "sleep", "echo"]
    assert all(float(value) > 0 for _, value in found)
