"""``liveconfig check``: which containers of a workload are checked, and which volumes each of them reads."""

from __future__ import annotations

import json
from typing import Any

from liveconfig import Settings, SettingsConfigDict
from liveconfig._checks import Selection, Trial, check, findings
from liveconfig._manifests import Source, read


class App(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/config", "/etc/secrets"])
    endpoint: str
    password: str


CONFIG, SECRETS = "/etc/config", "/etc/secrets"


def container(name: str, *mounts: str, **env: str) -> dict[str, Any]:
    """A container; its mounts are paths, which hold the object that their last part begins with."""
    volumes = [{"name": "config" if "config" in each else "secrets", "mountPath": each} for each in mounts]
    variables = [{"name": each, "value": value} for each, value in env.items()]
    return {"name": name, "image": name, "volumeMounts": volumes, "env": variables}


def spec(*containers: dict[str, Any], init: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    volumes = [{"name": each, "configMap": {"name": each}} for each in ("config", "secrets")]
    return {"containers": list(containers), "initContainers": list(init), "volumes": volumes}


def trials(pod: dict[str, Any], selection: Selection | None = None, cls: type[Settings] = App) -> tuple[Trial, ...]:
    """Check a class in a workload with these pod templates."""
    data = {"config": {"endpoint": "x"}, "secrets": {"password": "x"}}
    documents = [{"kind": "ConfigMap", "metadata": {"name": name}, "data": data[name]} for name in data]
    documents.append({"kind": "Pod", "metadata": {"name": "web"}, "spec": pod})
    text = "\n---\n".join(json.dumps(each | {"apiVersion": "v1"}) for each in documents)
    return check(cls, read([Source("web.yaml", text)], values=True), selection or Selection())


def tried(found: tuple[Trial, ...]) -> list[str]:
    return [each.surroundings.container for each in found]


APP = container("app", CONFIG, SECRETS)


def test_containers_beside_the_application() -> None:
    """An init container or a sidecar that mounts fewer volumes of the class than the application is left out."""
    found = trials(spec(APP, container("reload", CONFIG), init=(container("wait", CONFIG),)))
    assert (tried(found), findings(found)) == (["app"], ())


def test_a_container_that_is_chosen() -> None:
    """A container that `--container` names is checked, whatever the others mount."""
    found = trials(spec(APP, container("reload", CONFIG)), Selection(container="reload"))
    assert tried(found) == ["reload"]
    assert [each.rule for each in findings(found)] == ["missing-field", "not-mounted"]
    assert not any("reload" in each.message for each in findings(found))


def test_containers_that_mount_different_volumes() -> None:
    """A finding names its container where several containers of a workload are checked."""
    found = trials(spec(container("one", CONFIG), container("two", SECRETS)))
    assert tried(found) == ["one", "two"]
    shown = sorted(each.message.partition(" (")[0] for each in findings(found))
    assert shown == [
        "container one: nothing is mounted at /etc/secrets",
        "container one: password: Field required",
        "container two: endpoint: Field required",
        "container two: nothing is mounted at /etc/config",
    ]


def test_containers_with_the_same_finding() -> None:
    """A finding that several containers have in common stands once, with all their names."""
    found = trials(spec(container("one", CONFIG), container("two", CONFIG), init=(container("three", CONFIG),)))
    named = [each.message.partition(": ")[0] for each in findings(found)]
    assert named == ["containers three, one, two"] * 2


def test_containers_of_other_pods() -> None:
    """A container of another pod template is no sidecar, and is not left out."""
    pods = {"driver": {"spec": spec(APP)}, "worker": {"spec": spec(container("worker", CONFIG))}}
    assert tried(trials({"pods": pods})) == ["app", "worker"]
