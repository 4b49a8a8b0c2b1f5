"""What this machine has, and whether the loop works on it: `python -m qtinter`.

Runs the loop for real: timers, connections, a process, threads, Ctrl-C, a nested Qt event loop.
The exit code is 1 if something fails. It needs QtCore only, so no display.
Please add what it prints to bug reports.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import faulthandler
import os
import platform
import selectors
import sys
import traceback
from collections.abc import Iterator
from typing import Any

from . import __version__, _qt, _selfcheck

_ADVICE = """
Qt cannot be used, so there is nothing to check. Is a binding installed?
    python -m pip install PySide6-Essentials    (or PyQt6, PyQt5, PySide2)
QT_API may be pyside6, pyqt6, pyqt5, pyside2 or not set; what it names must be installed.
If the error names a shared library, the system lacks it.
"""


def main() -> int:
    """Run the program, return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m qtinter",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args()
    describe_python()
    try:
        describe_qt()
    except (ImportError, RuntimeError, ValueError) as error:  # What qtpy's errors derive from.
        describe("Qt", f"{type(error).__name__}: {error}")
        print(_ADVICE, end="")
        return 1
    application = _qt.QtCore.QCoreApplication(sys.argv[:1])
    describe_loop()
    failures = run_checks()
    del application
    return report(failures)


def describe(name: str, value: object) -> None:
    """Print one line."""
    print(f"{name:<15} {value}", flush=True)


def describe_python() -> None:
    """Print what is known without Qt."""
    describe("qtinter", __version__)
    describe("Python", f"{platform.python_implementation()} {platform.python_version()}")
    describe("platform", platform.platform())
    describe("TLS", tls_version())
    describe("QT_API", os.environ.get("QT_API", "not set"))


def tls_version() -> str:
    """Return what does TLS; Python can be built without it."""
    try:
        import ssl
    except ImportError:
        return "none"
    return ssl.OPENSSL_VERSION


def describe_qt() -> None:
    """Print which Qt there is; raises what qtpy raises."""
    import qtpy

    core = _qt.QtCore
    version = getattr(core, "PYQT_VERSION_STR", None) or core.__version__
    describe("Qt", f"{core.qVersion()}, {qtpy.API_NAME} {version}, QtPy {qtpy.__version__}")


def describe_loop() -> None:
    """Print what waits for what."""

    async def parts() -> tuple[str, list[str]]:
        loop: Any = asyncio.get_running_loop()
        names = [type(loop).__name__, loop.poller_name()]
        if isinstance(loop, asyncio.SelectorEventLoop):
            names.append(selectors.DefaultSelector.__name__)
        dispatcher = _qt.QtCore.QAbstractEventDispatcher.instance()
        return dispatcher.metaObject().className(), names

    with hang_reported():
        dispatcher, loop = _selfcheck.run_nested(parts)
    describe("dispatcher", dispatcher)
    describe("loop", ", ".join(loop))


def run_checks() -> dict[str, Exception]:
    """Run all checks, print a line for each, return the errors of those that failed."""
    print()
    failures = {}
    for name, meaning, check in _selfcheck.CHECKS:
        print(f"{name:<15} ", end="", flush=True)  # Should it hang, one sees which.
        try:
            with hang_reported():
                seconds = check()
        except Exception as error:
            failures[name] = error
            print(f"FAILED  {type(error).__name__}: {error}", flush=True)
        else:
            print(f"ok  {seconds * 1000:8.2f} ms  {meaning}", flush=True)
    return failures


@contextlib.contextmanager
def hang_reported() -> Iterator[None]:
    """Show where all threads are, and exit with 1, if even the time limits of the checks do not work."""
    faulthandler.dump_traceback_later(2 * _selfcheck.TIME_LIMIT, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def report(failures: dict[str, Exception]) -> int:
    """Print the outcome, return the exit code."""
    number = len(_selfcheck.CHECKS)
    if not failures:
        print(f"\nAll {number} checks passed.")
        return 0
    print(f"\n{len(failures)} of {number} checks failed.", flush=True)
    for error in failures.values():
        traceback.print_exception(type(error), error, error.__traceback__)
    return 1


if __name__ == "__main__":
    sys.exit(main())
