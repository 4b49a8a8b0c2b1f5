"""What every change is tested on, read from what runs the tests."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

BINDINGS = {"pyside6": "PySide6", "pyqt6": "PyQt6", "pyqt5": "PyQt5", "pyside2": "PySide2"}


def tested_environments():
    """Return the environments of .ci/run: minor version of Python, binding, and where they are."""
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    environments = [
        (int(python), binding, "Linux")
        for python, binding in re.findall(r"(?<![\w-])py3(\d+)-(\w+)", script)
    ]
    wine = re.search(r"wine\.py (.*)", (ROOT / "tox.ini").read_text("utf-8")).group(1)
    program = (ROOT / "tools" / "wine.py").read_text("utf-8")
    python = re.search(r'^PYTHON = ".*==3\.(\d+)', program, re.MULTILINE).group(1)
    bindings = re.findall(r"--binding (\w+)", wine)
    return environments + [(int(python), binding, "Windows (Wine)") for binding in bindings]


def support_matrix():
    """The table, in Markdown."""
    environments = tested_environments()
    lines = ["| | " + " | ".join(BINDINGS.values()) + " |", "|---|" + "---|" * len(BINDINGS)]
    for python in sorted({python for python, _, _ in environments}):
        cells = [
            ", ".join(place for p, b, place in environments if (p, b) == (python, binding))
            for binding in BINDINGS
        ]
        lines.append(f"| Python 3.{python} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
