"""OpenTelemetry: the metrics of this process as observable gauges."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from liveconfig import __version__, processes
from liveconfig.integrations._extras import extra_of
from liveconfig.integrations._metrics import METRICS, Sample, samples

with extra_of(__name__):
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter

__all__ = ["instrument"]


def instrument(meter_provider: MeterProvider | None = None) -> None:
    """Create an observable gauge for each metric of `liveconfig.integrations.prometheus`, for this process alone.

    Each worker exports its own. Call it once a process, where the other instruments are created.

    Args:
        meter_provider: Where to create them; None for the global one.
    """
    meter = get_meter("liveconfig", __version__, meter_provider)
    for name, text in METRICS.items():
        meter.create_observable_gauge(name, [_observing(name)], description=text)
    info = [Observation(1, {"version": __version__})]
    meter.create_observable_gauge("liveconfig_info", [lambda _: info], description="The version of liveconfig.")


def _observing(name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(value, labels) for each, labels, value in _own() if each == name]

    return observe


def _own() -> list[Sample]:
    return list(samples(processes(os.getpid())))
