"""The JSON of ``liveconfig ps`` from a container. A container can print anything, so nothing of it is trusted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from datetime import datetime
from typing import Any


def parsed(output: str) -> Mapping[str, Any] | None:
    """Parse the processes and the disk that a container reports; None if the text is something else.

    Args:
        output: The output of the command.
    """
    try:
        data: Any = json.loads(output)
        processes = [_process(each) for each in _list(data["processes"])]
        disk = [_compared(each) for each in _list(data.get("disk") or [])]
        _each_once(each["pid"] for each in processes)
        _each_once((each["kind"], each["path"]) for each in disk)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return {"processes": processes, "disk": disk}


def _each_once(names: Iterable[Hashable]) -> None:
    if max(Counter(names).values(), default=1) > 1:
        raise ValueError


def _process(data: Any) -> dict[str, Any]:
    return {"pid": _number(data["pid"]), "settings": [_settings(each) for each in _list(data["settings"])]}


def _settings(data: Any) -> dict[str, Any]:
    return {
        "state": _text(data["state"]),
        "problems": [_text(each) for each in _list(data["problems"])],
        "volumes": [_volume(each) for each in _list(data["volumes"])],
    }


def _volume(data: Any) -> dict[str, Any]:
    return {
        "path": _text(data["path"]),
        "generation": _optional(data["generation"]),
        "on_disk": _optional(data["on_disk"]),
        "rejected": _optional(data.get("rejected")),
    }


def _compared(data: Any) -> dict[str, Any]:
    since = _optional(data["since"])
    if since is not None and datetime.fromisoformat(since).tzinfo is None:
        raise ValueError
    kind, expected = _text(data["kind"]), _text(data["expected"])
    followed = [_text(each) for each in _list(data.get("followed_as") or [])]
    return {"path": _text(data["path"]), "kind": kind, "expected": expected, "since": since, "followed_as": followed}


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _optional(value: Any) -> str | None:
    return None if value is None else _text(value)


def _number(value: Any) -> int:
    if type(value) is not int:
        raise TypeError
    return value
