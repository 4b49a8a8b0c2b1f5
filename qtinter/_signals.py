"""asyncsignal, asyncsignalstream, multisignal: waiting for what Qt says.

`Subscription` is the part that knows about signals and nothing about event loops. The others carry
what it hears
into asyncio: into one future, or into a buffer.

Who refers to whom decides when things end:

    awaiting task --> asyncsignal --> Subscription - - weak - -> receiver <-- connection <-- sender
                           |                                        |
                           +----------------> future <--------------+

If the left side is dropped, the subscription disconnects. If the sender dies, the receiver does,
and that is noticed.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import functools
import weakref
from collections.abc import AsyncIterator, Awaitable, Generator, Iterable, Mapping
from typing import Any, Callable, Generic, Literal, Protocol, TypeVar

from . import _qt
from ._tasks import running_loop

T = TypeVar("T")
Tag = TypeVar("Tag")


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


def call_in_loop(
    loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *args: Any
) -> None:
    """Any thread. Call `callback` at once if `loop` is running here, else soon in its thread; not if it is closed."""
    if asyncio._get_running_loop() is loop:
        callback(*args)
    else:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(callback, *args)


def _item(values: tuple[Any, ...]) -> Any:
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

    The signal may be emitted in another thread; the wait ends in the loop's.
    """

    def __init__(self, signal: SupportsConnect) -> None:
        loop = running_loop("asyncsignal()")
        future = self._future = loop.create_future()

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
            lambda *values: call_in_loop(loop, settle, None, _item(values)),
            lambda: call_in_loop(loop, settle, _destroyed(), None),
            once=True,
        )

    def __await__(self) -> Generator[Any, None, T]:
        try:
            result: T = yield from self._future
            return result
        finally:
            self._subscription.close()


def _destroyed() -> SenderDestroyedError:
    return SenderDestroyedError(
        "the sender was destroyed, or disconnected from everything, before it emitted the signal; nothing more will come"
    )


class asyncsignalstream(AsyncIterator[T]):
    """Iterate over the emissions of a signal: `async for value in asyncsignalstream(slider.valueChanged)`.

    It is connected from when it is made until `aclose()`, the end of its `async with`, or until it
    is dropped, as by `break`. Emissions that nobody has asked for yet are buffered.

    Args:
        signal: as for asyncsignal.
        maxsize: how many emissions are buffered; 0 for no limit.
        overflow: what gives way when one more is emitted: "drop_oldest", "drop_newest", or "error":
            no emission gets lost unnoticed, but the stream ends.

    Items are those of asyncsignal. The iteration ends after the buffered items when the sender is
    destroyed, and at once after `aclose()`.

    Raises:
        RuntimeError: no Qt-backed loop is running.
        ValueError: `maxsize` is negative, or `overflow` is none of the three.
        OverflowError: by the iteration, after the buffered items, if `overflow` is "error".

    Any number of tasks may iterate over the same stream; each item goes to one of them.
    """

    def __init__(
        self,
        signal: SupportsConnect,
        *,
        maxsize: int = 0,
        overflow: Literal["drop_oldest", "drop_newest", "error"] = "drop_oldest",
    ) -> None:
        if maxsize < 0:
            raise ValueError(f"maxsize must be 0 (no limit) or positive, not {maxsize!r}")
        if overflow not in ("drop_oldest", "drop_newest", "error"):
            raise ValueError(
                f"overflow must be drop_oldest, drop_newest or error, not {overflow!r}"
            )
        loop = running_loop("asyncsignalstream()")
        buffer = self._buffer = _Buffer(loop, maxsize, overflow)
        self._subscription = Subscription(
            signal,
            lambda *values: call_in_loop(loop, buffer.put, _item(values)),
            lambda: call_in_loop(loop, buffer.end),
        )

    def __aiter__(self) -> asyncsignalstream[T]:
        return self

    async def __anext__(self) -> T:
        buffer = self._buffer
        while not buffer.items:
            if buffer.has_ended:
                self._subscription.close()
                raise buffer.take_error() or StopAsyncIteration
            await buffer.change()
        item: T = buffer.items.popleft()
        return item

    async def __aenter__(self) -> asyncsignalstream[T]:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Disconnect, forget what is buffered, and end the iteration. A second call does nothing."""
        self._subscription.close()
        self._buffer.items.clear()
        self._buffer.end()


class _Buffer:
    """Loop thread. Between the signal, which puts, and the tasks that iterate, which take."""

    def __init__(self, loop: asyncio.AbstractEventLoop, maxsize: int, overflow: str) -> None:
        self.items: collections.deque[Any] = collections.deque()
        self._loop = loop
        self._maxsize = maxsize
        self._overflow = overflow
        self.has_ended = False
        self._error: Exception | None = None
        self._waiting: list[asyncio.Future[None]] = []

    def put(self, item: Any) -> None:
        if self.has_ended:
            return
        if self._maxsize and len(self.items) >= self._maxsize:
            if self._overflow == "drop_newest":
                return
            if self._overflow == "error":
                self.end(
                    OverflowError(
                        f"more than {self._maxsize} emissions wait to be taken from the stream"
                    )
                )
                return
            self.items.popleft()
        self.items.append(item)
        self._wake()

    def end(self, error: Exception | None = None) -> None:
        if not self.has_ended:
            self.has_ended = True
            self._error = error
            self._wake()

    def change(self) -> asyncio.Future[None]:
        """A future that is done when something has happened."""
        future = self._loop.create_future()
        self._waiting.append(future)
        return future

    def take_error(self) -> Exception | None:
        """What was wrong, to those who ask first."""
        error, self._error = self._error, None
        return error

    def _wake(self) -> None:
        # All of them: one that is cancelled meanwhile could not pass it on.
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


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
