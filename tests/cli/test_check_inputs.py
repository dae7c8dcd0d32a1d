"""``liveconfig check``: what the kubelet makes of a manifest, and classes of every shape; never a value, never a traceback."""

from __future__ import annotations

import dataclasses
import enum
import json
import os
import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    Field,
    PlainValidator,
    SecretStr,
    Strict,
    WrapValidator,
    field_validator,
    model_validator,
)

from liveconfig import InvalidSettingsError, Key, Settings, SettingsConfigDict
from liveconfig._checks import Selection, changes, schema_of
from liveconfig._checks import check as check_class
from liveconfig._manifests import Source, read, read_paths
from liveconfig.testing import KubeletVolume, check_manifests

APP = """
from pydantic import AliasChoices, BaseModel, Field, SecretStr, model_validator
from typing import Annotated
from liveconfig import Key, Settings, SettingsConfigDict

class Database(BaseModel):
    host: str
    port: int = 5432

class App(Settings):
    model_config = SettingsConfigDict(
        volumes=["/etc/config"], env_prefix="SHOP_", key_prefix="", env_nested_delimiter="__",
        from_environment=["level", "database.port"],
    )
    database: Database
    level: str = "info"
    renamed: Annotated[str, Key(name="other.name")] = ""
    aliased: str = Field("", validation_alias=AliasChoices("first", "second"))

    @model_validator(mode="after")
    def check(self):
        if self.database.port == 1:
            raise ValueError(f"not with {self.database.host}")
        return self
"""

POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  containers:
  - name: app
    env: {env}
    envFrom: {env_from}
    volumeMounts: [{{name: config, mountPath: /etc/config}}]
  volumes:
  - name: config
    configMap: {{name: {config}{items}}}
---
"""


def pod(name: str = "shop", env: Any = (), env_from: Any = (), config: str = "shop", items: str = "") -> str:
    return POD.format(
        name=name, env=json.dumps(list(env)), env_from=json.dumps(list(env_from)), config=config, items=items
    )


def configmap(data: Any, name: str = "shop", **more: Any) -> str:
    return (
        json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data, **more})
        + "\n---\n"
    )


@pytest.fixture
def check(tmp_path: Path) -> Any:
    """Check texts against the application in a process of its own; returns the code, the answer, standard error."""
    (tmp_path / "shop_app.py").write_text(APP)

    def run(text: str, *arguments: str, output: str = "json") -> Any:
        (tmp_path / "shop.yaml").write_text(text)
        command = [sys.executable, "-m", "liveconfig", "check", "shop_app:App", "shop.yaml", *arguments, "-o", output]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert "Traceback" not in done.stderr
        answer = json.loads(done.stdout) if output == "json" and done.stdout else done.stdout
        return done.returncode, answer, done.stderr

    return run


def row(answer: Any, field: str) -> Any:
    return next((each["key"], each["state"]) for each in answer["fields"] if each["field"] == field)


GOOD = {"database.host": "db"}


def test_names(check: Any) -> None:
    """Nested fields, aliases and Key names are fed by the keys that a pod would use."""
    data = {**GOOD, "database.port": "1234", "other.name": "x", "second": "y"}
    code, answer, _ = check(pod() + configmap(data))
    assert (code, answer["findings"]) == (0, [])
    assert row(answer, "database.port") == ("database.port", "live")
    assert row(answer, "renamed") == ("other.name", "live")
    assert row(answer, "aliased") == ("second", "live")


def test_keys_with_folders(check: Any) -> None:
    """``items`` puts a key in a folder, which feeds a nested field."""
    text = pod(items=", items: [{key: host, path: database/host}]") + configmap({"host": "db", "left-out": "1"})
    code, answer, _ = check(text)
    assert (code, answer["findings"]) == (0, [])
    assert row(answer, "database.host") == ("database/host", "live")


def test_a_class_level_validator(check: Any, canary: str) -> None:
    """A rejection by a validator of the whole class is an error, without the text of its exception."""
    code, answer, _ = check(pod() + configmap({"database.host": canary, "database.port": "1"}))
    assert code == 1
    assert canary not in json.dumps(answer)
    assert [each["rule"] for each in answer["findings"]] == ["invalid-value"]


class Translated(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/config"])
    token: Annotated[str, Strict(), AfterValidator(lambda token: {"one": "first"}[token])] | None = None
    number: int = 0


def test_a_validator_that_raises_while_a_key_is_decoded(tmp_path: Path, canary: str) -> None:
    """A validator that raises while a key is decoded is a finding at that key, without the value."""
    (tmp_path / "shop.yaml").write_text(pod() + configmap({"token": canary, "number": "1"}))
    [trial] = check_class(Translated, read(read_paths([str(tmp_path)]), values=True), Selection())
    [finding] = trial.findings
    assert (finding.rule, finding.field, finding.key) == ("invalid-value", "token", "token")
    assert "a validator of 'token' raised KeyError" in finding.message
    assert canary not in repr(finding)


def test_variables_in_variables(check: Any, canary: str) -> None:
    """``$(NAME)`` in a variable is replaced by an earlier variable, ``$$`` by a dollar sign; an unknown one stays."""
    env = [
        {"name": "PORT", "value": "77"},
        {"name": "SHOP_DATABASE__PORT", "value": "$(PORT)"},
        {"name": "SHOP_LEVEL", "value": "$(NONE)$$(PORT)"},
    ]
    code, answer, _ = check(pod(env=env) + configmap(GOOD))
    assert code == 0, answer
    assert row(answer, "level") == ("SHOP_LEVEL", "environment")
    env[0]["value"] = canary
    code, answer, _ = check(pod(env=env) + configmap(GOOD))
    assert code == 1
    assert canary not in json.dumps(answer)


def test_a_value_that_is_not_in_the_input(check: Any) -> None:
    """A variable that is made of a value of a Secret that is not in the input is unknown, not wrong."""
    env = [
        {"name": "PORT", "valueFrom": {"secretKeyRef": {"name": "none", "key": "port"}}},
        {"name": "SHOP_DATABASE__PORT", "value": "$(PORT)"},
    ]
    code, answer, _ = check(pod(env=env) + configmap(GOOD))
    assert code == 0
    assert not [each for each in answer["findings"] if each["level"] == "error"]


def test_variables_of_an_object_that_is_not_in_the_input(check: Any) -> None:
    """Fields that a missing object of ``envFrom`` could feed are unknown, with one warning."""
    code, answer, _ = check(pod(env_from=[{"secretRef": {"name": "none"}, "prefix": "SHOP_"}]) + configmap({"x": "1"}))
    assert code == 0
    assert row(answer, "database.host") == (None, "unknown")
    assert [each["rule"] for each in answer["findings"] if each["rule"] == "missing-object"] == ["missing-object"]


def test_optional_ones_that_are_absent(check: Any) -> None:
    """An optional object that is absent feeds nothing and is no finding."""
    optional = [{"configMapRef": {"name": "none", "optional": True}}]
    env = [{"name": "SHOP_LEVEL", "valueFrom": {"configMapKeyRef": {"name": "shop", "key": "none", "optional": True}}}]
    code, answer, _ = check(pod(env=env, env_from=optional) + configmap(GOOD))
    assert (code, answer["findings"]) == (0, [])
    assert row(answer, "level") == (None, "default")


def test_binary_data(check: Any) -> None:
    """``binaryData`` makes a file and no variable."""
    text = pod(env_from=[{"configMapRef": {"name": "more"}, "prefix": "SHOP_"}]) + configmap(GOOD)
    code, answer, _ = check(text + configmap({}, "more", binaryData={"LEVEL": "//8="}))
    assert code == 0, answer
    assert row(answer, "level") == (None, "default")


def test_a_variable_of_binary_data(check: Any) -> None:
    """A variable of a key in ``binaryData`` is an error: the kubelet does not look there, and the container waits for ever."""
    env = [{"name": "SHOP_LEVEL", "valueFrom": {"configMapKeyRef": {"name": "more", "key": "LEVEL"}}}]
    code, answer, _ = check(pod(env=env) + configmap(GOOD) + configmap({}, "more", binaryData={"LEVEL": "AA=="}))
    assert (code, [(each["rule"], each["key"]) for each in answer["findings"]]) == (1, [("missing-key", "LEVEL")])
    assert "in `binaryData` only" in answer["findings"][0]["message"]


HOSTILE = "x\n::error file=app.py,line=1::forged\x1b]0;x\x07##[error]y"


def test_hostile_names(check: Any, tmp_path: Path) -> None:
    """No name in a manifest, and no name of a file, is a command to a terminal or to a CI system that keeps the log."""
    text = (
        pod()
        .replace("name: app\n", f"name: {json.dumps(HOSTILE)}\n")
        .replace("name: shop}", f"name: {json.dumps(HOSTILE)}}}", 1)
    )
    (tmp_path / "k8s").mkdir()
    (tmp_path / "k8s" / "::error::forged\x1b.yaml").write_text(
        text + configmap({**GOOD, HOSTILE: "x", "database.port": "x"})
    )
    code, shown, _ = check("", "k8s", output="table")
    assert (code, "forged" in shown) == (1, True)
    assert all(line.isprintable() for line in shown.splitlines())
    assert not [line for line in shown.splitlines() if line.strip().startswith("::") or "##[" in line]


def test_hostile_names_of_fields(tmp_path: Path) -> None:
    """A field that a document names, in a model that takes any, is no command in the answer of ``--diff`` or the table."""
    (tmp_path / "shop_app.py").write_text(
        "from pydantic import BaseModel\n"
        "from liveconfig import Settings, SettingsConfigDict\n"
        "class More(BaseModel, extra='allow'):\n"
        "    level: str = ''\n"
        "class App(Settings):\n"
        "    model_config = SettingsConfigDict(volumes=['/etc/config'], documents=['app.json'])\n"
        "    more: More\n"
    )
    for file, value in (("old", "1"), ("new", "2")):
        document = json.dumps({"more": {HOSTILE: value}})
        (tmp_path / f"{file}.yaml").write_text(configmap({"app.json": document}))
    for arguments in (["--diff", "old.yaml", "new.yaml"], ["new.yaml"]):
        done = subprocess.run(
            [sys.executable, "-m", "liveconfig", "check", "shop_app:App", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "more.x?::error" in done.stdout or "--diff" not in arguments
        assert all(line.isprintable() for line in done.stdout.splitlines())
        assert not [line for line in done.stdout.splitlines() if line.strip().startswith("::") or "##[" in line]


@pytest.mark.parametrize("name", ["", "A=B", "A\0B"], ids=["empty", "equals", "nul"])
def test_names_that_no_variable_has(check: Any, name: str) -> None:
    """A name that no variable can have is left out, and no traceback."""
    code, _, _ = check(
        pod(env=[{"name": name, "value": "x"}, {"name": "SHOP_LEVEL", "value": "\ud800"}]) + configmap(GOOD)
    )
    assert code in (0, 2)


def test_a_file_that_is_read_twice(check: Any) -> None:
    """The objects of a file that a directory holds and an argument names too do not stand in the input twice."""
    code, answer, _ = check(pod() + configmap(GOOD), "./shop.yaml", ".")
    assert (code, answer["findings"]) == (0, [])


def in_namespace(name: str, value: str) -> str:
    """A pod and its ConfigMap in a namespace."""
    objects = pod() + configmap({**GOOD, "database.port": value})
    return objects.replace("{name: shop}", f"{{name: shop, namespace: {name}}}").replace(
        '{"name": "shop"}', json.dumps({"name": "shop", "namespace": name})
    )


def test_one_workload_in_two_namespaces(check: Any) -> None:
    """Workloads of one name in two namespaces are told apart, and ``-n`` with ``--workload`` chooses one of them."""
    text = in_namespace("dev", "2") + in_namespace("prod", "x")
    code, answer, _ = check(text)
    states = {each["namespace"]: each["state"] for each in answer["fields"] if each["field"] == "database.port"}
    assert (code, states) == (1, {"dev": "live", "prod": "invalid"})
    shown = check(text, output="table")[1].splitlines()
    titles = [line for line in shown if line.startswith("pod/shop")]
    assert titles == [f"pod/shop in namespace {each}, container app" for each in ("dev", "prod")]
    code, answer, _ = check(text, "--workload", "pod/shop", "-n", "dev")
    assert (code, {each["namespace"] for each in answer["fields"]}) == (0, {"dev"})
    code, _, said = check(text, "--workload", "pod/shop", "-n", "test")
    assert (code, "pod/shop in namespace test that mounts /etc/config is not in the input" in said) == (2, True)


def test_diff_by_workload(check: Any, tmp_path: Path) -> None:
    """``--diff`` compares each workload with itself, also where another one comes before it."""
    old = pod("b") + configmap({"database.host": "one"})
    (tmp_path / "old.yaml").write_text(old)
    (tmp_path / "new.yaml").write_text(pod("a", config="other") + configmap({"database.host": "two"}, "other") + old)
    code, answer, _ = check("", "--diff", "old.yaml", "new.yaml")
    alone = [{"workload": "pod/a", "namespace": None, "container": "app", "only_in": "new"}]
    assert (code, answer) == (0, {"schema": 1, "changes": [], "unknown": [], "not_compared": alone})


def test_diff_of_a_workload_in_one_version(check: Any, tmp_path: Path) -> None:
    """``--diff`` names the workloads that only one version has, and says that nothing was compared if it was nothing."""
    (tmp_path / "old.yaml").write_text(pod("a") + configmap(GOOD))
    (tmp_path / "new.yaml").write_text(pod("b") + configmap({"database.host": "two"}))
    code, text, _ = check("", "--diff", "old.yaml", "new.yaml", output="table")
    assert (code, text.splitlines()) == (
        0,
        [
            "No workload is in both versions: nothing was compared.",
            "Not compared, because only OLD has it: pod/a, container app.",
            "Not compared, because only NEW has it: pod/b, container app.",
        ],
    )


def test_diff_of_objects_and_a_workload(check: Any, tmp_path: Path) -> None:
    """``--diff`` of objects alone and of a workload compares nothing, and says how it would."""
    (tmp_path / "old.yaml").write_text(configmap(GOOD))
    (tmp_path / "new.yaml").write_text(pod() + configmap(GOOD))
    code, text, _ = check("", "--diff", "old.yaml", "new.yaml", output="table")
    assert (code, text.splitlines()[1:]) == (
        0,
        [
            "Not compared, because only OLD has it: objects without a workload.",
            "Not compared, because only NEW has it: pod/shop, container app.",
            "Give the workloads as PATH: objects of the PATHs complete both versions.",
        ],
    )


@pytest.mark.parametrize("data", [{**GOOD, "database.port": "x"}, {}], ids=["invalid", "missing"])
def test_diff_of_a_workload_that_is_not_valid(check: Any, tmp_path: Path, data: dict[str, str]) -> None:
    """``--diff`` ends with 2 for a version that the application would reject, also where only that one has the workload."""
    (tmp_path / "old.yaml").write_text(configmap(GOOD))
    (tmp_path / "new.yaml").write_text(pod() + configmap(data))
    code, _, said = check("", "--diff", "old.yaml", "new.yaml")
    assert (code, "NEW has no valid configuration" in said) == (2, True)


def test_diff_of_what_is_missing_in_both(check: Any, tmp_path: Path) -> None:
    """``--diff`` ends with 2 where a workload lacks a required field in both versions."""
    for name in ("old", "new"):
        (tmp_path / f"{name}.yaml").write_text(pod() + configmap({}))
    code, _, said = check("", "--diff", "old.yaml", "new.yaml")
    assert (code, "OLD and NEW have no valid configuration" in said) == (2, True)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (pod(config="v1"), pod(config="v2")),
        (pod(env=[{"name": "SHOP_LEVEL", "value": "one"}]), pod()),
        (pod(config="v1"), pod()),
    ],
    ids=["another name", "a variable that is removed", "an object that is removed"],
)
def test_diff_of_another_pod_template(tmp_path: Path, old: str, new: str) -> None:
    """A change that comes with a change of the pod template takes effect at the next start."""

    class Levels(Settings):
        model_config = SettingsConfigDict(volumes=["/etc/config"])
        level: str = Field("info", validation_alias="SHOP_LEVEL")

    objects = configmap({"SHOP_LEVEL": "one"}, "v1") + configmap({"SHOP_LEVEL": "two"}, "v2") + configmap({})
    versions = (read([Source("shop.yaml", text + objects)], values=True) for text in (old, new))
    found = changes(*(check_class(Levels, each, Selection()) for each in versions))
    assert [(each.field, each.when) for each in found.changes] == [("level", "restart")]


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_diff_of_two_workloads(check: Any, tmp_path: Path, names: str) -> None:
    """A field that changes live in one workload, and at the next start in another one, changes at the next start."""
    for file, host, config in (("old", "one", "v1"), ("new", "two", "v2")):
        data, pods = {"database.host": host}, {"a": pod("a"), "b": pod("b", config=config)}
        text = "".join(pods[name] for name in names) + configmap(data) + configmap(data, config)
        (tmp_path / f"{file}.yaml").write_text(text)
    code, answer, _ = check("", "--diff", "old.yaml", "new.yaml")
    assert (code, answer["changes"]) == (0, [{"field": "database.host", "when": "restart"}])


def test_diff_of_invalid_ones(check: Any, tmp_path: Path) -> None:
    """``--diff`` of versions without a valid configuration is one line that names them."""
    for name in ("old", "new"):
        (tmp_path / f"{name}.yaml").write_text(pod() + configmap({**GOOD, "database.port": "x"}))
    code, _, said = check("", "--diff", "old.yaml", "new.yaml")
    assert code == 2
    assert "OLD and NEW have no valid configuration" in said


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        ("stringData: {password: pw}", "Nothing to correct: the application would start with this."),
        ("stringData: {}", "Nothing to correct in the input, which does not show the values of: password."),
    ],
)
def test_the_last_line_of_the_table(tmp_path: Path, secret: str, says: str) -> None:
    """The table ends with what holds: nothing to correct, or nothing in the input and which fields it does not show."""
    (tmp_path / "shop_app.py").write_text(
        "from pydantic import SecretStr\nfrom liveconfig import Settings, SettingsConfigDict\n"
        "class App(Settings):\n    model_config = SettingsConfigDict(volumes=['/etc/secrets'])\n    password: SecretStr\n"
    )
    (tmp_path / "secret.yaml").write_text(f"apiVersion: v1\nkind: Secret\nmetadata: {{name: shop}}\n{secret}\n")
    arguments = ["check", "shop_app:App", "secret.yaml", "--volume", "/etc/secrets=secret/shop"]
    done = subprocess.run(
        [sys.executable, "-m", "liveconfig", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, says), done.stderr


@pytest.mark.parametrize("text", ["raise SystemExit(3)", "1/0", "def f(:", "import no_such_module_x"])
def test_an_import_that_fails(tmp_path: Path, text: str) -> None:
    """A class whose module cannot be imported is one line and exit code 2."""
    (tmp_path / "broken.py").write_text(text)
    for command in (["check", "broken:App", "."], ["schema", "broken:App"]):
        done = subprocess.run(
            [sys.executable, "-m", "liveconfig", *command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr


def test_the_schema_accepts_every_spelling() -> None:
    """The schema accepts each name and spelling that feeds a field, and asks for one of those of a required field."""

    class Spelled(Settings):
        model_config = SettingsConfigDict(volumes=["/etc/config"])
        enabled: bool = False
        api_url: str
        port: Annotated[int, Field(validation_alias=AliasChoices("port", "http_port"))]

    validator = jsonschema.Draft202012Validator(schema_of(Spelled))
    for url in ("api_url", "api-url"):
        for port in ("port", "http_port", "http-port"):
            validator.validate({url: "https://pay", port: " 8080\n"})
    for word in ("true", "NO", "On", "0", "1", "t"):
        validator.validate({"api-url": "https://pay", "port": "1", "enabled": word})
    assert not validator.is_valid({"api-url": "https://pay", "port": "1", "enabled": "maybe"})
    assert not validator.is_valid({"api-url": "https://pay"})
    assert not validator.is_valid({"port": "1"})
    assert not validator.is_valid({"api-url": "https://pay", "port": "x"})


class Colour(enum.Enum):
    RED = "red"


class Size(enum.Enum):
    SMALL = "small"

    @classmethod
    def _missing_(cls, value: object) -> Size | None:
        return cls.SMALL if str(value).startswith("s") else None


class Level(enum.IntEnum):
    LOW = 1


def without_unit(text: Any) -> int:
    return int(str(text).rstrip("s"))


def checked(value: Any) -> Any:
    return value


TEXTS = [
    (float, ["1", "-2.5e5", ".5", "inf", " 1\n"], ["abc", "1,5", ""]),
    (int | None, ["5"], ["x", ""]),
    (Literal["a", "b"] | None, ["a"], ["c"]),
    (Literal["a", "b"], ["a", "b"], ["c"]),
    (Colour | None, ["red"], ["RED", "green"]),
    (bool | None, ["yes"], ["maybe"]),
    (int | str, ["5", "x"], []),
    (Annotated[int, Field(gt=3)], ["5"], ["x"]),
    (bool, ["true\n", "off\r\n"], ["true #"]),
    (Literal["a b", "c-d"], ["a b\n", "c-d\n\n"], ["a b ", "a  b"]),
    (Colour | None, ["red\n"], ["red "]),
    (float, ["1_0.5"], ["1.2.3"]),
    (Size, ["small", "s"], []),
    (Level, ["1", "01"], []),
    (Annotated[int, Strict()] | None, ["null", "7"], ["x"]),
    (Annotated[int, BeforeValidator(without_unit)], ["30s"], []),
    (Annotated[int, BeforeValidator(without_unit)] | None, ["30s"], []),
    (Annotated[int, WrapValidator(lambda text, inner: inner(without_unit(text)))], ["30s"], []),
    (Annotated[int, PlainValidator(without_unit)], ["30s"], []),
    (Annotated[int, AfterValidator(checked)], ["30"], ["30s"]),
    (Annotated[Literal["a"], BeforeValidator(str.lower)], ["A"], []),
]


@pytest.mark.parametrize(("annotation", "right", "wrong"), TEXTS)
def test_the_schema_takes_what_the_class_takes(
    kubelet_volume: KubeletVolume, annotation: Any, right: list[str], wrong: list[str]
) -> None:
    """The schema and the class agree about the text of a value, also where it is optional."""
    cls = type("Typed", (Settings,), {"__annotations__": {"value": annotation}, "__module__": __name__})
    validator = jsonschema.Draft202012Validator(schema_of(cls))
    for text in (*right, *wrong):
        assert validator.is_valid({"value": text}) == (text in right)
        kubelet_volume.write({"value": text})
        with nullcontext() if text in right else pytest.raises(InvalidSettingsError):
            cls.load(_volumes=kubelet_volume.path, _watch=False)


SPECIAL = {
    "env_parse_none_str": ({"number": "null"}, {"number": "none"}),
    "env_ignore_empty": ({"number": "\n"}, {"number": " "}),
    "strict": ({"number": "1e0"}, {"number": "x"}),
    "env_parse_enums": ({"colour": "RED"}, {"colour": "GREEN"}),
}


@pytest.mark.parametrize("option", SPECIAL)
def test_the_schema_takes_special_texts(option: str) -> None:
    """A text that the configuration of the class gives a meaning is valid, and no other one."""
    config: Any = {"volumes": ["/etc/config"], option: "null" if "none" in option else True}
    types = {"number": int | None, "colour": Colour}
    values = {"number": None, "colour": Colour.RED}
    cls = type(
        "Special", (Settings,), {"__annotations__": types, "model_config": config, "__module__": __name__, **values}
    )
    validator = jsonschema.Draft202012Validator(schema_of(cls))
    right, wrong = SPECIAL[option]
    assert validator.is_valid(right)
    assert not validator.is_valid(wrong)


class Timed(BaseModel):
    timeout: int = 1
    retries: int = 1

    @field_validator("timeout", mode="before")
    @classmethod
    def _without_unit(cls, value: Any) -> Any:
        return without_unit(value)


class Shared(BaseModel):
    timeout: int = 1

    @model_validator(mode="before")
    @classmethod
    def _without_unit(cls, data: Any) -> Any:
        return {name: without_unit(value) for name, value in data.items()}


class Own(BaseModel):
    timeout: int

    def __init__(self, timeout: str) -> None:
        super().__init__(timeout=without_unit(timeout))


class Validated(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/config"])
    timed: Timed | None = None
    shared: Shared = Shared()
    own: Own = Own("1")
    retry: int = 1
    port: Annotated[int, Key("port.yaml")] = 1
    colour: Annotated[Colour, Key(format="json")] = Colour.RED

    @field_validator("retry", mode="wrap")
    @classmethod
    def _without_unit(cls, value: Any, inner: Any) -> Any:
        return inner(without_unit(value))


VALIDATED = [
    ({"timed.timeout": "30s"}, True),
    ({"timed.retries": "30s"}, False),
    ({"shared.timeout": "30s"}, True),
    ({"own.timeout": "30s"}, True),
    ({"retry": "30s"}, True),
    ({"port.yaml": "8080 # the port of the service"}, True),
    ({"colour": ' "red"'}, True),
]


@pytest.mark.parametrize(("data", "valid"), VALIDATED, ids=[next(iter(data)) for data, _ in VALIDATED])
def test_the_schema_of_validated_fields(kubelet_volume: KubeletVolume, data: dict[str, str], valid: bool) -> None:
    """What a validator gets before its type does, and what a document holds, is any text for the schema."""
    assert jsonschema.Draft202012Validator(schema_of(Validated)).is_valid(data) is valid
    kubelet_volume.write(data)
    with nullcontext() if valid else pytest.raises(InvalidSettingsError):
        Validated.load(_volumes=kubelet_volume.path, _watch=False)


def test_the_patterns_of_a_schema_are_for_every_editor() -> None:
    """A pattern of the schema escapes nothing but what ECMA-262 lets it escape."""

    class Spaced(Settings):
        value: Annotated[Literal["a b", "c-d", "e#&~"], Key("odd key#1")] = "a b"

    escaped = re.findall(r"\\\\(.)", json.dumps(schema_of(Spaced)))
    assert set(escaped) <= set("^$.*+?()[]{}|/srnu")


class Card(BaseModel):
    kind: Literal["card"]
    limit: int = 0
    strict: bool = False


class Invoice(BaseModel):
    kind: Literal["invoice"]
    limit: str = ""
    strict: bool = False
    token: SecretStr = SecretStr("")


class Transfer(BaseModel):
    kind: Literal["transfer"]
    token: str = ""


class Paid(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/config"])
    by: Annotated[Card | Invoice, Field(discriminator="kind")] = Card(kind="card")
    later: Invoice | Transfer | None = None


UNIONS = [
    ({"by.kind": "card"}, True),
    ({"by.kind": "invoice", "by.limit": "none"}, True),
    ({"by.kind": "transfer"}, False),
    ({"by.strict": "yes"}, True),
    ({"by.strict": "maybe"}, False),
    ({"later.kind": "transfer"}, True),
    ({"later.kind": "card"}, False),
    ({"later.token": "s"}, False),
]


@pytest.mark.parametrize(("data", "valid"), UNIONS)
def test_the_schema_of_a_union(data: dict[str, str], valid: bool) -> None:
    """A field that several models of a union have takes what any of them takes; it is secret if it is in one of them."""
    assert jsonschema.Draft202012Validator(schema_of(Paid)).is_valid(data) == valid


class Tree(BaseModel):
    name: str = "x"
    next: Tree | None = None


class Nested(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/config"], env_prefix="APP_", env_nested_delimiter="__")
    message: str
    port: int = 1
    tree: Tree = Tree()
    trees: dict[str, Tree] = {}
    password: SecretStr = SecretStr("")


NESTED = [
    ({"APP_MESSAGE": "x"}, True),
    ({"app-message": "x", "App_Port": "1"}, True),
    ({"APP_message": "x", "APP_TREE__NAME": "y", "APP_tree.next.name": "z"}, True),
    ({"APP_message": "x", "APP_tree": "{}", "APP_trees": "{}"}, True),
    ({"APP_message": "x", "APP_trees.acme.name": "1", "APP_TREES__acme__next__name": "2"}, True),
    ({}, False),
    ({"message": "x"}, False),
    ({"APP_message": "x", "APP_prt": "1"}, False),
    ({"APP_message": "x", "APP_PORT": "x"}, False),
    ({"APP_message": "x", "APP_password": "s"}, False),
]


@pytest.mark.parametrize(("data", "valid"), NESTED, ids=lambda each: " ".join(each) if isinstance(each, dict) else "")
def test_the_schema_of_nested_fields(data: dict[str, str], valid: bool) -> None:
    """The schema compares names as the class does: any case, hyphens, the delimiter, entries of mappings."""
    schema = schema_of(Nested)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert jsonschema.Draft202012Validator(schema).is_valid(data) is valid


@dataclasses.dataclass
class Pool:
    size: int = 1
    eager: bool = False


class Pooled(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/config"])
    pool: Pool = Field(default_factory=Pool)


@pytest.mark.parametrize(
    ("data", "valid"),
    [
        ({"pool.size": "5", "pool.eager": "true"}, True),
        ({"pool": '{"size": 5}'}, True),
        ({"pool.size": "x"}, False),
        ({"pool.eager": "maybe"}, False),
        ({"pool.sise": "5"}, False),
    ],
)
def test_the_schema_of_a_dataclass(data: dict[str, str], valid: bool) -> None:
    """The schema has the fields of a dataclass, with their types."""
    assert jsonschema.Draft202012Validator(schema_of(Pooled)).is_valid(data) is valid


class Login(BaseModel):
    user: str = "none"
    pool_size: int = 1


class Hyphenated(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/config"], env_nested_delimiter="-", watch=False)
    checkout_enabled: bool = False
    login: Login = Login()


@pytest.mark.parametrize(
    "key", ["login-user", "login_user", "LOGIN-pool-size", "checkout-enabled", "login-usr", "user"]
)
def test_the_schema_of_a_delimiter_of_hyphens(kubelet_volume: KubeletVolume, key: str) -> None:
    """The schema and the class agree about the keys that reach inside where the delimiter is a hyphen."""
    kubelet_volume.write({key: "1"})
    unused = Hyphenated.load(_volumes=kubelet_volume.path).live.status().unused_keys
    assert jsonschema.Draft202012Validator(schema_of(Hyphenated)).is_valid({key: "1"}) is (not unused)


class Sized(BaseModel):
    size: int
    limits: dict[str, int] = {}


class Pathed(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/config"])
    box: Sized = Field(validation_alias=AliasPath("store", "box"))
    other: Sized = Field(Sized(size=1), validation_alias=AliasChoices("second", AliasPath("spare", "box")))
    first: int = Field(1, validation_alias=AliasPath("sizes", 0))
    deep: int = Field(1, validation_alias=AliasPath("outer", "middle", "inner"))
    dotted: str = Field("", validation_alias=AliasPath("labels", "app.name"))


BOX = {"store.box.size": "1"}
PATHS = [
    (BOX, True),
    ({"store": '{"box": {"size": 1}}'}, True),
    ({"store.box": '{"size": 1}'}, True),
    ({"Store.Box.Size": "1", "store.box.limits.x": "1"}, True),
    ({**BOX, "second.size": "1"}, True),
    ({**BOX, "spare.box.size": "1"}, True),
    ({**BOX, "spare": '{"box": {"size": 1}}'}, True),
    ({**BOX, "sizes": "[1]"}, True),
    ({**BOX, "outer.middle": '{"inner": 1}'}, True),
    ({**BOX, "outer.middle.inner": "1"}, True),
    ({**BOX, "labels": '{"app.name": "x"}'}, True),
    ({**BOX, "labels.app.name": "x"}, False),
    ({"box.size": "1"}, False),
    ({"store.size": "1"}, False),
    ({"store.box.size": "x"}, False),
    ({"store.box.size": '"1"'}, False),
    ({**BOX, "spare.size": "1"}, False),
]


@pytest.mark.parametrize(("data", "valid"), PATHS, ids=lambda each: " ".join(each) if isinstance(each, dict) else "")
def test_the_schema_of_paths(data: dict[str, str], valid: bool) -> None:
    """A field inside the value of an `AliasPath` has keys of its own, and is held by the key where the path begins."""
    assert jsonschema.Draft202012Validator(schema_of(Pathed)).is_valid(data) is valid


class Labelled(Settings):
    labels: dict[str, str]


@pytest.mark.parametrize(("data", "valid"), [({"labels": "{}"}, True), ({"labels.a": "x"}, True), ({}, False)])
def test_the_schema_of_a_required_mapping(data: dict[str, str], valid: bool) -> None:
    """A required mapping may be fed as a whole, or entry by entry."""
    assert jsonschema.Draft202012Validator(schema_of(Labelled)).is_valid(data) is valid


class Regional(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/config"], from_environment=["region"])
    endpoint: str
    region: str


REGIONAL = [({"endpoint": "x"}, True), ({"endpoint": "x", "region": "eu"}, True), ({"region": "eu"}, False)]


@pytest.mark.parametrize(("data", "valid"), REGIONAL)
def test_the_schema_of_a_field_of_the_environment(data: dict[str, str], valid: bool) -> None:
    """A required field that comes from the environment on purpose may be in the data, and does not have to."""
    assert jsonschema.Draft202012Validator(schema_of(Regional)).is_valid(data) is valid


ACCEPTED = [(cls, data) for cls, cases in ((Nested, NESTED), (Pathed, PATHS)) for data, valid in cases if valid]


@pytest.mark.parametrize(("cls", "data"), ACCEPTED, ids=lambda each: " ".join(each) if isinstance(each, dict) else "")
def test_what_the_schema_accepts(tmp_path: Path, cls: type[Settings], data: dict[str, str]) -> None:
    """Data that the schema accepts is accepted by the class too, and every key of it feeds a field."""
    (tmp_path / "shop.yaml").write_text(pod() + configmap(data))
    check_manifests(cls, tmp_path / "shop.yaml")
    [trial] = check_class(cls, read(read_paths([str(tmp_path)]), values=True), Selection())
    assert trial.findings == ()


def test_the_environment_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `check_manifests` the environment of the process is what it was."""

    class App(Settings):
        model_config = SettingsConfigDict(volumes=["/etc/config"])
        level: str = "info"

    monkeypatch.setenv("LEVEL", "own")
    before = dict(os.environ)
    (tmp_path / "shop.yaml").write_text(pod(env=[{"name": "A=B", "value": "x"}]) + configmap({}))
    check_manifests(App, tmp_path / "shop.yaml")
    assert dict(os.environ) == before


@pytest.mark.parametrize("text", ["", "# nothing here\n", "a: 1\n"])
def test_input_without_objects(check: Any, tmp_path: Path, text: str) -> None:
    """Input that holds nothing to check is an error: it must not look like a valid configuration."""
    code, answer, said = check(text, output="table")
    assert (code, answer) == (2, "")
    assert said == "liveconfig check: the input holds no ConfigMap, no Secret and no workload\n"
    with pytest.raises(AssertionError, match="the input holds no ConfigMap"):
        check_manifests(Nested, tmp_path / "shop.yaml")


def test_a_chart(check: Any, tmp_path: Path) -> None:
    """A chart is not rendered: the message names the pipe, beside a valid manifest and alone."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "Chart.yaml").write_text("name: web")
    line = "liveconfig check: web: a Helm chart is not rendered: helm template web | liveconfig check shop_app:App -"
    code, _, said = check(pod() + configmap(GOOD), "web")
    assert (code, said) == (0, f"{line}\n")
    code, _, said = check("", "web", output="table")
    assert (code, said.splitlines()[0]) == (2, line)
