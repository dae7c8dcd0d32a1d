"""``liveconfig check``: volumes that hold more, or something else, than the keys of one ConfigMap."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import pytest

from liveconfig import Key, Settings, SettingsConfigDict, Volume
from liveconfig._checks import CannotCheck, Selection, Trial, check
from liveconfig._manifests import Source, read


class Login(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/login"])

    token: str
    level: int = 1


def trial(
    source: dict[str, Any],
    data: dict[str, str],
    env: Any = (),
    cls: type[Settings] = Login,
    more: Sequence[dict[str, Any]] = (),
    **mount: Any,
) -> Trial:
    """Check a class in a pod with this volume at ``/etc/login``, and a ConfigMap ``login``."""
    mount = {"name": "v", "mountPath": "/etc/login"} | mount
    app = {"name": "app", "image": "app", "volumeMounts": [mount], "env": list(env)}
    pod = {"kind": "Pod", "spec": {"containers": [app], "volumes": [{"name": "v", **source}]}}
    config = {"kind": "ConfigMap", "data": data}
    documents = [each | {"apiVersion": "v1", "metadata": {"name": "login"}} for each in (pod, config)]
    text = "\n---\n".join(map(json.dumps, [*documents, *more]))
    (only,) = check(cls, read([Source("pod.yaml", text)], values=True), Selection())
    return only


def states(found: Trial) -> dict[str, str]:
    return {row.field: row.state for row in found.fields}


def rules(found: Trial) -> list[str]:
    return [finding.rule for finding in found.findings]


TOKEN = {"serviceAccountToken": {"path": "token"}}


@pytest.mark.parametrize(
    "source",
    [
        {"emptyDir": {}},
        {"csi": {"driver": "secrets-store.csi.k8s.io", "nodePublishSecretRef": {"name": "vault"}}},
        {"persistentVolumeClaim": {"claimName": "x"}},
        {"projected": {"sources": [{"another": {}}]}},
        {"configMap": {"name": "login"}},
    ],
    ids=lambda source: next(iter(source)),
)
def test_volumes_of_others(source: dict[str, Any]) -> None:
    """What an init container or a storage driver writes is unknown, not missing."""
    found = trial(source, {})
    missing = source == {"configMap": {"name": "login"}}
    assert states(found)["token"] == ("missing" if missing else "unknown")
    assert rules(found) == ["missing-field"] * missing


def test_a_token_beside_keys() -> None:
    """A token of a projected volume feeds its field with an unknown value; the keys beside it are checked."""
    source = {"projected": {"sources": [TOKEN, {"configMap": {"name": "login"}}]}}
    found = trial(source, {"level": "high"})
    assert (states(found)["token"], rules(found)) == ("unknown", ["invalid-value"])
    assert trial(source, {"level": "3"}).findings == ()


def test_one_key_as_two_files() -> None:
    """A key that ``items`` names twice is two files."""
    items = [{"key": "a", "path": "token"}, {"key": "a", "path": "./level"}]
    found = trial({"configMap": {"name": "login", "items": items}}, {"a": "7"})
    assert (states(found), found.findings) == ({"token": "live", "level": "live"}, ())


@pytest.mark.parametrize(
    ("value", "state"), [("a", "frozen"), ("b", "missing"), (None, "unknown")], ids=["known", "other", "unknown"]
)
def test_a_sub_path_with_variables(value: str | None, state: str) -> None:
    """A subPathExpr mounts the folder that its variables tell; if one is not known, nothing is."""
    items = [{"key": "a", "path": "a/token"}]
    from_pod = {"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    env = [{"name": "WHO", **({"value": value} if value else from_pod)}]
    found = trial({"configMap": {"name": "login", "items": items}}, {"a": "7"}, env, subPathExpr="$(WHO)")
    assert states(found)["token"] == state


class Lists(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/login"], documents=["app.env", "app.yaml"])

    login: str = ""
    valid: str = ""
    ids: list[str] = []
    more_ids: list[str] = []


UNPARSABLE = {
    "a list": ({"ids": "not json"}, "ids"),
    "a list in a document of texts": ({"app.env": "IDS=not json"}, "app.env"),
    "a document": ({"app.yaml": "ids: ["}, "app.yaml"),
    "two names of one field": ({"more-ids": "[]", "more_ids": "[]"}, "more_ids"),
    "two names in a document": ({"app.yaml": "more-ids: []\nmore_ids: []"}, "app.yaml"),
}


@pytest.mark.parametrize(("data", "key"), UNPARSABLE.values(), ids=UNPARSABLE)
def test_the_key_of_a_value_that_does_not_parse(data: dict[str, str], key: str) -> None:
    """A value that does not parse is found at its key, even if its message holds words that are names of other keys."""
    others = dict.fromkeys(("login", "valid"), "x")
    found = trial({"configMap": {"name": "login"}}, others | data, cls=Lists).findings
    assert [each.key for each in found if each.rule == "invalid-value"] == [key]


def test_a_variable_that_does_not_parse() -> None:
    """A variable that does not parse is a finding that names it and its field."""
    env = [{"name": "IDS", "value": "not json"}]
    [finding] = trial({"configMap": {"name": "login"}}, {"login": "x"}, env, Lists).findings
    assert (finding.rule, finding.field, finding.key) == ("invalid-value", "ids", "IDS")
    assert "the variable IDS of the environment holds no JSON" in finding.message


class Numbers(Lists):
    level: int = 1
    size: int = 1
    needed: int


FAULTS: list[tuple[dict[str, str], dict[str, str]]] = [
    ({"app.yaml": "ids: ["}, {}),
    ({"ids": "not json"}, {}),
    ({}, {"IDS": "not json"}),
    ({"ids": "not json"}, {"MORE_IDS": "not json"}),
]


@pytest.mark.parametrize(("data", "env"), FAULTS, ids=["document", "key", "variable", "both"])
def test_values_beside_one_that_does_not_parse(data: dict[str, str], env: dict[str, str]) -> None:
    """Values beside one that does not parse are checked too: all errors are found at once, and no wrong value is live."""
    wrong = {"level": "high", "size": "2", "needed": "x"}
    variables = [{"name": name, "value": value} for name, value in env.items()]
    found = trial({"configMap": {"name": "login"}}, data | wrong, variables, Numbers)
    errors = {finding.key: finding.rule for finding in found.findings if finding.level == "error"}
    assert errors == dict.fromkeys([*data, *env, "level", "needed"], "invalid-value")
    assert (states(found)["level"], states(found)["size"], states(found)["needed"]) == ("invalid", "live", "invalid")


def test_what_a_source_that_fails_leaves_unknown() -> None:
    """If a source of the class fails, nothing was validated: the state of every field is unknown."""

    class FailsLast(Lists):
        level: int = 1

        @classmethod
        def settings_customise_sources(cls, settings_cls: Any, **sources: Any) -> tuple[Any, ...]:
            return sources["file_secret_settings"], lambda: 1 / 0  # type: ignore[return-value]

    found = trial({"configMap": {"name": "login"}}, {"level": "high"}, cls=FailsLast)
    assert (set(states(found).values()), rules(found)) == ({"unknown"}, ["invalid-value"])


class Environment(Lists):
    @classmethod
    def settings_customise_sources(cls, settings_cls: Any, **sources: Any) -> tuple[Any, ...]:
        return sources["env_settings"], sources["file_secret_settings"]


class Broken(Lists):
    @classmethod
    def settings_customise_sources(cls, settings_cls: Any, **sources: Any) -> tuple[Any, ...]:
        return lambda: 1 / 0, sources["file_secret_settings"]  # type: ignore[return-value]


@pytest.mark.parametrize(("cls", "text"), [(Environment, "IDS .* holds no JSON"), (Broken, "ZeroDivisionError")])
def test_a_source_before_the_volumes_that_fails(cls: type[Settings], text: str) -> None:
    """A class of which a source before the volumes fails cannot be checked, and the message says why."""
    env = [{"name": "IDS", "value": "not json"}]
    with pytest.raises(CannotCheck, match=text):
        trial({"configMap": {"name": "login"}}, {"login": "x"}, env, cls)


def with_second(path: str, required: bool | None) -> type[Settings]:
    """A class with a second volume."""

    class Two(Settings):
        model_config = SettingsConfigDict(volumes=["/etc/login", Volume(path, required=required)])
        level: int = 1

    return Two


REQUIRED = [(True, ["missing-volume"]), (None, ["not-mounted"]), (False, [])]


@pytest.mark.parametrize(("required", "expected"), REQUIRED)
def test_a_volume_that_nothing_mounts(required: bool | None, expected: list[str]) -> None:
    """Nothing at a required volume is an error, as the application would not start; at an optional one it is none."""
    found = trial({"configMap": {"name": "login"}}, {"level": "2"}, cls=with_second("/etc/more", required))
    assert rules(found) == expected
    assert [each.level for each in found.findings] == ["error" if required else "warning" for _ in expected]


def test_a_volume_that_another_container_writes() -> None:
    """A directory inside an emptyDir, as git-sync makes it, can be there at the start."""
    assert trial({"emptyDir": {}}, {}, cls=with_second("/etc/login/current", True)).findings == ()


class Below(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/login/deep/config"])

    token: str
    level: int = 1


def test_a_directory_in_a_mounted_volume() -> None:
    """A volume of the class may be a directory that the paths of ``items`` make in a mounted volume."""
    items = [{"key": "a", "path": "deep/config/token"}, {"key": "b", "path": "level"}, {"key": "c", "path": "deep/x"}]
    found = trial({"configMap": {"name": "login", "items": items}}, dict.fromkeys("abc", "x"), cls=Below)
    assert (states(found), found.findings) == ({"token": "live", "level": "default"}, ())


def test_a_directory_in_a_part_of_a_volume() -> None:
    """With a subPath around it, a directory holds the files whose paths are below both."""
    items = [{"key": "a", "path": "part/deep/config/token"}, {"key": "b", "path": "deep/config/level"}]
    source = {"configMap": {"name": "login", "items": items}}
    found = trial(source, {"a": "x", "b": "2"}, cls=Below, subPath="part")
    assert states(found) == {"token": "frozen", "level": "default"}


def test_a_directory_in_a_volume_that_is_not_in_the_input() -> None:
    """A directory in a volume whose object is not in the input is there, and what it feeds is unknown."""
    items = [{"key": "a", "path": "deep/config/token"}]
    found = trial({"secret": {"secretName": "none", "items": items}}, {}, cls=Below)
    assert (states(found), rules(found)) == ({"token": "unknown", "level": "default"}, ["missing-object"])


ONE_KEY = {"items": [{"key": "a", "path": "level"}]}


@pytest.mark.parametrize(
    ("source", "mount"),
    [
        ({"secret": {"secretName": "none", **ONE_KEY}}, {}),
        ({"projected": {"sources": [{"configMap": {"name": "login"}}, {"secret": {"name": "none", **ONE_KEY}}]}}, {}),
        ({"secret": {"secretName": "none"}}, {"mountPath": "/etc/login/level", "subPath": "./level"}),
    ],
    ids=["items", "projected", "subPath"],
)
def test_files_of_an_object_that_is_not_in_the_input(source: dict[str, Any], mount: dict[str, Any]) -> None:
    """An object that is not in the input makes the files that are mounted alone: a field of no such file is missing."""
    found = trial(source, {}, **mount)
    assert states(found) == {"token": "missing", "level": "unknown"}
    assert sorted(rules(found)) == ["missing-field", "missing-object"]


def test_a_document_that_is_not_in_the_input() -> None:
    """A document whose content is not in the input can feed every field: none is missing."""

    class Documented(Login):
        model_config = SettingsConfigDict(documents=["login.yaml"])

    source = {"secret": {"secretName": "none", "items": [{"key": "a", "path": "login.yaml"}]}}
    found = trial(source, {}, cls=Documented)
    assert (set(states(found).values()), rules(found)) == ({"unknown"}, ["missing-object"])


def test_items_of_a_secret_without_data() -> None:
    """A Secret whose keys something else fills makes the files that ``items`` names, and no others."""
    secret = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "later"}, "stringData": {}}
    found = trial({"secret": {"secretName": "later", **ONE_KEY}}, {}, more=[secret])
    assert (states(found), rules(found)) == ({"token": "missing", "level": "unknown"}, ["missing-field"])


@pytest.mark.parametrize("path", ["config/token", "deep/config", "deep/configs/token"])
def test_a_directory_that_no_path_makes(path: str) -> None:
    """A mounted volume without a file below the volume of the class does not count."""
    items = [{"key": "a", "path": path}]
    with pytest.raises(CannotCheck, match="that mounts /etc/login/deep/config is not in the input"):
        trial({"configMap": {"name": "login", "items": items}}, {"a": "x"}, cls=Below)


def mounted(*paths: tuple[str, dict[str, Any]]) -> list[Trial]:
    """Check a class with a volume at ``/etc/login/deep/config`` in a pod with these volumes."""
    volumes = [{"name": f"v{index}", **source} for index, (_, source) in enumerate(paths)]
    mounts = [{"name": f"v{index}", "mountPath": path} for index, (path, _) in enumerate(paths)]
    spec = {"containers": [{"name": "app", "image": "app", "volumeMounts": mounts}], "volumes": volumes}
    config = {"kind": "ConfigMap", "data": {"a": "2"}}
    documents = [
        each | {"apiVersion": "v1", "metadata": {"name": "login"}} for each in ({"kind": "Pod", "spec": spec}, config)
    ]
    text = "\n---\n".join(map(json.dumps, documents))
    return list(check(Below, read([Source("pod.yaml", text)], values=True), Selection()))


@pytest.mark.parametrize(
    "around",
    [{"emptyDir": {}}, {"configMap": {"name": "login", "items": [{"key": "a", "path": "deep/config/token"}]}}],
    ids=["emptyDir", "configMap"],
)
def test_a_volume_below_another_one(around: dict[str, Any]) -> None:
    """A mount at the volume of the class hides what a volume around it holds there."""
    inner = {"configMap": {"name": "login", "items": [{"key": "a", "path": "level"}]}}
    [found] = mounted(("/etc/login", around), ("/etc/login/deep/config", inner))
    assert (states(found), rules(found)) == ({"token": "missing", "level": "live"}, ["missing-field"])


def test_a_field_that_needs_a_restart() -> None:
    """A field with ``Key(restart=True)`` is not live: its change takes effect at the next start."""

    class Restarted(Login):
        port: Annotated[int, Key(restart=True)] = 1

    found = trial({"configMap": {"name": "login"}}, {"token": "x", "port": "2"}, cls=Restarted)
    assert states(found) == {"token": "live", "level": "default", "port": "restart"}


LARGE = {"a": "x", "large": "x" * 1_100_000}
SOME_KEYS = {"configMap": {"name": "login", "items": [{"key": "a", "path": "token"}]}}
OF_KEY = [{"name": "TOKEN", "valueFrom": {"configMapKeyRef": {"name": "login", "key": "a"}}}]


@pytest.mark.parametrize(("source", "env"), [(SOME_KEYS, []), ({"emptyDir": {}}, OF_KEY)], ids=["items", "env"])
def test_an_object_that_is_too_large(source: dict[str, Any], env: list[dict[str, Any]]) -> None:
    """An object is too large by the sum of all its keys, whichever of them the container uses."""
    [finding] = [each for each in trial(source, LARGE, env).findings if each.level == "error"]
    assert (finding.rule, str(finding.object)) == ("too-large", "configmap/login")
    assert finding.message == "configmap/login holds 1,100,001 bytes, more than 1 MiB"


def test_data_that_is_no_mapping() -> None:
    """An object whose data is a list is an error: the API server refuses it."""
    data: Any = [{"name": "token", "value": "x"}]
    finding, _ = trial({"configMap": {"name": "login"}}, data).findings
    assert (finding.rule, str(finding.object), finding.key) == ("invalid-value", "configmap/login", "")
    assert finding.message == (
        "configmap/login: `data` is of type list, not a mapping of keys to values; the API server refuses the object"
    )


def test_an_object_that_stands_in_the_input_twice() -> None:
    """Of two objects with one name the last one counts alone, as after ``kubectl apply``; a warning names both places."""
    again = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "login"}, "data": {"level": "2"}}
    found = trial({"configMap": {"name": "login"}}, {"token": "x", "level": "1"}, more=[again])
    assert states(found) == {"token": "missing", "level": "live"}
    [warning] = [finding for finding in found.findings if finding.level == "warning"]
    assert (warning.rule, str(warning.object), warning.place) == (
        "duplicate-object",
        "configmap/login",
        ("pod.yaml", 5),
    )
    assert "more than once (pod.yaml:3, pod.yaml:5)" in warning.message


def test_a_secret_that_a_controller_makes_too() -> None:
    """A Secret and a SealedSecret that makes it are one object in the cluster: the keys of both count."""
    names = {"apiVersion": "v1", "metadata": {"name": "both"}}
    sealed = {"kind": "SealedSecret", "spec": {"encryptedData": {"token": "x"}}, **names}
    plain = {"kind": "Secret", "stringData": {"level": "2"}, **names}
    found = trial({"secret": {"secretName": "both"}}, {}, more=[sealed, plain])
    assert (states(found), found.findings) == ({"token": "unknown", "level": "live"}, ())


class Prefixed(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/login"], env_prefix="APP_", documents=["app.env", "app.yaml"])

    mode: str = ""
    app_name: Annotated[str, Key(name="app-name")] = ""


HINTS = {
    "a prefix": ({"mode": "x"}, "the key 'mode' feeds no field of Prefixed; did you mean 'APP_mode'?"),
    "a name of a key": ({"app-nam": "x"}, "the key 'app-nam' feeds no field of Prefixed; did you mean 'app-name'?"),
    "a name in a document of texts": (
        {"app.env": "mode=x"},
        "the key 'app.env:mode' feeds no field of Prefixed; did you mean 'APP_mode'?",
    ),
    "a name in a document": (
        {"app.yaml": "mod: x"},
        "the key 'app.yaml:mod' feeds no field of Prefixed; did you mean 'mode'?",
    ),
    "a document": (
        {"app.yml": "mode: x"},
        "the key 'app.yml' feeds no field of Prefixed; did you mean the document 'app.yaml', which is on no volume?",
    ),
}


@pytest.mark.parametrize(("data", "message"), HINTS.values(), ids=HINTS)
def test_the_hint_of_an_unknown_key(data: dict[str, str], message: str) -> None:
    """The hint of a key that feeds nothing is a name that works where the key stands: with the prefix, or a document."""
    found = trial({"configMap": {"name": "login"}}, data, cls=Prefixed).findings
    assert [finding.message for finding in found] == [message]


def test_a_document_without_its_content() -> None:
    """A document whose content is not in the input is there: no hint names it as one on no volume."""
    sealed = {"kind": "SealedSecret", "metadata": {"name": "later"}, "spec": {"encryptedData": {"app.yaml": "x"}}}
    source = {"projected": {"sources": [{"configMap": {"name": "login"}}, {"secret": {"name": "later"}}]}}
    [finding] = trial(source, {"app.yml": "x"}, cls=Prefixed, more=[sealed | {"apiVersion": "v1"}]).findings
    assert (finding.rule, "document" in finding.message) == ("unknown-key", False)
