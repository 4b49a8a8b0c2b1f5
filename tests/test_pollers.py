"""The pollers by themselves: what they report, and that arm(), recall() and close() meet a helper thread in any state."""

from __future__ import annotations

import gc
import socket
import sys
import threading
import time
import weakref

import pytest
from fakes import Wait
from harness import exec_for, exec_until

from qtinter._engine.pollers import NotifierPoller, ThreadPoller


@pytest.fixture
def wait():
    """What a helper thread waits for."""
    return Wait()


@pytest.fixture
def reports():
    """What a poller reported."""
    return []


@pytest.fixture
def poller(qapp, wait, reports):
    """A thread poller that may not share its selector."""
    poller = ThreadPoller(wait, wait.end, lambda: reports.append("ready"), shares=False)
    yield poller
    poller.close()


def test_thread_reports_once(poller, wait, reports):
    """Armed, the poller reports once when the wait ends; then it rests until it is armed again."""
    poller.arm()
    wait.started.acquire()
    assert reports == []
    wait.end()
    exec_until(lambda: reports)
    wait.end()
    exec_for(0.01)
    assert reports == ["ready"]
    poller.arm()
    exec_until(lambda: len(reports) == 2)


def test_thread_is_not_armed_twice(poller, wait, reports):
    """arm() while the helper waits changes nothing."""
    poller.arm()
    wait.started.acquire()
    poller.arm()
    poller.arm()
    wait.end()
    exec_until(lambda: reports)
    exec_for(0.01)
    assert (reports, wait.count) == (["ready"], 1)


def test_recall(poller, wait, reports):
    """recall() ends the wait, tells that there was one, and nothing is reported."""
    assert poller.recall() is False
    poller.arm()
    wait.started.acquire()
    assert poller.recall() is True
    assert poller.recall() is False
    exec_for(0.01)
    assert reports == []


def test_wait_that_fails(poller, wait, reports):
    """A wait that ends by an error is reported like any other: the loop's own select() will meet the error."""
    wait.error = OSError("bad file descriptor")
    poller.arm()
    wait.end()
    exec_until(lambda: reports, limit=2)
    poller.arm()
    wait.started.acquire()
    wait.end()
    assert poller.recall() is True


def test_recall_of_a_poller_that_shares(qapp, wait, reports):
    """A poller that shares its selector is left where it is."""
    poller = ThreadPoller(wait, wait.end, lambda: reports.append("ready"), shares=True)
    poller.arm()
    wait.started.acquire()
    assert poller.recall() is False
    wait.end()
    exec_until(lambda: reports)
    poller.close()


@pytest.mark.parametrize("pause", [0, 0.0001, 0.001])
@pytest.mark.parametrize("shares", [False, True])
def test_close_right_after_arm(qapp, wait, reports, shares, pause):
    """close() returns, and the thread is gone, whether the helper has begun to wait or not."""
    for _ in range(100):
        poller = ThreadPoller(wait, wait.end, lambda: reports.append("ready"), shares=shares)
        poller.arm()
        time.sleep(pause)
        poller.close()
        assert not [thread for thread in threading.enumerate() if thread.name == "qtinter poller"]
        wait.clear()
    exec_for(0.005)
    assert reports == []


def test_recall_right_after_arm(poller, wait, reports):
    """recall() right after arm() finds the helper in any state, and the next arm() works."""
    for number in range(300):
        poller.arm()
        if number % 3:
            time.sleep(0)
        assert poller.recall() is True
        wait.clear()
    poller.arm()
    wait.end()
    exec_until(lambda: reports)


def test_no_thread_without_need(qapp, wait, reports):
    """A poller that is never armed starts no thread."""
    before = threading.active_count()
    poller = ThreadPoller(wait, wait.end, lambda: reports.append("ready"), shares=False)
    assert threading.active_count() == before
    poller.close()


def test_close_after_a_report(qapp, wait, reports):
    """A report that is on its way when the poller is closed does nothing."""
    for _ in range(50):
        poller = ThreadPoller(wait, wait.end, lambda: reports.append("ready"), shares=False)
        poller.arm()
        wait.end()
        wait.started.acquire()
        time.sleep(0)
        poller.close()
        wait.clear()
    exec_for(0.005)
    assert reports == []


def test_nothing_is_left_of_a_closed_poller(qapp, wait, reports):
    """A closed poller's thread is gone at once, not with the next garbage collection."""
    gc.disable()
    try:
        poller = ThreadPoller(wait, wait.end, lambda: reports.append("ready"), shares=False)
        poller.arm()
        thread = weakref.ref(poller._thread)
        poller.close()
        del poller
        assert thread() is None
    finally:
        gc.enable()


@pytest.mark.skipif(
    sys.platform == "win32", reason="no selector of Windows has an fd to be notified of"
)
def test_notifier_reports_while_readable(qapp, reports):
    """The notifier reports as long as its fd is readable, and no more after close()."""
    left, right = socket.socketpair()
    with left, right:
        poller = NotifierPoller(left.fileno(), lambda: reports.append("ready"))
        poller.arm()
        exec_for(0.005)
        assert reports == []
        right.send(b"x")
        exec_until(lambda: len(reports) > 1)
        assert poller.recall() is False
        left.recv(1)
        exec_for(0.002)
        del reports[:]
        right.send(b"x")
        poller.close()
        exec_for(0.005)
        assert reports == []
