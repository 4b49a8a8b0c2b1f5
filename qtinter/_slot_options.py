"""The keywords of asyncslot, as its slots keep them."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine
from typing import Any, Callable, Literal, NamedTuple

WhenBusy = Literal["parallel", "drop", "queue", "restart"]
TaskRunner = Callable[[Coroutine[Any, Any, Any]], "asyncio.Task[Any]"]

POLICIES = ("parallel", "drop", "queue", "restart")


class Options(NamedTuple):
    """The keywords of asyncslot."""

    task_runner: TaskRunner
    when_busy: WhenBusy
    on_error: Callable[[Exception], object] | None
    owner: object


class Unbound(NamedTuple):
    """An option that is a method of the receiver itself, which its slot must not keep alive."""

    fn: Callable[..., Any]


def unbound(option: Any, receiver: object) -> Any:
    """Return an option such that it does not keep `receiver` alive."""
    if getattr(option, "__self__", None) is receiver and hasattr(option, "__func__"):
        return Unbound(option.__func__)
    return option


def bound(option: Any, values: tuple[Any, ...]) -> Any:
    """Return an option as it is for the call of a slot with these values."""
    return types.MethodType(option.fn, values[0]) if isinstance(option, Unbound) else option
