"""asyncsignal: waiting for one emission of a signal; and what all that listen to signals share.

`Subscription` is the part that knows about signals and nothing about coroutines. `asyncsignal`
carries what it hears into a future. Others carry it into a buffer (_streams.py), or into another
signal (_multisignals.py).

Who refers to whom decides when things end:

    awaiting task --> asyncsignal --> Subscription - - weak - -> receiver <-- connection <-- sender
                           |                                        |
                           +----------------> future <--------------+

If the left side is dropped, the subscription disconnects. If the sender dies, the receiver does,
and that is noticed.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Awaitable, Generator
from typing import Any, Callable, Protocol, TypeVar

from . import _qt
from ._bridges import call_in_scheduler, require_scheduler

T = TypeVar("T")


class SenderDestroyedError(RuntimeError):
    """The sender of a signal is gone, so what was waited for will not happen."""


class SupportsConnect(Protocol):
    """A bound signal of any binding, or a multisignal."""

    def connect(self, slot: Any, /) -> Any:
        """Have `slot` called at each emission."""

    def disconnect(self, slot: Any, /) -> Any:
        """Have it called no more."""


class Subscription:
    """A connection that notices the death of the sender.

    Args:
        signal: what to connect to. A bound signal does not keep its sender alive.
        emitted: called with the arguments of each emission; in this thread or, on PySide6, in that
            of the sender.
        lost: called when the sender is gone; in the thread where it was deleted. PyQt is late by a
            turn of Qt's loop.
        once: whether to disconnect at the first emission.

    The receiver is a function that only the connection keeps alive, so it is finalised when the
    sender dies: nobody needs to know which object that is. Neither `emitted` nor `lost` may refer
    to the subscription, which disconnects when it is dropped.
    """

    def __init__(
        self,
        signal: SupportsConnect,
        emitted: Callable[..., None],
        lost: Callable[[], None],
        *,
        once: bool = False,
    ) -> None:
        this = weakref.ref(self)

        def receiver(*values: Any) -> None:
            subscription = this()
            if subscription is None or subscription._is_deaf:
                return  # This emission was on its way from another thread.
            if once:
                subscription._is_deaf = True
                _qt.when_not_dying(subscription.close)  # The signal may be QObject.destroyed.
            emitted(*_qt.keep(values))

        self._is_deaf = False
        self._receiver: weakref.ref[Any] | None = None
        self._signal = signal
        self._connection = signal.connect(receiver)
        self._receiver = weakref.ref(receiver, lambda _: lost())

    def close(self) -> None:
        """Disconnect; nothing is called any more."""
        receiver = self._take_receiver()
        if receiver is not None:
            _qt.disconnect(self._signal, self._connection, receiver)

    def __del__(self) -> None:
        # Maybe because the sender is dying, if it was what held us.
        receiver = self._take_receiver()
        if receiver is not None:
            reference = weakref.ref(receiver)
            _qt.when_not_dying(
                functools.partial(_disconnect, self._signal, self._connection, reference)
            )

    def _take_receiver(self) -> Any:
        """Return the receiver, None if it is gone. From now on its end means nothing, nor do emissions."""
        self._is_deaf = True
        reference, self._receiver = self._receiver, None
        return None if reference is None else reference()


def _disconnect(signal: Any, connection: Any, reference: weakref.ref[Any]) -> None:
    receiver = reference()
    if receiver is not None:  # Otherwise the sender is gone, and the connection with it.
        _qt.disconnect(signal, connection, receiver)


def item_of(values: tuple[Any, ...]) -> Any:
    """What an emission is to those who wait for it: None, the argument, or a tuple of arguments."""
    if len(values) == 1:
        return values[0]
    return values or None


class asyncsignal(Awaitable[T]):
    """Wait for one emission of a signal: `value = await asyncsignal(timer.timeout)`.

    It is connected when it is made, not when it is awaited: `waiter = asyncsignal(s); trigger();
    await waiter` cannot miss an emission. It disconnects after one emission, when the wait is
    cancelled, and when it is dropped.

    Args:
        signal: a bound signal, an overload of one (`s[int]`), or a multisignal. Of signals with a
            default argument PyQt's overload without index has the argument and PySide's has not:
            write `button.clicked[bool]` for both.

    Returns:
        None, the argument, or a tuple of the arguments, of signals with 0, 1 or more of them. It
        may be awaited again.

    Raises:
        RuntimeError: no Qt-backed loop is running.
        SenderDestroyedError: when awaited, if the sender is destroyed, or disconnects everything,
            before it emits.

    The signal may be emitted in another thread; the wait ends in this one.
    """

    def __init__(self, signal: SupportsConnect) -> None:
        scheduler = require_scheduler("asyncsignal()")
        future = self._future = scheduler.create_future()

        def settle(error: Exception | None, value: Any) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)
                future.exception()  # Whoever does not await it does not care.

        self._subscription = Subscription(
            signal,
            lambda *values: call_in_scheduler(scheduler, settle, None, item_of(values)),
            lambda: call_in_scheduler(scheduler, settle, _destroyed(), None),
            once=True,
        )

    def __await__(self) -> Generator[Any, None, T]:
        try:
            result: T = yield from self._future.__await__()
            return result
        finally:
            self._subscription.close()


def _destroyed() -> SenderDestroyedError:
    return SenderDestroyedError(
        "the sender was destroyed, or disconnected from everything, before it emitted the signal; nothing more will come"
    )
