"""What all tests share: the application object, loops and modes to run over, and what a test must leave behind."""

from __future__ import annotations

import asyncio
import faulthandler
import functools
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, Callable

import pytest
import qtpy

# pytest-qt, if it is there, must not import another binding first.
os.environ["PYTEST_QT_API"] = qtpy.API

from harness import KINDS, MODES, Kind, run_nested, run_watched
from qtpy import QtCore

LONGEST_TEST = 30  # seconds

stderr: list[int] = []


def pytest_configure(config: pytest.Config) -> None:
    """Keep standard error, which is pytest's own while a test runs, and take SIGINT."""
    stderr.append(os.dup(sys.__stderr__.fileno()))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # So it is in the background of a shell script, and in all processes started there.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Keep tests that need Linux from other platforms."""
    if item.get_closest_marker("linux_only") and sys.platform != "linux":
        pytest.skip("needs a facility of Linux")


@pytest.fixture(autouse=True)
def _no_hang() -> Iterator[None]:
    """A test that hangs, maybe in Qt, ends the process with a traceback of all threads."""
    faulthandler.dump_traceback_later(LONGEST_TEST, exit=True, file=stderr[0])
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def _clean(qapp: Any) -> Iterator[None]:
    """A test leaves nothing behind: no running loop, no thread, no signal handler, no wake-up fd, no policy.

    Takes the application so that it is there from the beginning: under Wine the first window of all starts a process that
    inherits, and keeps open, the pipes to the program that opens it.
    """
    before = _process_state()
    yield
    assert _process_state() == before
    # QCoreApplication.exit() outside its exec() makes Qt refuse all event loops until the next one.
    QtCore.QTimer.singleShot(0, qapp.exit)
    qapp.exec_()


def _process_state() -> Any:
    wakeup_fd = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(wakeup_fd)
    return (
        asyncio._get_running_loop(),
        [thread.name for thread in threading.enumerate() if thread.name.startswith("qtinter")],
        signal.getsignal(signal.SIGINT),
        wakeup_fd,
        sys.get_asyncgen_hooks(),
        type(getattr(asyncio.events, "_event_loop_policy", None)).__module__.startswith("qtinter"),
    )


@pytest.fixture(scope="session")
def qapp() -> Any:
    """The application object: a QApplication where there are widgets, else a QCoreApplication."""
    try:
        from qtpy.QtWidgets import QApplication as Application
    except ImportError:
        Application = QtCore.QCoreApplication
    return Application.instance() or Application(sys.argv[:1])


@pytest.fixture
def go(qapp: Any) -> Callable[[Callable[[], Any]], Any]:
    """Run a coroutine function in an attached loop; what reaches the exception handler fails the test."""
    return run_watched


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest, qapp: Any) -> Kind:
    """A kind of loop."""
    return request.param


@pytest.fixture(params=MODES)
def run(request: pytest.FixtureRequest, kind: Kind) -> Callable[[Callable[[], Any]], Any]:
    """Run a coroutine function on a Qt-backed loop of each kind in each mode."""
    return functools.partial(MODES[request.param], kind.qi)


@pytest.fixture
def same(run: Callable[..., Any], kind: Kind) -> Callable[[Callable[[list[Any]], Any]], list[Any]]:
    """Run a coroutine function on plain asyncio and on ours; return its log, which must be the same.

    The coroutine function is given the log, a list to add to. What plain asyncio does not implement on this platform, ours must not
    implement either.
    """

    def same(main: Callable[[list[Any]], Any]) -> list[Any]:
        expected: list[Any] = []
        try:
            run_nested(kind.plain, lambda: main(expected))
        except NotImplementedError as error:
            assert sys.platform == "win32"
            with pytest.raises(NotImplementedError):
                run(lambda: main([]))
            pytest.skip(f"asyncio's own {kind.name} loop cannot do this on Windows: {error!r}")
        log: list[Any] = []
        run(lambda: main(log))
        assert log == expected
        return log

    return same
