"""The status of one process as text: the verdict first, then fields, volumes and problems."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from liveconfig._clock import in_words
from liveconfig._terminal import Paint, table

Json = Mapping[str, Any]

WELL, FROZEN, UNKNOWN, UNHEALTHY = range(4)
"""The exit codes of the commands that print it; ``UNKNOWN``: there is no status."""

_LONG = timedelta(seconds=30)
_WATCHERS = {
    "inotify": "Woken by inotify",
    "polling": "Checked every 2 s, because inotify is unavailable",
    "off": "Not watched: read once, and again at reload()",
}


def page(status: Json, paint: Paint, *, new_process: bool) -> Iterator[str]:
    """Yield the lines of the text.

    Args:
        status: The result of `Status.as_dict`, with printable texts.
        paint: Colours a text on a terminal.
        new_process: Whether the settings were loaded by this command, and not by a running application.
    """
    now = datetime.fromisoformat(status["applied_at"]) + timedelta(seconds=status["since_apply"])
    yield from _Page(status, paint, now).lines(new_process)


def exit_code(status: Json) -> int:
    """The exit code for a status: whether a field is frozen, or the settings are not healthy.

    Args:
        status: The result of `Status.as_dict`.
    """
    return FROZEN if status["frozen"] else WELL if status["healthy"] else UNHEALTHY


class _Page:
    def __init__(self, status: Json, paint: Paint, now: datetime) -> None:
        self._status = status
        self._paint = paint
        self._now = now
        self._width = min(shutil.get_terminal_size().columns, 100)

    def lines(self, new_process: bool) -> Iterator[str]:
        yield self._process(new_process)
        yield from self._verdict()
        yield from self._section("", self._fields())
        yield from self._section("", self._volumes())
        yield from self._section("Problems", map(self._item, self._status["problems"]))
        yield from self._section("Notes", map(self._item, self._status.get("notes", ())))
        yield from self._section("Last rejection", self._rejection())
        yield from self._section("Keys that no field uses", self._unused())
        yield from self._section("Subscribers that fail", self._failing())

    def _section(self, title: str, lines: Iterator[str]) -> Iterator[str]:
        found = list(lines)
        if found:
            yield ""
            if title:
                yield self._paint(title, "title")
            yield from found

    def _item(self, text: str) -> str:
        return textwrap.fill(
            text,
            self._width,
            initial_indent="- ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )

    def _ago(self, when: str | None) -> str:
        return "-" if when is None else f"{in_words(self._now - datetime.fromisoformat(when))} ago"

    # The verdict

    def _process(self, new_process: bool) -> str:
        pid, started = self._status["pid"], self._status["process_started_at"]
        if new_process:
            return f"This is a new process ({pid}), started for this command; it is NOT the running application."
        return f"This is the running process {pid}, started {started[:19].replace('T', ' ')} UTC, {self._ago(started)}."

    def _verdict(self) -> Iterator[str]:
        status = self._status
        healthy, frozen = status["healthy"], status["frozen"]
        yield self._healthy() if healthy else self._paint("NOT HEALTHY, see the problems below.", "bad")
        yield self._paint(f"FROZEN: {', '.join(frozen)}.", "bad") if frozen else "Nothing is frozen."
        lag = status["written_to_applied"] if status["version"] > 1 else None  # the first was written before the start
        after = "" if lag is None else f", {_short(lag)} after it was written"
        yield f"Version {status['version']}, applied {self._ago(status['applied_at'])}{after}."
        yield f"{_WATCHERS[status['watcher']]}."

    def _healthy(self) -> str:
        missing = [each["path"] for each in self._status["volumes"] if each["mode"] == "missing"]
        if not missing:
            return self._paint("Healthy.", "good")
        count = "1 volume is" if len(missing) == 1 else f"{len(missing)} volumes are"
        return self._paint(f"Healthy, but {count} missing: {', '.join(missing)}.", "title")

    # Fields

    def _fields(self) -> Iterator[str]:
        yield from table(("FIELD", "STATE", "SINCE", "ORIGIN"), list(self._rows()), self._paint_state)

    def _rows(self) -> Iterator[tuple[str, str, str, str]]:
        for name, origin in self._status["fields"].items():
            yield name, self._state(name, origin), self._since(origin), _named(origin)
            for remark in self._remarks_on(name, origin):
                yield "", "", "", f"  {remark}"

    def _paint_state(self, cell: str, column: int) -> str:
        style = {"FROZEN": "bad", "live": "good"}.get(cell.strip(), "")
        return self._paint(cell, style) if column == 1 else cell

    def _state(self, name: str, origin: Json) -> str:
        if name in self._status["frozen"]:
            return "FROZEN"
        if origin["live"]:
            return "live"
        if origin["kind"] == "volume":
            return "restart"
        return "default" if origin["kind"] == "default" and self._status["volumes"] else "fixed"

    def _since(self, origin: Json) -> str:
        """Return the age of a value; ``start`` for one that came with a process that has just started."""
        started = datetime.fromisoformat(self._status["process_started_at"])
        just_now = self._now - started < timedelta(minutes=1)
        return "start" if just_now and origin["kind"] != "volume" else self._ago(origin["since"])

    def _remarks_on(self, name: str, origin: Json) -> Iterator[str]:
        stale = next((each["reason"] for each in self._status["stale"] if each["field"] == name), None)
        if origin["kind"] == "volume" and name in self._status["frozen"]:
            yield self._why_frozen(origin["path"])
        if stale == "vanished":
            yield "its key was removed"
        if stale == "restart":
            yield "a new value takes effect when the process starts again"
        for shadow in origin["shadows"]:
            differs = shadow["kind"] == "environment" and stale == "shadowed-environment"
            yield f"{_named(shadow)} {'holds another value' if differs else 'is there too'}, and loses"

    def _why_frozen(self, path: str) -> str:
        for volume in self._status["volumes"]:
            for part, reason in volume["frozen"].items():
                if f"{path}/".startswith(f"{volume['path']}/{part}".rstrip("/") + "/"):
                    return _frozen(reason)
        return "frozen"

    # Volumes

    def _volumes(self) -> Iterator[str]:
        volumes = self._status["volumes"]
        rows = [
            (each["path"], each["mode"], self._ago(each["written_at"]), each["generation_applied"] or "-")
            for each in volumes
        ]
        header, *lines = table(("VOLUME", "MODE", "WRITTEN", "GENERATION IN USE"), rows, lambda cell, _: cell)
        if volumes:
            yield header
        for line, volume in zip(lines, volumes, strict=True):
            yield line
            yield from self._remarks(volume)

    def _remarks(self, volume: Json) -> Iterator[str]:
        if volume["generation_on_disk"] != volume["generation_applied"]:
            yield f"  on disk, and not in use: {volume['generation_on_disk'] or 'nothing'}"
        if volume["fault"]:
            yield f"  cannot be read: {volume['fault']}"
        for part, reason in volume["frozen"].items():
            yield self._paint(f"  FROZEN: {part or 'the whole volume'} ({_frozen(reason)})", "bad")

    # Other sections

    def _rejection(self) -> Iterator[str]:
        last, candidate = self._status["last_rejected"], self._status["candidate"]
        if last is None:
            return
        of = ", ".join(f"{name} of {path}" for path, name in last["generations"].items()) or "a volume"
        text = f"{self._ago(last['at'])}, at stage {last['stage']}: {of}"
        if candidate is not None:
            text += f"; it is still there, after attempt {candidate['attempt']}"
        elif not any(volume["fault"] for volume in self._status["volumes"]):
            text += f"; it is over. It was: {last['reason']}"
        yield self._item(text)

    def _unused(self) -> Iterator[str]:
        for unused in self._status["unused_keys"]:
            nearest = f" (the nearest field is {unused['nearest']})" if unused["nearest"] else ""
            yield f"- {unused['volume']}/{unused['key']}{nearest}"
            if unused.get("hint"):
                yield f"  {unused['hint']}"

    def _failing(self) -> Iterator[str]:
        for each in self._status["subscribers"]:
            since = each["running_since"] and self._now - datetime.fromisoformat(each["running_since"])
            if each["error"]:
                yield self._item(f"{each['name']} raised {each['error']}; it was given version {each['version']}")
            elif since and since > _LONG:
                yield self._item(f"{each['name']} has been inside its call for {in_words(since)}")


def _short(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else in_words(timedelta(seconds=seconds))


def _named(origin: Json) -> str:
    names = {
        "volume": origin["path"],
        "environment": f"variable {origin['name']}",
        "dotenv": f"{origin['name']} in {origin['path']}",
        "source": f"{origin['name']} {origin['path'] or ''}".strip(),
        "init": "given in the code",
        "override": "override() in a test",
    }
    return str(names.get(origin["kind"], origin["kind"]))


def _frozen(reason: str) -> str:
    kind, _, stale = reason.partition(" ")
    words = {"subpath": "subPath mount", "stale-mount": "stale mount"}.get(kind, kind)
    return f"{words}, and the volume has moved on" if stale and kind == "subpath" else words
