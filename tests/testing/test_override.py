"""`override`: other values than the volume's, through the normal transaction, and gone again afterwards."""

from __future__ import annotations

import os
import shutil
import threading
import traceback
from contextlib import ExitStack

import pytest
from pydantic import BaseModel, Field, SecretStr

from liveconfig import InvalidSettingsError, LiveConfigError, Refusal, Settings, SettingsConfigDict, Stale
from liveconfig.testing import override, recorded

PATIENCE = 60.0  # seconds: the machine that runs the tests may be busy


class Login(BaseModel):
    user: str = "web"
    password: SecretStr = SecretStr("none")


class Database(BaseModel):
    host: str = "db-1"
    port: int = 5432
    login: Login = Login()


class App(Settings):
    message: str = "hello"
    count: int = 0
    db: Database = Database()


@pytest.fixture
def volume(kubelet_volume):
    kubelet_volume.write({"message": "one", "count": "1"})
    return kubelet_volume


@pytest.fixture
def settings(load, volume):
    return load(App, _volumes=[volume.path])


class TestValues:
    def test_for_the_length_of_the_with(self, settings):
        """A field has the other value inside and the volume's again after."""
        with override(settings, message="mine"):
            assert settings.message == settings.live.latest().message == "mine"
        assert settings.message == settings.live.latest().message == "one"

    def test_validated(self, settings):
        """A value is validated as one from a volume is: text becomes a number."""
        with override(settings, count="7", db__port="6000"):
            assert (settings.count, settings.db.port) == (7, 6000)

    def test_published(self, settings):
        """Subscribers are called when an override begins and ends."""
        seen = []
        settings.live.subscribe("message", lambda change: seen.append((change.old, change.new)))
        with override(settings, message="mine"):
            assert seen == [("one", "mine")]
        assert seen == [("one", "mine"), ("mine", "one")]

    @pytest.mark.parametrize("below", ["default", "argument", "volume"])
    def test_siblings_stay(self, load, volume, below):
        """A nested override leaves its siblings, whether the model is a default, an argument or the volume's."""
        given = {"db": Database(host="db-2", login=Login(user="me"))} if below == "argument" else {}
        if below == "volume":
            volume.update({"db.host": "db-2", "db.login.user": "me"})
        settings = load(App, _volumes=[volume.path], **given)
        before = settings.live.snapshot()
        with override(settings, db__login__password="x"):
            assert (settings.db.host, settings.db.port) == (before.db.host, before.db.port)
            assert settings.db.login.user == before.db.login.user
            assert settings.db.login.password.get_secret_value() == "x"
        assert settings.live.snapshot() == before

    def test_siblings_of_a_default(self, load, volume):
        """The siblings of a nested override are those of the field's own default, one that a factory makes apart."""

        class Defaults(App):
            spare: Database = Database(host="db-8")
            made: Database = Field(default_factory=lambda: Database(host="db-9"))

        settings = load(Defaults, _volumes=[volume.path])
        with override(settings, spare__port=1, made__port=1):
            assert settings.spare == Database(host="db-8", port=1)
            assert settings.made == Database(port=1)

    def test_entries_of_a_mapping(self, load, volume):
        """An override of a mapping goes over the entries of the volume, and replaces a default, as an argument does."""

        class Labelled(App):
            labels: dict[str, str] = Field({"a": "default"})
            either: dict[str, str] | str = Field({"a": "default"})

        settings = load(Labelled, _volumes=[volume.path])
        with override(settings, labels={"b": "mine"}, either="mine"):
            assert settings.labels == load(Labelled, labels={"b": "mine"}).labels == {"b": "mine"}
            assert settings.either == "mine"
        with override(settings, labels={}):
            assert settings.labels == {}
        volume.update({"labels": '{"a": "volume"}'})
        settings.live.reload()
        with override(settings, labels={"b": "mine"}):
            assert settings.labels == {"a": "volume", "b": "mine"}

    def test_siblings_of_an_optional_model(self, load, volume):
        """A nested override of a model that is None makes the model."""

        class Optional(App):
            spare: Database | None = None

        settings = load(Optional, _volumes=[volume.path])
        with override(settings, spare__host="db-9"):
            assert settings.spare == Database(host="db-9")
        assert settings.spare is None

    def test_order_of_arguments(self, settings):
        """E210: a whole model and a field inside it give the same in either order: the field wins."""
        for values in ({"db": {"host": "db-3"}, "db__port": 1}, {"db__port": 1, "db": {"host": "db-3"}}):
            with override(settings, **values):
                assert (settings.db.host, settings.db.port) == ("db-3", 1)

    def test_the_caller_keeps_its_values(self, settings):
        """The mappings that a caller passes are not changed, and changing them later changes nothing."""
        inner = {"host": "db-3"}
        values = {"db": inner, "db__login__user": "me"}
        with override(settings, **values):
            assert (inner, sorted(values)) == ({"host": "db-3"}, ["db", "db__login__user"])
            inner["host"] = "later"
            settings.live.reload()
            assert settings.db.host == "db-3"

    def test_a_field_called_settings(self, load, volume):
        """A field may have the name of the function's own argument."""

        class Odd(Settings):
            settings: str = "a"

        odd = load(Odd, _volumes=[volume.path])
        with override(odd, settings="b"):
            assert odd.settings == "b"

    def test_a_field_with_two_underscores(self, load, volume):
        """A field whose own name has two underscores is found by that name."""

        class Odd(Settings):
            my__field: str = "a"

        odd = load(Odd, _volumes=[volume.path])
        with override(odd, my__field="b"):
            assert odd.my__field == "b"

    def test_a_field_with_an_alias(self, load, volume):
        """A field is named by its own name, whatever its alias is."""

        class Aliased(Settings):
            message: str = Field("a", alias="greeting")

        volume.write({"greeting": "from the volume"})
        settings = load(Aliased, _volumes=[volume.path])
        with override(settings, message="b"):
            assert settings.message == "b"
        assert settings.message == "from the volume"

    def test_origin(self, settings):
        """Inside, the origin of the field is the override, by its dotted name, above the volume; not after."""
        with override(settings, message="mine", db__login__user="me"):
            origin = settings.live.origin("message")
            assert (origin.kind, origin.name, origin.live) == ("override", "message", False)
            assert [lost.kind for lost in origin.shadows] == ["volume"]
            assert settings.live.origin("db.login.user").name == "db.login.user"
            assert settings.live.origin("db.login.password").kind == "default"
        assert settings.live.origin("message").kind == "volume"
        assert settings.live.origin("db.login.user").kind == "default"

    def test_survives_swaps(self, settings, volume):
        """A swap inside changes the other fields; the overridden one has the swap's value after."""
        with override(settings, message="mine"):
            volume.write({"message": "two", "count": "2"})
            assert settings.live.reload()
            assert (settings.message, settings.count) == ("mine", 2)
        assert (settings.message, settings.count) == ("two", 2)

    @pytest.mark.parametrize("watch", [True, False])
    def test_closed_settings(self, volume, watch):
        """Settings that are closed, or were never watched, can be overridden."""
        settings = App.load(_volumes=[volume.path], _watch=watch)
        settings.live.close()
        with override(settings, message="mine"):
            assert settings.message == "mine"
        assert settings.message == "one"


class TestSeveral:
    def test_nested(self, settings):
        """The inner of two overrides wins, and each is undone by itself."""
        with override(settings, message="outer", count=2):
            with override(settings, message="inner"):
                assert (settings.message, settings.count) == ("inner", 2)
            assert (settings.message, settings.count) == ("outer", 2)
        assert (settings.message, settings.count) == ("one", 1)

    def test_left_out_of_order(self, settings):
        """An override that is left before one that came later takes only its own values away."""
        first, second = override(settings, message="first", count=2), override(settings, message="second")
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert (settings.message, settings.count) == ("second", 1)
        second.__exit__(None, None, None)
        assert (settings.message, settings.count) == ("one", 1)

    def test_two_threads_at_once(self, settings):
        """Threads that override at once, each another field, each see their own, and nothing is left of them."""
        start, seen = threading.Barrier(2, timeout=PATIENCE), []

        def run(**values):
            for _ in range(20):
                start.wait()
                with override(settings, **values):
                    seen.append(all(getattr(settings, name) == value for name, value in values.items()))

        threads = [threading.Thread(target=run, kwargs=values) for values in ({"message": "mine"}, {"count": 9})]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert seen == [True] * 40
        assert (settings.message, settings.count) == ("one", 1)

    def test_exception_inside(self, settings):
        """An exception inside passes through, and the values are gone."""
        with pytest.raises(ZeroDivisionError), override(settings, message="mine"):
            raise ZeroDivisionError
        assert settings.message == "one"


class TestLeaving:
    def test_the_disk_goes_bad(self, settings, volume):
        """E211: what came to the disk inside and is good under the override only is not kept: the last good is back."""
        with override(settings, count=5):
            volume.write({"message": "two", "count": "many"})
            assert settings.live.reload()
            assert (settings.message, settings.count) == ("two", 5)
        assert (settings.message, settings.count) == ("one", 1)
        assert not settings.live.reload()
        assert settings.live.status().last_rejected.fields == ("count",)
        volume.write({"message": "three", "count": "3"})
        assert settings.live.reload()
        assert (settings.message, settings.count, settings.live.status().healthy) == ("three", 3, True)

    def test_the_volume_disappears(self, settings, volume):
        """A volume that disappears inside leaves the last good when the override goes."""
        with override(settings, message="mine"):
            shutil.rmtree(volume.path)
            assert not settings.live.reload()
            assert settings.message == "mine"
        assert (settings.message, settings.count) == ("one", 1)

    def test_a_verifier_that_refuses_the_undo(self, settings):
        """E212: what was in use before comes back even if a verifier refuses it, and nothing stands rejected."""
        with override(settings, message="mine"):

            @settings.live.verify(on=lambda s: s.message)
            def never_back(candidate):
                raise Refusal("no way back")

        assert settings.message == "one"
        assert settings.live.origin("message").kind == "volume"
        version = settings.live.version
        assert settings.live.status().candidate is None
        assert settings.live.status().healthy
        assert settings.live.reload()
        assert settings.live.version == version

    def test_a_candidate_that_the_override_made_bad(self, settings, volume):
        """E213: content that is refused inside because of the override is applied once it has gone."""

        @settings.live.verify()
        def not_mine_with_two(candidate):
            return not (candidate.message == "mine" and candidate.count == 2)

        with override(settings, message="mine"):
            volume.update({"count": "2"})
            assert not settings.live.reload()
            assert settings.count == 1
        assert (settings.message, settings.count) == ("one", 2)
        assert settings.live.status().healthy

    def test_a_candidate_that_stays_bad(self, settings, volume):
        """Content that is refused inside, and without the override too, stands as a candidate above the last good."""

        @settings.live.verify(on=lambda s: s.count)
        def never_two(candidate):
            return candidate.count != 2

        with override(settings, message="mine"):
            volume.update({"count": "2"})
            assert not settings.live.reload()
        assert (settings.message, settings.count) == ("one", 1)
        assert settings.live.status().candidate is not None
        volume.update({"count": "3"})
        assert settings.live.reload()
        assert (settings.message, settings.count) == ("one", 3)

    def test_an_override_that_replaces_what_is_refused(self, settings, volume):
        """E214: an override of the very field that a verifier refuses is taken, and gone again afterwards."""

        @settings.live.verify(on=lambda s: s.count)
        def never_two(candidate):
            return candidate.count != 2

        volume.write({"message": "two", "count": "2"})
        assert not settings.live.reload()
        with override(settings, count=7):
            assert (settings.message, settings.count) == ("two", 7)
            assert settings.live.status().candidate is None
        assert (settings.message, settings.count) == ("one", 1)
        assert not settings.live.reload()

    def test_an_override_that_replaces_what_is_invalid(self, settings, volume):
        """An override of the very field that does not validate is taken, and gone again afterwards."""
        volume.write({"message": "two", "count": "many"})
        assert not settings.live.reload()
        with override(settings, count=7):
            assert (settings.message, settings.count) == ("two", 7)
        assert (settings.message, settings.count) == ("one", 1)


class TestRefused:
    def test_not_valid(self, settings):
        """A value that does not validate is an error that names the field, and nothing has changed."""
        with (
            pytest.raises(InvalidSettingsError, match="the override is not applied: count: Input should be"),
            override(settings, count="many", message="mine"),
        ):
            pytest.fail("it was taken")
        assert (settings.message, settings.count) == ("one", 1)
        assert settings.live.status().healthy

    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ({"count": "many"}, r"count: .* \(from override\(\)\)"),
            ({"db__port": "many"}, r"db\.port: .* \(from override\(\)\)"),
            ({"db": {"login": {"user": 1}}}, r"db\.login\.user: .* \(from override\(\)\)"),
        ],
    )
    def test_the_override_is_to_blame(self, settings, volume, values, reason):
        """A value that does not validate is said to come from the override, though the volume has the field too."""
        volume.write({"count": "1", "db.port": "1", "db.login.user": "web"})
        assert settings.live.reload()
        with pytest.raises(InvalidSettingsError, match=reason), override(settings, **values):
            pytest.fail("it was taken")

    def test_the_volume_is_to_blame(self, load, volume):
        """During an override of one entry of a mapping, a wrong entry of the volume is said to come from there."""

        class Limited(App):
            limits: dict[str, int] = {}

        settings = load(Limited, _volumes=[volume.path], _watch=False)
        with override(settings, limits={"a": 1}):
            volume.write({"limits.b": "many"})
            assert not settings.live.reload()
            rejected = settings.live.status().last_rejected
        assert rejected is not None
        assert f"(in {volume.path}/limits.b)" in rejected.reason

    def test_a_verifier_refuses(self, settings):
        """A value that a verifier refuses is an error with the refusal, and nothing has changed."""

        @settings.live.verify(on=lambda s: s.message)
        def check(candidate):
            raise Refusal("not this one")

        with pytest.raises(InvalidSettingsError, match="not this one"), override(settings, message="mine"):
            pytest.fail("it was taken")
        assert (settings.message, settings.live.version) == ("one", 1)
        assert settings.live.status().healthy

    def test_another_volume_is_unreadable(self, load, make_kubelet_volume):
        """E215: a volume that cannot be read is no reason to refuse an override."""
        one, other = make_kubelet_volume("one"), make_kubelet_volume("other")
        one.write({"message": "one"})
        other.write({"count": "1"})
        settings = load(App, _volumes=[one.path, other.path], _watch=False)
        other.write({"count": "2"})
        os.unlink(other.path / "..data" / "count")
        os.mkfifo(other.path / "..data" / "count")
        assert not settings.live.reload()
        with override(settings, message="mine"):
            assert (settings.message, settings.count) == ("mine", 1)
        assert (settings.message, settings.count) == ("one", 1)

    @pytest.mark.parametrize(
        ("name", "near"),
        [("mesage", "message"), ("db__hosst", "db__host"), ("db__login__pasword", "db__login__password")],
    )
    def test_unknown_name(self, settings, name, near):
        """A name of no field is an error that names the nearest, in a nested model too, and changes nothing."""
        with (
            pytest.raises(LiveConfigError, match=f"no field '{name}'; did you mean '{near}'"),
            override(settings, **{name: "x", "count": 5}),
        ):
            pytest.fail("it was taken")
        assert (settings.count, settings.live.version) == (1, 1)

    def test_a_snapshot(self, settings):
        """A snapshot cannot be overridden."""
        with pytest.raises(LiveConfigError), override(settings.live.snapshot(), message="mine"):
            pytest.fail("it was taken")

    @pytest.mark.parametrize("name", ["count", "nonsense", "db__port", "db"])
    def test_no_value_in_the_frames(self, settings, canary, name):
        """F60: when an override is refused, no frame of liveconfig's holds a value, and neither does the error."""
        values = [{name: canary}]
        with pytest.raises(LiveConfigError) as caught, override(settings, **values.pop()):
            pytest.fail("it was taken")
        assert caught.value.__cause__ is caught.value.__context__ is None
        said = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        frames = [frame for frame in said.stack if frame.filename != __file__]
        assert frames
        assert canary not in "".join(traceback.StackSummary.from_list(frames).format()) + str(said)

    def test_told_as_a_rejection(self, settings):
        """A rejected override is a `Rejected`, as rejected content is, and a `Recovered` once it has gone."""
        with recorded(settings) as events, pytest.raises(InvalidSettingsError), override(settings, count="many"):
            pytest.fail("it was taken")
        settings.live.reload()
        rejected, recovered = events
        assert (rejected.stage, rejected.fields) == ("validate", ("count",))
        assert recovered.after == rejected
        assert settings.live.status().healthy


def test_undone_in_reverse_order(settings):
    """Several overrides on one stack are undone in reverse order, each to what was before it."""
    seen = []
    settings.live.subscribe("message", lambda change: seen.append(change.new))
    with ExitStack() as stack:
        for message in ("a", "b", "c"):
            stack.enter_context(override(settings, message=message))
    assert seen == ["a", "b", "c", "b", "a", "one"]


def stale_while_overridden(load, volume, caplog):
    """The `Stale` events and the log lines of an override of `message`, without those of versions."""
    caplog.set_level("INFO", "liveconfig")
    settings = load(App, _volumes=[volume.path], _watch=False)
    caplog.clear()
    with recorded(settings) as events:
        with override(settings, message="mine"):
            standing = settings.live.status().stale
        assert settings.live.status().stale == standing != ()
    lines = [record.getMessage() for record in caplog.records]
    return [each for each in events if isinstance(each, Stale)], [line for line in lines if "applied" not in line]


def test_a_variable_that_differs(load, volume, monkeypatch, caplog):
    """An override neither ends nor repeats the warning that a variable differs, and is no change of the volume."""
    monkeypatch.setenv("MESSAGE", "variable")
    assert stale_while_overridden(load, volume, caplog) == ([], [])


def test_a_variable_that_feeds_the_field(load, volume, monkeypatch, caplog):
    """An override neither ends nor repeats the warning that a variable feeds the field."""
    monkeypatch.setenv("MESSAGE", "variable")
    volume.remove("message")
    assert stale_while_overridden(load, volume, caplog) == ([], [])


def test_from_the_environment_above(load, volume, monkeypatch):
    """An override is above a class that puts the environment above its volumes, and above arguments."""

    class Above(App):
        model_config = SettingsConfigDict(volumes=[])

        @classmethod
        def settings_customise_sources(
            cls, settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
        ):
            return init_settings, env_settings, file_secret_settings

    monkeypatch.setenv("MESSAGE", "variable")
    settings = load(Above, _volumes=[volume.path], count=4)
    with override(settings, message="mine", count=5):
        assert (settings.message, settings.count) == ("mine", 5)
    assert (settings.message, settings.count) == ("variable", 4)
