"""The door to Qt: alarm, notifier, doorbell and event loop."""

from __future__ import annotations

import math
import socket
import sys
import threading
import time

import pytest
import qtpy
from harness import application, exec_for, exec_until, output_of
from qtpy import QtCore

from qtinter import _qt


@pytest.fixture(autouse=True)
def _application(qapp):
    """All of this needs an application."""


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, 0), (-5, 0), (-math.inf, 0), (0.001, 1), (0.0001, 1), (0.0011, 2), (1.5, 1500)],
)
def test_milliseconds(seconds, expected):
    """Seconds are rounded up to milliseconds, never below 0."""
    assert _qt.milliseconds(seconds) == expected


@pytest.mark.parametrize("seconds", [3e6, 1e300, math.inf])
def test_milliseconds_have_a_limit(seconds):
    """What Qt cannot count in 32 bits is a day."""
    assert _qt.milliseconds(seconds) == 24 * 3600 * 1000


@pytest.fixture
def rang():
    """The times at which an alarm rang."""
    return []


@pytest.fixture
def alarm(rang):
    """An alarm."""
    alarm = _qt.Alarm(lambda: rang.append(time.monotonic()))
    yield alarm
    alarm.close()


def test_alarm_rings_once_and_not_early(alarm, rang):
    """The alarm rings once, not before its time."""
    for _ in range(5):
        due = time.monotonic() + 0.0035
        alarm.set(due)
        exec_until(lambda: rang)
        exec_for(0.005)
        assert len(rang) == 1
        assert rang.pop() >= due - time.get_clock_info("monotonic").resolution


def test_earliest_setting_counts(alarm, rang):
    """The alarm rings at the earliest of the times it was set to, once for all of them."""
    now = time.monotonic()
    alarm.set(now + 30)
    alarm.set(now + 0.005)
    alarm.set(now + 20)
    exec_until(lambda: rang)
    exec_for(0.01)
    assert len(rang) == 1


def test_alarm_rings_at_once(alarm, rang):
    """set_now() rings as soon as Qt has the thread, once however often it is called."""
    alarm.set(time.monotonic() + 30)
    for _ in range(5):
        alarm.set_now()
    assert rang == []
    exec_for(0.005)
    assert len(rang) == 1


def test_alarm_that_is_closed_does_not_ring(alarm, rang):
    """After close() the alarm does not ring, whatever is set."""
    alarm.set_now()
    alarm.close()
    alarm.set_now()
    alarm.set(time.monotonic())
    exec_for(0.005)
    assert rang == []
    alarm.close = lambda: None  # The fixture need not.


def test_alarm_rings_inside_its_own_ringing(rang):
    """An alarm that is set while it rings rings again, inside a nested Qt loop too."""

    def ring():
        rang.append(None)
        if len(rang) == 1:
            alarm.set_now()
            qt_loop = _qt.QtCore.QEventLoop()
            _qt.QtCore.QTimer.singleShot(20, qt_loop.quit)
            qt_loop.exec_()
            rang.append("nested loop ended")

    alarm = _qt.Alarm(ring)
    alarm.set_now()
    exec_until(lambda: len(rang) == 3)
    assert rang == [None, None, "nested loop ended"]
    alarm.close()


def test_doorbell():
    """A doorbell that other threads ring calls back in its own thread."""
    calls = []
    bell = _qt.doorbell(lambda: calls.append(threading.current_thread()))
    threads = [threading.Thread(target=bell.ring) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == []
    exec_until(lambda: len(calls) == 5)
    assert set(calls) == {threading.current_thread()}
    bell.ring()
    bell.close()
    exec_for(0.002)
    assert len(calls) == 5


def test_read_notifier():
    """A notifier calls back while its fd is readable, until it is closed."""
    calls = []
    left, right = socket.socketpair()
    with left, right:
        notifier = _qt.ReadNotifier(left.fileno(), lambda: calls.append(left.recv(10)))
        exec_for(0.002)
        right.send(b"x")
        exec_until(lambda: calls)
        right.send(b"y")
        notifier.close()
        exec_for(0.005)
    assert calls == [b"x"]


def test_event_loop_runs_until_it_is_left():
    """An event loop runs until leave(), in Qt's own exec() or, where Qt refuses that, by hand."""
    for refuse in (False, True):
        if refuse:
            application().exit()
        loop = _qt.EventLoop()
        levels = []
        _qt.call_soon(lambda levels=levels: levels.append(_qt.loop_level()))
        _qt.QtCore.QTimer.singleShot(5, loop.leave)
        loop.run(lambda levels=levels: bool(levels))
        assert len(levels) == 1


def test_event_loop_run_by_a_posted_event():
    """It gets the events that were posted behind that one."""
    loop = _qt.EventLoop()
    log = []

    def run():
        loop.run(lambda: True)
        log.append("over")

    def ring():
        log.append("rung")
        loop.leave()

    bells = [_qt.doorbell(run), _qt.doorbell(ring)]
    for bell in bells:
        bell.ring()
    QtCore.QTimer.singleShot(2000, loop.leave)
    exec_until(lambda: "over" in log)
    assert log == ["rung", "over"]


def test_calls_may_execute_loops():
    """A loop that call_soon() has executed gets the events that were posted behind the call."""
    program = """
        from qtpy import QtCore
        from qtinter import _qt
        app = QtCore.QCoreApplication([])
        loop = QtCore.QEventLoop()
        def run():
            loop.exec_()
            print("over")
            app.quit()
        def ring():
            print("rung")
            loop.quit()
        bell = _qt.doorbell(ring)
        _qt.call_soon(run)
        bell.ring()
        QtCore.QTimer.singleShot(2000, loop.quit)
        app.exec_()
    """
    assert output_of(program) == ["rung", "over"]


def test_loop_level():
    """loop_level() counts the Qt loops on the stack."""
    levels = [_qt.loop_level()]
    _qt.call_soon(lambda: levels.append(_qt.loop_level()))
    exec_for(0.001)
    assert levels == [0, 1]


def test_unknown_attributes():
    """Only QtCore is looked up lazily."""
    with pytest.raises(AttributeError, match="nothing"):
        _qt.nothing  # noqa: B018


@pytest.mark.skipif(not qtpy.PYSIDE2, reason="a defect of PySide2")
def test_the_thread_of_python_is_forgotten():
    """A thread of Python that ends leaves nothing of PySide2 on its QThread, which Qt destroys when Python may be exiting."""
    from qtpy import shiboken

    numbers = []

    def work():
        _qt.loop_level()
        (address,) = shiboken.getCppPointer(QtCore.QThread.currentThread())
        numbers.append(len(QtCore.QThread.currentThread().dynamicPropertyNames()))
        locals_ = sys.modules["qtinter._qt.application"]._locals
        locals_.__dict__.clear()  # As Python does when a thread ends.
        numbers.append(len(shiboken.wrapInstance(address, QtCore.QThread).dynamicPropertyNames()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert numbers == [1, 0]
