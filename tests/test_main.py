"""The self-check, `python -m qtinter`, on this machine and on machines and loops that are broken."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest
import qtpy
from harness import Ended, run_program

from qtinter._selfcheck import CHECKS

# The first Qt program under Wine starts Wine's desktop, which keeps the pipes open that it inherits.
# So let it be this process.
pytestmark = pytest.mark.usefixtures("qapp")

RUN = "runpy.run_module('qtinter', run_name='__main__', alter_sys=True)"

# Makes modules impossible to import.
HIDE = """
class Hidden:
    def __init__(self, names):
        self.names = names
    def find_spec(self, name, path=None, target=None):
        if name in self.names:
            raise ImportError(f"{name} is hidden")
def hide(*names):
    sys.meta_path.insert(0, Hidden(names))
"""


def self_check(preparation: str) -> Ended:
    """Run the self-check in a process where `preparation` has run."""
    return run_program(
        textwrap.dedent(preparation) + RUN, prelude="import runpy, signal, sys, time\n"
    )


def outcomes(ended: Ended) -> dict[str, str]:
    """Return what was printed for each check."""
    names = [name for name, _, _ in CHECKS]
    return {
        name: line[16:] for line in ended.lines for name in names if line.startswith(name.ljust(16))
    }


def test_all_checks_pass_on_this_machine() -> None:
    """On a machine where these tests run, every check passes, and there is no warning."""
    command = [sys.executable, "-W", "error", "-m", "qtinter"]
    ended = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=25
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    lines = ended.stdout.splitlines()
    assert qtpy.API_NAME in next(line for line in lines if line.startswith("Qt "))
    assert all(
        " ms  " in line for line in lines if line.startswith(tuple(name for name, _, _ in CHECKS))
    )
    assert lines[-1] == f"All {len(CHECKS)} checks passed."


def test_help() -> None:
    """--help tells what the program is for."""
    ended = self_check("sys.argv[1:] = ['--help']\n")
    assert (ended.code, ended.errors) == (0, "")
    assert "bug reports" in "\n".join(ended.lines)


def test_no_gui() -> None:
    """It runs where QtGui and QtWidgets cannot be imported, for want of libEGL for example."""
    ended = self_check(
        HIDE + f"hide({qtpy.API_NAME + '.QtGui'!r}, {qtpy.API_NAME + '.QtWidgets'!r})\n"
    )
    assert (ended.code, ended.errors) == (0, "")


def test_no_binding() -> None:
    """Without any binding, qtpy's error is shown with what to do."""
    ended = self_check(HIDE + "hide('PySide6', 'PyQt6', 'PyQt5', 'PySide2')\n")
    assert (ended.code, ended.errors) == (1, "")
    text = "\n".join(ended.lines)
    assert "QtBindingsNotFoundError" in text
    assert "pip install" in text


def test_unknown_binding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A QT_API that qtpy does not know is shown with what it may be."""
    monkeypatch.setitem(os.environ, "QT_API", "gtk")
    ended = self_check("")
    assert (ended.code, ended.errors) == (1, "")
    text = "\n".join(ended.lines)
    assert "gtk" in text
    assert "QT_API may be pyside6" in text


def test_broken_loop_is_a_failed_line() -> None:
    """A loop that never wakes for a deadline fails the checks that sleep; the others still run."""
    ended = self_check(
        """
        from qtinter import _qt, _selfcheck
        _selfcheck.TIME_LIMIT = 1
        _qt.Alarm.set = lambda self, when: None
        """
    )
    assert ended.code == 1
    result = outcomes(ended)
    assert result["timers"] == "FAILED  TimeoutError: not done after 1 s"
    assert result["threads"].startswith("ok ")
    assert "checks failed" in ended.lines[-1]
    assert "Traceback" in ended.errors  # For the bug report.


def test_unnoticed_ctrl_c_is_a_failed_line() -> None:
    """A Ctrl-C that Python notices only because Qt wakes for something else has failed."""
    ended = self_check(
        """
        from qtinter import _selfcheck
        _selfcheck.TIME_LIMIT = 1
        set_wakeup_fd = signal.set_wakeup_fd
        signal.set_wakeup_fd = lambda fd, **keywords: set_wakeup_fd(-1)
        """
    )
    assert ended.code == 1
    assert outcomes(ended)["Ctrl-C"].startswith("FAILED  TimeoutError: Ctrl-C was not noticed")


def test_hang_ends_with_a_traceback() -> None:
    """Even if Qt never gets the thread back, the program ends and shows where it hangs."""
    ended = self_check(
        """
        from qtinter import _selfcheck
        _selfcheck.TIME_LIMIT = 0.5
        async def hang():
            time.sleep(100)
        _selfcheck.CHECKS.insert(0, ("a hang", "", lambda: _selfcheck.run_nested(hang)))
        """
    )
    assert ended.code == 1
    assert ended.lines[-1].startswith("a hang")
    assert "in hang" in ended.errors
