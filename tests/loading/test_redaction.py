"""No byte of a secret in anything that liveconfig says (P4)."""

from __future__ import annotations

import base64
import copy
import dataclasses
import hashlib
import json
import logging
import os
import pprint
import subprocess
import sys
import textwrap
import traceback
import uuid
import zlib
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from urllib.parse import quote

import pytest
from pydantic import (
    BaseModel,
    Discriminator,
    Field,
    Json,
    PostgresDsn,
    SecretBytes,
    SecretStr,
    Tag,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError, PydanticKnownError

from liveconfig import InvalidSettingsError, LiveConfigError, Refusal, Settings, SettingsConfigDict, Volume, signals
from liveconfig._loading.types import is_secret
from liveconfig.testing import override, recorded


def everything_said_by(error: BaseException) -> str:
    """All that a log, a debugger or an error reporter could show of an exception, save this file's own frames."""
    said = [str(error), repr(error), repr(error.args), repr(vars(error)), repr(getattr(error, "__notes__", None))]
    said += traceback.format_exception(error)
    frame = error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename != __file__:
            said += [_shown(value) for value in frame.tb_frame.f_locals.values()]
        frame = frame.tb_next
    for other in (error.__cause__, error.__context__):
        said.append("" if other is None else everything_said_by(other))
    return "\n".join(said)


def _shown(value: Any) -> str:
    try:
        return repr(value) + repr(getattr(value, "__dict__", ""))
    except Exception:  # what cannot be shown shows nothing
        return ""


def raised(cls: type[Settings], **options: Any) -> LiveConfigError:
    """The error of the constructor, without a context from this function."""
    try:
        settings = cls(**options)
    except LiveConfigError as error:
        return error
    settings.live.close()
    pytest.fail("nothing was raised")


class Colour(Enum):
    RED = "red"


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


def _raise(error: type[Exception] | Any) -> Any:
    def check(value: Any) -> Any:
        if "CANARY" in str(value):
            raise error(value)
        return value

    return field_validator("value", mode="before")(staticmethod(check))


def model(annotation: Any, **namespace: Any) -> type[Settings]:
    """A settings class with a field ``value`` of this type that is required."""
    body = {"__annotations__": {"value": annotation}, "__module__": __name__, **namespace}
    return type("Checked", (Settings,), body)


def _cause(value: Any) -> Any:
    try:
        raise KeyError(value)
    except KeyError as error:
        failure = ValueError(f"not {value}")
        failure.__cause__ = error
        failure.add_note(str(value))
        return failure


def _tag(value: Any) -> str:
    """The tag of a cat; of anything else the thing itself."""
    return "c" if value == {"kind": "cat"} or isinstance(value, Cat) else str(value)


KINDS = {
    "int": model(int),
    "float": model(float),
    "bool": model(bool),
    "decimal": model(Decimal),
    "uuid": model(uuid.UUID),
    "dsn": model(PostgresDsn),
    "literal": model(Literal["a", "b"]),
    "enum": model(Colour),
    "long-secret": model(Annotated[SecretStr, Field(max_length=3)]),
    "long-secret-bytes": model(Annotated[SecretBytes, Field(max_length=3)]),
    "pattern": model(Annotated[str, Field(pattern="^a+$")]),
    "json": model(Json[int]),
    "list": model(list[int]),
    "dict": model(dict[str, int]),
    "union": model(int | float),
    "discriminated": model(Annotated[Cat | Dog, Field(discriminator="kind")]),
    "tagged": model(Annotated[Annotated[Cat, Tag("c")] | Annotated[Dog, Tag("d")], Discriminator(_tag)]),
    "value-error": model(str, check=_raise(lambda value: ValueError(f"{value} is no good"))),
    "value-error-with-cause": model(str, check=_raise(_cause)),
    "assertion": model(str, check=_raise(AssertionError)),
    "key-error": model(str, check=_raise(KeyError)),
    "custom": model(str, check=_raise(lambda value: PydanticCustomError("mine", "{v}", {"v": value}))),
    "custom-type": model(str, check=_raise(lambda value: PydanticCustomError(str(value), "no"))),
    "custom-as-known": model(str, check=_raise(lambda value: PydanticCustomError("missing", str(value)))),
    "known": model(str, check=_raise(lambda value: PydanticKnownError("literal_error", {"expected": str(value)}))),
    "unicode": model(str, check=_raise(lambda value: str(value).encode().decode("utf-16-be", "strict") and 1 / 0)),
}


class Whole(Settings):
    value: str
    other: int = 0

    @model_validator(mode="after")
    def check(self) -> Whole:
        if "CANARY" in self.value:
            raise ValueError(f"as a whole: {self.value}")
        return self


class Broken(Settings):
    value: str

    @model_validator(mode="after")
    def check(self) -> Broken:
        if "CANARY" in self.value:
            raise RuntimeError(self.value)
        return self


KINDS |= {"whole": Whole, "broken": Broken}


class TestConstructor:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("source", ["volume", "secret-volume", "environment", "dotenv", "argument"])
    def test_refused(self, kubelet_volume, tmp_path, monkeypatch, canary, kind, source):
        """F02: whatever refuses a value, and wherever it came from: the error names the field and not the value."""
        options: dict[str, Any] = {"_volumes": kubelet_volume.path}
        kubelet_volume.write({"unrelated": "x"})
        if source == "volume":
            kubelet_volume.write({"value": canary})
        elif source == "secret-volume":
            kubelet_volume.write({"value": canary})
            options["_volumes"] = Volume(kubelet_volume.path, secret=True)
        elif source == "environment":
            monkeypatch.setenv("VALUE", canary)
        elif source == "dotenv":
            (tmp_path / "env").write_text(f"VALUE={canary}\n")
            options["_env_file"] = tmp_path / "env"
        else:
            options["value"] = canary
        error = raised(KINDS[kind], **options)
        assert canary not in everything_said_by(error)
        assert error.__cause__ is None
        assert error.__context__ is None
        if kind not in ("whole", "broken", "key-error", "unicode"):
            assert "value" in str(error)

    def test_another_key_is_missing(self, kubelet_volume, canary):
        """F01: a secret is present, another key is missing."""

        class App(Settings):
            password: SecretStr
            plain_password: str
            needed: int

        kubelet_volume.write({"password": canary, "plain-password": canary})
        error = raised(App, _volumes=kubelet_volume.path)
        assert isinstance(error, InvalidSettingsError)
        assert "needed" in str(error)
        assert canary not in everything_said_by(error)
        assert (error.__cause__, error.__context__) == (None, None)

    def test_key_of_a_mapping(self, kubelet_volume, canary):
        """F24: a key inside a mapping, which can be a secret itself, is not named."""
        kubelet_volume.write({"value": json.dumps({canary: "x"})})
        error = raised(KINDS["dict"], _volumes=kubelet_volume.path)
        assert canary not in everything_said_by(error)

    def test_extra_forbidden(self, kubelet_volume, canary):
        """F25: with extra="forbid", the value of an extra argument is not repeated, nor a name that may be a secret."""

        class App(Settings):
            model_config = SettingsConfigDict(extra="forbid")
            known: int = 0

        error = raised(App, _volumes=kubelet_volume.path, **{canary: canary})
        assert canary not in everything_said_by(error)

    def test_two_keys_for_one_field(self, kubelet_volume, canary):
        """F26: an ambiguous key is named without what it holds."""
        kubelet_volume.write({"value": canary, "VALUE": f"{canary}2"})
        assert canary not in everything_said_by(raised(model(str), _volumes=kubelet_volume.path))

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("app.yaml", "value: [{canary}, *{canary}\n"),
            ("app.yaml", "value: !!python/object:{canary} x\n"),
            ("app.yaml", "{canary}: 1\n{canary}: 2\n"),
            ("app.yaml", "value: &{canary} [*{canary}2]\n"),
            ("app.json", '{{"value": "{canary}"'),
            ("app.json", '{{"{canary}": 1, "{canary}": 2}}'),
            ("app.toml", "value = {canary}\n"),
            ("app.toml", "value = '{canary}'\nvalue = '{canary}'\n"),
            (".env", "{canary}='open\n"),
            ("app.properties", "{canary}=1\n{canary}=2\n"),
            ("app.json", '["{canary}"]'),
        ],
    )
    def test_document(self, kubelet_volume, canary, name, text):
        """F27: the error of a document that cannot be parsed has the place, not the text."""

        class App(Settings):
            model_config = SettingsConfigDict(documents=[name])
            value: str = ""

        kubelet_volume.write({name: text.format(canary=canary)})
        error = raised(App, _volumes=kubelet_volume.path)
        assert name in str(error)
        assert canary not in everything_said_by(error)
        assert canary.split("-", 1)[1] not in everything_said_by(error)
        assert (error.__cause__, error.__context__) == (None, None)

    def test_not_utf8(self, kubelet_volume, canary):
        """F28: bytes that are no text are not shown, nor what stands beside them."""
        kubelet_volume.write({"value": canary.encode() + b"\xff"})
        error = raised(model(str), _volumes=kubelet_volume.path)
        assert canary not in everything_said_by(error)
        assert (error.__cause__, error.__context__) == (None, None)

    def test_json_of_the_environment(self, monkeypatch, kubelet_volume, canary):
        """F29: a variable that should hold JSON and does not is named, not shown."""
        monkeypatch.setenv("VALUE", f'["{canary}"')
        error = raised(model(list[int]), _volumes=kubelet_volume.path)
        assert "value" in str(error)
        assert canary not in everything_said_by(error)
        assert (error.__cause__, error.__context__) == (None, None)

    def test_dotenv_not_utf8(self, tmp_path, kubelet_volume, canary):
        """F30: an .env file that is not UTF-8 is refused without what it holds."""
        (tmp_path / "env").write_bytes(f"OTHER={canary}\nVALUE=".encode() + b"\xff\xfe\n")
        error = raised(model(str), _volumes=kubelet_volume.path, _env_file=tmp_path / "env")
        assert isinstance(error, InvalidSettingsError)
        assert canary not in everything_said_by(error)
        assert (error.__cause__, error.__context__) == (None, None)

    @pytest.mark.parametrize("error_type", [ValueError, KeyError, RuntimeError])
    def test_source_of_the_class(self, kubelet_volume, canary, error_type):
        """F31: if a source of the class raises, the error has its type, and no frame holds the value of an argument."""

        class App(Settings):
            value: str = ""

            @classmethod
            def settings_customise_sources(cls, settings_cls, init_settings, **sources):
                def vault() -> dict[str, Any]:
                    raise error_type("vault is sealed")

                return init_settings, vault

        error = raised(App, value=canary, _volumes=kubelet_volume.path)
        assert error_type.__name__ in str(error)
        assert canary not in everything_said_by(error)
        assert (error.__cause__, error.__context__) == (None, None)

    def test_default_factory(self, kubelet_volume, canary):
        """F32: the error of a default factory that raises with a value in its message does not contain it."""

        def make() -> str:
            raise ValueError(canary)

        error = raised(model(str, value=Field(default_factory=make)), _volumes=kubelet_volume.path)
        assert canary not in everything_said_by(error)

    def test_refusal(self, kubelet_volume, canary):
        """A Refusal that a validator raises is shown: its author vouches for it."""
        refusing = model(str, check=_raise(lambda _: Refusal("the value is too well known")))
        kubelet_volume.write({"value": canary})
        assert "the value is too well known" in str(raised(refusing, _volumes=kubelet_volume.path))

    def test_long_refusal(self, kubelet_volume, canary):
        """A Refusal that a validator raises is shown on one line, up to its 1,000th character."""
        refusing = model(str, check=_raise(lambda _: Refusal("no\n" + "x" * 5000)))
        kubelet_volume.write({"value": canary})
        assert f"refused: no {'x' * 997}... (in " in str(raised(refusing, _volumes=kubelet_volume.path))

    def test_stderr_of_an_uncaught_error(self, kubelet_volume, canary):
        """F33: what Python prints of an uncaught error, with faulthandler and in development mode, shows no value."""
        kubelet_volume.write({"password": canary, "port": canary})
        code = """
            import sys
            from pydantic import SecretStr
            from liveconfig import Settings

            class App(Settings):
                password: SecretStr
                port: int
                missing: str

            App.load(_volumes=sys.argv[1])
        """
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-X", "faulthandler", "-c", textwrap.dedent(code), str(kubelet_volume.path)],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            check=False,
        )
        assert done.returncode == 1
        assert "InvalidSettingsError" in done.stderr
        assert "During handling" not in done.stderr
        assert canary not in done.stderr + done.stdout


class TestReload:
    @pytest.mark.parametrize("kind", KINDS)
    def test_rejected(self, kubelet_volume, canary, kind, caplog):
        """F02: what refuses a value at a reload: event, status and log name the field and not the value."""
        good = {
            "int": "1", "float": "1", "bool": "true", "decimal": "1", "uuid": str(uuid.uuid4()),
            "dsn": "postgres://db/x", "literal": "a", "enum": "red", "long-secret": "a", "long-secret-bytes": "a",
            "pattern": "a", "json": "1", "list": "[1]", "dict": '{"a": 1}', "union": "1",
            "discriminated": '{"kind": "cat"}', "tagged": '{"kind": "cat"}',
        }.get(kind, "fine")  # fmt: skip
        kubelet_volume.write({"value": good})
        settings = KINDS[kind](_volumes=kubelet_volume.path, _watch=False)
        with recorded(settings) as events:
            kubelet_volume.write({"value": canary})
            assert not settings.live.reload()
        (event,) = events
        status = settings.live.status()
        said = repr(event) + repr(status) + json.dumps(status.as_dict()) + repr(dataclasses.asdict(event)) + caplog.text
        assert canary not in said
        assert event.stage in ("validate", "parse")
        for record in caplog.records:
            assert canary not in repr(vars(record))

    def test_document(self, kubelet_volume, canary, caplog):
        """F27: the same for a document."""

        class App(Settings):
            model_config = SettingsConfigDict(documents=["app.yaml"])
            value: str = ""

        kubelet_volume.write({"app.yaml": "value: x"})
        settings = App(_volumes=kubelet_volume.path, _watch=False)
        with recorded(settings) as events:
            kubelet_volume.write({"app.yaml": f"value: [{canary}, *{canary}"})
            assert not settings.live.reload()
        assert canary not in repr(events) + json.dumps(settings.live.status().as_dict()) + caplog.text

    def test_override(self, kubelet_volume, canary):
        """F34: an override that does not validate is refused without its value."""
        kubelet_volume.write({"value": "1"})
        settings = KINDS["int"](_volumes=kubelet_volume.path, _watch=False)
        try:
            with override(settings, value=canary):
                pytest.fail("it was applied")
        except InvalidSettingsError as error:
            assert canary not in everything_said_by(error)
            assert (error.__cause__, error.__context__) == (None, None)


class Nested(BaseModel):
    token: str = ""
    key: SecretStr = SecretStr("")


class App(Settings):
    password: SecretStr = SecretStr("")
    blob: SecretBytes = SecretBytes(b"")
    plain: str = ""
    nested: Nested = Nested()
    tokens: list[SecretStr] = []
    mapping: dict[str, str] = {}


@pytest.fixture
def secrets(kubelet_volume, canary):
    """A payload of secrets."""
    payload = {
        "password": canary,
        "blob": canary,
        "plain": canary,
        "nested.token": canary,
        "nested.key": canary,
        "tokens": json.dumps([canary]),
        "mapping": json.dumps({"a": canary}),
    }
    kubelet_volume.write(payload)
    return payload


def shown_of(value: Any) -> str:
    """Each way to show something as text, save those that hand out what the type hands out."""
    return "\n".join(
        [repr(value), str(value), f"{value}", format(value), "%s %r" % (value, value), pprint.pformat(value)]  # noqa: UP031
    )


class Tree(BaseModel):
    label: str = ""
    mode: Literal["a", "b"] = "a"
    inner: Tree | None = None


class SafeTree(BaseModel):
    lock: SecretStr = SecretStr("")
    inner: SafeTree | None = None


def test_models_that_hold_themselves():
    """In a model that holds itself a secret is found, and where there is none the search ends."""
    assert [is_secret(each) for each in (Tree | None, list[SafeTree], Literal["a"])] == [False, True, False]


class TestMasked:
    @pytest.fixture
    def settings(self, kubelet_volume, secrets):
        settings = App(_volumes=Volume(kubelet_volume.path, secret=True))
        yield settings
        settings.live.close()

    def test_of_a_secret_volume(self, settings, canary):
        """F04: every field fed from a Volume(secret=True) is masked in repr, str and format, whatever its type."""
        assert settings.plain == canary
        for each in (settings, settings.live.latest(), settings.live.snapshot(), copy.copy(settings)):
            assert canary not in shown_of(each)
        assert "App" in repr(settings)

    def test_copies(self, settings, canary):
        """F35: copies of masked settings are masked."""
        snapshot = settings.live.latest()
        for each in (copy.deepcopy(settings), copy.copy(snapshot), copy.deepcopy(snapshot), snapshot.model_copy()):
            assert canary not in shown_of(each)

    def test_nested_model(self, settings, canary):
        """F36: a nested model that a secret volume feeds is masked inside its settings."""
        assert canary not in repr(settings)
        assert settings.nested.token == canary

    def test_only_its_fields(self, kubelet_volume, make_kubelet_volume, canary):
        """F37: what another volume or a default supplies is shown as ever."""
        other = make_kubelet_volume("other")
        other.write({"plain": "for all to see"})
        kubelet_volume.write({"nested.token": canary})
        settings = App(_volumes=[Volume(kubelet_volume.path, secret=True), other.path], _watch=False)
        assert "for all to see" in repr(settings)
        assert canary not in repr(settings)

    def test_later(self, kubelet_volume, canary):
        """F38: a field that a secret volume feeds only later is masked from then on."""
        kubelet_volume.write({"password": "x"})
        settings = App(_volumes=Volume(kubelet_volume.path, secret=True), _watch=False)
        kubelet_volume.write({"password": "x", "plain": canary})
        assert settings.live.reload()
        assert canary not in shown_of(settings) + shown_of(settings.live.latest())

    def test_from_another_volume_later(self, kubelet_volume, make_kubelet_volume, canary):
        """A value that stays as it was is masked while a secret volume supplies it, and shown when it is not."""
        other = make_kubelet_volume("other")
        other.write({"plain": "for all to see"})
        kubelet_volume.write({"unused": canary})
        settings = App(_volumes=[other.path, Volume(kubelet_volume.path, secret=True)], _watch=False)
        for keys, hidden in (({"plain": "for all to see"}, True), ({}, False)):
            kubelet_volume.write({"unused": canary, **keys})
            assert settings.live.reload()
            assert settings.live.version == 1
            for each in (settings, settings.live.latest()):
                assert ("for all to see" not in shown_of(each)) is hidden

    def test_types(self, kubelet_volume, canary):
        """F04: SecretStr and SecretBytes are masked wherever they come from: vars and json too."""
        kubelet_volume.write({"password": canary, "blob": canary, "nested.key": canary, "tokens": json.dumps([canary])})
        settings = App(_volumes=kubelet_volume.path, _watch=False)
        said = shown_of(settings) + repr(vars(settings)) + settings.model_dump_json() + repr(settings.model_dump())
        assert canary not in said

    def test_live(self, settings, canary):
        """F39: the face, and what hangs on it, show no value."""
        subscription = settings.live.subscribe("plain", print)
        for each in (settings.live, subscription, settings.live.pinned(), settings.live.changes("plain")):
            assert canary not in shown_of(each)

    def test_events(self, settings, kubelet_volume, secrets, canary, caplog):
        """F04: events name fields and versions in each of their forms, and in a log line, never a value."""
        changes = []
        for what in ("plain", "nested", lambda s: (s.plain, s.nested)):
            settings.live.on_change(what)(changes.append)
        with recorded(settings) as events:
            kubelet_volume.write({name: value.replace(canary, f"{canary}2") for name, value in secrets.items()})
            assert settings.live.reload()
        for event in (*events, *changes):
            logging.getLogger("app").warning("%s %r", event, event)
            assert canary not in shown_of(event)
        assert {change.field for change in events[0].changes} >= {"password", "plain", "nested.token"}

    def test_status(self, settings, kubelet_volume, canary):
        """F06: status() holds no value and no hash of one, in any of its forms."""
        kubelet_volume.update({"plain": "a", "unknown": canary, canary[:20]: "x"})
        settings.live.reload()
        kubelet_volume.update({"mapping": canary})
        settings.live.reload()
        status = settings.live.status()
        said = shown_of(status) + json.dumps(status.as_dict()) + repr(dataclasses.asdict(status))
        assert canary not in said
        encoded = canary.encode()
        hashes = [
            getattr(hashlib, name)(encoded).hexdigest() for name in ("md5", "sha1", "sha256", "sha512", "blake2b")
        ]
        hashes += [str(hash(canary)), str(zlib.crc32(encoded)), base64.b64encode(encoded).decode(), encoded.hex()]
        assert not [each for each in (*hashes, quote(canary), canary[::-1]) if each in said]

    def test_origins(self, settings, canary):
        """F40: origins show no value."""
        said = shown_of(settings.live.origins()) + repr(dataclasses.asdict(settings.live.origin("plain")))
        assert canary not in said

    def test_signals(self, settings, kubelet_volume, canary, caplog):
        """F41: a receiver that raises with the event in its message leaks nothing into the log."""

        def fail(sender, event):
            raise ValueError(event.new.plain, sender.plain)

        signals.reloaded.connect(fail, sender=settings)
        kubelet_volume.update({"plain": f"{canary}2"})
        settings.live.reload()
        assert "ValueError" in caplog.text
        assert canary not in caplog.text

    def test_shadowed_variable(self, kubelet_volume, canary, monkeypatch, caplog):
        """F42: that a variable differs from the volume is said without either value."""
        monkeypatch.setenv("PASSWORD", f"{canary}old")
        monkeypatch.setenv("PLAIN", f"{canary}old")
        kubelet_volume.write({"password": canary})
        settings = App(_volumes=kubelet_volume.path, _watch=False)
        status = settings.live.status()
        assert {stale.field for stale in status.stale} == {"password", "plain"}
        assert canary not in caplog.text + shown_of(status) + json.dumps(status.as_dict())


def test_nothing_is_written(kubelet_volume, canary):
    """F08: in a whole run nothing is opened for writing, and no file is made."""
    code = """
        import os, sys
        written = []

        def audit(event, args):
            if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                written.append(args[0])
            elif event in ("os.mkdir", "os.rename", "os.symlink", "os.truncate", "shutil.copyfile", "sqlite3.connect"):
                written.append((event, args))

        from pydantic import SecretStr
        from liveconfig import Settings

        class App(Settings):
            password: SecretStr
            port: int = 1

        sys.dont_write_bytecode = True
        sys.addaudithook(audit)
        with App.load(_volumes=sys.argv[1]).live as live:
            changes = []
            live.on_change("password")(changes.append)
            live.verify()(lambda _: True)
            print("ready", flush=True)
            for line in sys.stdin:
                live.reload()
                live.status().as_dict()
                print(live.version, live.status().healthy, flush=True)
        print(written)
    """
    kubelet_volume.write({"password": canary})
    process = subprocess.Popen(
        [sys.executable, "-B", "-c", textwrap.dedent(code), str(kubelet_volume.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.stdin
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    said = []
    for payload in ({"password": f"{canary}2"}, {"password": f"{canary}2", "port": canary}, {"password": canary}):
        kubelet_volume.write(payload)
        process.stdin.write("\n")
        process.stdin.flush()
        said.append(process.stdout.readline().strip())
    rest, errors = process.communicate(timeout=60)
    assert said == ["2 True", "2 False", "3 True"]
    assert rest.strip() == "[]"
    assert canary not in errors + rest
