"""The origins of values, computed on request."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any, cast

from pydantic import TypeAdapter

from liveconfig import _clock
from liveconfig._loading.feed import Feed
from liveconfig._loading.fields import Node, value_in
from liveconfig._loading.loader import Feeds, Loaded
from liveconfig._loading.merging import serving
from liveconfig._loading.pydantic_internals import same
from liveconfig._loading.sources import Layer, Sources
from liveconfig._loading.types import ABSENT
from liveconfig._volumes import Frozen
from liveconfig.origin import Origin

_NOTHING: Mapping[str, datetime] = MappingProxyType({})

Frozens = Mapping[int, Mapping[str, Frozen]]
"""By index of a volume, its parts that can never change."""


class Origins:
    """The origins of one settings object's values.

    Args:
        sources: Everything but the volumes.
        started_at: When the process (so the environment) began.
    """

    def __init__(self, sources: Sources, started_at: datetime) -> None:
        self._sources = sources
        self._since = {"environment": started_at, "default": started_at}
        self._loaded_at = _clock.now()
        self._adapters: dict[str, TypeAdapter[Any]] = {}

    def of(
        self, dotted: str, applied: Loaded[Any], frozen: Frozens, fallen_back: Mapping[str, datetime] = _NOTHING
    ) -> Origin:
        """Return the origin of the value of a leaf, with the origins that lost.

        Args:
            dotted: The name of the leaf.
            applied: The configuration in use.
            frozen: The parts of volumes that cannot change.
            fallen_back: When the key was removed, by leaf.
        """
        found = list(self._found(self._sources.plan.path(dotted), dotted, applied, frozen))
        first, *rest = found or [Origin("default", since=self._since["default"])]
        live = first.live and not self._sources.plan.needs_restart(dotted)
        since = first.since if first.kind == "volume" else fallen_back.get(dotted, first.since)
        return replace(first, live=live, since=since, shadows=tuple(rest))

    def _found(self, nodes: Sequence[Node], dotted: str, applied: Loaded[Any], frozen: Frozens) -> Iterator[Origin]:
        overridden = {path[-1].dotted for layer in applied.overrides for path, _ in layer}
        if overridden and not overridden.isdisjoint(node.dotted for node in nodes):
            yield Origin("override", dotted, since=self._loaded_at)
        for layer in self._sources.layers:
            if layer.kind is None:
                yield from _from_volumes(dotted, applied.feeds, frozen)
            elif nodes and layer.value(nodes) is not ABSENT:
                yield self._from_layer(dotted, layer)

    def _from_layer(self, dotted: str, layer: Layer) -> Origin:
        kind = layer.kind or "init"
        name = layer.name if kind == "source" else serving(dotted, layer.variables) or dotted.partition(".")[0]
        return Origin(kind, name, layer.path, live=False, since=self._since.get(kind, self._loaded_at))

    def files(self, origin: Origin) -> tuple[str, ...]:
        """Return the files that a source other than a volume has read."""
        read = (layer for layer in self._sources.layers if layer.kind == origin.kind and layer.path == origin.path)
        return next((layer.paths for layer in read), ())

    def is_secret(self, dotted: str, feeds: Feeds) -> bool:
        """Whether the value of a field is a secret: by its type, or by the volume that feeds it."""
        node = self._sources.plan.node(dotted)
        by_type = node is not None and node.secret
        return by_type or any(each.secret and each.key_for(dotted) is not None for each in feeds)

    def differs(self, dotted: str, feeds: Feeds) -> bool:
        """Whether the environment would give a field another value than the volumes: ``8000`` is 8000 for an int."""
        nodes = self._sources.plan.path(dotted)
        fed = _fed(nodes, feeds)
        if fed is ABSENT:  # the environment gives the value
            return False
        held = (layer.value(nodes) for layer in self._environments())
        return any(value is not ABSENT and not self._alike(dotted, fed, value) for value in held)

    def has_changed(self, dotted: str, before: Feeds, now: Feeds) -> bool:
        """Whether the volumes give a field another value than before."""
        nodes = self._sources.plan.path(dotted)
        return bool(_fed(nodes, before) != _fed(nodes, now))

    def adds(self, dotted: str, feeds: Feeds) -> bool:
        """Whether the environment holds entries of a mapping that no volume holds: they are in the value too."""
        nodes = self._sources.plan.path(dotted)
        fed = _fed(nodes, feeds)
        held = (layer.value(nodes) for layer in self._environments())
        return isinstance(fed, Mapping) and any(isinstance(value, dict) and value.keys() - fed.keys() for value in held)

    def _environments(self) -> Iterator[Layer]:
        return (layer for layer in self._sources.layers if layer.kind in ("environment", "dotenv"))

    def _alike(self, dotted: str, one: Any, other: Any) -> bool:
        if one == other:
            return True
        try:
            adapter = self._adapter(dotted)
            return same(*(adapter.validate_python(_trimmed(given)) for given in (one, other)))
        except Exception:  # noqa: BLE001 - what cannot be validated by itself is not known to be alike
            return False

    def _adapter(self, dotted: str) -> TypeAdapter[Any]:
        if dotted not in self._adapters:
            field = copy.copy(self._sources.plan.path(dotted)[-1].field)
            field.alias = field.validation_alias = field.serialization_alias = None  # pydantic warns of them here
            self._adapters[dotted] = TypeAdapter(cast("Any", Annotated[field.annotation, field]))
        return self._adapters[dotted]


def _from_volumes(dotted: str, feeds: Feeds, frozen: Frozens) -> Iterator[Origin]:
    for index in reversed(range(len(feeds))):
        key = feeds[index].key_for(dotted)
        if key is not None:
            yield _from_volume(key, feeds[index], frozen.get(index, {}))


def _from_volume(key: str, feed: Feed, frozen: Mapping[str, Frozen]) -> Origin:
    live = "" not in frozen and not any(f"{key}/".startswith(f"{part}/") for part in frozen)
    return Origin("volume", key, f"{feed.revision.path}/{key}", live, feed.since(key))


def _fed(nodes: Sequence[Node], feeds: Feeds) -> Any:
    """Return the value of a field in all volumes together; the entries of a mapping are merged."""
    fed: Any = ABSENT
    for each in feeds:
        value = value_in(each.values, nodes)
        if value is not ABSENT:
            fed = {**fed, **value} if isinstance(fed, dict) and isinstance(value, dict) else value
    return fed


def _trimmed(given: Any) -> Any:
    return given.rstrip(b"\r\n") if isinstance(given, bytes) else given
