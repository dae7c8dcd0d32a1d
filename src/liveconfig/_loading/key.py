"""`Key`: the metadata of one field, and which fields of a class carry it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from liveconfig._loading.suggestions import did_you_mean
from liveconfig._loading.types import class_of, classes_in, is_bare, members, nested_fields
from liveconfig._record import record
from liveconfig.exceptions import LiveConfigError

Format = Literal["yaml", "json", "toml", "dotenv", "properties"]
Missing = Literal["fallback", "reject"]
Fields = Mapping[str, FieldInfo]
Seen = frozenset[Any]


@record
class Key:
    """Metadata of one field: ``host: Annotated[str, Key("web.host-name")]``. It also works in nested models.

    Args:
        name: The whole key that feeds the field instead of the field's own name, without a prefix. With several, the
            first that is present in a volume wins. It holds for single keys, not for the names in documents.
        format: How the whole content of the key is parsed: ``"yaml"``, ``"json"``, ``"toml"``, ``"dotenv"`` or
            ``"properties"``. Without it, a field of type ``str``, ``bytes`` or secret gets the content as it is; any
            other type is parsed by the ending of the key if that is a known one, else as JSON.
        missing: What happens when the key is removed from its volume: ``"fallback"`` to the environment or the
            default, or ``"reject"`` the change. None: the rule of the class.
        restart: True: the value takes effect only when the process starts (a port, the size of a pool). A change on
            disk does not touch the attribute; it is reported as pending.

    Raises:
        LiveConfigError: An argument has a value that it cannot have.
    """

    name: str | tuple[str, ...] | None
    format: Format | None
    missing: Missing | None
    restart: bool

    def __init__(
        self,
        name: str | Sequence[str] | None = None,
        format: Format | None = None,  # noqa: A002 - the word of the documentation
        missing: Missing | None = None,
        restart: bool = False,
    ) -> None:
        _check_choice("format", format, get_args(Format))
        _check_choice("missing", missing, get_args(Missing))
        if not isinstance(restart, bool):
            raise LiveConfigError(f"Key: `restart` must be True or False, not {restart!r}")
        object.__setattr__(self, "name", _names(name))
        object.__setattr__(self, "format", format)
        object.__setattr__(self, "missing", missing)
        object.__setattr__(self, "restart", restart)

    @property
    def names(self) -> tuple[str, ...]:
        """The whole keys that feed the field, the strongest first; empty where the field's own name does."""
        return (self.name,) if isinstance(self.name, str) else self.name or ()


def _check_choice(argument: str, given: object, choices: tuple[str, ...]) -> None:
    if given is None or given in choices:
        return
    hint = did_you_mean(str(given), choices)
    raise LiveConfigError(f"Key: `{argument}` must be one of {', '.join(choices)}, not {given!r}{hint}")


def _names(given: object) -> str | tuple[str, ...] | None:
    if given is None or isinstance(given, str):
        names: tuple[Any, ...] = () if given is None else (given,)
    elif isinstance(given, Sequence) and given:
        names = tuple(given)
    else:
        names = (given,)
    if all(isinstance(each, str) and each for each in names):
        return given if isinstance(given, str) else names or None
    raise LiveConfigError(f"Key: `name` must be the name of a key, or several of them, not {given!r}")


def key_of(field: FieldInfo) -> Key | None:
    """The `Key` of a field; of several, the outermost."""
    if is_bare(field):
        return None
    found = [each for each in field.metadata if isinstance(each, Key)]
    return found[-1] if found else next(_in_annotation(field.annotation), None)


def _in_annotation(annotation: Any) -> Iterator[Key]:
    """Return the keys inside an annotation, except in lists and mappings, the outermost first."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from (each for each in reversed(get_args(annotation)[1:]) if isinstance(each, Key))
        yield from _in_annotation(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for argument in get_args(annotation):
            yield from _in_annotation(argument)
    elif hasattr(annotation, "__value__"):
        yield from _in_annotation(annotation.__value__)


def keys_within(fields: Fields, prefix: str = "", seen: Seen = frozenset()) -> dict[str, Key]:
    """The keys of some fields and of the models inside them, by dotted name. A model inside itself is not entered."""
    found: dict[str, Key] = {}
    for label, field in fields.items():
        if is_bare(field):
            continue
        key, models = key_of(field), _models(field)
        if key is not None:
            found[prefix + label] = key
        if models and seen.isdisjoint(models):
            found.update(keys_within(nested_fields(field.annotation), f"{prefix}{label}.", seen | models))
    return found


def misplaced(fields: Fields, prefix: str = "", seen: Seen = frozenset()) -> Iterator[str]:
    """Return the places where a `Key` has no effect: in a list or a mapping, where no whole key feeds one field."""
    for label, field in fields.items():
        dotted, models = prefix + label, _models(field)
        if _in_arguments(field.annotation):
            yield f"the Key inside the type of {dotted!r} has no effect: write Annotated[..., Key(...)] around it"
        apart = {cls: each for each in classes_in(field.annotation) if (cls := class_of(each)) not in models | seen}
        for model in apart.values():
            yield from _without_effect(model, dotted)
        if models and seen.isdisjoint(models):
            yield from misplaced(nested_fields(field.annotation), f"{dotted}.", seen | models)


def _models(field: FieldInfo) -> Seen:
    return frozenset(class_of(each) for each in members(field.annotation) if nested_fields(each))


def _without_effect(model: Any, dotted: str) -> Iterator[str]:
    for name, key in keys_within(nested_fields(model)).items():
        for argument in ("name", "restart"):
            if getattr(key, argument):
                place = f"{class_of(model).__name__}.{name}"
                yield f"Key({argument}=...) of {place} has no effect in {dotted!r}, which is a list or a mapping"


def _in_arguments(annotation: Any) -> bool:
    """Whether the arguments of a list, a mapping or another generic type contain a `Key`."""
    others = (member for member in members(annotation) if not nested_fields(member))
    generic = (member for member in others if get_origin(member) is not Literal)
    arguments = [argument for member in generic for argument in get_args(member)]
    return any(next(_in_annotation(each), None) is not None or _in_arguments(each) for each in arguments)
