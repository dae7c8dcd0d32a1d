"""Revisions and everything else -> a validated instance, with the origin of each value."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings

from liveconfig._instance import build, leaves, mask, same
from liveconfig._origin import Origin
from liveconfig._reading.feed import Decoder, Feed, feed, fresh, merge
from liveconfig._reading.names import Node
from liveconfig._reading.sources import Layer, Sources
from liveconfig._reading.volume import Revision, Volume
from liveconfig._redaction import problems, verdict

S = TypeVar("S", bound=BaseSettings)
Feeds = tuple[Feed, ...]


@dataclass(frozen=True, slots=True)
class Loaded(Generic[S]):
    """A validated instance, and what it was made of."""

    snapshot: S
    feeds: Feeds
    overrides: tuple[Mapping[str, Any], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Invalid:
    """Why there is no instance: (dotted field, message) for each fault."""

    faults: tuple[tuple[str, str], ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields at fault, each once."""
        return tuple(dict.fromkeys(name for name, _ in self.faults if name))

    def __str__(self) -> str:
        return "; ".join(f"{name}: {message}" if name else message for name, message in self.faults)


class Loader(Generic[S]):
    """Loads instances of one class, again and again; only the volumes change in between.

    Args:
        cls: The settings class.
        volumes: Its volumes, the strongest last.
        sources: Everything but the volumes.
        started_at: When the process (so the environment) began.
    """

    def __init__(self, cls: type[S], volumes: Sequence[Volume], sources: Sources, started_at: datetime) -> None:
        self.cls = cls
        self.volumes = tuple(volumes)
        self.sources = sources
        self.plan = sources.plan
        self.overrides: tuple[Mapping[str, Any], ...] = ()
        self._decoder = Decoder(sources.environment)
        config: Mapping[str, Any] = cls.model_config
        self._documents: tuple[str, ...] = tuple(config.get("documents", ()))
        self._started_at = started_at

    def feed(self, index: int, revision: Revision) -> Feed:
        """What a revision of the volume at ``index`` gives.

        Raises:
            Unfit: It does not parse.
        """
        return feed(self.plan, self._decoder, revision, self._documents, self.volumes[index].secret)

    def load(self, feeds: Feeds) -> Loaded[S] | Invalid:
        """Validate what the volumes and all else give together."""
        data = self.sources.below
        if self.sources.has_volumes:
            for each in feeds:
                data = merge(data, each.values) if data else dict(each.values)
        for above in (self.sources.above, *self.overrides):
            data = merge(data, above) if above else data
        try:
            snapshot = build(self.cls, fresh(data))
        except ValidationError as error:
            return Invalid(tuple(problems(error, self.plan)))
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise  # a person's, not a validator's
            return Invalid((("", f"a validator raised {verdict(error)}"),))
        mask(snapshot, self._masked(feeds))
        return Loaded(snapshot, feeds, self.overrides)

    def _masked(self, feeds: Feeds) -> frozenset[str]:
        secret = [each for each in feeds if each.secret]
        if not secret:
            return frozenset()
        given = {name for each in secret for name in each.values}  # also where a key fed what is no field of ours
        by_value = {node.label for node in self.plan.fields.values() if node.key in given}
        return frozenset(by_value | {name.partition(".")[0] for each in secret for name in each.keys})

    # Origins: one store per key while loading (in the feeds); all the rest here, when somebody asks.

    def origin(self, dotted: str, feeds: Feeds, frozen: Mapping[int, Mapping[str, Any]]) -> Origin:
        """Where the value of a leaf came from.

        Args:
            dotted: The name of the leaf.
            feeds: The applied ones.
            frozen: By index of a volume, its parts that cannot change.
        """
        found = list(self._origins(dotted, feeds, frozen))
        if not found:
            return Origin("default", since=self._started_at)
        first, *rest = found
        return Origin(first.kind, first.name, first.path, first.live, first.since, tuple(rest))

    def _origins(self, dotted: str, feeds: Feeds, frozen: Mapping[int, Mapping[str, Any]]) -> Iterator[Origin]:
        nodes = self._path(dotted)
        if any(_provides(override, nodes) for override in self.overrides):
            yield Origin("override", nodes[0].label if nodes else dotted)
        for layer in self.sources.layers:
            if layer.kind is None:
                yield from self._from_volumes(dotted, feeds, frozen)
            elif _provides(layer.values, nodes):
                yield self._from_layer(dotted, layer)

    def _from_volumes(self, dotted: str, feeds: Feeds, frozen: Mapping[int, Mapping[str, Any]]) -> Iterator[Origin]:
        for index in reversed(range(len(feeds))):
            each = feeds[index]
            key = _longest(dotted, each.keys)
            if key is None:
                continue
            still = frozen.get(index, {})
            live = "" not in still and not any(f"{key}/".startswith(f"{part}/") for part in still)
            yield Origin("volume", key, f"{each.revision.path}/{key}", live, each.revision.written_at)

    def _from_layer(self, dotted: str, layer: Layer) -> Origin:
        name = _longest(dotted, layer.variables) if layer.variables else None
        return Origin(
            layer.kind or "init", name or dotted.split(".", maxsplit=1)[0], layer.path, False, self._started_at
        )

    def _path(self, dotted: str) -> tuple[Node, ...]:
        labels = dotted.split(".")
        found = [self.plan.node(".".join(labels[: index + 1])) for index in range(len(labels))]
        return tuple(node for node in found if node is not None)

    def is_secret(self, dotted: str, feeds: Feeds) -> bool:
        """Whether the value of a field is a secret: by its type, or by the volume that feeds it."""
        path = self._path(dotted)
        by_type = bool(path) and path[-1].secret
        return by_type or any(each.secret and _longest(dotted, each.keys) is not None for each in feeds)

    def value_in(self, data: Any, dotted: str) -> Any:
        """What some layer's data holds for a field; None where it holds nothing."""
        for node in self._path(dotted):
            if not isinstance(data, Mapping):
                return None
            data = data.get(node.key, data.get(node.label))
        return data

    def alike(self, dotted: str, one: Any, other: Any) -> bool:
        """Whether two inputs of a field mean the same value; text is compared without the line end that files have."""
        if one == other:
            return True
        try:
            field = self._path(dotted)[-1].field
            adapter: TypeAdapter[Any] = TypeAdapter(Annotated[field.annotation, field])
            return same(*(adapter.validate_python(_trimmed(given)) for given in (one, other)))
        except Exception:  # noqa: BLE001 - what cannot be validated alone is not known to be alike
            return False

    def leaf_names(self, snapshot: BaseModel) -> list[str]:
        """The dotted names of all leaves of a snapshot."""
        return [name for name, _ in leaves(snapshot)]


def _trimmed(given: Any) -> Any:
    return given.rstrip(b"\r\n") if isinstance(given, bytes) else given


def _longest(dotted: str, keys: Mapping[str, str]) -> str | None:
    """What serves a leaf: the entry for it, or for the nearest model around it; for a model, the first inside."""
    name = dotted
    while name not in keys and "." in name:
        name = name.rpartition(".")[0]
    if name in keys:
        return keys[name]
    return next((keys[inner] for inner in keys if inner.startswith(dotted + ".")), None)


def _provides(data: Any, nodes: Sequence[Node]) -> bool:
    if not data or not nodes:
        return False
    for node in nodes:
        if not isinstance(data, Mapping):
            return True
        name = node.key if node.key in data else node.label
        if name not in data:
            return False
        data = data[name]
    return True
