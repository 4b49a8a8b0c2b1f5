"""Functions made to measure: a Python function with the parameters of any callable.

The bindings look at the parameters of a slot to choose the overload of a signal, and PySide reads
their number from the code object; so the function must really have them.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from typing import Any, Callable, NamedTuple, Protocol

if sys.version_info >= (3, 14):
    import annotationlib

    # Annotations may name what only type checkers import.
    _signature = functools.partial(inspect.signature, annotation_format=annotationlib.Format.STRING)
else:
    _signature = inspect.signature


class Behaviour(Protocol):
    """What a function made here does when it is called."""

    name: str
    is_bound: bool

    def __call__(self, values: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Do it."""


class _Parameters(NamedTuple):
    """What a callable takes; `defaults` are those of `names`, from the right."""

    names: tuple[str, ...]
    defaults: tuple[Any, ...]
    takes_rest: bool
    takes_keywords: bool


def _parameters(fn: Any) -> _Parameters:
    if (
        type(fn) is types.FunctionType
        and not hasattr(fn, "__wrapped__")
        and not hasattr(fn, "__signature__")
    ):
        # What signature() would say, at a tenth of its cost.
        code = fn.__code__
        count = code.co_argcount
        keywords = code.co_varnames[count : count + code.co_kwonlyargcount]
        required = [name for name in keywords if name not in (fn.__kwdefaults__ or {})]
        found = _Parameters(
            code.co_varnames[:count],
            fn.__defaults__ or (),
            bool(code.co_flags & inspect.CO_VARARGS),
            bool(keywords or code.co_flags & inspect.CO_VARKEYWORDS),
        )
    else:
        try:
            parameters = list(_signature(fn).parameters.values())
        except ValueError:  # A compiled function that does not tell.
            return _Parameters((), (), True, True)
        positional = [
            p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        required = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
        found = _Parameters(
            tuple(p.name for p in positional),
            tuple(p.default for p in positional if p.default is not p.empty),
            any(p.kind is p.VAR_POSITIONAL for p in parameters),
            any(p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD) for p in parameters),
        )
    if required:
        raise TypeError(
            f"{fn!r} cannot be a slot: signals have no keyword arguments, and its parameter "
            f"{required[0]!r} needs one; give it a default, or use functools.partial"
        )
    return found


def make_function(fn: Any, behaviour: Behaviour) -> Callable[..., Any]:
    """Return a function with the parameters of `fn` that calls `behaviour(values, keywords)`.

    The number of parameters must be real: PySide reads it from the code object, to choose
    clicked(bool) or clicked(). All get defaults, so that a signal with too few arguments is an
    error of the coroutine and not of Qt's call.
    """
    names, defaults, takes_rest, takes_keywords = _parameters(fn)
    slot = _mould(names, takes_rest, takes_keywords)(behaviour)
    # With the attributes go the marks of Slot(), which are right for what takes the place of `fn`
    # only.
    is_replacement = inspect.isfunction(fn) and not behaviour.is_bound
    functools.update_wrapper(slot, fn, updated=("__dict__",) if is_replacement else ())
    slot.__defaults__ = (NOT_GIVEN,) * (len(names) - len(defaults)) + defaults
    slot.__name__ = behaviour.name.rpartition(".")[2]
    slot.__qualname__ = behaviour.name
    return slot


NOT_GIVEN: Any = object()


@functools.cache
def _mould(
    names: tuple[str, ...], takes_rest: bool, takes_keywords: bool
) -> Callable[..., types.FunctionType]:
    """Return what makes functions with these parameters out of behaviours."""
    parameters = [*names, *["*_qi_rest"] * takes_rest, *["**_qi_keywords"] * takes_keywords]
    values = "".join(f"{name}, " for name in names) + "*_qi_rest, " * takes_rest
    keywords = "_qi_keywords" if takes_keywords else "{}"
    source = (
        f"lambda _qi_behave: lambda {', '.join(parameters)}: _qi_behave(({values}), {keywords})"
    )
    maker: Callable[..., types.FunctionType] = eval(source, {})
    return maker


def qualified_name(fn: Any) -> str:
    """The qualified name of anything callable."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    name: str = getattr(fn, "__qualname__", None) or type(fn).__qualname__
    return name
