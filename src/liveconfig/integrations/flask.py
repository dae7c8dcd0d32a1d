"""Flask: one snapshot for each request, mirrored keys of ``app.config``, subscribers in the application's context.

::

    live = LiveConfig(settings, mirror={"SECRET_KEY": "flask_secret"})

    def create_app() -> Flask:
        app = Flask(__name__)
        live.init_app(app)

        @app.get("/")
        def greet() -> str:
            return live.snapshot.message

        return app
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial, update_wrapper
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, TypeVar
from weakref import WeakKeyDictionary, finalize, ref

from liveconfig import Change, LiveConfigError, Settings
from liveconfig.integrations._extras import extra_of
from liveconfig.integrations._fields import if_loaded, value_reader
from liveconfig.integrations._mirror import FALLBACKS, SECRET_KEY, plain, ring_of
from liveconfig.integrations._pages import answer
from liveconfig.integrations._status_page import explained, readiness
from liveconfig.integrations._subscription import subscribe_for
from liveconfig.integrations.keys import KeyRing
from liveconfig.settings import live_of

with extra_of(__name__):
    import click
    from flask import Blueprint, Flask, Response, appcontext_pushed, current_app, has_app_context, request
    from flask.typing import ResponseReturnValue

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["LiveConfig"]

S = TypeVar("S", bound=Settings)
T = TypeVar("T")
R = TypeVar("R")
Callback: TypeAlias = Callable[[Change[T]], R]
Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]


_NO_SETTINGS = "LiveConfig has no settings: pass them to LiveConfig(...) or to init_app(app, ...)"
_NEEDS_CONTEXT = (
    "LiveConfig got its settings from init_app(app, ...): use them in a request, or inside `with app.app_context():`, "
    "because one extension can serve several applications"
)


class _Registration(NamedTuple):
    """A subscription that is made for each application."""

    what: Any
    callback: Callback[Any, Any]
    initial: bool
    retry: bool


class LiveConfig(Generic[S]):
    """The extension: ``app.extensions["liveconfig"]``, ``live`` in templates.

    Each request is pinned to one snapshot until its view has returned a response. A body that is streamed after that
    gets the newest one. ``GET /liveconfig/ready`` answers the kubelet's probe. ``flask liveconfig explain`` shows where
    each value comes from.

    Args:
        settings: The live settings; or give them to `init_app`.
        mirror: Field by key of ``app.config``: the key always holds the newest value, secrets as plain text, as Flask
            expects them, or None below a model that is None. ``SECRET_KEY`` takes a field or a `KeyRing`: it holds
            the key that signs, and ``SECRET_KEY_FALLBACKS`` all keys that are accepted, so that sessions survive a
            rotation (Flask 3.1 or newer). If a field is mirrored there too, it holds the old keys; to a ring of your
            own, give that field as ``previous``.
        status: Serve ``GET /liveconfig/status`` too. It holds no value, but names of fields and paths.
        status_decorators: Decorators of the status page only, the innermost first: ``[login_required]``.
        fail_when_unhealthy: Answer 503 to the probe while the settings are not healthy. Off by default: the last good
            configuration is still served, and one bad ConfigMap must not take every pod out of the Service.
    """

    def __init__(
        self,
        settings: S | None = None,
        *,
        mirror: Mapping[str, str | KeyRing] = MappingProxyType({}),
        status: bool = False,
        status_decorators: Sequence[Decorator] = (),
        fail_when_unhealthy: bool = False,
    ) -> None:
        if settings is not None:
            live_of(settings)  # raises here, not at the first request
        self._default = settings
        self._mirror = dict(mirror)
        self._status = status
        self._status_decorators = tuple(status_decorators)
        self._fail_when_unhealthy = fail_when_unhealthy
        self._registrations: list[_Registration] = []
        self._apps: WeakKeyDictionary[Flask, S] = WeakKeyDictionary()
        self._several = settings is None

    def init_app(self, app: Flask, settings: S | None = None) -> None:
        """Set up an application. One extension can serve several applications.

        Args:
            app: The application.
            settings: The live settings of this application, in place of those of the constructor.

        Raises:
            RuntimeError: There are no settings, neither here nor in the constructor.
            LiveConfigError: A mirrored or subscribed field does not exist, or the settings are a snapshot.
            TypeError: They are a settings class, or something else. Or ``SECRET_KEY_FALLBACKS`` is mirrored to a
                `KeyRing`, or beside one.
        """
        settings = self._chosen(settings)
        live_of(settings)
        self._apps[app] = settings
        self._several |= settings is not self._default
        app.extensions["liveconfig"] = self
        app.wsgi_app = _pinned(app.wsgi_app, settings)  # type: ignore[assignment,method-assign]  # as Flask's own docs do
        app.jinja_env.globals["live"] = self  # a context processor would not reach imported templates
        app.register_blueprint(self._blueprint(settings))
        if self._mirror:
            _mirror(app, settings, self._mirror)
        for registration in self._registrations:
            _subscribe(app, settings, registration)

    @property
    def settings(self) -> S:
        """The live settings of the current application, or of the constructor outside of one.

        Raises:
            RuntimeError: There are none, or they are those of an application, and this is outside of its context.
        """
        if self._several and has_app_context():
            return self._chosen(self._apps.get(current_app._get_current_object()))  # type: ignore[attr-defined]  # noqa: SLF001
        if self._default is None and self._apps and not has_app_context():
            raise RuntimeError(_NEEDS_CONTEXT)
        return self._chosen(None)

    @property
    def snapshot(self) -> S:
        """The snapshot of this request, or the newest one outside of a request."""
        return self.settings.live.snapshot()

    def on_change(
        self, what: Callable[[S], T] | str, *, initial: bool = False, retry: bool = True
    ) -> Callable[[Callback[T, R]], Callback[T, R]]:
        """Subscribe the decorated function to a value; it is called inside the application's context.

        It takes a `Change`, and runs once per process and application. A coroutine function is run as Flask runs an
        asynchronous view (needs ``flask[async]``). It may be subscribed before `init_app`.
        ``initial`` and ``retry`` are those of ``settings.live.on_change``.

        Args:
            what: A field's name or a selector.
            initial: Call it once at the subscription, too.
            retry: Call it again, with back-off, after it raised.
        """

        def subscribe(callback: Callback[T, R]) -> Callback[T, R]:
            registration = _Registration(what, callback, initial, retry)
            self._registrations.append(registration)
            for app, settings in list(self._apps.items()):
                _subscribe(app, settings, registration)
            return callback

        return subscribe

    def _chosen(self, settings: S | None) -> S:
        chosen = settings if settings is not None else self._default
        if chosen is None:
            raise RuntimeError(_NO_SETTINGS)
        return chosen

    def _blueprint(self, settings: S) -> Blueprint:
        pages = Blueprint("liveconfig", __name__, url_prefix="/liveconfig")

        @pages.get("/ready")
        def ready() -> ResponseReturnValue:
            state = readiness(settings, fail_when_unhealthy=self._fail_when_unhealthy)
            return state.model_dump(), state.status_code

        def status() -> ResponseReturnValue:
            page = answer(settings, request.headers.get("Accept"))
            return Response(page.body, mimetype=page.media_type, headers=dict(page.headers))

        if self._status:
            for decorate in self._status_decorators:
                status = decorate(status)
            pages.add_url_rule("/status", "status", status)

        pages.cli.help = "Ask for the live settings of the application."

        @pages.cli.command("explain")
        def explain() -> None:
            """Print where each value comes from. Exit code 1: a field is frozen; 3: the settings are not healthy."""
            text, code = explained(settings)
            click.echo(text)
            sys.exit(code)

        return pages


def _pinned(application: WSGIApplication, settings: Settings) -> WSGIApplication:
    """Wrap the application, so that one snapshot is pinned while it makes a response."""
    live = settings.live

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with live.pinned():
            return application(environ, start_response)

    return serve


def _subscribe(app: Flask, settings: Settings, registration: _Registration) -> None:
    what, callback, initial, retry = registration
    reference = ref(app)  # subscribers do not keep an application alive that a test has dropped

    def deliver(change: Change[Any]) -> None:
        if (target := reference()) is not None:
            with target.app_context():
                target.ensure_sync(callback)(change)

    update_wrapper(deliver, _named(callback), updated=())  # the log and the status show the user's function
    subscription = settings.live.subscribe(what, deliver, initial=initial, retry=retry)
    finalize(app, subscription.cancel).atexit = False


def _named(callback: Any) -> Any:
    """Return the object that names a callback: itself, the function of a partial, or the class of an object."""
    function = callback.func if isinstance(callback, partial) else callback
    return function if hasattr(function, "__qualname__") else type(function)


class _Mirror:
    """Keys of an application's config that hold the newest values of fields.

    Args:
        config: The configuration of the application.
        settings: The live settings.
        fields: Field by key; for ``SECRET_KEY`` also a `KeyRing`.
    """

    def __init__(self, config: dict[str, Any], settings: Settings, fields: Mapping[str, str | KeyRing]) -> None:
        self._config = config
        self._latest = settings.live.latest
        names = {key: name for key, name in fields.items() if isinstance(name, str)}
        self._readers = {key: if_loaded(value_reader(settings, name)) for key, name in names.items()}
        self.ring = ring_of(settings, fields)
        self._configured = list(config.get(FALLBACKS) or ())

    def values(self, snapshot: Any) -> tuple[Any, ...]:
        """The values of the fields in a snapshot."""
        return tuple(read(snapshot) for read in self._readers.values())

    def store(self) -> None:
        """Store the newest values in the config."""
        snapshot = self._latest()
        for key, read in self._readers.items():
            if self.ring is None or key not in (SECRET_KEY, FALLBACKS):
                self._config[key] = plain(read(snapshot))
        self.store_keys()

    def store_keys(self, *_: object) -> None:
        """Store the accepted keys in the config, and then the key that signs.

        Flask reads first the fallbacks and then the key, in any thread, while they are replaced.
        """
        if self.ring is None:
            return
        accepted = [*dict.fromkeys((*self.ring.verifying, *self._configured))]
        for name, value in {FALLBACKS: accepted, SECRET_KEY: _signing(self.ring)}.items():
            if self._config.get(name) != value:
                self._config[name] = value


def _signing(ring: KeyRing) -> str | None:
    try:
        return ring.signing
    except LiveConfigError:
        return None  # as Flask has it for an application without a key


def _mirror(app: Flask, settings: Settings, fields: Mapping[str, str | KeyRing]) -> None:
    """Update keys of an application's config with one subscription to all of their fields."""
    mirror = _Mirror(app.config, settings, fields)
    mirror.store()
    subscribe_for(app, settings, mirror.values, lambda *_: mirror.store(), f"mirror of {', '.join(fields)}")
    if mirror.ring is not None:  # a new key signs some time after the change
        appcontext_pushed.connect(mirror.store_keys, app, weak=False)
        finalize(app, appcontext_pushed.disconnect, mirror.store_keys).atexit = False
