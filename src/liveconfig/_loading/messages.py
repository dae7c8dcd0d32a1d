"""The messages for pydantic's errors, by type; none contains a value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from liveconfig._traceback import summarize
from liveconfig.exceptions import Refusal

# Messages that pydantic makes of the type and its constraints only.
_SAFE = frozenset(
    """
    arguments_type bool_parsing bool_type bytes_too_long bytes_too_short bytes_type complex_str_parsing
    complex_type dataclass_type date_from_datetime_inexact date_future date_past date_type datetime_future
    datetime_past datetime_type decimal_max_digits decimal_max_places decimal_parsing decimal_type
    decimal_whole_digits dict_type enum finite_number float_parsing float_type frozen_set_type
    greater_than greater_than_equal int_from_float int_parsing int_parsing_size int_type is_instance_of
    is_subclass_of iterable_type json_type less_than less_than_equal list_type literal_error mapping_type missing
    model_type multiple_of needs_python_object none_required recursion_loop set_type string_pattern_mismatch
    string_sub_type string_too_long string_too_short string_type time_delta_type time_type timezone_aware
    timezone_naive too_long too_short tuple_type union_tag_not_found
    """.split()  # noqa: SIM905 - a list of forty strings reads worse
)

_URL = "expected a URL: scheme://host/path"
_UUID = "expected a UUID: 8-4-4-4-12 hexadecimal digits"
_DATE = "expected a date: YYYY-MM-DD"
_DATETIME = "expected a date and time: YYYY-MM-DDThh:mm:ss, with an offset such as Z or +01:00"
_SIZE = "expected a size in bytes: a number, or a number and a unit such as 10MB or 2GiB"
_PATTERN = "expected a regular expression"
_ARGUMENTS = "the arguments do not fit"
_FROZEN = "a validator changed a value that is frozen"
_LIMITS = "outside of the limits of the field"
_CHOICE = "expected one of the values of the field"

# Messages for errors whose own message quotes the input, the text of a validator, or what the class does not show.
_TEXTS = {
    "base64_decode": "expected Base64",
    "byte_size": _SIZE,
    "byte_size_unit": _SIZE,
    "bytes_invalid_encoding": "expected bytes in the encoding of the field",
    "callable_type": "expected something that can be called",
    "color_error": "expected a colour, such as #ff0000 or red",
    "counter_type": "expected a mapping of counts",
    "dataclass_exact_type": "expected a mapping of fields",
    "date_from_datetime_parsing": _DATE,
    "date_parsing": _DATE,
    "datetime_from_date_parsing": _DATETIME,
    "datetime_object_invalid": _DATETIME,
    "datetime_parsing": _DATETIME,
    "default_factory_not_called": "its default depends on other fields, which are not valid",
    "deque_type": "expected a list",
    "ellipsis_error": "expected an ellipsis",
    "enum": _CHOICE,
    "extra_forbidden": 'unknown name, which extra="forbid" does not allow',
    "fraction_parsing": "expected a fraction, such as 1/3",
    "fraction_type": "expected a fraction, such as 1/3",
    "frozen_dict_type": "expected a mapping",
    "frozen_field": _FROZEN,
    "frozen_instance": _FROZEN,
    "greater_than": _LIMITS,
    "greater_than_equal": _LIMITS,
    "get_attribute_error": "an attribute of the value cannot be read",
    "import_error": "expected the name of an object that can be imported: module.object",
    "invalid-json-value": "expected a value that JSON can hold",
    "invalid_key": "the names of fields must be texts",
    "is_hashable": "expected a hashable value",
    "is_type": "expected a class",
    "iteration_error": "the items of the value cannot be read",
    "json_invalid": "expected JSON",
    "less_than": _LIMITS,
    "less_than_equal": _LIMITS,
    "literal_error": _CHOICE,
    "missing_argument": _ARGUMENTS,
    "missing_keyword_only_argument": _ARGUMENTS,
    "missing_positional_only_argument": _ARGUMENTS,
    "missing_sentinel_error": "expected no value",
    "model_attributes_type": "expected a mapping of fields",
    "multiple_argument_values": _ARGUMENTS,
    "named_tuple_type": "expected a mapping or a list of the fields",
    "no_such_attribute": "the value has no such attribute",
    "ordered_dict_type": "expected a mapping",
    "parent_does_not_exist": "the directory of the path does not exist",
    "path_exists": "expected a path at which nothing exists yet",
    "path_not_directory": "expected the path of a directory that exists",
    "path_not_file": "expected the path of a file that exists",
    "path_not_socket": "expected the path of a socket that exists",
    "path_type": "expected a path",
    "pattern_bytes_type": _PATTERN,
    "pattern_regex": _PATTERN,
    "pattern_str_type": _PATTERN,
    "pattern_type": _PATTERN,
    "payment_card_number_brand": "expected the number of a payment card",
    "payment_card_number_digits": "expected the number of a payment card",
    "payment_card_number_luhn": "expected the number of a payment card",
    "recursion_depth_exceeded": "the value is nested too deep",
    "not_operation_failed": "a condition of the field is not met",
    "predicate_failed": "a condition of the field is not met",
    "sequence_str": "expected a list",
    "set_item_not_hashable": "the items of a set must be hashable",
    "string_pattern_mismatch": "the text does not match the pattern of the field",
    "string_not_ascii": "expected ASCII text",
    "string_unicode": "expected UTF-8 text",
    "time_delta_parsing": "expected a duration: hh:mm:ss (00:05:00) or ISO 8601 (PT5M)",
    "time_parsing": "expected a time: hh:mm:ss",
    "timezone_offset": "expected another offset of the time zone",
    "unexpected_keyword_argument": _ARGUMENTS,
    "unexpected_positional_argument": _ARGUMENTS,
    "url_parsing": _URL,
    "url_scheme": "expected a URL with another scheme",
    "url_syntax_violation": _URL,
    "url_too_long": "the URL is too long",
    "url_type": _URL,
    "too_long": "the value is too long",
    "too_short": "the value is too short",
    "uuid_parsing": _UUID,
    "uuid_type": _UUID,
    "uuid_version": "expected a UUID of another version",
    "zoneinfo_str": "expected the name of a time zone, such as Europe/Berlin",
}
for _version in ("any", "v4", "v6"):
    _name = "IP" if _version == "any" else f"IP{_version}"
    _TEXTS[f"ip_{_version}_address"] = f"expected an {_name} address"
    _TEXTS[f"ip_{_version}_interface"] = f"expected an {_name} interface: address/prefix"
    _TEXTS[f"ip_{_version}_network"] = f"expected an {_name} network: address/prefix, without host bits"


def message(detail: Mapping[str, Any], declared: str) -> str:
    """Return the message of one error.

    Args:
        detail: One of the errors of a `pydantic.ValidationError`.
        declared: The schema of the class: a message may repeat its texts.
    """
    kind, context = detail["type"], detail.get("ctx", {})
    if isinstance(context.get("error"), Refusal):
        return summarize(context["error"])
    if kind in ("value_error", "assertion_error"):
        raised = context.get("error")
        return "refused by its validator" + (f" ({type(raised).__name__})" if isinstance(raised, BaseException) else "")
    # A custom error's type and message are its author's text, whatever they look like; only it has no page of its own.
    is_custom = "url" not in detail
    if not is_custom and kind in _SAFE and _all_declared(context, declared):
        return str(detail["msg"])
    if not is_custom and (text := _with_context(kind, context, declared)) is not None:
        return text
    return _TEXTS.get(kind, "not valid")


def _with_context(kind: str, context: Mapping[str, Any], declared: str) -> str | None:
    """The texts that name what the class asks for, if that is what the context holds."""
    if kind == "uuid_version" and context.get("expected_version") in range(1, 9):
        return f"expected a UUID of version {context['expected_version']}"
    if kind == "url_scheme" and _is_declared(context.get("expected_schemes"), declared):
        return f"expected a URL with the scheme {context['expected_schemes']}"
    if kind == "too_short" and _is_declared(context.get("min_length"), declared):
        return f"expected at least {context['min_length']} characters or items"
    if kind == "too_long" and _is_declared(context.get("max_length"), declared):
        return f"expected at most {context['max_length']} characters or items"
    if kind == "union_tag_invalid" and _is_declared(context.get("expected_tags"), declared):
        return f"its discriminator must be one of {context['expected_tags']}"
    return "its discriminator has none of the expected values" if kind == "union_tag_invalid" else None


def _all_declared(context: Mapping[str, Any], declared: str) -> bool:
    return all(_is_declared(value, declared) for value in context.values())


def _is_declared(value: object, declared: str) -> bool:
    """Whether what a message holds comes from the class: a validator may raise pydantic's own errors with a value."""
    parts = re.split(r", | or ", value) if isinstance(value, str) else [str(value)]
    return all(part in declared or repr(part)[1:-1] in declared for part in parts)  # the schema escapes backslashes
