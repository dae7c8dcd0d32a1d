"""Prometheus: a collector that answers for every process of the container, whichever of them is scraped."""

from __future__ import annotations

from collections.abc import Iterator

from liveconfig import __version__, processes
from liveconfig.integrations._extras import extra_of
from liveconfig.integrations._metrics import METRICS, WITH_VOLUME, samples

with extra_of(__name__):
    from prometheus_client import REGISTRY, CollectorRegistry
    from prometheus_client.metrics_core import GaugeMetricFamily, InfoMetricFamily, Metric
    from prometheus_client.registry import Collector

__all__ = ["LiveConfigCollector"]


class LiveConfigCollector(Collector):
    """Reads `liveconfig.processes` at each scrape, so that one worker answers for all.

    It works with and without ``PROMETHEUS_MULTIPROC_DIR``: it keeps no value of its own.

    Args:
        registry: Where it registers itself.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        registry.register(self)

    def describe(self) -> Iterator[Metric]:
        """The metrics without samples, by which the registry refuses a second collector."""
        yield from _families().values()

    def collect(self) -> Iterator[Metric]:
        """The metrics of all processes that may be read now."""
        families = _families()
        for name, labels, value in samples(processes()):
            families[name].add_metric(list(labels.values()), value)
        yield from families.values()
        yield InfoMetricFamily("liveconfig", "The version of liveconfig.", value={"version": __version__})


def _families() -> dict[str, GaugeMetricFamily]:
    return {name: GaugeMetricFamily(name, text, labels=_labels(name)) for name, text in METRICS.items()}


def _labels(name: str) -> list[str]:
    return ["settings", "volume"] if name == WITH_VOLUME else ["settings"]
