"""The runner of asyncio's tests, on a package of tests made up for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.linux_only  # Other platforms have other names and ways.

FOLDER = Path(__file__).parent

DIFFERENT = """
import asyncio, importlib.util, os, signal, time, unittest

def is_ours(loop):
    loop.close()
    return not type(loop).__module__.startswith("asyncio")

class Tests(unittest.TestCase):
    def test_1_crashes(self):
        if is_ours(asyncio.new_event_loop()):
            os._exit(3)

    def test_2_hangs(self):
        if is_ours(asyncio.SelectorEventLoop()):
            time.sleep(60)

    def test_3_fails(self):
        self.assertFalse(is_ours(asyncio.new_event_loop()))

    def test_4_fails_always(self):
        self.fail()

    @unittest.skip("always")
    def test_5_is_skipped(self):
        pass

    def test_6_passes(self):
        self.assertEqual(asyncio.run(asyncio.sleep(0, 7)), 7)

    def test_7_is_skipped_with_ours(self):
        if is_ours(asyncio.new_event_loop()):
            self.skipTest("cannot be run")

    def test_8_interrupts_itself(self):
        with self.assertRaises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    def test_9_could_start_a_process_that_imports_the_main_module_again(self):
        self.assertIsNotNone(importlib.util.find_spec("judge"))
"""
FOREIGN = """
import asyncio, unittest

class Tests(unittest.TestCase):
    def test_it(self):
        for plain in asyncio.SelectorEventLoop.__mro__:
            if plain.__module__ == "asyncio.unix_events":
                plain().close()
"""
AGAIN = """
import asyncio, pathlib, unittest

left = None

class Tests(unittest.TestCase):
    def test_1_leaves_something_behind(self):
        global left
        loop = asyncio.new_event_loop()
        loop.close()
        left = None if type(loop).__module__.startswith("asyncio") else loop

    def test_2_fails_of_it(self):
        self.assertIsNone(left)

    def test_3_fails_once(self):
        file = pathlib.Path(__file__).with_suffix(".txt")
        if not file.exists():
            file.touch()
            self.fail()
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the runner writes down about these modules."""
    folder = tmp_path_factory.mktemp("conformance")
    package = folder / "made_up"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "test_different.py").write_text(DIFFERENT, "utf-8")
    (package / "test_foreign.py").write_text(FOREIGN, "utf-8")
    (package / "test_again.py").write_text(AGAIN, "utf-8")
    results = folder / "results.json"
    options = ["--package", "made_up", "--way", "notifier", "--limit", "2", "--json", str(results)]
    path = os.pathsep.join([str(folder), *map(os.path.abspath, filter(None, sys.path))])
    # A background job, in which a shell has SIGINT ignored.
    background = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    process = subprocess.run(
        [*background, sys.executable, str(FOLDER / "run.py"), *options],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 1, process.stderr
    return results


@pytest.fixture
def verdict(results: Path) -> dict[str, Any]:
    """What it says about Qt-backed loops."""
    return json.loads(results.read_text("utf-8"))["ways"]["notifier"]


def test_a_crash_a_hang_a_failure_and_a_skip_are_one_problem_each(verdict: dict[str, Any]) -> None:
    """The tests after a crash or a hang are run all the same; what fails with plain asyncio is no problem."""
    problems = [problem for problem in verdict["problems"] if "test_different" in problem]
    assert [problem.splitlines()[0] for problem in problems] == [
        f"made_up.test_different.Tests.{outcome}, with plain asyncio: passed"
        for outcome in (
            "test_1_crashes: crashed",
            "test_2_hangs: hung",
            "test_3_fails: failed",
            "test_7_is_skipped_with_ours: skipped",
        )
    ]


def test_a_loop_that_is_not_ours_is_a_problem(verdict: dict[str, Any]) -> None:
    """A test that gets hold of asyncio's own loop is found out."""
    assert "test_foreign built 1 loops that are not ours" in verdict["problems"]


def test_what_passes_with_plain_asyncio_is_counted(verdict: dict[str, Any]) -> None:
    """A test that is skipped, or that fails with plain asyncio, is not among the tests that were run."""
    assert (verdict["run"], verdict["passed"]) == (11, 6)
    assert (verdict["fails_with_plain"], verdict["skipped"]) == (1, 1)


def test_a_test_that_fails_of_another_one_does_not_pass_alone(
    results: Path, verdict: dict[str, Any]
) -> None:
    """What fails is run again together with its module: only what fails by chance then passes."""
    problems = [problem for problem in verdict["problems"] if "test_again" in problem]
    assert [problem.partition(":")[0] for problem in problems] == [
        "made_up.test_again.Tests.test_2_fails_of_it"
    ]
    modules = json.loads(results.read_text("utf-8"))["modules"]
    assert {test for module in modules for test in module["again"]} == {
        "made_up.test_again.Tests.test_3_fails_once"
    }


@pytest.mark.parametrize(
    ("outcome", "problems"),
    [
        ("failed", []),
        ("passed", ["made_up.test_it.Tests.test passes; it must leave the list in allowed.py"]),
    ],
)
def test_what_is_in_the_list_must_fail(
    outcome: str, problems: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test that is in the list of those that cannot apply is a problem if it passes, and only then."""
    monkeypatch.syspath_prepend(FOLDER)
    import allowed
    import judge
    import processes

    entry = allowed.Entry("test_it.*.test", "a reason", ("notifier",), (3, 9), (4, 0))
    monkeypatch.setattr(judge, "entries", lambda way: [entry])
    plain, ours = (
        processes.Results(
            {"made_up.test_it.Tests.test": processes.Outcome(name)}, Counter(built=1, ours=1)
        )
        for name in ("passed", outcome)
    )
    jury = judge.Judge("made_up", "notifier")
    jury.hear("test_it", plain, ours)
    assert jury.verdict.problems == problems
    assert (jury.verdict.passed, jury.verdict.not_applicable) == (0, 1)


def test_results_become_a_table(results: Path, tmp_path: Path) -> None:
    """table.py puts a line for each way into a page, unless something is wrong."""
    page = tmp_path / "page.md"
    page.write_text(
        "before\n<!-- table: made by tests/conformance/table.py -->\nold\n<!-- end of table -->\n"
    )
    command = [sys.executable, str(FOLDER / "table.py"), str(page)]
    assert subprocess.run([*command, str(results)], stdout=subprocess.DEVNULL).returncode == 1
    assert "old" in page.read_text("utf-8")
    report = json.loads(results.read_text("utf-8"))
    report["ways"]["notifier"]["problems"] = []
    good = tmp_path / "good.json"
    good.write_text(json.dumps(report), "utf-8")
    assert subprocess.run([*command, str(good)]).returncode == 0
    lines = page.read_text("utf-8").splitlines()
    assert lines[0] == "before"
    assert "old" not in lines
    assert lines[-2].endswith(" | notifier | 11 | 6 | 0 |")
