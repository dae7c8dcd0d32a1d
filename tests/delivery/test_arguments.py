"""An object that cannot be a selector or a subscriber is an error at once, by its signature only."""

from __future__ import annotations

import functools
import inspect
import operator
from typing import Annotated, Any
from unittest import mock

import pytest

import liveconfig
from liveconfig import Change, LiveConfigError, Reloaded

EVENTS = ("on_reload", "on_reject", "on_stale", "on_recover")


def annotated(change: Change) -> None: ...
def annotated_with_a_type(c: Change[str]) -> None: ...
def annotated_with_a_module(c: liveconfig.Change[str]) -> None: ...
def annotated_or_none(c: Change[str] | None) -> None: ...
def annotated_with_metadata(c: Annotated[Change[str], "more"]) -> None: ...
def called_change(change): ...
def called_event(event): ...
def called_underscore(_): ...
async def a_coroutine(anything): ...
def without_argument(): ...
def of_two(one, two): ...
def keyword_only(*, one): ...


def evaluated(function):
    """The same function with annotations that are objects and not texts."""
    copy = functools.wraps(function)(lambda *arguments: None)
    copy.__signature__ = inspect.signature(function, eval_str=True)
    return copy


class Handler:
    def handle(self, change: Change[str]) -> None: ...
    def called_event(self, event): ...


REFUSED = [
    annotated,
    annotated_with_a_type,
    annotated_with_a_module,
    annotated_or_none,
    annotated_with_metadata,
    evaluated(annotated),
    evaluated(annotated_with_a_type),
    evaluated(annotated_or_none),
    evaluated(annotated_with_metadata),
    called_change,
    called_event,
    called_underscore,
    a_coroutine,
    without_argument,
    of_two,
    keyword_only,
    Handler().handle,
    Handler().called_event,
    functools.partial(annotated),
    None,
    5,
    ("db", "password"),
]


@pytest.mark.parametrize("what", REFUSED)
def test_forgotten_parentheses(settings, what):
    """K29: `@live.on_change` without parentheses, and what else is no selector, is refused: "name what to watch"."""
    with pytest.raises(TypeError, match="name what to watch"):
        settings.live.on_change(what)
    with pytest.raises(TypeError, match="name what to watch"):
        settings.live.subscribe(what, print)
    with pytest.raises(TypeError, match="name what to watch"):
        settings.live.changes(what)
    assert settings.live.status().subscribers == ()


def message(s):
    return s.message


def named_settings(settings: Any) -> str:
    return settings.message


def with_a_default(change, other=None):
    return change.message


class Selector:
    def __call__(self, event):
        return event.message


ACCEPTED = [
    message,
    named_settings,
    with_a_default,
    lambda _: 1,
    lambda change: change.message,
    lambda *anything: anything[0].message,
    operator.attrgetter("message"),
    functools.partial(getattr, name="message") if False else functools.partial(operator.attrgetter("message")),
    Selector(),
    mock.MagicMock(return_value="x"),
]


@pytest.mark.parametrize("what", ACCEPTED)
def test_a_selector_is_not_refused(settings, what):
    """A function that may be a selector is one, also without a readable signature."""
    settings.live.on_change(what)(lambda _: None)
    assert len(settings.live.status().subscribers) == 1


def test_it_is_not_called_to_find_out(settings):
    """K29: a function that is refused is never called."""
    calls = []

    def reconnect(change: Change[str]) -> None:
        calls.append(change)

    with pytest.raises(TypeError):
        settings.live.on_change(reconnect)
    assert calls == []


def test_a_field_that_does_not_exist(settings):
    """A wrong name is an error at the decorator, before there is a function."""
    with pytest.raises(LiveConfigError, match="message"):
        settings.live.on_change("mesage")


def generator(event):
    yield event


async def async_generator(event):
    yield event


class Yields:
    def __call__(self, event):
        yield event


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize("callback", ["port", None, 5, generator, async_generator, Yields()])
def test_no_subscriber(settings, name, callback):
    """K29, I02: `live.on_reload("port")`, and what would never run when it is called, is refused at once."""
    with pytest.raises(TypeError, match="a subscriber must be a function of one argument"):
        getattr(settings.live, name)(callback)
    assert settings.live.status().subscribers == ()


def test_the_error_shows_no_value(settings, canary):
    """K29: the error shows no value of what was given."""
    for what in (5, [canary], {"a": canary}):
        with pytest.raises(TypeError) as caught:
            settings.live.on_change(what)
        assert canary not in str(caught.value)
    with pytest.raises(TypeError) as caught:
        settings.live.subscribe(Reloaded, canary)
    assert canary not in str(caught.value)
