"""``liveconfig check``: which containers of a workload are checked, and which volumes each of them reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from liveconfig import Settings, SettingsConfigDict, Volume
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


def trials(
    pod: dict[str, Any],
    selection: Selection | None = None,
    cls: type[Settings] = App,
    more: Sequence[dict[str, Any]] = (),
) -> tuple[Trial, ...]:
    """Check a class in a workload with these pod templates."""
    data = {"config": {"endpoint": "x"}, "secrets": {"password": "x"}}
    documents = [{"kind": "ConfigMap", "metadata": {"name": name}, "data": data[name]} for name in data]
    documents += [{"kind": "Pod", "metadata": {"name": "web"}, "spec": pod}, *more]
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


@pytest.mark.parametrize("value", ["/etc/config=/config:/etc/secrets=/secrets", "/config:/secrets/"])
def test_volumes_in_the_variable(value: str) -> None:
    """`LIVECONFIG_VOLUMES` in the environment of a container says which volumes the class reads there."""
    pod = spec(container("app", "/config", "/secrets", LIVECONFIG_VOLUMES=value), container("reload", CONFIG))
    found = trials(pod)
    assert (tried(found), findings(found)) == (["app"], ())
    assert {row.state for row in found[0].fields} == {"live"}


def test_a_required_volume_in_the_variable() -> None:
    """A volume that `LIVECONFIG_VOLUMES` puts in the place of a required one is required too."""

    class Required(Settings):
        model_config = SettingsConfigDict(volumes=[CONFIG, Volume(SECRETS, required=True)])

    pod = spec(container("app", CONFIG, LIVECONFIG_VOLUMES="/etc/secrets=/run/secrets"))
    [finding] = [each for each in findings(trials(pod, cls=Required)) if each.level == "error"]
    assert finding.rule == "missing-volume"
    assert "nothing is mounted at /run/secrets" in finding.message


def test_a_wrong_value_of_the_variable() -> None:
    """A value of `LIVECONFIG_VOLUMES` that does not parse is an error: the application does not start with it."""
    found = trials(spec(container("app", CONFIG, SECRETS, LIVECONFIG_VOLUMES="/etc/config=/config:/more")))
    [finding] = findings(found)
    assert (finding.rule, finding.level, finding.key) == ("invalid-value", "error", "LIVECONFIG_VOLUMES")
    assert finding.message.startswith("LIVECONFIG_VOLUMES contains both pairs")
    assert {row.state for row in found[0].fields} == {"live"}


def test_the_variable_of_a_secret(canary: str) -> None:
    """A value of `LIVECONFIG_VOLUMES` that a Secret holds is not used: findings would name paths of it."""
    app = container("app", CONFIG, SECRETS)
    app["env"] = [{"name": "LIVECONFIG_VOLUMES", "valueFrom": {"secretKeyRef": {"name": "paths", "key": "volumes"}}}]
    secret = {"kind": "Secret", "metadata": {"name": "paths"}, "stringData": {"volumes": f"/{canary}"}}
    [found] = trials(spec(app), more=[secret])
    assert {row.state for row in found.fields} == {"live"}
    assert canary not in repr(found.findings)
