"""Redacted messages: what failed and where, never the value.

pydantic's messages are rebuilt from the type of the error; of other people's exceptions only the type and the place
are told, unless the author vouched for the message with a `Refusal`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from liveconfig._loading.fields import Node
from liveconfig._loading.names import Plan
from liveconfig._traceback import summarize
from liveconfig.exceptions import Refusal

MOST = 20

# Messages that pydantic makes of the type and its constraints alone. Not here: what quotes the input, or what a
# validator's author wrote (value_error, assertion_error, uuid_*, url_*, union_tag_invalid, custom types).
_SAFE = frozenset(
    """
    arguments_type bool_parsing bool_type bytes_too_long bytes_too_short bytes_type complex_str_parsing
    complex_type dataclass_type date_from_datetime_inexact date_future date_past date_type datetime_future
    datetime_past datetime_type decimal_max_digits decimal_max_places decimal_parsing decimal_type
    decimal_whole_digits dict_type enum extra_forbidden finite_number float_parsing float_type frozen_set_type
    greater_than greater_than_equal int_from_float int_parsing int_parsing_size int_type is_instance_of
    is_subclass_of iterable_type json_type less_than less_than_equal list_type literal_error mapping_type missing
    model_type multiple_of needs_python_object none_required recursion_loop set_type string_pattern_mismatch
    string_sub_type string_too_long string_too_short string_type time_delta_type time_type timezone_aware
    timezone_naive too_long too_short tuple_type union_tag_not_found
    """.split()  # noqa: SIM905 - a list of forty strings reads worse
)


def problems(error: ValidationError, plan: Plan, schema: object) -> list[tuple[str, str]]:
    """What a validation found, as (dotted field, message); the field is ``""`` for the settings as a whole.

    Args:
        error: It holds values, and must not leave liveconfig.
        plan: The names of the fields.
        schema: What the class says of them: a message may repeat that.
    """
    declared = repr(schema)
    return [(_field(detail["loc"], plan), _message(detail, declared)) for detail in error.errors()[:MOST]]


def _message(detail: Mapping[str, Any], declared: str) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if isinstance(context.get("error"), Refusal):
        return f"refused: {context['error']}"
    if kind in ("value_error", "assertion_error"):
        return f"refused by its validator ({type(context.get('error')).__name__})"
    # A custom error's type and message are its author's text, whatever they look like; only it has no page of its own.
    if "url" not in detail:
        return "not valid"
    if kind in _SAFE and all(_is_declared(value, declared) for value in context.values()):
        return str(detail["msg"])
    return f"not valid ({kind})"


def _is_declared(value: object, declared: str) -> bool:
    """Whether what a message holds comes from the class: a validator may raise pydantic's own errors with a value."""
    parts = re.split(r", | or ", value) if isinstance(value, str) else [str(value)]
    return all(part in declared for part in parts)


def _field(location: tuple[int | str, ...], plan: Plan) -> str:
    """The dotted name as far as it is made of names of fields: a key of a dict can be a secret itself."""
    level: Mapping[str, Node] = {node.label: node for node in plan.fields.values()}
    dotted = ""
    for part in location:
        node = next((node for node in level.values() if part in (node.key, node.label)), None)
        if node is None:
            break
        dotted, level = node.dotted, node.children
    return dotted


_UNPARSABLE = re.compile(r'error (?:parsing|getting) value for field "[^"]*" from source "\w+"')


def settings_error(error: BaseException) -> str:
    """What may be told of pydantic-settings' error: the text of a command line's, or of a class's own, may quote."""
    return str(error) if _UNPARSABLE.fullmatch(str(error)) else f"a source of the settings raised {summarize(error)}"
