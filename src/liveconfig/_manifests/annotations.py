"""Annotations about ConfigMaps and Secrets: the workloads that use them, and tools that restart workloads."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from liveconfig._manifests.objects import Annotation, DataObject, ObjectId
from liveconfig._manifests.references import Use
from liveconfig._manifests.workloads import Workload

USED_BY = "used-by-deployments"

_RELOADER = "reloader.stakater.com"
_NAME = re.compile(r"[^\s(:]+")
_BETWEEN_COMMAS = re.compile(r"(?:\([^()]*\)|[^,])+")
_BETWEEN_SPACES = re.compile(r"(?:\([^()]*\)| (?=\()|[^ ])+")
_NOTED = re.compile(r"\s*- [^,]*: ")
"""An item of a list whose note stands behind a colon, with any commas."""


def restarters(workload: Workload, uses: Iterable[Use], objects: Iterable[DataObject]) -> dict[ObjectId, list[str]]:
    """Return the annotations that restart a workload after a change of a live object, by object.

    Args:
        workload: The workload.
        uses: Its uses.
        objects: The ConfigMaps and Secrets of the input; their annotations can opt in or out.
    """
    by_object: dict[ObjectId, list[Use]] = {}
    for use in uses:
        if use.object is not None:
            by_object.setdefault(use.object, []).append(use)
    live = {
        object_id
        for object_id, each in by_object.items()
        if all(use.live and use.container is not None for use in each)
    }
    marked = {each.id: each.annotations for each in objects}
    found = {}
    for object_id in sorted(live):
        named = [
            name for name in workload.annotations if _restarts(workload, name, object_id, marked.get(object_id, {}))
        ]
        named += [
            name for name in sorted(workload.template_annotations) if _is_checksum_of(name, object_id, by_object, live)
        ]
        if named:
            found[object_id] = named
    return found


def _restarts(workload: Workload, name: str, object_id: ObjectId, marks: Mapping[str, Annotation]) -> bool:
    """Whether an annotation of Reloader or Wave applies to an object."""
    value = workload.annotations[name].value
    if name == "wave.pusher.com/update-on-config-change":
        return value == "true"
    before, at, action = name.partition(f"{_RELOADER}/")
    if not at or _says_true(marks, "ignore") or _excluded(workload, object_id):
        return False
    if before and before.rstrip(".s") != object_id.kind.lower():
        return False
    if action == "reload":
        return object_id.name in re.split(r"[,\s]+", value)
    return value == "true" and (action == "auto" or (action == "search" and _says_true(marks, "match")))


def _says_true(marks: Mapping[str, Annotation], action: str) -> bool:
    mark = marks.get(f"{_RELOADER}/{action}")
    return mark is not None and mark.value == "true"


def _excluded(workload: Workload, object_id: ObjectId) -> bool:
    listed = workload.annotations.get(f"{object_id.kind.lower()}s.exclude.{_RELOADER}/reload")
    return listed is not None and object_id.name in re.split(r"[,\s]+", listed.value)


def _is_checksum_of(name: str, object_id: ObjectId, uses: Mapping[ObjectId, list[Use]], live: set[ObjectId]) -> bool:
    """Whether a checksum can belong to this object and to none with a frozen use, which needs the checksum."""
    words = name.lower()
    if "checksum" not in words:
        return False
    kinds = [kind for kind, action in (("Secret", "secret"), ("ConfigMap", "config")) if action in words]
    covered = {each for each in uses if not kinds or each.kind in kinds}
    return object_id in covered and covered <= live


class Entry(NamedTuple):
    """An entry of a ``used-by-deployments`` annotation.

    Attributes:
        name: The name of the workload.
        text: The name with its notes, as ``payment-api (v1.0+)``.
        words: The words of the notes, which can tell the kind: ``report (CronJob)``, ``cronjob/report``.
    """

    name: str
    text: str
    words: frozenset[str]


def entries_of(data: DataObject) -> list[Entry]:
    """Return the entries of the annotation of a ConfigMap or Secret, each once."""
    value = data.annotations[USED_BY].value.strip() if USED_BY in data.annotations else ""
    if value.startswith("[") and value.endswith("]"):
        value = value[1:-1]
    return list(dict.fromkeys(entry for text in _split(value) if (entry := _entry(text))))


def _split(value: str) -> list[str]:
    """Split a list: YAML, JSON, or names with commas or spaces between them; a note in parentheses stays whole."""
    lines = value.split("\n")
    found = [text for line in lines for text in ([line] if _NOTED.match(line) else _BETWEEN_COMMAS.findall(line))]
    is_line_of_names = len(lines) == len(found) == 1 and not value.startswith(("-", "*")) and ":" not in value
    return _BETWEEN_SPACES.findall(" ".join(value.split())) if is_line_of_names else found


def _entry(text: str) -> Entry | None:
    text = text.strip(" \t\r*").removeprefix("- ").strip()
    if text[:1] in ("'", '"') and text.endswith(text[0]):
        text = text[1:-1]
    match = _NAME.match(text)
    if match is None:
        return None
    kind, _, name = match[0].rpartition("/")
    return Entry(name, text, frozenset(re.findall("[a-z]+", f"{kind} {text[match.end() :]}".lower())))


def used_by(data: DataObject, users: Iterable[ObjectId], others: Iterable[ObjectId] | None) -> str:
    """Return the value that the annotation of a ConfigMap or Secret should have.

    Args:
        data: The ConfigMap or Secret.
        users: The workloads that use it.
        others: The workloads of the input that do not use it; None if the input has all workloads.
    """
    users, entries = sorted(users), entries_of(data)
    named = _named(users, entries)
    kept, names = set(named.values()), {user.name for user in users}
    stay = [
        entry.text for entry in entries if entry in kept or not (entry.name in names or _is_stale(entry.name, others))
    ]
    new = (each.name if each.kind == "Deployment" else _with_kind(each) for each in users if each not in named)
    return "".join(f"- {text}\n" for text in (*stay, *new))


def outdated(data: DataObject, users: Iterable[ObjectId], others: Iterable[ObjectId] | None) -> Iterator[str]:
    """Yield what is wrong with the annotation of a ConfigMap or Secret; nothing without the annotation."""
    if USED_BY not in data.annotations:
        return
    users, entries = sorted(users), entries_of(data)
    named = _named(users, entries)
    names = Counter(user.name for user in users)
    missing = [each.name if names[each.name] == 1 else _with_kind(each) for each in users if each not in named]
    if missing:
        yield f"does not name {', '.join(sorted(missing))}"
    if stale := sorted({entry.name for entry in entries if entry.name not in names and _is_stale(entry.name, others)}):
        yield f"names {', '.join(stale)}, which {'does' if len(stale) == 1 else 'do'} not use it"


def _named(users: Iterable[ObjectId], entries: Iterable[Entry]) -> dict[ObjectId, Entry]:
    """Return the entry of each user that has one. Of users with one name, those whose kind an entry has come first."""
    left: dict[str, list[Entry]] = {}
    for entry in entries:
        left.setdefault(entry.name, []).append(entry)
    named: dict[ObjectId, Entry] = {}
    deployments_first = sorted(users, key=lambda user: (user.kind != "Deployment", user))
    for user in deployments_first:
        if found := next((each for each in left.get(user.name, ()) if user.kind.lower() in each.words), None):
            named[user] = found
            left[user.name].remove(found)
    for user in deployments_first:
        if user not in named and left.get(user.name):
            named[user] = left[user.name].pop(0)
    return named


def _with_kind(workload: ObjectId) -> str:
    return f"{workload.name} ({workload.kind})"


def _is_stale(name: str, others: Iterable[ObjectId] | None) -> bool:
    return others is None or any(other.name == name for other in others)
