"""multisignal: several signals as one."""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import Iterable, Mapping
from typing import Any, Callable, Generic, TypeVar

from . import _qt
from ._signals import Subscription

Tag = TypeVar("Tag")


class multisignal(Generic[Tag]):
    """Several signals as one: `multisignal({ok.clicked: "ok", cancel.clicked: "cancel"})`.

    When one of them is emitted, this one is, with two arguments: its tag, and the tuple of its
    arguments. So `await asyncsignal(multisignal(...))` gives a pair. It can be connected to, and
    given to asyncsignal and asyncsignalstream, whose senders are destroyed when all of these are.

    Args:
        signals: bound signals, overloads of them, or multisignals, each with its tag, which may be
            any object. Only while it is connected does a multisignal notice that a sender is
            destroyed; as with any bound signal, it must not be connected if a sender has been
            destroyed before.
    """

    def __init__(self, signals: Mapping[Any, Tag]) -> None:
        self._sources = [_Source(signal, tag) for signal, tag in signals.items()]
        self._connections: weakref.WeakSet[_Connection] = weakref.WeakSet()

    def connect(self, slot: Callable[[Tag, tuple[Any, ...]], object]) -> None:
        """Have `slot` called with tag and arguments of each emission, as if this were the signal of one QObject."""
        self._connections.add(_Connection(self._sources, slot))

    def disconnect(self, slot: Callable[[Tag, tuple[Any, ...]], object] | None = None) -> None:
        """Have `slot` called no more; without argument, all slots.

        Raises:
            TypeError: it is not connected.
        """
        found = [each for each in self._connections if slot is None or each.slot() == slot]
        if slot is not None and not found:
            raise TypeError(f"{slot!r} is not connected to this multisignal")
        for connection in found:
            self._connections.discard(connection)
            connection.close()


class _Source:
    """One of the signals."""

    def __init__(self, signal: Any, tag: object) -> None:
        self.signal = signal
        self.tag = tag
        self.is_lost = False

    def lose(self) -> None:
        """The sender is gone; to touch the signal would crash."""
        self.is_lost = True


class _Connection:
    """A slot connected to several signals, by way of a relay: a QObject with one signal, to which Qt connects the slot.

    Only what is connected to the signals keeps it alive, hence the senders do. With the last sender
    the relay dies, and is to the slot what a sender is that dies.
    """

    def __init__(self, sources: Iterable[_Source], slot: Any) -> None:
        this = weakref.ref(self)

        def forget(_: object) -> None:
            connection = this()
            if connection is not None:
                connection.close()

        self.slot = _weak(slot, forget)
        self._relay = _qt.relay()
        self._relay.emitted.connect(slot)
        self._subscriptions: list[Subscription] = []
        try:
            for source in sources:
                if not source.is_lost:
                    self._subscriptions.append(
                        Subscription(source.signal, self._passing_on(source.tag), source.lose)
                    )
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Pass nothing on any more, and disconnect the signals soon: one of their senders may be dying just now."""
        self._relay = None
        subscriptions, self._subscriptions = self._subscriptions, []
        _qt.call_later(functools.partial(_close_all, subscriptions))

    def _passing_on(self, tag: object) -> Callable[..., None]:
        def pass_on(*values: Any) -> None:
            if self._relay is not None:
                with contextlib.suppress(
                    RuntimeError
                ):  # When the interpreter exits, it may have been deleted.
                    self._relay.emitted.emit(tag, values)

        return pass_on


def _close_all(subscriptions: Iterable[Subscription]) -> None:
    for subscription in subscriptions:
        subscription.close()


def _weak(slot: Any, callback: Callable[[Any], None]) -> Callable[[], Any]:
    """A reference to a slot that does not keep it, or the object of a bound method, alive."""
    try:
        is_method = hasattr(slot, "__self__") and hasattr(slot, "__func__")
        return weakref.WeakMethod(slot, callback) if is_method else weakref.ref(slot)
    except TypeError:  # A method of a builtin type.
        return lambda: slot
