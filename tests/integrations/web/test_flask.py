"""Flask applications on live settings."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from flask import (
    Config,
    Flask,
    copy_current_request_context,
    current_app,
    render_template_string,
    session,
    stream_with_context,
)
from jinja2 import DictLoader
from pydantic import BaseModel, SecretStr

from liveconfig import Change, LiveConfigError, Settings, SettingsConfigDict
from liveconfig.integrations.flask import LiveConfig
from liveconfig.integrations.keys import KeyRing
from liveconfig.testing import KubeletVolume, override

Swap = Callable[..., bool]


@pytest.fixture
def live(settings: Any) -> LiveConfig[Any]:
    return LiveConfig(settings)


@pytest.fixture
def app(live: LiveConfig[Any], settings: Any, swap: Swap) -> Flask:
    """An application whose pages are overtaken by a swap."""
    app = Flask(__name__)
    live.init_app(app)

    def deep() -> str:
        return settings.live.snapshot().message

    @app.get("/view")
    def view() -> list[str]:
        before = live.snapshot.message
        swap(message="two")
        return [before, live.snapshot.message, deep()]

    @app.get("/async")
    async def asynchronous() -> list[str]:
        before = live.snapshot.message
        swap(message="two")
        return [before, live.snapshot.message, deep()]

    @app.get("/template")
    def template() -> str:
        swap(message="two")
        return render_template_string("{{ live.snapshot.message }}")

    @app.get("/newest")
    def newest() -> list[str]:
        return [live.snapshot.message, settings.message, deep()]

    @app.get("/error")
    def fail() -> None:
        swap(message="two")
        raise ValueError

    @app.get("/nested")
    def nested() -> list[str]:
        before = live.snapshot.message
        swap(message="two")
        inner = current_app.test_client().get("/newest").get_json()
        return [before, live.snapshot.message, inner[0]]

    @app.get("/thread")
    def thread() -> list[str]:
        swap(message="two")
        heard: list[str] = []
        other = threading.Thread(target=copy_current_request_context(lambda: heard.append(live.snapshot.message)))
        other.start()
        other.join()
        return [live.snapshot.message, deep(), *heard]

    return app


# Requests


@pytest.mark.parametrize("path", ["/view", "/async"])
def test_a_request_sees_one_snapshot(app: Flask, path: str) -> None:
    """A view, plain or asynchronous, and all code below it see one snapshot around a swap; the next request sees the new one."""
    client = app.test_client()
    assert client.get(path).get_json() == ["one"] * 3
    assert client.get("/newest").get_json() == ["two"] * 3


def test_a_template_sees_the_snapshot_of_its_request(app: Flask) -> None:
    """``live.snapshot`` in a template is that of the request."""
    client = app.test_client()
    assert client.get("/template").text == "one"
    assert client.get("/template").text == "two"


def test_an_imported_template_sees_the_snapshot_of_its_request(app: Flask) -> None:
    """E195: ``live`` is known in a macro of a template that another one imports."""
    head = "{% macro head() %}{{ live.snapshot.message }}{% endmacro %}"
    app.jinja_loader = DictLoader({"head.html": head})
    app.get("/page")(lambda: render_template_string("{% from 'head.html' import head %}{{ head() }}"))
    assert app.test_client().get("/page").text == "one"


def test_a_request_that_fails_leaves_no_pin(app: Flask) -> None:
    """After a view that raised, the next request of the same thread sees the newest."""
    client = app.test_client()
    assert client.get("/error").status_code == 500
    assert client.get("/newest").get_json() == ["two"] * 3


def test_a_request_inside_a_request_keeps_the_outer_snapshot(app: Flask) -> None:
    """A request that a view makes to its own application sees the same snapshot, and ending it does not end the pin."""
    assert app.test_client().get("/nested").get_json() == ["one"] * 3


def test_a_copied_context_in_a_thread_does_not_end_the_pin(app: Flask) -> None:
    """A copy of the request's context that ends in another thread leaves the pin of the request alone."""
    assert app.test_client().get("/thread").get_json() == ["one", "one", "two"]


@pytest.mark.parametrize("keep", [stream_with_context, iter], ids=["with-context", "without"])
def test_a_streamed_body_sees_the_newest(app: Flask, settings: Any, swap: Swap, keep: Callable[..., Any]) -> None:
    """A body that is streamed after the view has returned is not pinned; it takes the snapshot along from its view."""

    @app.get("/stream")
    def stream() -> Any:
        def body(given: Any) -> Iterator[str]:
            yield f"{given.message} {settings.live.snapshot().message} "
            swap(message="two")
            yield f"{given.message} {settings.live.snapshot().message}"

        return keep(body(settings.live.snapshot())), {"Content-Type": "text/plain"}

    client = app.test_client()
    assert client.get("/stream").text == "one one one two"
    assert client.get("/newest").get_json() == ["two"] * 3


def test_a_test_client_that_keeps_its_contexts(app: Flask) -> None:
    """A test client that keeps the context of its last request keeps no pin, after a page that does not exist either."""
    with app.test_client() as client:
        assert client.get("/view").get_json() == ["one"] * 3
        assert client.get("/nowhere").status_code == 404
        assert client.get("/newest").get_json() == ["two"] * 3


# The application


def test_outside_of_a_request_the_snapshot_is_the_newest(app: Flask, live: LiveConfig[Any], swap: Swap) -> None:
    """``live.snapshot`` outside of a request, as in a command, is the newest."""
    with app.app_context():
        assert live.snapshot.message == "one"
        swap(message="two")
        assert live.snapshot.message == "two"


def test_the_application_knows_its_extension(app: Flask, live: LiveConfig[Any]) -> None:
    """The extension is found where Flask's extensions are."""
    assert app.extensions["liveconfig"] is live


def test_one_extension_serves_the_applications_of_a_factory(tmp_path: Any) -> None:
    """An extension without settings uses those of each application that a factory creates."""

    class Own(Settings):
        message: str

    live = LiveConfig[Own]()

    def create_app(name: str) -> Flask:
        volume = KubeletVolume(tmp_path / name)
        volume.write({"message": name})
        app = Flask(name)
        live.init_app(app, Own.load(_volumes=[volume.path]))
        app.get("/")(lambda: live.snapshot.message)
        return app

    apps = [create_app("first"), create_app("second")]
    assert [app.test_client().get("/").text for app in apps] == ["first", "second"]
    for app in apps:
        with app.app_context():
            live.settings.live.close()


def test_an_extension_without_settings_says_so() -> None:
    """Without settings the error says where to give them."""
    with pytest.raises(RuntimeError, match="init_app"):
        LiveConfig[Any]().init_app(Flask(__name__))
    with pytest.raises(RuntimeError, match="init_app"):
        LiveConfig[Any]().snapshot  # noqa: B018


def test_settings_of_an_application_outside_of_its_context(settings: Settings) -> None:
    """Outside of a context, an extension whose settings came with ``init_app`` says that a context is needed."""
    live, app = LiveConfig[Any](), Flask(__name__)
    live.init_app(app, settings)
    with pytest.raises(RuntimeError, match=r"with app\.app_context\(\)"):
        live.settings  # noqa: B018
    with pytest.raises(RuntimeError, match=r"pass them to LiveConfig\(\.\.\.\)"):
        live.init_app(Flask("other"))
    with app.app_context():
        assert app.extensions["liveconfig"].settings is settings


def test_an_application_that_is_dropped_is_not_kept(settings: Settings) -> None:
    """Subscribers and mirrors on settings that live on do not keep a dropped application alive, nor go on for it."""
    live = LiveConfig(settings, mirror={"SECRET_KEY": "key"})
    live.on_change("message")(lambda change: None)
    before = len(settings.live.status().subscribers)
    app = Flask(__name__)
    live.init_app(app)
    subscriber = settings.live._core.publisher.subscribers[-1]
    gone = weakref.ref(app)
    del app
    gc.collect()
    assert gone() is None
    assert len(settings.live.status().subscribers) == before
    subscriber.callback(None)  # what was just being told reaches nobody


def test_override_reaches_the_view(app: Flask, settings: Settings) -> None:
    """`liveconfig.testing.override` is what a view sees."""
    with override(settings, message="mine"):
        assert app.test_client().get("/newest").get_json() == ["mine"] * 3


# Subscribers


@pytest.mark.parametrize("early", [True, False])
def test_a_subscriber_runs_in_the_context_of_the_application(settings: Any, swap: Swap, early: bool) -> None:
    """A subscriber, registered before ``init_app`` or after, runs once for each change with ``current_app`` set."""
    live = LiveConfig(settings)
    app = Flask("shop")
    heard = []

    def hear(change: Change[str]) -> None:
        heard.append((current_app.name, change.old, change.new))

    if not early:
        live.init_app(app)
    assert live.on_change(lambda s: s.message)(hear) is hear
    if early:
        live.init_app(app)
    swap(message="two")
    assert heard == [("shop", "one", "two")]


def test_a_coroutine_subscriber_is_run_as_an_asynchronous_view_is(
    app: Flask, live: LiveConfig[Any], swap: Swap
) -> None:
    """A coroutine function is called without a loop of its own, in the context of the application."""
    heard = []

    @live.on_change("message", initial=True)
    async def hear(change: Change[str]) -> None:
        heard.append((current_app.name, change.new))

    swap(message="two")
    assert heard == [(app.name, "one"), (app.name, "two")]


def test_a_subscriber_has_its_own_name_in_the_status(app: Flask, live: LiveConfig[Any], settings: Settings) -> None:
    """The status shows the function that the user wrote."""

    @live.on_change("message")
    def reconnect(change: Change[str]) -> None: ...

    assert [each.name.endswith("reconnect") for each in settings.live.status().subscribers] == [True]


# The mirror


def test_a_mirrored_key_is_fresh(settings: Any, swap: Swap) -> None:
    """A mirrored key of ``app.config`` has the value at once and after each swap, a secret as plain text."""
    app = Flask(__name__)
    LiveConfig(settings, mirror={"GREETING": "message", "API_KEY": "key"}).init_app(app)
    assert (app.config["GREETING"], app.config["API_KEY"]) == ("one", settings.key.get_secret_value())
    swap(message="two", key="CANARY-00000000-new")
    assert (app.config["GREETING"], app.config["API_KEY"]) == ("two", "CANARY-00000000-new")


def test_a_mirrored_field_that_does_not_exist(settings: Settings) -> None:
    """A mirrored field that does not exist is an error at once that names the nearest."""
    with pytest.raises((LiveConfigError, ValueError, AttributeError), match="message"):
        LiveConfig(settings, mirror={"GREETING": "mesage"}).init_app(Flask(__name__))


@pytest.fixture
def shop(settings: Any) -> Flask:
    """An application with sessions, whose key is on a volume."""
    app = Flask(__name__)
    app.config["SECRET_KEY"] = "dev"
    LiveConfig(settings, mirror={"SECRET_KEY": "key"}).init_app(app)

    @app.get("/in")
    def enter() -> str:
        session["user"] = "ada"
        return ""

    app.get("/who")(lambda: session.get("user", "nobody"))
    return app


class Clock:
    """A clock that the test moves."""

    time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("liveconfig.integrations.keys.monotonic", clock)
    return clock


def test_a_new_key_signs_when_every_pod_has_it(clock: Clock, shop: Flask, swap: Swap, canary: str) -> None:
    """A new key is accepted at once; two minutes later the next request, or any application context, signs with it."""
    swap(key="CANARY-00000000-1")
    assert shop.config["SECRET_KEY"] == canary
    assert shop.config["SECRET_KEY_FALLBACKS"] == ["CANARY-00000000-1", canary]
    clock.time += 119
    shop.test_client().get("/in")
    assert shop.config["SECRET_KEY"] == canary
    clock.time += 1
    with shop.app_context():
        assert shop.config["SECRET_KEY"] == "CANARY-00000000-1"
        assert shop.config["SECRET_KEY_FALLBACKS"] == ["CANARY-00000000-1", canary]


def test_sessions_survive_a_rotated_key(clock: Clock, shop: Flask, swap: Swap) -> None:
    """A session is good while its key is one of the last three that were replaced, for a day."""
    client = shop.test_client()
    client.get("/in")
    for number in range(3):
        swap(key=f"CANARY-00000000-{number}")
        clock.time += 120
        assert client.get("/who").text == "ada"
    swap(key="CANARY-00000000-last")
    clock.time += 120
    assert client.get("/who").text == "nobody"
    assert shop.config["SECRET_KEY"] == "CANARY-00000000-last"


@pytest.mark.parametrize("first", [0, 1])
def test_sessions_survive_pods_that_are_swapped_one_after_the_other(
    clock: Clock, make_kubelet_volume: Callable[..., KubeletVolume], first: int
) -> None:
    """No session is lost while pods are swapped 20 s apart, threads log in all the time and another pod starts."""
    pods = [Pod(make_kubelet_volume(f"pod-{number}"), ["A"]) for number in range(2)]
    with ThreadPoolExecutor(8) as threads:
        for second in range(0, 240, 5):
            if second == 20:
                pods[first].swap(["B", "A"])
            if second == 30:
                pods.append(Pod(make_kubelet_volume("pod-2"), ["B", "A"]))
            if second == 40:
                pods[1 - first].swap(["B", "A"])
            routes = [(login, use) for login in pods for use in pods]
            answers = threads.map(lambda route: route[1].who(route[0].log_in()), routes)
            assert list(answers) == ["ada"] * len(routes)
            clock.time += 5
    assert {pod.app.config["SECRET_KEY"] for pod in pods} == {"B"}
    for pod in pods:
        pod.settings.live.close()


class PodSettings(Settings):
    session_keys: list[SecretStr]


class Pod:
    """An application with a volume of its own, whose keys are in one list field."""

    def __init__(self, volume: KubeletVolume, keys: list[str]) -> None:
        self.volume = volume
        volume.write({"session_keys": json.dumps(keys)})
        self.settings = PodSettings.load(_volumes=volume.path)
        self.app = Flask(__name__)
        LiveConfig(self.settings, mirror={"SECRET_KEY": KeyRing(self.settings, "session_keys")}).init_app(self.app)
        self.app.get("/in", endpoint="in")(lambda: session.update(user="ada") or "")
        self.app.get("/who", endpoint="who")(lambda: session.get("user", "nobody"))

    def swap(self, keys: list[str]) -> None:
        self.volume.write({"session_keys": json.dumps(keys)})
        self.settings.live.reload()

    def log_in(self) -> str:
        return self.app.test_client().get("/in").headers["Set-Cookie"].partition(";")[0]

    def who(self, cookie: str) -> str:
        return self.app.test_client(use_cookies=False).get("/who", headers={"Cookie": cookie}).text


def test_a_ring_belongs_to_the_secret_key(settings: Settings) -> None:
    """A `KeyRing` for the fallbacks alone is refused: it would never sign."""
    with pytest.raises(TypeError, match="SECRET_KEY"):
        LiveConfig(settings, mirror={"SECRET_KEY_FALLBACKS": KeyRing(settings, "key")}).init_app(Flask(__name__))


def test_fallbacks_belong_to_the_ring(keys: Keys) -> None:
    """Fallbacks that are mirrored beside a `KeyRing` are refused, as the ring would not accept them."""
    mirror = {"SECRET_KEY": KeyRing(keys, "key"), "SECRET_KEY_FALLBACKS": "old_keys"}
    with pytest.raises(TypeError, match=r"KeyRing\(\.\.\., previous='old_keys'\)"):
        LiveConfig(keys, mirror=mirror).init_app(Flask(__name__))


def test_the_key_of_a_developer_is_never_accepted(shop: Flask, swap: Swap) -> None:
    """The value of ``SECRET_KEY`` before the mirror does not become a fallback."""
    swap(key="CANARY-00000000-1")
    assert "dev" not in shop.config["SECRET_KEY_FALLBACKS"]


def test_fallbacks_of_the_user_stay(settings: Any, swap: Swap) -> None:
    """Fallbacks that the user configured stay behind the present key and those of the rotation."""
    app = Flask(__name__)
    app.config["SECRET_KEY_FALLBACKS"] = ["mine"]
    LiveConfig(settings, mirror={"SECRET_KEY": "key"}).init_app(app)
    first = app.config["SECRET_KEY"]
    assert app.config["SECRET_KEY_FALLBACKS"] == [first, "mine"]
    swap(key="CANARY-00000000-1")
    assert app.config["SECRET_KEY_FALLBACKS"] == ["CANARY-00000000-1", first, "mine"]


def test_fallbacks_age_with_their_key_alone(clock: Clock, settings: Any, swap: Swap) -> None:
    """E192: a change of another mirrored key takes no key out of the fallbacks."""
    app = Flask(__name__)
    LiveConfig(settings, mirror={"SECRET_KEY": "key", "GREETING": "message"}).init_app(app)
    for number in range(4):
        swap(key=f"CANARY-00000000-{number}")
        clock.time += 120
    with app.app_context():
        pass
    before = app.config["SECRET_KEY_FALLBACKS"]
    swap(message="two")
    assert app.config["GREETING"] == "two"
    assert app.config["SECRET_KEY_FALLBACKS"] == before == [f"CANARY-00000000-{number}" for number in (3, 2, 1, 0)]


class OptionalKey(Settings):
    model_config = SettingsConfigDict(missing_key="fallback")
    key: SecretStr | None = None


@pytest.mark.parametrize("keys", [{"other": "key"}, {"key": ""}], ids=["None", "empty"])
def test_a_key_that_vanishes_after_a_rotation(
    clock: Clock, kubelet_volume: KubeletVolume, keys: dict[str, str]
) -> None:
    """Where the key vanishes within a day after a rotation, ``SECRET_KEY`` is None, and requests are answered."""
    kubelet_volume.write({"key": "A"})
    settings = OptionalKey.load(_volumes=[kubelet_volume.path])
    app = Flask(__name__)
    LiveConfig(settings, mirror={"SECRET_KEY": "key"}).init_app(app)
    with settings.live:
        kubelet_volume.write({"key": "B"})
        assert settings.live.reload()
        clock.time += 120
        assert app.test_client().get("/liveconfig/ready").status_code == 200
        assert app.config["SECRET_KEY"] == "B"
        kubelet_volume.write(keys)
        assert settings.live.reload()
        assert app.test_client().get("/liveconfig/ready").status_code == 200
        assert (app.config["SECRET_KEY"], app.config["SECRET_KEY_FALLBACKS"]) == (None, ["A"])
        assert settings.live.status().healthy


class Keys(Settings):
    """A key and the ones before it, all on the volume."""

    key: SecretStr
    old_keys: list[SecretStr] = []


@pytest.fixture
def keys(kubelet_volume: KubeletVolume, canary: str) -> Iterator[Keys]:
    kubelet_volume.write({"key": canary})
    keys = Keys.load(_volumes=[kubelet_volume.path])
    yield keys
    keys.live.close()


BOTH = {"SECRET_KEY": "key", "SECRET_KEY_FALLBACKS": "old_keys"}


def test_mirrored_fallbacks_are_left_to_their_volume(keys: Keys, kubelet_volume: KubeletVolume, canary: str) -> None:
    """Where ``SECRET_KEY_FALLBACKS`` is mirrored too, it holds the present key, what its field holds and nothing else."""
    app = Flask(__name__)
    LiveConfig(keys, mirror=BOTH).init_app(app)
    kubelet_volume.write({"key": "CANARY-00000000-1", "old_keys": f'["{canary}"]'})
    keys.live.reload()
    assert app.config["SECRET_KEY_FALLBACKS"] == ["CANARY-00000000-1", canary]
    kubelet_volume.write({"key": "CANARY-00000000-2", "old_keys": '["CANARY-00000000-2"]'})
    keys.live.reload()
    assert app.config["SECRET_KEY_FALLBACKS"] == ["CANARY-00000000-2"] == [app.config["SECRET_KEY"]]


@pytest.mark.parametrize("mirror", [{"SECRET_KEY": "key"}, BOTH, dict(reversed(BOTH.items()))])
@pytest.mark.parametrize("between", ["SECRET_KEY_FALLBACKS", "SECRET_KEY"])
def test_a_rotation_while_flask_reads_the_keys(
    keys: Keys, kubelet_volume: KubeletVolume, canary: str, mirror: dict[str, str], between: str
) -> None:
    """E190: a session survives a rotation that comes right after Flask has read its fallbacks, or its key."""
    rotations: list[Callable[[], bool]] = []

    class Overtaken(Config):
        def __getitem__(self, key: str) -> Any:
            value = super().__getitem__(key)
            if key == between and rotations:
                rotations.pop()()
            return value

    class Shop(Flask):
        config_class = Overtaken

    def rotate() -> bool:
        kubelet_volume.write({"key": "CANARY-00000000-1", "old_keys": f'["{canary}"]'})
        return keys.live.reload()

    app = Shop(__name__)
    LiveConfig(keys, mirror=mirror).init_app(app)
    app.get("/in", endpoint="in")(lambda: session.setdefault("user", "ada"))
    app.get("/who", endpoint="who")(lambda: session.get("user", "nobody"))
    client = app.test_client()
    client.get("/in")
    rotations.append(rotate)
    assert [client.get("/who").text for _ in range(2)] == ["ada"] * 2
    assert not rotations


@pytest.mark.parametrize("mirror", [BOTH, dict(reversed(BOTH.items()))])
def test_a_rotation_is_never_half_there(
    keys: Keys, kubelet_volume: KubeletVolume, canary: str, mirror: dict[str, str]
) -> None:
    """E191: at each step of a rotation, a reader of the fallbacks and then the key finds the old key and the new one."""
    accepted: list[set[str]] = []

    class Watched(Config):
        def __setitem__(self, key: str, value: Any) -> None:
            super().__setitem__(key, value)
            if key in BOTH:
                accepted.append({*(self.get("SECRET_KEY_FALLBACKS") or ()), self["SECRET_KEY"]})

    class Shop(Flask):
        config_class = Watched

    app = Shop(__name__)
    LiveConfig(keys, mirror=mirror).init_app(app)
    accepted.clear()
    kubelet_volume.write({"key": "CANARY-00000000-1", "old_keys": f'["{canary}"]'})
    keys.live.reload()
    assert accepted
    assert all(each == {canary, "CANARY-00000000-1"} for each in accepted)


class Database(BaseModel):
    password: SecretStr


def test_a_mirrored_field_of_a_model_that_is_not_there(kubelet_volume: KubeletVolume, canary: str) -> None:
    """E193: a mirrored key below an optional model is None while there is no model, and has the value once there is."""

    class Optional(Settings):
        db: Database | None = None

    kubelet_volume.write({"other": "key"})
    settings = Optional.load(_volumes=[kubelet_volume.path])
    app = Flask(__name__)
    LiveConfig(settings, mirror={"DB_PASSWORD": "db.password"}).init_app(app)
    assert app.config["DB_PASSWORD"] is None
    kubelet_volume.write({"db.password": canary})
    settings.live.reload()
    assert app.config["DB_PASSWORD"] == canary
    settings.live.close()


def test_subscribers_have_telling_names(settings: Settings) -> None:
    """E194: the status names the mirrored keys, and the user's function, also inside a partial, or class."""

    def hear(_: object, change: Change[str]) -> None: ...

    class Listener:
        def __call__(self, change: Change[str]) -> None: ...

    live = LiveConfig[Any](settings, mirror={"SECRET_KEY": "key", "GREETING": "message"})
    live.on_change("message")(partial(hear, None))
    live.on_change("message")(Listener())
    app = Flask(__name__)
    live.init_app(app)
    ring, mirror, function, listener = (each.name for each in settings.live.status().subscribers)
    assert ring.endswith("KeyRing of key")
    assert mirror.endswith("mirror of SECRET_KEY, GREETING")
    assert function.endswith(".hear")
    assert listener.endswith(".Listener")


# The pages


def serving(live: LiveConfig[Any]) -> Any:
    app = Flask(__name__)
    live.init_app(app)
    return app.test_client()


def test_the_probe_stays_ready_when_a_configuration_is_rejected(settings: Settings, swap: Swap) -> None:
    """A bad ConfigMap does not take the pod out of its Service: the probe gets 200, and reads that it is not healthy."""
    client = serving(LiveConfig(settings))
    assert client.get("/liveconfig/ready").get_json() == {"ready": True, "healthy": True, "version": 1}
    assert not swap(enabled="maybe")
    answer = client.get("/liveconfig/ready")
    assert (answer.status_code, answer.get_json()) == (200, {"ready": True, "healthy": False, "version": 1})


def test_the_probe_fails_where_the_user_asked_for_it(settings: Settings, swap: Swap) -> None:
    """With ``fail_when_unhealthy`` the probe gets 503 until the configuration is good again."""
    client = serving(LiveConfig(settings, fail_when_unhealthy=True))
    swap(enabled="maybe")
    assert client.get("/liveconfig/ready").status_code == 503
    swap(enabled="true")
    assert client.get("/liveconfig/ready").status_code == 200


def test_there_is_no_status_unless_asked_for(settings: Settings) -> None:
    """Without ``status=True`` there is no status page."""
    assert serving(LiveConfig(settings)).get("/liveconfig/status").status_code == 404


def test_the_status_page_holds_no_value(settings: Settings, canary: str) -> None:
    """The status page is `Status.as_dict`, without any value."""
    answer = serving(LiveConfig(settings, status=True)).get("/liveconfig/status")
    assert answer.get_json().keys() == {*settings.live.status().as_dict(), "processes"}
    assert canary not in answer.text


def test_the_status_page_is_guarded_and_the_probe_is_not(settings: Settings) -> None:
    """A decorator of the status guards the status alone."""
    client = serving(LiveConfig(settings, status=True, status_decorators=[lambda view: lambda: ("no", 403)]))
    assert client.get("/liveconfig/status").status_code == 403
    assert client.get("/liveconfig/ready").status_code == 200


def test_flask_liveconfig_explain(app: Flask, canary: str) -> None:
    """``flask liveconfig explain`` says that it is a new process, and for each field its origin and whether it is live."""
    result = app.test_cli_runner().invoke(args=["liveconfig", "explain"])
    first, *lines = result.output.splitlines()
    assert "new process" in first
    fields = {line.split()[0]: line for line in lines if line.strip()}
    assert "live" in fields["message"]
    assert "default" in fields["enabled"]
    assert "Problems" not in fields
    assert canary not in result.output


def test_flask_liveconfig_explain_says_what_is_wrong(app: Flask, swap: Swap, canary: str) -> None:
    """``flask liveconfig explain`` lists the problems of the settings below the table."""
    assert not swap(enabled=canary)
    result = app.test_cli_runner().invoke(args=["liveconfig", "explain"])
    assert "\n\nProblems\n- rejected at stage validate: enabled: " in result.output
    assert "NOT HEALTHY" in result.output
    assert (result.exit_code, canary in result.output) == (3, False)


def test_flask_liveconfig_help(app: Flask) -> None:
    """The list of commands of ``flask`` says what ``flask liveconfig`` does."""
    assert "Ask for the live settings of the application." in app.test_cli_runner().invoke(args=["--help"]).output
