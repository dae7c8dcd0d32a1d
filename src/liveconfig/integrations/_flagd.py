"""Flags and targeting rules in the format of flagd, from a field of live settings, evaluated by flagd's core."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.exception import OpenFeatureError

from liveconfig import LiveConfigError, Refusal, Reloaded, Settings
from liveconfig.integrations._fields import if_loaded, value_reader

if TYPE_CHECKING:
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.flag_evaluation import FlagResolutionDetails

KINDS = {
    "a boolean": "resolve_boolean_value",
    "a string": "resolve_string_value",
    "an integer": "resolve_integer_value",
    "a float": "resolve_float_value",
    "an object": "resolve_object_value",
}


class Flagd:
    """The flags of one document.

    Args:
        settings: Live settings.
        field: The dotted name of the field: a mapping, or JSON as text. While it is None there are no flags.

    Raises:
        LiveConfigError: There is no such field, or it holds no valid document.
    """

    def __init__(self, settings: Settings, field: str) -> None:
        self._field = field
        self._read = if_loaded(value_reader(settings, field))
        # The newest document, and a pinned one. Other threads walk through it, so it is replaced, never changed. If two
        # threads replace it at once, one document is parsed again at its next use.
        self._cores: tuple[tuple[int, Any, FlagdCore], ...] = ()
        try:
            self.check(settings.live.latest())
        except Refusal as refusal:
            raise LiveConfigError(str(refusal)) from None

    def check(self, candidate: Any) -> None:
        """Raise if flagd cannot parse the document of a snapshot.

        Raises:
            Refusal: The field, without the document.
        """
        try:
            self._core(candidate)
        except (OpenFeatureError, ValueError, TypeError, KeyError, AttributeError):
            raise Refusal(f"the field `{self._field}` holds no valid flagd document") from None

    def resolve(
        self, snapshot: Any, key: str, default: Any, kind: str, context: EvaluationContext | None
    ) -> FlagResolutionDetails[Any]:
        """Evaluate a flag.

        Raises:
            OpenFeatureError: As flagd's core; ``FlagNotFoundError`` where the document has no such flag.
        """
        details: FlagResolutionDetails[Any] = getattr(self._core(snapshot), KINDS[kind])(key, default, context)
        return details

    def changed(self, event: Reloaded[Any]) -> set[str]:
        """Return the flags that an event changed: all of them if a shared part changed."""
        before, after = (_document(self._read(each)) for each in (event.old, event.new))
        old, new = before.pop("flags", {}), after.pop("flags", {})
        return {name for name in {*old, *new} if before != after or old.get(name) != new.get(name)}

    def _core(self, snapshot: Any) -> FlagdCore:
        document = self._read(snapshot)
        for process, known, core in self._cores:
            if process == os.getpid() and known is document:  # a forked child could inherit its lock locked
                return core
        core = FlagdCore()
        core.set_flags(_document(document))
        self._cores = ((os.getpid(), document, core), *self._cores[:1])
        return core


def _document(value: Any) -> dict[str, Any]:
    if value is None:
        return {"flags": {}}
    return dict(value) if isinstance(value, Mapping) else dict(json.loads(value))
