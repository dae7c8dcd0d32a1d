"""The status page: JSON for programs, HTML for people, with the processes of the container beside this one's status.

It uses no script and no external resource, so that its Content-Security-Policy can forbid both.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from liveconfig import ProcessReport, Settings, processes

if TYPE_CHECKING:
    from jinja2 import Environment, StrictUndefined
else:
    try:
        from jinja2 import Environment, StrictUndefined
    except ModuleNotFoundError:  # without the extra the page is JSON only
        Environment = None

__all__ = ["Answer", "answer"]


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to ``GET /liveconfig/status``.

    Attributes:
        body: JSON or HTML.
        media_type: Which of them.
        headers: The other headers.
    """

    body: str
    media_type: str
    headers: Mapping[str, str]


def answer(settings: Settings, accept: str | None) -> Answer:
    """The status of this process with all processes of the container: HTML where the client prefers it, else JSON.

    Without Jinja2, which the extras of the web frameworks bring, it is always JSON.

    Args:
        settings: The live settings.
        accept: The request's ``Accept`` header.
    """
    if Environment is not None and prefers_html(accept):
        return Answer(_html(settings), "text/html", _html_headers())
    found = [each.as_dict() for each in processes()]
    body = json.dumps({**settings.live.status().as_dict(), "processes": found})
    return Answer(body, "application/json", _HEADERS)


_HEADERS = {"Cache-Control": "no-store", "Vary": "Accept", "X-Content-Type-Options": "nosniff"}


def _html(settings: Settings) -> str:
    status, found = settings.live.status(), processes()
    current = sum(process.is_current for process in found)
    html: str = _template().render(
        status=status,
        processes=sorted(found, key=_worst_first),
        current=current,
        healthy=status.healthy and current == len(found),
        style=_read("status.css"),
        now=datetime.now(UTC),
    )
    return html


def _worst_first(process: ProcessReport) -> tuple[bool, int]:
    return process.is_current, process.pid


def prefers_html(accept: str | None) -> bool:
    """Whether a client would rather have HTML than JSON; ``*/*`` alone would not.

    Args:
        accept: The request's ``Accept`` header (RFC 9110, section 12.5.1).
    """
    ranges = [_media_range(each) for each in (accept or "*/*").split(",")]
    return _quality("text", "html", ranges) > _quality("application", "json", ranges)


def _media_range(text: str) -> tuple[str, str, float]:
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    kind, _, subtype = name.partition("/")
    quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
    try:
        return kind, subtype, float(quality)
    except ValueError:
        return kind, subtype, 0.0


def _quality(kind: str, subtype: str, ranges: list[tuple[str, str, float]]) -> float:
    """Return the quality of the most specific range that matches."""
    for wanted in ((kind, subtype), (kind, "*"), ("*", "*")):
        found = [quality for *name, quality in ranges if tuple(name) == wanted]
        if found:
            return max(found)
    return 0.0


@functools.cache
def _read(name: str) -> str:
    return (files(__name__) / name).read_text(encoding="utf-8")


@functools.cache
def _template() -> Any:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["ago"] = _ago
    return environment.from_string(_read("status.html"))


@functools.cache
def _html_headers() -> Mapping[str, str]:
    digest = base64.b64encode(hashlib.sha256(_read("status.css").encode()).digest()).decode()
    policy = {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    text = "; ".join(" ".join(each) for each in policy.items())
    return {**_HEADERS, "Content-Security-Policy": text, "Referrer-Policy": "no-referrer"}


def _ago(moment: datetime | None) -> str:
    """Return the age of something, in the largest unit that fits."""
    if moment is None:
        return "-"
    age = datetime.now(UTC) - moment
    for unit, length in (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("min", timedelta(minutes=1))):
        if age >= 2 * length:
            return f"{age // length} {unit} ago"
    return f"{max(0, int(age.total_seconds()))} s ago"
