"""Checks of the signatures of functions, without a call."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any, get_args, get_origin

from liveconfig.events import Change

_CHANGE = r"\bChange\b"
_NAMES = ("change", "event", "_")


def takes_one_argument(callback: object) -> bool:
    """Whether an object can be called with one positional argument.

    An object without a readable signature is accepted if it can be called.
    """
    if not callable(callback):
        return False
    try:
        inspect.signature(callback).bind(None)
    except TypeError:
        return False
    except ValueError:  # some built-in functions have no signature
        return True
    return True


def is_subscriber(what: Callable[..., Any]) -> bool:
    """Whether a selector is in fact a subscriber, because its decorator was written without parentheses.

    A subscriber takes a `Change`, or is a coroutine function, or is a ``def`` with one parameter that has no annotation
    and a name such as ``change``.
    """
    try:
        parameters = list(inspect.signature(what).parameters.values())
    except (TypeError, ValueError):
        return False
    if inspect.iscoroutinefunction(what) or not parameters:
        return True
    first, *others = parameters
    bare = not others and first.annotation is inspect.Parameter.empty and first.name in _NAMES and _is_def(what)
    return bare or _is_change(first.annotation)


def _is_def(what: object) -> bool:
    return isinstance(what, (FunctionType, MethodType)) and what.__name__ != "<lambda>"


def _is_change(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return re.search(_CHANGE, annotation) is not None
    origin = get_origin(annotation)
    if annotation is Change or origin is Change:
        return True
    return origin is not None and origin is not type and any(_is_change(part) for part in get_args(annotation)[:2])


def why_not_callable(callback: object) -> str | None:
    """Return why an object cannot be subscribed; None if it can."""
    if not callable(callback):
        return "it cannot be called"
    call = callback if inspect.isroutine(callback) else getattr(callback, "__call__", None)  # noqa: B004
    if inspect.isasyncgenfunction(callback) or inspect.isasyncgenfunction(call):
        return "it is an async generator function: nothing would run its body"
    if inspect.isgeneratorfunction(callback) or inspect.isgeneratorfunction(call):
        return "it is a generator function: nothing would run its body"
    return None
