"""Flask: one snapshot per request, fresh keys of ``app.config``, subscribers inside the application's context.

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
from functools import wraps
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, TypeVar
from weakref import WeakKeyDictionary, finalize, ref

from liveconfig import Change, Settings
from liveconfig.integrations._extras import extra_of
from liveconfig.integrations._status_page import explained, readiness

with extra_of(__name__):
    import click
    from flask import Blueprint, Flask, current_app, has_app_context
    from flask.typing import ResponseReturnValue

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["LiveConfig"]

S = TypeVar("S", bound=Settings)
T = TypeVar("T")
R = TypeVar("R")
Callback: TypeAlias = Callable[[Change[T]], R]
Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]

_FALLBACKS = 3


class _Wish(NamedTuple):
    """A subscription that is made for each application."""

    what: Any
    callback: Callback[Any, Any]
    initial: bool
    retry: bool


class LiveConfig(Generic[S]):
    """The extension: ``app.extensions["liveconfig"]``, ``live`` in templates.

    Each request is pinned to one snapshot until its view has made a response; a body that is streamed after that sees
    the newest. ``GET /liveconfig/ready`` answers the kubelet's probe, ``flask liveconfig explain`` says where each
    value comes from.

    Args:
        settings: The live settings; or give them to `init_app`.
        mirror: Field by key of ``app.config``: the key always holds the newest value, secrets as plain text, as Flask
            wants them. When ``SECRET_KEY`` is mirrored, its last 3 values go to ``SECRET_KEY_FALLBACKS`` (unless that
            is mirrored as well), so that sessions survive (Flask 3.1 or newer).
        status: Serve ``GET /liveconfig/status`` too. It holds no value, but names of fields and paths.
        status_decorators: Put around the status alone, the first one inside: ``[login_required]``.
        fail_when_unhealthy: Answer 503 to the probe while the settings are not healthy. Off by default: the last good
            configuration is still served, and one bad ConfigMap must not take every pod out of the Service.
    """

    def __init__(
        self,
        settings: S | None = None,
        *,
        mirror: Mapping[str, str] = MappingProxyType({}),
        status: bool = False,
        status_decorators: Sequence[Decorator] = (),
        fail_when_unhealthy: bool = False,
    ) -> None:
        self._default = settings
        self._mirror = dict(mirror)
        self._own_fallbacks = "SECRET_KEY_FALLBACKS" in self._mirror
        self._status = status
        self._status_decorators = tuple(status_decorators)
        self._fail_when_unhealthy = fail_when_unhealthy
        self._wishes: list[_Wish] = []
        self._apps: WeakKeyDictionary[Flask, S] = WeakKeyDictionary()
        self._several = settings is None

    def init_app(self, app: Flask, settings: S | None = None) -> None:
        """Set the application up. One extension may serve several applications.

        Args:
            app: The application.
            settings: The live settings of this application, in place of those of the constructor.

        Raises:
            RuntimeError: There are no settings, neither here nor in the constructor.
            LiveConfigError: A mirrored or subscribed field does not exist.
        """
        settings = self._apps[app] = self._chosen(settings)
        self._several |= settings is not self._default
        app.extensions["liveconfig"] = self
        app.wsgi_app = _pinned(app.wsgi_app, settings)  # type: ignore[assignment,method-assign]  # as Flask's own docs do
        app.context_processor(lambda: {"live": self})
        app.register_blueprint(self._blueprint(settings))
        for key, field in self._mirror.items():
            _mirror(app, settings, key, field, keep_fallbacks=key == "SECRET_KEY" and not self._own_fallbacks)
        for wish in self._wishes:
            _subscribe(app, settings, wish)

    @property
    def settings(self) -> S:
        """The live settings of the current application, or of the constructor outside of one.

        Raises:
            RuntimeError: There are none.
        """
        if self._several and has_app_context():
            return self._chosen(self._apps.get(current_app._get_current_object()))  # type: ignore[attr-defined]  # noqa: SLF001
        return self._chosen(None)

    @property
    def snapshot(self) -> S:
        """The snapshot of this request, or the newest one outside of a request."""
        return self.settings.live.snapshot()

    def on_change(
        self, what: Callable[[S], T] | str, *, initial: bool = False, retry: bool = True
    ) -> Callable[[Callback[T, R]], Callback[T, R]]:
        """Decorate a function that is told of a change, inside the application's context.

        It takes a `Change`, and runs once per process and application. A coroutine function is run as Flask runs an
        asynchronous view (needs ``flask[async]``). It may be subscribed before `init_app`.
        ``initial`` and ``retry`` are those of ``settings.live.on_change``.

        Args:
            what: A field's name or a selector.
            initial: Call it once at the subscription, too.
            retry: Call it again, with back-off, after it raised.
        """

        def subscribe(callback: Callback[T, R]) -> Callback[T, R]:
            wish = _Wish(what, callback, initial, retry)
            self._wishes.append(wish)
            for app, settings in list(self._apps.items()):
                _subscribe(app, settings, wish)
            return callback

        return subscribe

    def _chosen(self, settings: S | None) -> S:
        chosen = settings if settings is not None else self._default
        if chosen is None:
            raise RuntimeError("LiveConfig has no settings: give them to LiveConfig(...) or to init_app(app, ...)")
        return chosen

    def _blueprint(self, settings: S) -> Blueprint:
        pages = Blueprint("liveconfig", __name__, url_prefix="/liveconfig")

        @pages.get("/ready")
        def ready() -> ResponseReturnValue:
            answer = readiness(settings, fail_when_unhealthy=self._fail_when_unhealthy)
            return answer.model_dump(), answer.status_code

        def status() -> ResponseReturnValue:
            return settings.live.status().as_dict()

        if self._status:
            for decorate in self._status_decorators:
                status = decorate(status)
            pages.add_url_rule("/status", "status", status)

        @pages.cli.command("explain")
        def explain() -> None:
            """Say where each value comes from. The exit code is 1 if a field that a volume should feed is frozen."""
            status = settings.live.status()
            click.echo(explained(status))
            sys.exit(1 if status.frozen else 0)

        return pages


def _pinned(application: WSGIApplication, settings: Settings) -> WSGIApplication:
    """The same application; while it makes a response, one snapshot is pinned."""
    live = settings.live

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with live.pinned():
            return application(environ, start_response)

    return serve


def _subscribe(app: Flask, settings: Settings, wish: _Wish) -> None:
    reference = ref(app)  # an application that a test made and dropped is not kept by its subscribers

    @wraps(wish.callback)
    def deliver(change: Change[Any]) -> None:
        if (target := reference()) is not None:
            with target.app_context():
                target.ensure_sync(wish.callback)(change)

    subscription = settings.live.subscribe(wish.what, deliver, initial=wish.initial, retry=wish.retry)
    finalize(app, subscription.cancel).atexit = False


def _mirror(app: Flask, settings: Settings, key: str, field: str, *, keep_fallbacks: bool) -> None:
    config, value_of = app.config, attrgetter(field)
    configured = list(config.get("SECRET_KEY_FALLBACKS") or ())
    used: list[Any] = []  # what this mirror has put there, the newest first; a default such as "dev" is never accepted

    def put(value: Any) -> None:
        plain = _plain(value)
        if used and used[0] == plain:
            return
        used.insert(0, plain)
        del used[_FALLBACKS + 1 :]
        if keep_fallbacks:
            config["SECRET_KEY_FALLBACKS"] = [old for old in used[1:] if old] + configured
        config[key] = plain

    subscription = settings.live.subscribe(field, lambda change: put(change.new))
    finalize(app, subscription.cancel).atexit = False
    snapshot = None
    while snapshot is not (snapshot := settings.live.latest()):  # what comes meanwhile is not overwritten
        put(value_of(snapshot))


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    reveal = getattr(value, "get_secret_value", None)
    return value if reveal is None else reveal()
