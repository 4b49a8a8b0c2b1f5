"""Run one test module in this process, and write down what each test does.

The notes are lines of JSON: a test's name when it starts, its name and outcome when it has ended. So the
parent knows what was running when this process crashed, or hung: a test that takes too long ends the
process, with a traceback of all threads.

    python child.py MODULE WAY NOTES LIMIT < names of tests to leave out
"""

from __future__ import annotations

import faulthandler
import gc
import json
import multiprocessing
import os
import signal
import sys
import unittest
from collections.abc import Iterator
from typing import IO, Any

from loops import Census, substitute
from qtpy import QtCore


class Notes(unittest.TestResult):
    """A test result that is written down at once."""

    def __init__(self, file: IO[str], limit: float) -> None:
        super().__init__()
        self._file = file
        self._limit = limit
        self._outcome = ("passed", "")

    def write(self, **note: object) -> None:
        """Write a note."""
        print(json.dumps(note), file=self._file, flush=True)

    def startTest(self, test: unittest.TestCase) -> None:
        faulthandler.dump_traceback_later(self._limit, exit=True)
        self._outcome = ("passed", "")
        self.write(started=test.id())
        super().startTest(test)

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        faulthandler.cancel_dump_traceback_later()
        self._end(test)

    def _end(self, test: Any) -> None:
        outcome, detail = self._outcome
        self.write(ended=test.id(), outcome=outcome, detail=detail)

    def _set(self, test: Any, outcome: str, detail: str) -> None:
        self._outcome = (outcome, detail)
        if not isinstance(test, unittest.TestCase):  # setUpClass() or setUpModule()
            self._end(test)

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        self._set(test, "failed", self.errors[-1][1])

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        self._set(test, "failed", self.failures[-1][1])

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._set(test, "failed", f"{subtest}\n{self._exc_info_to_string(err, test)}")

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        if self._outcome[0] == "passed":
            self._set(test, "skipped", reason)

    def addUnexpectedSuccess(self, test: Any) -> None:
        super().addUnexpectedSuccess(test)
        self._set(test, "failed", "unexpected success")


def load(module: str) -> list[Any]:
    """The tests of a module; none if it is for another platform."""
    try:
        return list(tests_in(unittest.defaultTestLoader.loadTestsFromName(module)))
    except unittest.SkipTest:
        return []


def tests_in(suite: Any) -> Iterator[Any]:
    """All tests in a suite, one by one."""
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from tests_in(item)
        else:
            yield item


def main() -> None:
    module, way, notes_path, limit = sys.argv[1:]
    done = json.load(sys.stdin)
    # Tests send it to themselves. A shell lets its background jobs ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # No name of ours may hide one of the tests'; but processes that these start import this file again.
    sys.path.append(sys.path.pop(0))
    sys.path += filter(None, [os.environ.get("QTINTER_CONFORMANCE_LIBRARY")])
    # Some tests need an application, none makes one. It stays until the process ends.
    application = QtCore.QCoreApplication(["conformance"])
    census = Census()
    substitute(way, module)
    with open(notes_path, "w", encoding="utf-8") as file:
        notes = Notes(file, float(limit))
        unittest.TestSuite(test for test in load(module) if test.id() not in done).run(notes)
        gc.collect()
        notes.write(census=vars(census))
    # A process that a test has forked may hang in its copy of Qt, and would keep this one waiting.
    for worker in multiprocessing.active_children():
        worker.kill()
    del application


if __name__ == "__main__":
    main()
