"""What the examples for asyncio and for trio show, by the pixels of their windows."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("qtpy.QtWidgets")
from qtpy import QtGui

# The first Qt program under Wine starts Wine's desktop, which keeps the pipes open that it inherits.
pytestmark = pytest.mark.usefixtures("qapp")

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
LIBRARIES = ["asyncio", "trio"]

# What may be written to standard error: remarks of Qt, as that offscreen windows have no size hints.
COMPLAINTS = re.compile("Traceback|Warning|Exception|Error|never awaited|destroyed|abandoned")


def picture(name: str, folder: Path) -> Any:
    """Start an example as a user would, with --smoke; return the picture that it takes of itself."""
    if name.endswith("_trio"):
        pytest.importorskip("trio")
    file = folder / "window.png"
    program = str(EXAMPLES / f"{name}.py")
    ended = subprocess.run(
        [sys.executable, "-W", "error", program, "--smoke", "--screenshot", str(file)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ""
    assert not COMPLAINTS.search(ended.stderr), ended.stderr
    image = QtGui.QImage(str(file))
    assert not image.isNull()
    return image


def color(image: Any, x: int, y: int) -> str:
    """The colour of a pixel."""
    name: str = image.pixelColor(x, y).name()
    return name


@pytest.mark.parametrize("library", LIBRARIES)
def test_minimal(tmp_path: Path, library: str) -> None:
    """The window shows a line of text above a button: ink in the middle of a plain ground."""
    image = picture(f"minimal_{library}", tmp_path)
    assert image.width() >= 300
    assert image.height() >= 120
    middle = image.width() // 2
    text = Counter(
        color(image, x, y) for x in range(middle - 70, middle + 70) for y in range(48, 84)
    )
    ground, *ink = text.most_common()
    assert ground[1] > sum(text.values()) * 0.7
    assert sum(number for _, number in ink) > 150
    # To the left and the right of the text there is nothing.
    assert {color(image, x, y) for x in range(20, 60) for y in range(48, 84)} == {ground[0]}


@pytest.mark.parametrize("library", LIBRARIES)
def test_eratosthenes(tmp_path: Path, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The primes have their colour, all other numbers that of a prime factor, and 1 has none."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import _sieve

    image = picture(f"eratosthenes_{library}", tmp_path)
    # The number 2 is the first pixel with the colour of primes, from the top.
    left, top = next(
        (x, y)
        for y in range(image.height())
        for x in range(image.width())
        if color(image, x, y) == _sieve.PRIME
    )
    left -= _sieve.WIDTH
    for number in range(1, _sieve.LAST + 1):
        row, column = divmod(number - 1, _sieve.COLUMNS)
        corner = left + column * _sieve.WIDTH + 1, top + row * _sieve.HEIGHT + 1
        strikers = {p for p in _sieve.STRUCK if number % p == 0 and p * p <= number}
        expected = {_sieve.STRUCK[p] for p in strikers} or {_sieve.PRIME}
        if number == 1:
            expected = {_sieve.GROUND}
        assert color(image, *corner) in expected, number
