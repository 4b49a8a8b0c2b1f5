"""The embedded selector: it answers at once, keeps its patience, and hides what is set aside."""

from __future__ import annotations

import selectors
import socket
import threading

import fakes
import pytest

from qtinter._engine import multiplexers
from qtinter._engine.multiplexers import EmbeddedSelector

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


@pytest.fixture
def inner():
    """The selector inside."""
    return fakes.Selector()


@pytest.fixture
def selector(inner):
    """An embedded selector without a poller: no driver runs."""
    return EmbeddedSelector(inner)


@pytest.fixture
def woken(selector, monkeypatch):
    """Give the selector a poller that is waiting; what wakes the loop is noted here."""
    monkeypatch.setattr(multiplexers, "ThreadPoller", lambda *args, **keywords: fakes.Poller())
    woken = []
    selector.open_poller(fakes.Loop(), lambda: woken.append("ready"), lambda: woken.append("woken"))
    return woken


@pytest.mark.parametrize("timeout", [None, 0, 3.5])
def test_without_a_poller_it_is_the_selector_inside(selector, inner, timeout):
    """Without a driver select() blocks as it is told, as in plain asyncio."""
    inner.answers = [["event"]]
    assert selector.select(timeout) == ["event"]
    assert inner.timeouts == [timeout]


@pytest.mark.parametrize("timeout", [None, 0, 3.5])
def test_embedded_select_does_not_block(selector, inner, woken, timeout):
    """With a driver select() never blocks, and keeps in `patience` how long it was to wait."""
    assert selector.select(timeout) == []
    assert inner.timeouts == [0]
    assert selector.patience == timeout
    inner.answers = [["event"]]
    assert selector.select(timeout) == ["event"]
    assert selector.patience == 0


def test_embedded_select_recalls_the_poller(selector, woken):
    """select() takes the selector back from the poller; that wakes nobody, for the loop is awake."""
    selector.select(1)
    assert selector.poller.calls == ["recall"]
    assert woken == []


@pytest.mark.parametrize(
    ("name", "shares"),
    [
        ("SelectSelector", True),
        ("EpollSelector", True),
        ("KqueueSelector", True),
        ("PollSelector", False),
    ],
)
def test_selectors_that_are_asked_while_the_poller_waits(monkeypatch, name, shares):
    """What two threads may ask at once stays with the poller until something is to change."""
    if not hasattr(selectors, name):
        pytest.skip(f"no {name} on this platform")

    class WithoutFd(getattr(selectors, name)):
        fileno = None

    monkeypatch.setattr(multiplexers, "ThreadPoller", lambda *args, **keywords: fakes.Poller())
    selector = EmbeddedSelector(WithoutFd())
    poller = selector.open_poller(fakes.Loop(), lambda: None, lambda: None)
    left, right = socket.socketpair()
    with left, right:
        key = selector.register(left, READ)
        assert poller.calls == ["recall"]
        poller.calls.clear()
        assert selector.select(1) == []
        assert poller.calls == ([] if shares else ["recall"])
        poller.calls.clear()
        selector.set_aside(key, READ)
        assert poller.calls == ["recall"]
        assert left in selector.get_map()
        selector.close()


@pytest.mark.parametrize("name", ["SelectSelector", "EpollSelector", "KqueueSelector"])
def test_two_threads_ask_a_selector(name):
    """The selectors that are shared answer one thread while another waits in them, and wake that one as well."""
    if not hasattr(selectors, name):
        pytest.skip(f"no {name} on this platform")
    left, right = socket.socketpair()
    answers = []
    with left, right, getattr(selectors, name)() as selector:
        selector.register(left, READ)
        thread = threading.Thread(target=lambda: answers.append(selector.select(10)))
        thread.start()
        for _ in range(1000):
            assert selector.select(0) == []
        right.send(b"x")
        assert [key.fileobj for key, _ in selector.select(10)] == [left]
        thread.join()
        assert [key.fileobj for key, _ in answers[0]] == [left]


def test_changes_recall_the_poller(selector, woken):
    """register(), modify() and unregister() recall a poller that is waiting, and wake the loop, which arms it again."""
    selector.register(5, READ, "data")
    assert woken == ["woken"]
    selector.poller.is_waiting = True
    selector.modify(5, READ | WRITE, "data")
    assert woken == ["woken"] * 2
    selector.poller.is_waiting = True
    selector.unregister(5)
    assert woken == ["woken"] * 3


def test_changes_wake_nobody_if_nobody_waits(selector, woken):
    """When the poller is not waiting a change needs no wake-up."""
    selector.poller.is_waiting = False
    selector.register(5, READ, "data")
    assert woken == []


def test_what_is_set_aside_is_not_watched(selector, inner, woken):
    """set_aside() takes events of an fd out of the selector, bring_back() puts them back."""
    key = selector.register(5, READ | WRITE, "data")
    selector.set_aside(key, READ)
    assert inner.keys[5].events == WRITE
    assert selector.has_set_aside()
    selector.set_aside(inner.keys[5], WRITE)
    assert inner.keys == {}
    selector.bring_back()
    assert inner.keys[5].events == READ | WRITE
    assert not selector.has_set_aside()


def test_nobody_sees_what_is_set_aside(selector, inner, woken):
    """get_key(), get_map(), modify(), unregister() and register() find an fd that is set aside."""
    for look in (
        lambda: selector.get_key(5).events == READ,
        lambda: 5 in selector.get_map(),
        lambda: selector.modify(5, READ, "data"),
    ):
        selector.set_aside(
            inner.keys[5] if inner.keys else selector.register(5, READ, "data"), READ
        )
        assert look()
    selector.set_aside(inner.keys[5], READ)
    with pytest.raises(KeyError):
        selector.register(5, READ, "data")
    selector.set_aside(inner.keys[5], READ)
    selector.unregister(5)
    assert inner.keys == {}
    selector.bring_back()
    assert inner.keys == {}


def test_close_poller_puts_everything_back(selector, inner, woken):
    """When the run ends the poller is closed, select() blocks again, and nothing is set aside any more."""
    selector.set_aside(selector.register(5, READ, "data"), READ)
    poller = selector.poller
    selector.close_poller()
    selector.close_poller()
    assert poller.calls[-1] == "close"
    assert 5 in inner.keys
    selector.select(7)
    assert inner.timeouts == [7]


def test_close(selector, inner, woken):
    """close() closes the poller and the selector inside."""
    poller = selector.poller
    selector.close()
    assert poller.calls[-1] == "close"
    assert inner.is_closed


def test_an_fd_closed_while_set_aside_is_dropped():
    """bring_back() drops an fd that was closed meanwhile."""
    selector = EmbeddedSelector(selectors.DefaultSelector())
    left, right = socket.socketpair()
    with right:
        selector.set_aside(selector.register(left, READ, "data"), READ)
        left.close()
        selector.bring_back()
        assert not selector.has_set_aside()
        selector.close()


@pytest.mark.skipif(
    not hasattr(selectors.DefaultSelector, "fileno"),
    reason="this platform has no selector with an fd",
)
def test_pollers_of_selectors(qapp):
    """A selector with an fd is watched by a notifier, any other by a thread."""
    for inner, name in (
        (selectors.DefaultSelector(), "NotifierPoller"),
        (selectors.SelectSelector(), "ThreadPoller"),
    ):
        selector = EmbeddedSelector(inner)
        poller = selector.open_poller(fakes.Loop(), lambda: None, lambda: None)
        assert type(poller).__name__ == name
        selector.close()
