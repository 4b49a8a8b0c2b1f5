"""Run CPython's own tests of asyncio on Qt-backed loops, and compare with plain asyncio.

    python tests/conformance/run.py                       # all modules, all ways: some minutes
    python tests/conformance/run.py --way thread test_queues test_streams
    python tests/conformance/run.py --json 3.13.json      # for table.py

The tests are those of the interpreter that runs this, `test.test_asyncio`; Debian has them in packages
called libpython3.x-testsuite. The exit code is 1 if something differs from plain asyncio and is not
in allowed.py. If a test fails, its module is run once more, since the machine may be busy: with all tests,
as it may have failed of what another one left behind.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import qtpy
from judge import Judge
from loops import WAYS
from processes import Results, run_module

# These take longest, so they are begun first.
SLOW = ("test_subprocess", "test_ssl", "test_tasks", "test_events", "test_streams")


def main() -> int:
    """Run what the command line asks for; return the exit code."""
    options = parse_command_line()
    modules = options.modules or find_modules(options.package)
    judges = {way: Judge(options.package, way) for way in options.way}
    results = run_all(options, modules, judges)
    for way, judge in judges.items():
        for module in modules:
            judge.hear(module, results["plain", module], results[way, module])
    show(results, judges)
    if options.json:
        options.json.write_text(json.dumps(describe(results, judges), indent=1) + "\n", "utf-8")
    return int(any(judge.verdict.problems for judge in judges.values()))


def parse_command_line() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="such as test_queues")
    parser.add_argument("--way", action="append", choices=WAYS, help="default: all")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--limit", type=float, default=60, help="seconds that a test may take")
    parser.add_argument("--package", default="test.test_asyncio", help="where the tests are")
    parser.add_argument(
        "--library",
        default="",
        help="folder with the package `test`, for a Python that has none, such as the embeddable "
        "one of Windows; the version should be the same",
    )
    parser.add_argument("--json", type=Path, help="file to write the results to")
    options = parser.parse_args()
    options.way = options.way or list(WAYS)
    if options.library:
        # At the end, where it hides nothing; the processes that run the tests do the same.
        os.environ["QTINTER_CONFORMANCE_LIBRARY"] = options.library
        sys.path.append(options.library)
    return options


def find_modules(package: str) -> list[str]:
    """The test modules of a package."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"this Python has no {package}; Debian has it in libpython3.x-testsuite")
    folder = Path(spec.submodule_search_locations[0])
    return sorted(path.stem for path in folder.glob("test_*.py"))


def run_all(
    options: argparse.Namespace, modules: list[str], judges: dict[str, Judge]
) -> dict[tuple[str, str], Results]:
    """Run the modules in all ways, plain asyncio included."""

    def run(way: str, module: str) -> Results:
        name = f"{options.package}.{module}"
        results = run_module(name, way, options.limit)
        suspects = results.failures()
        if suspects and way != "plain":  # Not those that fail anyway; plain asyncio comes first.
            plain = jobs["plain", module].result().failures()
            expects_failure = judges[way].expects_failure
            suspects = [t for t in suspects if t not in plain and not expects_failure(t)]
        if suspects:
            results.accept(run_module(name, way, options.limit), suspects)
        print(progress(way, module, results), file=sys.stderr, flush=True)
        return results

    jobs: dict[tuple[str, str], Future[Results]] = {}
    with ThreadPoolExecutor(options.jobs) as pool:
        for module in sorted(modules, key=lambda module: module not in SLOW):
            for way in ("plain", *options.way):
                jobs[way, module] = pool.submit(run, way, module)
    return {key: job.result() for key, job in jobs.items()}


def progress(way: str, module: str, results: Results) -> str:
    """A line about a module: whose loops did how much."""
    census = results.census
    loops = f"{census['built']:4} loops, {census['ours']:4} ours"
    iterations = f"{census['iterations']:6} iterations, {census['our_iterations']:6} ours"
    return f"{way:8} {module:24} {results.seconds:6.1f} s; {loops}; {iterations}"


def show(results: dict[tuple[str, str], Results], judges: dict[str, Judge]) -> None:
    """Print what happened."""
    for (way, _), result in results.items():
        for test in result.again:
            print(f"{way}: {test} passed only when its module was run again")
    for (way, _), result in results.items():
        for test in result.failures() if way == "plain" else ():
            print(f"{way}: {test} {result.outcomes[test].name}")
    for way, judge in judges.items():
        for problem in judge.verdict.problems:
            print(f"{way}: {problem}")
    for way, judge in judges.items():
        verdict = judge.verdict
        print(
            f"{way}: {verdict.run} tests pass with plain asyncio; with ours {verdict.passed}, "
            f"{verdict.not_applicable} not applicable, {len(verdict.problems)} problems"
        )


def describe(results: dict[tuple[str, str], Results], judges: dict[str, Judge]) -> dict[str, Any]:
    """The same for JSON."""
    return {
        "python": platform.python_version(),
        "platform": sys.platform,
        "binding": f"{qtpy.API_NAME} {qtpy.PYSIDE_VERSION or qtpy.PYQT_VERSION}",
        "ways": {way: asdict(judge.verdict) for way, judge in judges.items()},
        "modules": [
            {
                "way": way,
                "module": module,
                "seconds": result.seconds,
                "again": result.again,
                **result.census,
            }
            for (way, module), result in results.items()
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
