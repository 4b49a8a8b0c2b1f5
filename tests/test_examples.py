"""The examples and the README, run as a user would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import pytest
import qtpy
from harness import run_program

import qtinter

# The first Qt program under Wine starts Wine's desktop, which keeps the pipes open that it inherits.
# So let it be this process.
pytestmark = pytest.mark.usefixtures("qapp")

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("[!_]*.py"))
QUICK_STARTS = ["sleep_button", "choose_color"]  # In the order of the README.
README = (ROOT / "README.md").read_text("utf-8")
README_PROGRAMS = dict(zip(QUICK_STARTS, re.findall(r"```python\n(.*?)```", README, re.DOTALL)))

# What may be written to standard error: remarks of Qt, as that offscreen windows have no size hints.
COMPLAINTS = re.compile("Traceback|Warning|Exception|Error|never awaited|destroyed|pending")


def run_example(name: str, *options: str) -> str:
    """Run an example with --smoke; return what it writes."""
    if name == "download":
        pytest.importorskip("aiohttp")
    if (
        name == "search_form"
        and sys.platform == "win32"
        and qtpy.QT5
        and os.environ.get("QT_QPA_PLATFORM")
    ):
        pytest.skip(
            "QMessageBox.open() of Qt 5 crashes on Windows without the windows platform plugin"
        )
    command = [
        sys.executable,
        "-W",
        "error",
        str(ROOT / "examples" / f"{name}.py"),
        "--smoke",
        *options,
    ]
    ended = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=25
    )
    assert ended.returncode == 0, ended.stderr
    assert not COMPLAINTS.search(ended.stderr), ended.stderr
    return ended.stdout


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str) -> None:
    """An example does what it is about, closes cleanly and exits with 0."""
    output = run_example(name)
    assert output == ("You chose #ff0000\n" if name == "choose_color" else "")


def screenshot(name: str, folder: Path) -> list[list[str]]:
    """Run an example, return the colours of its window, row by row."""
    from qtpy import QtGui

    file = str(folder / "window.png")
    run_example(name, "--screenshot", file)
    image = QtGui.QImage(file)
    return [
        [image.pixelColor(x, y).name() for x in range(image.width())] for y in range(image.height())
    ]


def test_screenshot_of_search_form(tmp_path: Path) -> None:
    """The form shows what was found: text on a plain ground."""
    rows = screenshot("search_form", tmp_path)
    assert len(rows) >= 300
    assert len(rows[0]) >= 360
    # Where the list has its first names, left of the middle.
    ground, *ink = Counter(color for row in rows[50:100] for color in row[20:180]).most_common()
    assert sum(number for _, number in ink) > 200
    assert ground[1] > 4000


def test_screenshot_of_signal_stream(tmp_path: Path) -> None:
    """The plot shows a curve that goes up and down, from the left over more than half of the width."""
    rows = screenshot("signal_stream", tmp_path)
    heights: dict[int, list[int]] = {}
    for y, row in enumerate(rows):
        for x, color in enumerate(row):
            if color == "#2a78d4":
                heights.setdefault(x, []).append(y)
    assert len(heights) > len(rows[0]) / 2
    assert min(heights) < 10
    assert min(map(min, heights.values())) < len(rows) / 4
    assert max(map(max, heights.values())) > len(rows) * 3 / 4


def test_examples_use_no_binding_by_name() -> None:
    """Every example is for all bindings, through qtpy."""
    for path in (ROOT / "examples").glob("*.py"):
        assert not re.search("PySide|PyQt", path.read_text("utf-8")), path.name


@pytest.mark.parametrize(
    ("user", "milliseconds", "message"),
    [
        ("raise ValueError('not content')", 10_000, "not content"),
        ("await asyncio.sleep(9)", 0, "ended before its user was done"),
    ],
)
def test_failing_example(user: str, milliseconds: int, message: str) -> None:
    """If the user of an example is not content, or the example ends too early, the exit code is 1."""
    ended = run_program(
        f"""
        app = QtCore.QCoreApplication([])
        async def user():
            {user}
        with qtinter.using_asyncio_from_qt():
            play(user())
            QtCore.QTimer.singleShot({milliseconds}, app.quit)
            app.exec_()
        """,
        prelude=prelude("qtinter"),
    )
    assert ended.code == 1
    assert message in ended.errors


@pytest.mark.parametrize("name", QUICK_STARTS)
def test_readme_is_the_example(name: str) -> None:
    """The programs in the README are the examples, less documentation and `--smoke`."""
    example = (ROOT / "examples" / f"{name}.py").read_text("utf-8")
    lines = iter([line.strip() for line in example.splitlines()])
    missing = [line for line in README_PROGRAMS[name].splitlines() if line.strip() not in lines]
    assert not missing


def test_readme_slot() -> None:
    """The first program in the README runs as it stands there: the button works twice."""
    play = """
        class Played(qtinter.QiRunner):
            def start(self):
                super().start()
                play(user())
        qtinter.using_asyncio_from_qt = Played
        async def user():
            button, = QtWidgets.QApplication.topLevelWidgets()
            await example.click(button)
            print("clicked")
    """
    assert run_readme("sleep_button", play) == ["clicked"]


def test_readme_signal() -> None:
    """The second program in the README runs as it stands there: a colour is chosen."""
    play = """
        real = asyncio.run
        async def both(main):
            play(example.choose_red())
            await main
        asyncio.run = lambda main: real(both(main))
    """
    assert run_readme("choose_color", play) == ["You chose #ff0000"]


def run_readme(name: str, play: str) -> list[str]:
    """Run a program of the README with a user, prepared by `play`; return the lines that it prints."""
    ended = run_program(textwrap.dedent(play) + README_PROGRAMS[name], prelude=prelude(name))
    assert ended.code == 0, ended
    assert not COMPLAINTS.search(ended.errors), ended.errors
    return ended.lines


def prelude(module: str) -> str:
    """What the programs in this file begin with."""
    return f"""
import sys
sys.path.insert(0, {str(ROOT / "examples")!r})
import asyncio, qtinter, {module} as example
from _smoke import play
from qtpy import QtCore, QtWidgets
"""


def test_readme_names() -> None:
    """Every name of the package in README, changelog and examples exists."""
    texts = [README, *(path.read_text("utf-8") for path in (ROOT / "examples").glob("*.py"))]
    names = {name for text in texts for name in re.findall(r"\bqtinter\.(\w+)\(", text)}
    assert names
    assert not [name for name in names if not hasattr(qtinter, name)]


def test_links() -> None:
    """What README and CONTRIBUTING point to is there."""
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text("utf-8")
        for target in re.findall(r"\]\((?!https:)([^)#]+)", text):
            assert (ROOT / target).exists(), f"{name}: {target}"
