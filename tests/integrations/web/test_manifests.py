"""The Kubernetes manifests of the web examples."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

EXAMPLES = Path(__file__).parents[3] / "examples"
NAMES = {"fastapi": "app.py", "flask": "app.py", "django": "greeter/live.py"}
"""Each example, and its module that names the volume."""

VERSION = kubernetes_validate.latest_version()


def manifests(example: str) -> dict[str, dict[str, Any]]:
    """The objects of an example by kind."""
    texts = [path.read_text("utf-8") for path in sorted((EXAMPLES / example / "k8s").glob("*.yaml"))]
    return {each["kind"]: each for text in texts for each in yaml.safe_load_all(text)}


@pytest.mark.parametrize("example", NAMES)
def test_manifests_satisfy_the_published_schemas(example: str) -> None:
    """Each object of the examples is one that Kubernetes' published schemas allow, with no unknown property."""
    for manifest in manifests(example).values():
        kubernetes_validate.validate(manifest, VERSION, strict=True)


@pytest.mark.parametrize("change", [{"replicas": "two"}, {"replicants": 2}])
def test_a_wrong_manifest_is_refused(change: dict[str, Any]) -> None:
    """The check above refuses a wrong type and a misspelt property."""
    deployment = copy.deepcopy(manifests("fastapi")["Deployment"])
    deployment["spec"].update(change)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSION, strict=True)


@pytest.mark.parametrize("example", NAMES)
def test_one_projected_volume_holds_the_configmap_and_the_secret(example: str) -> None:
    """The pod mounts the whole ConfigMap and the whole Secret behind one swap, where the application reads."""
    objects = manifests(example)
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    (volume,) = pod["volumes"]
    assert volume["projected"]["sources"] == [
        {"configMap": {"name": objects["ConfigMap"]["metadata"]["name"]}},
        {"secret": {"name": objects["Secret"]["metadata"]["name"]}},
    ]
    (mount,) = pod["containers"][0]["volumeMounts"]
    assert mount["name"] == volume["name"]
    assert "subPath" not in mount
    assert f'volumes=["{mount["mountPath"]}"]' in (EXAMPLES / example / NAMES[example]).read_text("utf-8")


@pytest.mark.parametrize("example", NAMES)
def test_the_readiness_probe_asks_the_page_that_is_served(example: str) -> None:
    """The probe asks /liveconfig/ready, on the port that the image serves."""
    (container,) = manifests(example)["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/liveconfig/ready"
    assert f"EXPOSE {container['ports'][0]['containerPort']}\n" in (EXAMPLES / example / "Dockerfile").read_text(
        "utf-8"
    )
