"""Fields with ``Key(restart=True)``: they keep the values of the start until the process starts again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from liveconfig._loading.fields import Node
from liveconfig._loading.names import Plan
from liveconfig._loading.pydantic_internals import is_branch, leaves, part_of, put_part, same
from liveconfig._loading.types import ABSENT
from liveconfig._record import record

LayOver = Callable[[Mapping[str, Any], Sequence[Node], Any], dict[str, Any]]


@record
class _Start:
    """One field at the start: the data for pydantic, and the validated value."""

    data: Any
    value: Any


class RestartFields:
    """The restart fields of one settings object, and their values at the start.

    Args:
        plan: The names of the fields.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._start: dict[str, _Start] = {}

    def unknown(self, snapshot: BaseModel, overridden: Iterable[str]) -> list[str]:
        """Return the restart fields that have a value and had none before: an optional model around them is new.

        Args:
            snapshot: Settings that are in use.
            overridden: Dotted names that a test has overridden in them.
        """
        names = [name for name in self._plan.keys if name in self._plan.restart_fields and name not in self._start]
        at_once = tuple(overridden) if names else ()
        return [name for name in names if _held(snapshot, name) is not ABSENT and not _is_any(at_once, name)]

    def start(self, names: Iterable[str], data: Mapping[str, Any], snapshot: BaseModel) -> None:
        """Keep the values that some fields have in settings that are in use."""
        for name in names:
            self._start[name] = _Start(_given(data, self._plan.path(name)), _held(snapshot, name))

    def changed(self, snapshot: BaseModel, overridden: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return the restart fields whose value differs from that at the start, each with the leaves that differ.

        Args:
            snapshot: The settings after a restart.
            overridden: Dotted names that a test has overridden: these take effect at once.
        """
        at_once = tuple(overridden)
        found = {}
        for name, start in self._start.items():
            value = _held(snapshot, name)
            has_place = value is not ABSENT or isinstance(_held(snapshot, name.rpartition(".")[0]), dict)
            if has_place and not _is_any(at_once, name):
                differing = tuple(_differing(name, start.value, value))
                if differing:
                    found[name] = differing
        return found

    def with_start_values(self, data: Mapping[str, Any], names: Iterable[str], lay_over: LayOver) -> Mapping[str, Any]:
        """Return the data for pydantic with the values of these fields at the start."""
        for name in names:
            nodes, given = self._plan.path(name), self._start[name].data
            data = _without(data, nodes) if given is ABSENT else lay_over(_without(data, nodes), nodes, given)
        return data

    def restore(self, snapshot: BaseModel, names: Iterable[str]) -> None:
        """Set these fields of a validated snapshot to the same objects as at the start."""
        for name in names:
            outer, _, label = name.rpartition(".")
            around = _held(snapshot, outer)
            if part_of(around, label) is not ABSENT:
                put_part(around, label, self._start[name].value)


def _held(snapshot: Any, dotted: str) -> Any:
    """The value of a field; `ABSENT` if a model on the way is None, or another member of a union.

    The name of no field stands for the settings as a whole.
    """
    for label in filter(None, dotted.split(".")):
        snapshot = part_of(snapshot, label)
    return snapshot


def _differing(name: str, old: Any, new: Any) -> list[str]:
    if not (is_branch(old) and is_branch(new)):
        return [] if same(old, new) else [name]
    before, after = dict(leaves(old, f"{name}.")), dict(leaves(new, f"{name}."))
    return [leaf for leaf in {**before, **after} if not same(before.get(leaf, ABSENT), after.get(leaf, ABSENT))]


def _is_any(names: Iterable[str], field: str) -> bool:
    """Whether a field is one of some names, is inside one of them, or holds one of them."""
    return any(f"{field}.".startswith(f"{name}.") or f"{name}.".startswith(f"{field}.") for name in names)


def _given(data: Any, nodes: Sequence[Node]) -> Any:
    for node in nodes:
        data = data.get(node.key, ABSENT) if isinstance(data, Mapping) else ABSENT
    return data


def _without(data: Mapping[str, Any], nodes: Sequence[Node]) -> Mapping[str, Any]:
    node, *rest = nodes
    below = data.get(node.key, ABSENT)
    if not rest:
        return {key: value for key, value in data.items() if key != node.key or node.nested_path}
    return {**data, node.key: _without(below, rest)} if isinstance(below, Mapping) else data
