"""The answer to a readiness probe and the text of a command, shared by the web frameworks."""

from __future__ import annotations

from pydantic import BaseModel

from liveconfig import Settings
from liveconfig._status_text import exit_code, page
from liveconfig._terminal import Terminal, painter, printable


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


def explained(settings: Settings, output: Terminal | None = None) -> tuple[str, int]:
    """Return the text and the exit code of ``liveconfig explain``, for settings that this process has loaded.

    Args:
        settings: The live settings.
        output: Where the text is written; None for standard output.
    """
    status = settings.live.status().as_dict()
    return "\n".join(page(printable(status), painter(output), new_process=True)), exit_code(status)
