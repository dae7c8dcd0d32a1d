"""The metrics: names, labels and values, for Prometheus and OpenTelemetry, the rules and the dashboard."""

from __future__ import annotations

import gc
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import SecretStr

from liveconfig import Settings, SettingsConfigDict, __version__
from liveconfig.integrations.opentelemetry import instrument
from liveconfig.integrations.prometheus import LiveConfigCollector

ROOT = Path(__file__).parents[3]
OPERATIONS = ROOT / "examples" / "operations"
NAME = f"{__name__}.MeteredSettings"


class MeteredSettings(Settings):
    model_config = SettingsConfigDict()
    message: str = "unset"
    port: int = 1
    password: SecretStr | None = None


@pytest.fixture
def settings(kubelet_volume: Any, load: Any, canary: str) -> MeteredSettings:
    kubelet_volume.write({"message": canary, "password": canary})
    gc.collect()  # those of earlier tests are still in the report until they are collected
    return load(MeteredSettings, _volumes=kubelet_volume.path)


def own(text: str) -> dict[str, float]:
    """The samples of `MeteredSettings`, by name."""
    lines = (line.rpartition(" ") for line in text.splitlines() if f'settings="{NAME}"' in line)
    return {line.partition("{")[0]: float(value) for line, _, value in lines}


def test_prometheus(settings: MeteredSettings, kubelet_volume: Any, canary: str) -> None:
    """The collector shows each metric with the labels ``settings`` and ``volume``, and no value of a setting."""
    registry = CollectorRegistry()
    LiveConfigCollector(registry)
    text = generate_latest(registry).decode()
    found = own(text)
    assert found["liveconfig_processes"] == found["liveconfig_processes_current"] == 1
    assert found["liveconfig_config_last_reload_successful"] == found["liveconfig_watching"] == 1
    assert found["liveconfig_config_generation_timestamp_seconds"] > 1e9
    assert found["liveconfig_config_last_reload_success_timestamp_seconds"] > 1e9
    assert "liveconfig_config_apply_delay_seconds" not in found
    assert f'liveconfig_info{{version="{__version__}"}} 1.0' in text
    assert canary not in text
    labels = set(re.findall(r'(\w+)="', text))
    assert labels <= {"settings", "volume", "version"}
    kubelet_volume.update({"port": "2"})
    settings.live.reload()
    assert 0 <= own(generate_latest(registry).decode())["liveconfig_config_apply_delay_seconds"] < 60


def test_a_rejection_is_a_metric(settings: MeteredSettings, kubelet_volume: Any) -> None:
    """A rejected configuration sets the last reload to unsuccessful until it is corrected."""
    registry = CollectorRegistry()
    LiveConfigCollector(registry)
    kubelet_volume.update({"port": "x"})
    settings.live.reload()
    assert own(generate_latest(registry).decode())["liveconfig_config_last_reload_successful"] == 0
    kubelet_volume.update({"port": "3"})
    settings.live.reload()
    assert own(generate_latest(registry).decode())["liveconfig_config_last_reload_successful"] == 1


@pytest.mark.parametrize(("volumes", "watching"), [("one", 0), ("none", 1)])
def test_settings_that_nothing_follows(kubelet_volume: Any, load: Any, volumes: str, watching: int) -> None:
    """Settings that nothing follows are a metric, but not those without volumes: they have nothing to follow."""
    gc.collect()
    registry = CollectorRegistry()
    LiveConfigCollector(registry)
    kubelet_volume.write({"message": "one"})
    paths = [kubelet_volume.path] if volumes == "one" else []
    settings = load(MeteredSettings, _volumes=paths, _watch=volumes == "none")
    assert settings.live.status().watcher == "off"
    assert own(generate_latest(registry).decode())["liveconfig_watching"] == watching


def test_a_second_collector() -> None:
    """A registry refuses a second collector: it would count everything twice."""
    registry = CollectorRegistry()
    LiveConfigCollector(registry)
    with pytest.raises(ValueError, match="Duplicated"):
        LiveConfigCollector(registry)


def test_opentelemetry(settings: MeteredSettings, canary: str) -> None:
    """The gauges of OpenTelemetry have the names and values of Prometheus, for this process."""
    reader = InMemoryMetricReader()
    instrument(MeterProvider([reader]))
    data = reader.get_metrics_data()
    assert data is not None
    metrics = [metric for each in data.resource_metrics for scope in each.scope_metrics for metric in scope.metrics]
    found = {
        metric.name: point.value
        for metric in metrics
        for point in metric.data.data_points
        if (point.attributes or {}).get("settings") == NAME
    }
    assert found["liveconfig_processes"] == found["liveconfig_processes_current"] == found["liveconfig_watching"] == 1
    assert "liveconfig_info" in {metric.name for metric in metrics}
    assert canary not in data.to_json()


@pytest.mark.parametrize("path", ["prometheus/liveconfig.rules.yaml", "grafana/liveconfig.json"])
def test_every_name_is_a_metric(path: str) -> None:
    """The rules and the dashboard use only metrics that the collector has."""
    registry = CollectorRegistry()
    known = {metric.name for metric in LiveConfigCollector(registry).describe()} | {"liveconfig_info"}
    named = set(re.findall(r"\bliveconfig_\w+", (OPERATIONS / path).read_text()))
    assert named
    assert named <= known


def test_the_dashboard() -> None:
    """The dashboard is JSON with panels that each say what they show."""
    panels = json.loads((OPERATIONS / "grafana" / "liveconfig.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) >= 6
    assert all(panel["title"] and panel["description"] for panel in panels)
    assert os.path.getsize(OPERATIONS / "grafana" / "liveconfig.json") < 100_000
