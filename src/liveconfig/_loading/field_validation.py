"""The validation of each field by itself, for settings of which some values are unknown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import TypeAdapter

from liveconfig._loading.fields import Node
from liveconfig._loading.merging import fresh
from liveconfig._loading.pydantic_internals import is_branch, leaves
from liveconfig._loading.types import ABSENT


def validated_apart(nodes: Mapping[str, Node], data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the dotted name and the value of each field that has data or a default.

    A value that its type does not accept stays as it is in the data. Validators of classes do not run.

    Args:
        nodes: The fields of the class.
        data: The input for pydantic.
    """
    for node in nodes.values():
        given = node.given(data)
        if isinstance(given, Mapping) and node.children:
            yield from validated_apart(node.children, given)
        elif given is not ABSENT:
            yield node.dotted, _validated(node, given)
        elif not node.field.is_required():
            yield from _opened(node.dotted, node.field.get_default())


def _validated(node: Node, given: Any) -> Any:
    try:
        expected: Any = Annotated[node.field.annotation, node.field]
        return TypeAdapter(expected).validate_python(fresh(given))
    except Exception:  # noqa: BLE001 - a type that stands for nothing alone, or a validator of its own
        return given


def _opened(dotted: str, default: Any) -> Iterator[tuple[str, Any]]:
    if is_branch(default):
        yield from leaves(default, f"{dotted}.")
    else:
        yield dotted, default
