"""Fields of live settings as feature flags: names, values, and changes."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from liveconfig import LiveConfigError, Refusal, Reloaded, Settings
from liveconfig.integrations._fields import if_loaded
from liveconfig.settings import live_of

_ABSENT = object()


class MissingFlagError(LookupError):
    """There is no such flag. The message suggests the nearest name."""


class Flags:
    """The flags below one field, or all fields, without secrets.

    Args:
        settings: Live settings.
        prefix: The dotted name of a model or mapping; None: all fields.

    Raises:
        LiveConfigError: There is no such field, nothing can be below it, or a secret volume feeds a part of it.
    """

    def __init__(self, settings: Settings, prefix: str | None) -> None:
        live = live_of(settings)
        self._name = prefix
        self._prefix: tuple[str, ...] = () if prefix is None else tuple(prefix.split("."))
        self._hidden: tuple[weakref.ref[Any] | None, frozenset[str]] = (None, frozenset())
        if prefix is not None:
            live.origin(prefix)
            if if_loaded(self.are_hidden)(live.latest()):
                raise LiveConfigError(f"{type(settings).__name__}: {self._cause()}")
            below = if_loaded(self._below)(live.latest())
            if not (below is None or isinstance(below, BaseModel | Mapping)):
                raise LiveConfigError(f"{type(settings).__name__}: {prefix!r} is no model and no mapping of flags")

    def are_hidden(self, snapshot: Any) -> bool:
        """Whether the field of the prefix is a secret as a whole, because a secret volume feeds a part of it."""
        return self._name is not None and self._is_fed_by_secret_volume(snapshot, self._prefix[0])

    def check(self, candidate: Any) -> None:
        """Raise if a change would hide all flags below the prefix.

        Raises:
            Refusal: A secret volume feeds a part of the field.
        """
        if self.are_hidden(candidate):
            raise Refusal(self._cause())

    def _cause(self) -> str:
        first = self._prefix[0]
        return (
            f"a volume with `secret=True` feeds `{first}` or a part of it, which makes all of `{first}` a secret, so "
            f"`{self._name}` holds no flags: move the key to a ConfigMap, or to a field outside of `{first}`"
        )

    def find(self, snapshot: BaseModel, key: str) -> Any:
        """Return the value of a flag, as data for JSON.

        Raises:
            MissingFlagError: There is none of this name.
        """
        value: Any = self._below(snapshot)
        for part in key.split("."):
            found = self._entry(value, part)
            if found is _ABSENT:
                raise MissingFlagError(f"there is no flag {key!r}" + self._hint(snapshot, key, value, part))
            value = found
        return self._plain(value)

    def _hint(self, snapshot: BaseModel, key: str, value: Any, part: str) -> str:
        first, *_ = (*self._prefix, *key.split("."))
        if self._is_fed_by_secret_volume(snapshot, first):
            return f": a volume with `secret=True` feeds `{first}` or a part of it, so nothing in it is a flag"
        close = get_close_matches(part, [name for name, _ in self._entries(value)], n=1)
        return f": did you mean {close[0]!r}?" if close else ""

    def changed(self, event: Reloaded[Any]) -> list[str]:
        """Return the flags that an event changed: fields of models, and entries of mappings."""
        before, after = (dict(self._leaves(self._below(each))) for each in (event.old, event.new))
        return sorted(name for name in before | after if before.get(name, _ABSENT) != after.get(name, _ABSENT))

    def _leaves(self, value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
        if name and not isinstance(value, BaseModel):
            yield name, value
        for part, each in self._entries(value):
            yield from self._leaves(each, f"{name}.{part}" if name else part)

    def _below(self, snapshot: Any) -> Any:
        value = snapshot
        for part in self._prefix:
            value = self._entry(value, part)
        return value

    def _entries(self, value: Any) -> Iterator[tuple[str, Any]]:
        """Return the fields of a model or the entries of a mapping."""
        for name in _names(value):
            if (found := self._entry(value, name)) is not _ABSENT:
                yield name, found

    def _entry(self, value: Any, name: str) -> Any:
        if isinstance(value, BaseModel):
            found = _ABSENT if self._is_hidden(value, name) else getattr(value, name, _ABSENT)
        else:
            found = value.get(name, _ABSENT) if isinstance(value, Mapping) else _ABSENT
        return _ABSENT if _is_secret(found) else found

    def _is_hidden(self, model: BaseModel, name: str) -> bool:
        field = type(model).model_fields.get(name)
        if field is None:
            return name not in (model.model_extra or {})
        return not field.repr or (isinstance(model, Settings) and name in self._secrets_of(model))

    def _is_fed_by_secret_volume(self, snapshot: Any, name: str) -> bool:
        if name not in type(snapshot).model_fields or name not in self._secrets_of(snapshot):
            return False
        return not _is_secret(getattr(snapshot, name, None))  # that is a secret by its type

    def _secrets_of(self, snapshot: Settings) -> frozenset[str]:
        """Return the fields that a secret volume feeds, or a part of them: it may be in the other parts as well."""
        known, hidden = self._hidden
        if known is None or known() is not snapshot:
            hidden = frozenset(name for name, shown in snapshot.__repr_args__() if name and _is_secret(shown))
            self._hidden = weakref.ref(snapshot), hidden
        return hidden

    def _plain(self, value: Any) -> Any:
        if isinstance(value, Enum):
            value = value.value
        if isinstance(value, BaseModel | Mapping):
            return {name: self._plain(each) for name, each in self._entries(value)}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._plain(each) for each in value if not _is_secret(each)]
        return value if isinstance(value, bool | int | float | str | None) else to_jsonable_python(value)


def _names(value: Any) -> list[str]:
    if isinstance(value, BaseModel):
        return [*type(value).model_fields, *(value.model_extra or {})]
    return [name for name in value if isinstance(name, str)] if isinstance(value, Mapping) else []


def _is_secret(value: Any) -> bool:
    return hasattr(value, "get_secret_value")
