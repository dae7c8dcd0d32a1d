"""Names on a volume that feed no field: whether they may be shown, and the nearest field."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from liveconfig._loading.feed import Feed
from liveconfig._loading.fields import Place
from liveconfig._loading.inputs import with_underscores
from liveconfig._loading.names import Plan, Root
from liveconfig._loading.suggestions import nearest

COMPARED = 200
"""Names at most for which the nearest one is looked for."""

_NAME = r"[A-Za-z_][A-Za-z0-9_.-]{0,39}"
_REMEMBERED = 10_000
_TYPING_ERROR = 2
_MOST_PARTS = 10


def looks_like_a_name(name: str) -> bool:
    """Whether a name in a document may be repeated: another one may be no name but a secret."""
    return re.fullmatch(_NAME, name) is not None


def fields_by_name(plan: Plan, leaves: Iterable[str]) -> dict[str, str]:
    """The dotted name of each field, by itself and by each name that a key may have at the top of a volume.

    Args:
        plan: The names of the class.
        leaves: The dotted names of the fields that hold the values.
    """
    return {**{name: name for name in leaves}, **{name: node.dotted for name, node in plan.roots.items()}}


class UnusedNames:
    """Finds the names that may be shown, each with the nearest field, and caches the results."""

    def __init__(self) -> None:
        self._fields: Mapping[str, str] = {}
        self._found: dict[str, str | None] = {}

    def of(self, plan: Plan, feeds: Iterable[Feed], leaves: Iterable[str]) -> Iterator[tuple[Feed, str, str | None]]:
        """Return the names that feed no field, each with the dotted name of the nearest field, if there is one.

        A name in a document of texts is only shown if it is near a field's name: another one may be a secret, such as a
        line of a private key that was pasted into an ``.env``. Only the first `COMPARED` are compared.

        Args:
            plan: The names of the class.
            feeds: What each volume gives.
            leaves: The dotted names of the fields that hold the values.
        """
        fields = fields_by_name(plan, leaves)
        if fields != self._fields or len(self._found) > _REMEMBERED:
            self._fields, self._found = fields, {}
        unused = ((feed, key) for feed in feeds for key in feed.unused)
        for count, (feed, key) in enumerate(unused):
            is_compared = count < COMPARED
            if is_compared and key not in self._found:
                self._found[key] = self._nearest(plan, feed, key)
            close = self._found.get(key)
            if close or key in feed.revision.files or (is_compared and _may_be_told(feed, key)):
                yield feed, key, close

    def _nearest(self, plan: Plan, feed: Feed, key: str) -> str | None:
        canonical = plan.rules.canonical
        document, _, name = key.rpartition(":")
        if key in feed.misnamed:
            place, name = feed.misnamed[key]
            around = f"{place.dotted}." if place.dotted else ""
            return _near_inside(place, canonical(name)) or _near(canonical(around + name), self._fields)
        model, rest = (None, name) if document else _model_around(plan, name)
        close = None if model is None else _near_inside(model, canonical(rest), is_exact=False)
        if close or (model is not None and "[" in model.dotted):  # no field outside is nearer to one of an entry
            return close
        return _near(canonical(name.replace("/", ".")), self._fields, is_exact=bool(document))


def _model_around(plan: Plan, name: str) -> tuple[Place | None, str]:
    """The innermost model into which the first parts of a key lead, and the rest; None where there is no such model."""
    separators = [".", "/", *filter(None, [plan.rules.delimiter])]
    pattern = "|".join(re.escape(with_underscores(each)) for each in separators)
    found = [each.span() for each in re.finditer(pattern, with_underscores(name))]
    for start, end in reversed(found[-_MOST_PARTS:]):
        for path in plan.resolve(name[:start]):
            if path[-1].place.children:
                return path[-1].place, name[end:]
    return None, name


def _near_inside(place: Place | Root, name: str, *, is_exact: bool = True) -> str | None:
    """The field inside a place that is nearest, by its dotted name."""
    around = f"{place.dotted}." if place.dotted else ""
    return _near(name, {known: around + label for known, label in place.children.labels.items()}, is_exact=is_exact)


def _near(name: str, known: Mapping[str, str], *, is_exact: bool = True) -> str | None:
    """The field that is nearest; not if more than an error of typing is added to its name, which may be a secret."""
    close = nearest(name, known)
    if close is None or (is_exact and len(name) > len(close) + _TYPING_ERROR):
        return None
    return known[close]


def _may_be_told(feed: Feed, key: str) -> bool:
    return key in feed.misnamed and looks_like_a_name(feed.misnamed[key][1])
