"""The examples and the README, run as a user would run them."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import qtpy
from harness import run_program

import qtinter

# The first Qt program under Wine starts Wine's desktop, which keeps the pipes open that it inherits.
# So let it be this process.
pytestmark = pytest.mark.usefixtures("qapp")

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
QUICK_STARTS = ["sleep_button", "choose_color"]  # In the order of the README.
README = (ROOT / "README.md").read_text("utf-8")
*README_EXAMPLES, README_RUN = re.findall(r"```python\n(.*?)```", README, re.DOTALL)

# What may stand in standard error on Linux: remarks of Qt about a machine without a desktop, and
# what PySide leaves to the garbage collector, whether qtinter is there or not (its Property).
REMARKS = re.compile(
    r"This plugin does not support propagateSizeHints\(\)"
    r"|QStandardPaths: .*"
    # PySide6's Property leaves them, with or without us; the line above it is Python 3.14's.
    r"|ResourceWarning: gc: \d+ uncollectable objects at shutdown; .*"
    r"|Exception ignored in GC shutdown:"
)
# What may not stand there elsewhere: more systems have more remarks.
COMPLAINTS = re.compile("Traceback|Warning|Exception|Error|never awaited|destroyed|pending")


def load_gallery() -> Any:
    """The module that makes the gallery."""
    spec = importlib.util.spec_from_file_location("gallery", ROOT / "docs/gallery/gallery.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _no_hang() -> None:
    """Processes have a limit of their own, which is longer than that of other tests."""


gallery = load_gallery()
# minimal_* and eratosthenes_* have tests of their own.
NAMES = [name for name in gallery.names() if not name.startswith(("minimal_", "eratosthenes_"))]


def complaints(errors: str) -> list[str]:
    """The lines of standard error that say that something is wrong."""
    lines = errors.splitlines()
    if sys.platform == "linux":
        return [line for line in lines if not REMARKS.fullmatch(line)]
    return [line for line in lines if COMPLAINTS.search(line) and not REMARKS.fullmatch(line)]


def require_packages(name: str) -> None:
    """Skip if a package is missing that an example needs; fail if all of them are to be there."""
    missing = [module for module in gallery.modules(name) if not importlib.util.find_spec(module)]
    if missing and os.environ.get("QTINTER_EXAMPLES") == "all":
        pytest.fail(f"not installed: {', '.join(missing)}")
    elif missing:
        pytest.skip(f"needs {', '.join(missing)}; tox -e examples-pyside6 has it")


def run_example(name: str, *options: str) -> str:
    """Run an example with --smoke; return what it writes."""
    require_packages(name)
    if (
        name == "search_form"
        and sys.platform == "win32"
        and qtpy.QT5
        and os.environ.get("QT_QPA_PLATFORM")
    ):
        pytest.skip(
            "QMessageBox.open() of Qt 5 crashes on Windows without the windows platform plugin"
        )
    ended = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), "--smoke", *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        # Qt Quick needs no graphics card for it.
        env={"QT_QUICK_BACKEND": "software", **os.environ},
        timeout=90,
    )
    assert ended.returncode == 0, ended.stderr
    assert not complaints(ended.stderr), ended.stderr
    return ended.stdout


@pytest.mark.parametrize("name", NAMES)
def test_example(name: str) -> None:
    """An example does what it is about, closes cleanly, exits with 0 and complains about nothing."""
    output = run_example(name)
    assert output == ("You chose #ff0000\n" if name == "choose_color" else "")


def test_gallery_lists_every_example() -> None:
    """The index of the gallery is what the docstrings of all examples say."""
    assert sorted(gallery.names()) == sorted(path.stem for path in EXAMPLES.glob("[!_]*.py"))
    assert (ROOT / "docs/gallery/index.md").read_text("utf-8") == gallery.index()
    assert all(f"(pictures/{name}.png)" in gallery.index() for name in gallery.names())


def test_commands(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo says how to start each example, and what to install before for which of them."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: find_spec("sys") if name == "aiohttp" else None
    )
    gallery.show_commands()
    complete, others = capsys.readouterr().out.split("\nThese need more packages:\n")
    first, *rest = others.splitlines()
    assert "pip install" in first
    assert '"dask[distributed]"' in first
    assert "aiohttp" not in first
    started = [
        re.findall(r"(\w+)\.py$", text, re.MULTILINE) for text in (complete, "\n".join(rest))
    ]
    assert started[0] + started[1] == sorted(gallery.names(), key=lambda name: name in started[1])
    assert "download" in started[0]
    assert "chat" in started[1]


def screenshot(name: str, folder: Path, scale: int = 1) -> list[list[str]]:
    """Run an example, return the colours of its window, row by row, without its frame."""
    from qtpy import QtGui

    file = str(folder / "window.png")
    run_example(name, "--screenshot", file)
    image = QtGui.QImage(file)
    margin, bar = 12 * scale, 26 * scale
    image = image.copy(
        margin, margin + bar, image.width() - 2 * margin, image.height() - 2 * margin - bar
    )
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


@pytest.mark.linux_only  # QT_* variables come from the registry under Wine.
def test_screenshot_of_two_pixels_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a screen with twice as many pixels, so has the picture, and the window still fills its frame."""
    monkeypatch.setenv("QT_SCALE_FACTOR", "2")
    rows = screenshot("search_form", tmp_path, scale=2)
    assert len(rows) >= 600
    ground = rows[-4][4]  # Of the form, not the white one of the picture.
    assert ground != "#ffffff"
    assert {rows[y][x] for y in (3, -4) for x in (3, -4)} == {ground}


def test_examples_use_no_binding_by_name() -> None:
    """Every example is for all bindings, through qtpy."""
    for path in EXAMPLES.glob("*.py"):
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


@pytest.mark.parametrize(("name", "program"), [*zip(QUICK_STARTS, README_EXAMPLES)])
def test_readme_is_the_example(name: str, program: str) -> None:
    """The first two programs in the README are examples, less documentation and `--smoke`."""
    example = (EXAMPLES / f"{name}.py").read_text("utf-8")
    lines = iter([line.strip() for line in example.splitlines()])
    missing = [line for line in program.splitlines() if line.strip() not in lines]
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
    assert run_readme(README_EXAMPLES[0], play, "sleep_button") == ["clicked"]


def test_readme_signal() -> None:
    """The second program in the README runs as it stands there: a colour is chosen."""
    play = """
        real = asyncio.run
        async def both(main):
            play(example.choose_red())
            await main
        asyncio.run = lambda main: real(both(main))
    """
    assert run_readme(README_EXAMPLES[1], play, "choose_color") == ["You chose #ff0000"]


@pytest.mark.parametrize(("closes", "line"), [(True, "None"), (False, "You waited.")])
def test_readme_run(closes: bool, line: str) -> None:
    """The third program in the README prints its result, or None if its window was closed."""
    play = f"""
        def close():
            label, = QtWidgets.QApplication.topLevelWidgets()
            label.close()
        real = qtinter.run
        async def both(main):
            if {closes}:
                asyncio.get_running_loop().call_later(0.01, close)
            return await main
        qtinter.run = lambda main: real(both(main))
    """
    program = README_RUN.replace("sleep(3)", "sleep(3)" if closes else "sleep(0.03)")
    assert program != README_RUN or closes
    assert run_readme(program, play) == [line]


def run_readme(program: str, play: str, module: str = "qtinter") -> list[str]:
    """Run a program of the README with a user, prepared by `play`; return the lines that it prints."""
    ended = run_program(textwrap.dedent(play) + program, prelude=prelude(module))
    assert ended.code == 0, ended
    assert not complaints(ended.errors), ended.errors
    return ended.lines


def prelude(module: str) -> str:
    """What the programs in this file begin with."""
    return f"""
import sys
sys.path.insert(0, {str(EXAMPLES)!r})
import asyncio, qtinter, {module} as example
from _smoke import play
from qtpy import QtCore, QtWidgets
"""


def test_readme_names() -> None:
    """Every name of the package in README, changelog and examples exists."""
    texts = [README, *(path.read_text("utf-8") for path in EXAMPLES.glob("*.py"))]
    names = {name for text in texts for name in re.findall(r"\bqtinter\.(\w+)\(", text)}
    assert names
    assert not [name for name in names if not hasattr(qtinter, name)]


def test_links() -> None:
    """What README and CONTRIBUTING point to is there."""
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text("utf-8")
        for target in re.findall(r"\]\((?!https:)([^)#]+)", text):
            assert (ROOT / target).exists(), f"{name}: {target}"
