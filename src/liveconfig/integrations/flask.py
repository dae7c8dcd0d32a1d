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
from functools import partial, reduce, update_wrapper
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

_FALLBACKS = "SECRET_KEY_FALLBACKS"
_KEPT = 3  # keys before the newest


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
            wants them, or None below a model that is None. When ``SECRET_KEY`` is mirrored, ``SECRET_KEY_FALLBACKS``
            holds it too, and its 3 values before (unless the fallbacks are mirrored as well), so that sessions survive
            (Flask 3.1 or newer).
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
        app.jinja_env.globals["live"] = self  # a context processor would not reach imported templates
        app.register_blueprint(self._blueprint(settings))
        if self._mirror:
            _mirror(app, settings, self._mirror)
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

    def deliver(change: Change[Any]) -> None:
        if (target := reference()) is not None:
            with target.app_context():
                target.ensure_sync(wish.callback)(change)

    update_wrapper(deliver, _named(wish.callback), updated=())  # the log and the status show the user's function
    subscription = settings.live.subscribe(wish.what, deliver, initial=wish.initial, retry=wish.retry)
    finalize(app, subscription.cancel).atexit = False


def _named(callback: Any) -> Any:
    """What a callback has its name from: itself, the function of a partial, or the class of an object."""
    function = callback.func if isinstance(callback, partial) else callback
    return function if hasattr(function, "__qualname__") else type(function)


def _mirror(app: Flask, settings: Settings, fields: Mapping[str, str]) -> None:
    """Keep keys of an application's config fresh, by one subscription to all of their fields."""
    for field in fields.values():
        settings.live.origin(field)  # says which field is near, where there is none of that name
    store = _store(app.config, list(fields))

    def select(snapshot: Any) -> tuple[Any, ...]:
        return tuple(_value(snapshot, field) for field in fields.values())

    def put(change: Change[tuple[Any, ...]]) -> None:
        store(change.new)

    put.__qualname__ = f"mirror of {', '.join(fields)}"
    store(select(settings.live.latest()))
    subscription = settings.live.subscribe(select, put, initial=True)  # it may have changed since it was read
    finalize(app, subscription.cancel).atexit = False


def _store(config: dict[str, Any], keys: Sequence[str]) -> Callable[[Sequence[Any]], None]:
    """What puts values behind their keys: the fallbacks before ``SECRET_KEY``, and with the key that is about to come.

    Flask reads first the one and then the other, in any thread, while they are replaced.
    """
    configured = list(config.get(_FALLBACKS) or ())
    used: list[Any] = []  # what was put there, the newest first; a default such as "dev" is never accepted

    def store(values: Sequence[Any]) -> None:
        fresh = dict(zip(keys, map(_plain, values), strict=True))
        if "SECRET_KEY" in fresh:
            key = fresh.pop("SECRET_KEY")
            used[:] = [*dict.fromkeys((key, *used))][: 1 + _KEPT]
            others = fresh.get(_FALLBACKS) or () if _FALLBACKS in fresh else (*used, *configured)
            fresh[_FALLBACKS] = [each for each in dict.fromkeys((key, *others)) if each]
            fresh["SECRET_KEY"] = key
        for name, value in fresh.items():
            config[name] = value  # noqa: PERF403 - one by one, in this order

    return store


def _value(snapshot: Any, field: str) -> Any:
    """The value of a dotted field; None below a model that is not there, or another one of a union."""
    return reduce(lambda value, name: getattr(value, name, None), field.split("."), snapshot)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    reveal = getattr(value, "get_secret_value", None)
    return value if reveal is None else reveal()
