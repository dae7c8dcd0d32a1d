"""Reports about the present state are correct (origins, causes, ages, ends) and contain no value."""

from __future__ import annotations

import datetime as dt
import json
import logging
import threading
from typing import Annotated

import pytest
from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, SecretBytes, SecretStr, computed_field
from pydantic_core import PydanticKnownError
from pydantic_settings import PydanticBaseSettingsSource, SettingsError

import liveconfig._clock
from liveconfig import (
    AmbiguousKeyError,
    InvalidSettingsError,
    Key,
    LiveConfigError,
    Settings,
    SettingsConfigDict,
    Volume,
)

PATIENCE = 60.0


class Unwatched(Settings):
    model_config = SettingsConfigDict(watch=False, stale_reminder=None)


class Plain(Unwatched):
    a: str = "default"
    b: str = "default"


def test_equal_values_are_not_said_to_differ(kubelet_volume, monkeypatch, caplog):
    """A variable and a key that mean the same value are no difference, whatever form each has."""

    class App(Unwatched):
        model_config = SettingsConfigDict(documents=["app.yaml"])
        port: int = 1
        debug: bool = False
        token: bytes = b""

    for name, value in {"PORT": "8000", "DEBUG": "true", "TOKEN": "abc"}.items():
        monkeypatch.setenv(name, value)
    kubelet_volume.write({"app.yaml": "port: 8000\ndebug: true\n", "token": "abc\n"})
    assert App(_volumes=kubelet_volume.path).live.status().stale == ()
    assert "differ" not in caplog.text


def test_no_advice_to_remove_the_variable_in_use(kubelet_volume, monkeypatch, caplog):
    """When a key is removed and its field takes the value of a variable, the log does not say to remove the variable."""
    monkeypatch.setenv("A", "from the environment")
    kubelet_volume.write({"a": "from the volume", "b": "x"})
    settings = Plain(_volumes=kubelet_volume.path)
    caplog.clear()
    kubelet_volume.remove("a")
    assert settings.live.reload()
    assert settings.a == "from the environment"
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(lines) == 1
    assert "`a` now comes from the environment variable A" in lines[0]


def test_entries_of_the_environment_are_said(kubelet_volume, monkeypatch):
    """A mapping to which the environment adds entries is said to be stale, though the volume feeds it too."""

    class App(Unwatched):
        labels: dict[str, str] = {}

    monkeypatch.setenv("LABELS", '{"a": "from the environment"}')
    kubelet_volume.write({"labels/b": "from the volume"})
    [stale, *_] = App(_volumes=kubelet_volume.path).live.status().stale
    assert (stale.field, stale.reason) == ("labels", "environment")


class Nested(BaseModel):
    x_y: str = Field("", alias="theX")


@pytest.mark.parametrize(
    ("annotation", "default", "config", "variable", "key"),
    [
        (str, "", {}, "HOST", "host"),
        (str, "", {"env_prefix": "APP_"}, "APP_HOST", "APP_host"),
        (str, "", {"env_prefix": "APP_", "key_prefix": ""}, "APP_HOST", "host"),
        (str, Field("", validation_alias="MY_HOST"), {}, "MY_HOST", "MY_HOST"),
        (str, Field("", validation_alias=AliasChoices("my/host", "my-host")), {}, "MY-HOST", "my-host"),
        (Annotated[str, Key("web.host-name")], "", {}, "HOST", "web.host-name"),
        (Nested, Nested(), {"env_nested_delimiter": "__"}, "HOST__THEX", "host.theX"),
    ],
)
def test_the_key_to_mount_feeds_the_field(
    annotation, default, config, variable, key, kubelet_volume, monkeypatch, caplog
):
    """The log says to mount a key that feeds the field, and that a ConfigMap can hold."""
    namespace = {"__annotations__": {"host": annotation}, "host": default, "model_config": SettingsConfigDict(**config)}
    monkeypatch.setenv(variable, "from the environment")
    kubelet_volume.write({"other": "x"})
    settings = type("App", (Unwatched,), {"__module__": __name__, **namespace})(_volumes=kubelet_volume.path)
    assert f"Mount the key `{key}` in" in caplog.text
    kubelet_volume.update({key: "from the volume"})
    assert settings.live.reload()
    assert "from the volume" in repr(settings)


def test_a_field_without_a_key_that_can_be_mounted_needs_a_key(kubelet_volume, monkeypatch, caplog):
    """No key is advised that a ConfigMap cannot hold; the field is to get a `Key`."""

    class App(Unwatched):
        host: str = Field("", validation_alias="MY HOST")

    monkeypatch.setenv("MY HOST", "from the environment")
    kubelet_volume.write({"other": "x"})
    App(_volumes=kubelet_volume.path)
    assert "Mount a key that `Key(...)` gives the field in" in caplog.text


def test_entries_of_the_environment_are_to_be_moved(kubelet_volume, monkeypatch, caplog):
    """Of a mapping that the volume feeds too, the log says to move the entries: its key is mounted already."""

    class App(Unwatched):
        labels: dict[str, str] = {}

    monkeypatch.setenv("LABELS", '{"a": "from the environment"}')
    kubelet_volume.write({"labels": '{"b": "from the volume"}'})
    App(_volumes=kubelet_volume.path)
    assert "Move them to the key `labels` in" in caplog.text


def test_each_field_has_its_own_age_and_end(kubelet_volume, monkeypatch, caplog):
    """Of two fields whose keys vanish at two times each has its own age, and the end of one is said alone."""
    caplog.set_level(logging.INFO, "liveconfig")
    kubelet_volume.write({"a": "1", "b": "2"})
    settings = Plain(_volumes=kubelet_volume.path)
    kubelet_volume.remove("a")
    assert settings.live.reload()
    now = liveconfig._clock.now
    monkeypatch.setattr(liveconfig._clock, "now", lambda: now() + dt.timedelta(hours=2))
    kubelet_volume.remove("b")
    assert settings.live.reload()
    first, second = sorted(settings.live.status().stale, key=lambda stale: stale.field)
    assert second.since - first.since >= dt.timedelta(hours=2)
    assert first.origin.since == settings.live.origin("a").since == first.since
    caplog.clear()
    kubelet_volume.update({"a": "1"})
    assert settings.live.reload()
    [over] = [record.getMessage() for record in caplog.records if "resolved after" in record.getMessage()]
    assert over == f"Plain: resolved after 2 h: `a` now comes from {kubelet_volume.path}"


def test_status_is_true_right_after_a_reload(make_kubelet_volume, tmp_path, monkeypatch):
    """The result of a reload is in the status at once: a volume that has appeared is not missing."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    settings = Plain(_volumes=tmp_path / "late")
    assert not settings.live.status().healthy
    make_kubelet_volume("late").write({"a": "default"})
    assert settings.live.reload()
    status = settings.live.status()
    assert (status.healthy, status.volumes[0].mode, status.problems) == (True, "atomic", ())


@pytest.mark.usefixtures("inotify")
def test_a_volume_that_appears_is_followed_by_events(make_kubelet_volume, tmp_path):
    """A volume that appears while others change is watched from then on, without a message about polling."""

    class App(Settings):
        model_config = SettingsConfigDict(resync=3600.0)
        a: str = "default"
        b: str = "default"

    one = make_kubelet_volume("one")
    one.write({"a": "1"})
    settings = App(_volumes=[one.path, Volume(tmp_path / "other", required=False)])
    with settings.live:
        other = make_kubelet_volume("other")
        other.write({"b": "1"})
        one.write({"a": "2"})
        settings.live.wait(lambda s: (s.a, s.b) == ("2", "1"), PATIENCE)
        settings.live.reload()
        assert settings.live.status().watcher == "inotify"
        other.write({"b": "2"})
        settings.live.wait(lambda s: s.b == "2", PATIENCE)


def test_version_and_generation_belong_together(kubelet_volume):
    """However fast the volume moves on, a status holds a version with the generation that brought it."""
    kubelet_volume.write({"a": "0"})
    settings = Plain(_volumes=kubelet_volume.path)
    known = {1: kubelet_volume.generation}
    seen, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            status = settings.live.status()
            seen.append((status.version, status.volumes[0].generation_applied))

    thread = threading.Thread(target=ask)
    thread.start()
    for number in range(2, 302):
        kubelet_volume.write({"a": str(number)})
        known[number] = kubelet_volume.generation
        assert settings.live.reload(wait=False)
    stop.set()
    thread.join(PATIENCE)
    assert seen
    assert [pair for pair in seen if known[pair[0]] != pair[1]] == []


def test_the_same_fault_is_told_once_beside_a_volume_that_moves(make_kubelet_volume):
    """One bad content is logged once, although another volume changes."""
    bad, other = make_kubelet_volume("bad"), make_kubelet_volume("other")

    class App(Unwatched):
        number: int = 0

    bad.write({"number": "1"})
    other.write({"unused": "0"})
    settings = App(_volumes=[bad.path, other.path])
    rejected = []
    settings.live.on_reject(rejected.append)
    bad.write({"number": "many"})
    for turn in range(4):
        assert not settings.live.reload()
        other.write({"unused": str(turn + 1)})
    assert len(rejected) == 1


def test_sources_in_another_order_are_told_as_they_are(kubelet_volume, monkeypatch, caplog):
    """Where the class puts the environment above its volumes, the advice is not to mount what is mounted."""

    class App(Unwatched):
        message: str = ""

        @classmethod
        def settings_customise_sources(
            cls, settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
        ):
            return init_settings, env_settings, file_secret_settings

    monkeypatch.setenv("MESSAGE", "from the environment")
    kubelet_volume.write({"message": "from the volume"})
    App(_volumes=kubelet_volume.path)
    assert "puts above the volumes" in caplog.text
    assert "Mount the key" not in caplog.text


def test_volumes_that_are_left_out_are_told(kubelet_volume, caplog):
    """A class whose sources leave the volumes out is warned of."""

    class App(Unwatched):
        message: str = ""

        @classmethod
        def settings_customise_sources(
            cls, settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
        ):
            return (init_settings,)

    kubelet_volume.write({"message": "from the volume"})
    assert App(_volumes=kubelet_volume.path).message == ""
    assert "does not return `file_secret_settings`" in caplog.text


def test_a_wrong_name_in_from_environment_is_told(caplog):
    """A name in from_environment that is no field is warned of, with the nearest."""

    class App(Unwatched):
        model_config = SettingsConfigDict(from_environment=["pod_nam"])
        pod_name: str = ""

    App()
    assert "App: `from_environment` lists `pod_nam`, which is not a field; did you mean `pod_name`?" in caplog.text


def test_a_typing_error_inside_a_model_has_its_nearest_name(kubelet_volume):
    """A key that misses a field of a nested model is listed with the field that it comes near to."""

    class Database(BaseModel):
        password: str = ""

    class App(Unwatched):
        model_config = SettingsConfigDict(documents=["app.yaml"])
        db: Database = Database()

    kubelet_volume.write({"db/pasword": "x", "app.yaml": "db: {passwort: x}"})
    found = {unused.key: unused.nearest for unused in App(_volumes=kubelet_volume.path).live.status().unused_keys}
    assert found == {"db/pasword": "db.password", "app.yaml:db.passwort": "db.password"}


def test_a_secret_behind_a_field_name_is_no_name(kubelet_volume, canary):
    """F70: a line without its separator, a field's name and then a secret, is not listed as an unused key."""

    class App(Unwatched):
        model_config = SettingsConfigDict(documents=["app.properties"])
        password: SecretStr = SecretStr("")

    kubelet_volume.write({"app.properties": f"password-{canary}\n"})
    assert canary not in json.dumps(App(_volumes=kubelet_volume.path).live.status().as_dict())


def test_nothing_of_a_secret_volume_is_printed(kubelet_volume, canary):
    """F71: neither what is computed of a secret volume's values nor what no field of a model knows is printed."""

    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")
        user: str = "u"

    class App(Unwatched):
        model_config = SettingsConfigDict(documents=["app.yaml"])
        db: Open = Open()
        password: str = ""

        @computed_field
        @property
        def url(self) -> str:
            return f"pg://u:{self.password}@h"

    kubelet_volume.write({"app.yaml": f"db: {{token: {canary}}}\n", "password": canary})
    settings = App(_volumes=Volume(kubelet_volume.path, secret=True))
    assert canary not in f"{settings!r} {settings} {settings.live.latest()!r}"


def test_the_text_of_a_source_is_its_own(canary):
    """F72: of an error that a source of the class raises, or a command line, no text is repeated."""

    class Source(PydanticBaseSettingsSource):
        def get_field_value(self, field, field_name):
            return None, "", False

        def __call__(self):
            raise SettingsError(f"the vault refused {canary}")

    class App(Unwatched):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
        ):
            return (Source(settings_cls),)

    with pytest.raises(InvalidSettingsError) as caught:
        App()
    assert canary not in str(caught.value)
    with pytest.raises(InvalidSettingsError) as caught:
        Plain(_cli_parse_args=[f"--password={canary}"], _cli_exit_on_error=False)
    assert canary not in str(caught.value)


def test_pydantics_own_errors_may_hold_a_value(kubelet_volume, canary):
    """F73: one of pydantic's own errors that a validator raises with a value shows nothing of it."""

    def check(value):
        raise PydanticKnownError("literal_error", {"expected": value.get_secret_value().decode()})

    class App(Unwatched):
        token: Annotated[SecretBytes, AfterValidator(check)]

    kubelet_volume.write({"token": canary})
    with pytest.raises(InvalidSettingsError) as caught:
        App(_volumes=kubelet_volume.path)
    assert canary not in str(caught.value)


def test_what_the_class_declares_is_shown(kubelet_volume):
    """A message still says which words and numbers the class allows."""

    class App(Unwatched):
        level: Annotated[str, Field(pattern="^[a-z]+$")] = "a"
        number: int = Field(0, ge=10)

    kubelet_volume.write({"level": "LOUD", "number": "3"})
    with pytest.raises(InvalidSettingsError) as caught:
        App(_volumes=kubelet_volume.path)
    assert "'^[a-z]+$'" in str(caught.value)
    assert "greater than or equal to 10" in str(caught.value)


def test_entries_of_a_document_are_not_named(kubelet_volume, canary):
    """F74: two names in a document for one entry of a mapping are refused without either."""

    class App(Unwatched):
        model_config = SettingsConfigDict(documents=["app.yaml"])
        tokens: dict[str, SecretStr] = {}

    kubelet_volume.write({"app.yaml": f"tokens.{canary}: '1'\nTOKENS.{canary}: '2'\n"})
    with pytest.raises(AmbiguousKeyError) as caught:
        App(_volumes=kubelet_volume.path)
    assert "tokens" in str(caught.value)
    assert canary not in str(caught.value)


def test_secrets_dir_as_an_argument_is_refused(tmp_path):
    """`_secrets_dir=` is refused as the class's own is, and not passed over."""
    with pytest.raises(LiveConfigError, match="_volumes"):
        Plain(_secrets_dir=str(tmp_path))


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), None])
def test_a_timeout_that_is_none_is_refused(timeout):
    """A time-out of a verifier that is no length of time is refused at once."""
    settings = Plain()
    with pytest.raises(LiveConfigError, match="timeout"):
        settings.live.verify(on="a", timeout=timeout)
