"""The metrics of live settings, computed from process reports: names, help texts and samples, for every exporter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from liveconfig import ProcessReport, SettingsReport

METRICS = {
    "liveconfig_processes": "Processes that have these settings.",
    "liveconfig_processes_current": "Processes whose settings are what is on disk now.",
    "liveconfig_config_last_reload_successful": "0 if any process rejects what is on disk, else 1.",
    "liveconfig_config_last_reload_success_timestamp_seconds": (
        "When the configuration in use was applied, in the process where that was longest ago."
    ),
    "liveconfig_config_generation_timestamp_seconds": (
        "When the kubelet wrote the generation in use, in the process with the oldest one."
    ),
    "liveconfig_config_apply_delay_seconds": (
        "Seconds from the kubelet's write of the newest change to its applying, in the slowest process."
    ),
    "liveconfig_frozen_fields": "Fields that cannot change while the process runs.",
    "liveconfig_restart_pending_fields": "Fields whose new value takes effect at the next start of the process.",
    "liveconfig_failing_subscribers": (
        "Subscribers that raised and have not received the newest version, or whose call has been running for 30 s."
    ),
    "liveconfig_watching": (
        "1 if every process follows its volumes, by events or by polling, or has none; 0 if one does not."
    ),
}
"""The help text of each metric, by name. ``liveconfig_info`` carries the version beside them."""

WITH_VOLUME = "liveconfig_config_generation_timestamp_seconds"


class Sample(NamedTuple):
    """One value of one metric.

    Attributes:
        name: The metric.
        labels: ``settings``, and ``volume`` for `WITH_VOLUME`. Never a field, a key or a value.
        value: The number.
    """

    name: str
    labels: dict[str, str]
    value: float


def samples(processes: Sequence[ProcessReport]) -> Iterator[Sample]:
    """Yield the samples of all settings classes of the given processes.

    A process that hides its report has the label ``settings=""`` and counts as not current.
    """
    for name in dict.fromkeys(each.name for process in processes for each in process.settings):
        owners = [[each for each in process.settings if each.name == name] for process in processes]
        found = [each for each in owners if each]
        everything = [each for settings in found for each in settings]
        yield Sample("liveconfig_processes", {"settings": name}, len(found))
        current = sum(all(map(_is_current, own)) for own in found)
        yield Sample("liveconfig_processes_current", {"settings": name}, current)
        if name:
            yield from _of_class(name, everything)


def _is_current(settings: SettingsReport) -> bool:
    """Whether the content on disk is in use; also for a closed object, until its volume changes."""
    return settings.state == "current" or (settings.state == "closed" and settings.healthy)


def _of_class(name: str, settings: Sequence[SettingsReport]) -> Iterator[Sample]:
    values: dict[str, float | None] = {
        "config_last_reload_successful": min(each.state != "rejected" for each in settings),
        "config_last_reload_success_timestamp_seconds": _known(min, (_seconds(each.applied_at) for each in settings)),
        "config_apply_delay_seconds": _known(max, (_length(each.apply_delay) for each in settings)),
        "frozen_fields": max(len(each.frozen) for each in settings),
        "restart_pending_fields": max(len(each.restart_pending) for each in settings),
        "failing_subscribers": sum(len(each.failing_subscribers) for each in settings),
        "watching": min(each.watcher != "off" or not each.volumes for each in settings),
    }
    for metric, value in values.items():
        if value is not None:
            yield Sample(f"liveconfig_{metric}", {"settings": name}, float(value))
    volumes = [volume for each in settings for volume in each.volumes]
    for path in dict.fromkeys(volume.path for volume in volumes):
        oldest = _known(min, (_seconds(volume.written_at) for volume in volumes if volume.path == path))
        if oldest is not None:
            yield Sample(WITH_VOLUME, {"settings": name, "volume": path}, oldest)


def _known(pick: Callable[[list[float]], float], values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return pick(known) if known else None


def _length(delay: timedelta | None) -> float | None:
    return None if delay is None else delay.total_seconds()


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
