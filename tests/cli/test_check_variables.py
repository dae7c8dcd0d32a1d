"""``liveconfig check``: the variables of a container, by every name that a class gives its fields."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, Field, SecretStr

from liveconfig import Settings, SettingsConfigDict
from liveconfig._checks import Selection, Trial, check
from liveconfig._manifests import Source, read


class Database(BaseModel):
    host: str
    password: SecretStr


class Plain(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/config"])
    token: str


class CaseSensitive(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/config"], case_sensitive=True)
    token: str


class Nested(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/config"], env_nested_delimiter="__")
    db: Database


class Aliased(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/config"])
    token: str = Field(validation_alias=AliasChoices("new_token", "old_token"))


class Pathed(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/config"])
    token: str = Field(validation_alias=AliasPath("tokens", "first"))
    second: str = Field(validation_alias=AliasPath("tokens", "second"))


class Mapped(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/config"], env_nested_delimiter="__")
    limits: dict[str, int]


def trial(cls: type[Settings], **env: Any) -> Trial:
    """Check a class in a pod with an empty ConfigMap and these variables; None is a value that is not in the input."""
    of_secret = {"valueFrom": {"secretKeyRef": {"name": "not-here", "key": "value"}}}
    variables = [{"name": name, **(of_secret if value is None else {"value": value})} for name, value in env.items()]
    mount = {"name": "config", "mountPath": "/etc/config"}
    app = {"name": "app", "image": "app", "volumeMounts": [mount], "env": variables}
    volumes = [{"name": "config", "configMap": {"name": "shop"}}]
    pod = {"kind": "Pod", "spec": {"containers": [app], "volumes": volumes}}
    documents = [each | {"apiVersion": "v1", "metadata": {"name": "shop"}} for each in (pod, {"kind": "ConfigMap"})]
    (only,) = check(
        cls, read([Source("pod.yaml", "\n---\n".join(map(json.dumps, documents)))], values=True), Selection()
    )
    return only


def states(found: Trial) -> dict[str, str]:
    return {row.field: row.state for row in found.fields}


UNKNOWN = [
    (Plain, "Token"),
    (CaseSensitive, "token"),
    (Nested, "DB"),
    (Aliased, "NEW_TOKEN"),
    (Aliased, "OLD_TOKEN"),
    (Pathed, "TOKENS"),
    (Mapped, "LIMITS"),
    (Mapped, "LIMITS__a"),
]


@pytest.mark.parametrize(("cls", "variable"), UNKNOWN, ids=lambda each: getattr(each, "__name__", each))
def test_a_value_that_is_not_in_the_input(cls: type[Settings], variable: str) -> None:
    """A field is unknown, not missing, if any variable that can feed it has a value that is not in the input."""
    found = trial(cls, **{variable: None})
    [finding] = found.findings
    assert (set(states(found).values()), finding.rule) == ({"unknown"}, "missing-object")
    assert finding.message == "secret/not-here sets variables and is not in the input: what it could feed is unknown"


def test_objects_that_set_variables() -> None:
    """An object that is not in the input is named once, unless no variable of it can feed a field."""
    found = trial(Aliased, NEW_TOKEN=None, OLD_TOKEN=None, OTHER=None).findings
    assert [(each.rule, str(each.object)) for each in found] == [("missing-object", "secret/not-here")]
    assert trial(Grouped, OTHER=None).findings == ()


MISSING = [(CaseSensitive, "TOKEN"), (Nested, "DB_HOST"), (Aliased, "TOKEN"), (Plain, "TOKENS")]


@pytest.mark.parametrize(("cls", "variable"), MISSING, ids=lambda each: getattr(each, "__name__", each))
def test_a_variable_that_feeds_no_field(cls: type[Settings], variable: str) -> None:
    """A required field is missing if no variable feeds it; in a class that is case-sensitive, case counts."""
    found = trial(cls, **{variable: None})
    assert set(states(found).values()) == {"missing"}
    assert [each.rule for each in found.findings] == ["missing-field"]


@pytest.mark.parametrize(("value", "kind"), [(8080, "int"), (True, "bool"), (1.5, "float"), (["x"], "list")])
def test_a_value_that_is_no_text(value: Any, kind: str) -> None:
    """A variable whose value has no quotes, and is no text, is an error: the API server refuses the workload."""
    found = trial(Plain, TOKEN=value)
    [finding] = found.findings
    assert (states(found), finding.rule, finding.key) == ({"token": "invalid"}, "invalid-value", "TOKEN")
    assert finding.message == (
        f"the value of the variable TOKEN is of type {kind}, not text: put it in quotes; the API server refuses the "
        "workload"
    )


class Limits(BaseModel):
    size: int = 1
    count: int = 1


class Grouped(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/config"])
    limits: Limits = Limits()


def test_a_variable_that_holds_a_whole_model() -> None:
    """A variable with a model as JSON is named at each field that it holds a value for."""
    found = trial(Grouped, LIMITS='{"size": 2}')
    assert [(row.field, row.key, row.state) for row in found.fields] == [
        ("limits.size", "LIMITS", "environment"),
        ("limits.count", None, "default"),
    ]
    [finding] = found.findings
    assert (finding.rule, finding.field, finding.key) == ("frozen-field", "limits.size", "LIMITS")


def test_a_model_in_a_variable_that_lacks_a_field() -> None:
    """A required field that a variable with its model does not hold is missing; a wrong one there is invalid."""
    found = trial(Nested, DB='{"host": []}')
    assert states(found) == {"db.host": "invalid", "db.password": "missing"}
    rules = {each.field: (each.rule, each.key) for each in found.findings if each.level == "error"}
    assert rules == {"db.host": ("invalid-value", "DB"), "db.password": ("missing-field", "")}
