"""The loader: makes a validated instance of revisions, environment and other sources."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from itertools import chain
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar, cast

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from liveconfig import _clock
from liveconfig._loading.configuration import documents_of
from liveconfig._loading.dataclass_defaults import DataclassDefaults, Given
from liveconfig._loading.decoder import Decoder
from liveconfig._loading.feed import Feed, feed
from liveconfig._loading.field_validation import validated_apart
from liveconfig._loading.fields import Node
from liveconfig._loading.merging import fresh, merge
from liveconfig._loading.problems import Problem, find_problems
from liveconfig._loading.pydantic_internals import AnotherInstance, build, keep_defaults, mask, part_of
from liveconfig._loading.restart_fields import RestartFields
from liveconfig._loading.secret_repr import hide
from liveconfig._loading.sources import Sources
from liveconfig._loading.types import ABSENT
from liveconfig._record import record
from liveconfig._traceback import raised_by_code, summarize
from liveconfig._volumes import Revision, Volume

S = TypeVar("S", bound=BaseSettings)
Feeds = tuple[Feed, ...]
Overrides: TypeAlias = tuple[tuple[tuple[Node, ...], Any], ...]
"""The path to each field, and its value; what stands around others comes before them."""


@record
class Loaded(Generic[S]):
    """A validated instance, and its sources.

    Attributes:
        snapshot: The instance.
        feeds: What each volume gives.
        overrides: The layers of `override` that were in force.
        restart_pending: The leaves of restart fields whose value on disk is not in use.
        given: The data of the fields in which a factory of a dataclass may have made a default.
        restarted: The instance that a restart would make, where it is another one.
    """

    snapshot: S
    feeds: Feeds
    overrides: tuple[Overrides, ...] = field(repr=False)
    restart_pending: tuple[str, ...] = ()
    given: Given | None = field(default=None, repr=False)
    restarted: S | None = field(default=None, repr=False)

    @property
    def on_disk(self) -> S:
        """The instance of all that is on disk, restart fields included."""
        return self.snapshot if self.restarted is None else self.restarted


class Invalid(NamedTuple):
    """The reasons why there is no valid instance."""

    problems: tuple[Problem, ...]


class Loader(Generic[S]):
    """Loads instances of one class. Only the volumes change between two loads.

    Args:
        cls: The settings class.
        volumes: Its volumes, the strongest last.
        sources: All other sources.
    """

    def __init__(self, cls: type[S], volumes: Sequence[Volume], sources: Sources) -> None:
        self.cls = cls
        self.volumes = tuple(volumes)
        self.sources = sources
        self.plan = sources.plan
        self._restart = RestartFields(self.plan)
        self._made = DataclassDefaults(self.plan, cls)
        self._decoder = Decoder(sources.environment)
        self._documents = documents_of(cls)

    def feed(self, index: int, revision: Revision, before: Feed | None) -> Feed:
        """Return the feed of a revision of the volume at ``index``; ``before`` is its feed before.

        Raises:
            DecodeError: It does not parse.
        """
        return feed(self.plan, self._decoder, revision, self._documents, self.volumes[index].secret, before)

    def load(
        self, feeds: Feeds, before: Loaded[S] | None, overrides: tuple[Overrides, ...] = ()
    ) -> Loaded[S] | Invalid:
        """Validate the values of the volumes and all other sources together.

        Args:
            feeds: What each volume gives.
            before: What is in use, which keeps its defaults; None at the first load.
            overrides: The layers of `override`, the strongest last.
        """
        if before is None:
            self.sources.complete(self.of_volumes(feeds))
        process = os.getpid()
        try:
            return self._loaded(feeds, before, overrides)
        except ValidationError as error:
            data, schema = map(_data_of, chain(*overrides)), self.cls.__pydantic_core_schema__
            return Invalid(find_problems(error, self.sources, feeds, data, self._documents, schema))
        except AnotherInstance as error:
            return Invalid((Problem("", str(error)),))
        except BaseException as error:
            if not raised_by_code(error, process):
                raise
            return Invalid((Problem("", f"a validator raised {summarize(error)}"),))

    def _loaded(self, feeds: Feeds, before: Loaded[S] | None, overrides: tuple[Overrides, ...]) -> Loaded[S]:
        """Load; whatever this raises is the fault of the content, or of what validators made of it."""
        data = self.data(feeds, overrides)
        snapshot = self._build(data, before)
        restarted, pending = None, self._restart_pending(snapshot, data, before, overrides)
        if pending:
            # The content on disk is valid for a restart. Now make the instance that is in use until then.
            restarted, data = snapshot, self._restart.with_start_values(data, pending, _laid_over)
            snapshot = self._build(data, before)
        self._restart.restore(snapshot, pending)
        self._hide(snapshot, self._masked(feeds))
        differing = tuple(leaf for leaves in pending.values() for leaf in leaves)
        return Loaded(snapshot, feeds, overrides, differing, self._made.given(data), restarted)

    def _restart_pending(
        self, snapshot: S, data: Mapping[str, Any], before: Loaded[S] | None, overrides: tuple[Overrides, ...]
    ) -> Mapping[str, tuple[str, ...]]:
        """Return the restart fields that a restart would change, each with the leaves that differ."""
        if before is None:
            self._restart.start(self._restart.unknown(snapshot, ()), data, snapshot)
            return {}
        if names := self._restart.unknown(before.snapshot, _overridden(before.overrides)):
            self._restart.start(names, self.data(before.feeds, before.overrides), before.snapshot)
        return self._restart.changed(snapshot, _overridden(overrides))

    def known_values(self, feeds: Feeds) -> Mapping[str, Any]:
        """The value of each field that something gives, by dotted name, where others keep an instance from being made.

        Args:
            feeds: What each volume gives.
        """
        return dict(validated_apart(self.plan.fields, self.data(feeds, ())))

    def _build(self, data: Mapping[str, Any], before: Loaded[S] | None) -> S:
        pace = _clock.Pace()
        copied = fresh(data)
        pace.step()
        snapshot = build(self.cls, copied)
        pace.step()
        if before is not None:
            keep_defaults(snapshot, before.snapshot)
            self._made.keep(snapshot, self._made.given(data), before.snapshot, before.given or {})
            pace.step()
        return snapshot

    def of_volumes(self, feeds: Feeds) -> Mapping[str, Any]:
        """Return the values of all volumes together; none if the class does not use them.

        Args:
            feeds: What each volume gives.
        """
        data: Mapping[str, Any] = {}
        for each in feeds if self.sources.has_volumes else ():
            data = self.plan.merge(data, each.values) if data else each.values
        return data

    def data(self, feeds: Feeds, overrides: tuple[Overrides, ...]) -> Mapping[str, Any]:
        """Return the data for pydantic: the values of the volumes and of all other sources together.

        Args:
            feeds: What each volume gives.
            overrides: The layers of `override`, the strongest last.
        """
        data = self.of_volumes(feeds)
        if self.sources.below:
            data = self.plan.merge(self.sources.below, data)
        if self.sources.above:
            data = self.plan.merge(data, self.sources.above)
        data = self.sources.with_defaults(data)
        for nodes, value in (each for layer in overrides for each in layer):
            data = _laid_over(data, nodes, value)
        return data

    def _hide(self, snapshot: S, names: frozenset[str]) -> None:
        mask(snapshot, names)
        for name in names:
            hide(snapshot.__dict__.get(name))

    def _masked(self, feeds: Feeds) -> frozenset[str]:
        """The fields of the first level into which a secret volume gives anything, be it under a name of no field."""
        given = {name for each in feeds if each.secret for name in each.values}
        if not given:
            return frozenset()
        return frozenset(
            node.label for node in self.plan.fields.values() if not given.isdisjoint(each.key for each in node.inputs)
        )


def _overridden(overrides: tuple[Overrides, ...]) -> Iterator[str]:
    return (nodes[-1].dotted for layer in overrides for nodes, _ in layer)


def _data_of(override: tuple[Sequence[Node], Any]) -> Mapping[str, Any]:
    nodes, value = override
    for node in reversed(nodes):
        value = {node.key: value}
    return cast("Mapping[str, Any]", value)


def _laid_over(data: Mapping[str, Any], nodes: Sequence[Node], value: Any) -> dict[str, Any]:
    """The data with one field, at any depth, replaced; a model on the way keeps its other fields."""
    node, *rest = nodes
    if rest:
        below = data.get(node.key, node.field.get_default(call_default_factory=False))
        value = _laid_over(_fields_of(below, node), rest, value)
    elif isinstance(below := data.get(node.key), dict) and isinstance(value, dict):
        value = merge(below, value)  # as pydantic-settings merges its sources, which a default is not
    return {**data, node.key: value}


def _fields_of(model: Any, node: Node) -> Mapping[str, Any]:
    if isinstance(model, Mapping):
        return model
    held = {child.key: part_of(model, child.label) for child in node.children.values()}
    return {key: value for key, value in held.items() if value is not ABSENT}
