"""The answer to a readiness probe and the table of a command, shared by the web frameworks."""

from __future__ import annotations

from pydantic import BaseModel

from liveconfig import Settings, Status


class Readiness(BaseModel):
    """The answer to a readiness probe. It names no field and no path, because it is public.

    Attributes:
        ready: Whether this process can get requests.
        healthy: Whether the newest configuration is in use; ``/liveconfig/status`` shows why not.
        version: The version in use.
    """

    ready: bool
    healthy: bool
    version: int

    @property
    def status_code(self) -> int:
        """The code of the HTTP answer."""
        return 200 if self.ready else 503


def readiness(settings: Settings, *, fail_when_unhealthy: bool) -> Readiness:
    """Answer a probe.

    Args:
        settings: The live settings.
        fail_when_unhealthy: Whether settings that are not healthy make the process not ready. The last good
            configuration is still served then, so by default they do not.
    """
    healthy = settings.live.healthy
    return Readiness(
        ready=healthy or not fail_when_unhealthy,
        healthy=healthy,
        version=settings.live.version,
    )


def explained(status: Status) -> str:
    """Return a table of the fields (where each value comes from, its state, since when), the problems and the notes.

    Args:
        status: The status of this process.
    """
    rows = [("FIELD", "ORIGIN", "STATE", "SINCE")]
    for field, origin in status.fields.items():
        state = "live" if origin.live else "frozen" if field in status.frozen else ""
        since = origin.since.isoformat(sep=" ", timespec="seconds") if origin.since else ""
        rows.append((field, f"{origin.kind} {origin.path or origin.name or ''}".rstrip(), state, since))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    for title, sentences in (("Problems", status.problems), ("Notes", status.notes)):
        lines += ["", title, *(f"- {sentence}" for sentence in sentences)] if sentences else []
    return "\n".join([f"This is a new process ({status.pid}), not the one that serves requests.", *lines])
