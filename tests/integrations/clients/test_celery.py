"""`bind` with a Celery application, without a server."""

from __future__ import annotations

import gc
import pickle
import sys
from types import ModuleType
from typing import Any

import kombu.pools
import pytest
from celery import Celery
from kombu.transport.pyamqp import Transport

from liveconfig.integrations.celery import bind

LOGIN = {"user": "db.user", "password": "db.password"}
RESULTS = {"result_user": "db.user", "result_password": "db.password"}


def application(broker: str = "amqp://broker", **how: Any) -> Celery:
    return Celery("shop", broker=broker, set_as_current=False, **how)


@pytest.mark.parametrize("broker", ["sentinel://broker", "pyro://broker"])
def test_a_broker_that_cannot_be_told_is_refused(settings: Any, broker: str) -> None:
    """A transport whose connections does not support a new login is an error of `bind`."""
    with pytest.raises(ValueError, match=r"transport kombu\.\S+ does not support a new login"):
        bind(application(broker), settings, **LOGIN)


@pytest.mark.parametrize("broker", ["memory://", "filesystem://"])
def test_a_broker_without_a_login_is_accepted(settings: Any, broker: str) -> None:
    """The transports of tests have no login: an application is bound as in production."""
    bind(application(broker), settings, **LOGIN)


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ("rpc://", "it uses the broker's connections"),
        ("cache+memory://", "does not support"),
        (None, "does not support"),
    ],
)
def test_result_back_ends_without_support_are_refused(settings: Any, backend: Any, words: str) -> None:
    """`result_user` and `result_password` for a back end that is not Redis are an error of `bind`."""
    with pytest.raises(ValueError, match=words):
        bind(application(backend=backend), settings, **LOGIN, **RESULTS)


def test_an_application_that_is_connected_is_refused(settings: Any) -> None:
    """An application with connections or results in use cannot be bound any more."""
    app = application("memory://", backend="cache+memory://")
    app.send_task("shop.sell")
    with pytest.raises(ValueError, match="has connections already"):
        bind(app, settings, **LOGIN)
    app.close()


def test_the_next_broker_is_told_too(settings: Any) -> None:
    """After a failover to the next URL the connection takes the newest login as well."""
    app = application("amqp://one;amqp://other")
    bind(app, settings, **LOGIN)
    connection = app.connection_for_write()
    before = connection.get_transport_cls()
    connection.maybe_switch_next()
    assert connection.hostname == "other"
    assert connection.get_transport_cls() is before
    assert issubclass(before, Transport)
    assert before is not Transport


def test_each_application_has_pools_of_its_own(settings: Any) -> None:
    """Applications with the same URL share no pool, so each logs in as its own user, and one without `bind` as before."""
    one, other, unbound = application(), application(), application()
    bind(one, settings, **LOGIN)
    bind(other, settings, **LOGIN)
    assert one.pool is one.amqp.producer_pool.connections
    assert len({id(each.pool) for each in (one, other, unbound)}) == 3
    assert len({id(each.amqp.producer_pool) for each in (one, other, unbound)}) == 3
    for each in (one, other, unbound):
        each.close()
    kombu.pools.reset()


def test_a_task_has_one_snapshot(settings: Any, volume: Any) -> None:
    """During a task, and a task inside it, `snapshot` returns one version; after it the newest."""
    app = application("memory://")
    app.conf.task_always_eager = True
    bind(app, settings, **LOGIN)

    @app.task(shared=False)
    def inner() -> str:
        return settings.live.snapshot().db.password.get_secret_value()

    @app.task(shared=False)
    def outer() -> list[str]:
        before = inner.delay().get(disable_sync_subtasks=False)
        volume.write({"db.user": "app", "db.password": "two"})
        settings.live.reload()
        return [before, inner.delay().get(disable_sync_subtasks=False), settings.db.password.get_secret_value()]

    assert outer.delay().get() == ["one", "one", "two"]
    assert outer.delay().get()[0] == "two"


def test_a_task_that_raises_is_unpinned(settings: Any, volume: Any) -> None:
    """A task that raises leaves nothing pinned behind."""
    app = application("memory://")
    app.conf.task_always_eager = True
    bind(app, settings, **LOGIN)

    @app.task(shared=False)
    def fail() -> None:
        raise KeyError

    fail.delay()
    volume.write({"db.user": "app", "db.password": "two"})
    settings.live.reload()
    assert settings.live.snapshot().db.password.get_secret_value() == "two"


def test_tasks_of_another_application_are_not_pinned(settings: Any, volume: Any) -> None:
    """An application that is not bound has no snapshot of its own for a task."""
    bound, other = application("memory://"), application("memory://")
    other.conf.task_always_eager = True
    bind(bound, settings, **LOGIN)

    @other.task(shared=False)
    def swap() -> str:
        settings.live.snapshot()
        volume.write({"db.user": "app", "db.password": "two"})
        settings.live.reload()
        return settings.live.snapshot().db.password.get_secret_value()

    assert swap.delay().get() == "two"


def test_an_application_that_is_gone_is_forgotten(settings: Any) -> None:
    """The settings keep no subscription for a collected application."""
    bind(application(backend="redis://results"), settings, **LOGIN, **RESULTS)
    gc.collect()
    assert settings.live.status().subscribers == ()


def test_a_pickled_application_is_bound(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An application that a worker hands to a spawned process is bound there; its pickle holds no value."""
    monkeypatch.setitem(sys.modules, "shop_live", module := ModuleType("shop_live"))
    module.settings = settings  # type: ignore[attr-defined]
    app = application(backend="redis://results")
    bind(app, settings, **LOGIN, **RESULTS)
    subscribers = len(settings.live.status().subscribers)
    content = pickle.dumps(app)
    again = pickle.loads(content)
    assert type(again).__name__ == "Celery"
    assert again.conf.broker_url == app.conf.broker_url
    assert len(settings.live.status().subscribers) == 2 * subscribers
    assert b"one" not in content
    again.close()
    app.close()


class WithKeys(Celery):
    """An application whose pickle has one argument more."""

    def __init__(self, *arguments: Any, shop: str = "none", **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.shop = shop

    def __reduce_keys__(self) -> dict[str, Any]:
        return super().__reduce_keys__() | {"shop": self.shop}  # type: ignore[misc]


class WithArguments(Celery):
    """An application with the method that Celery used before 3.1."""

    shop = "first"

    def __reduce_args__(self) -> tuple[Any, ...]:
        changes = {**self.conf.changes, "task_default_queue": "of-arguments"}
        return (self.main, changes, *super().__reduce_args__()[2:])  # type: ignore[misc]


class WithReduce(Celery):
    """An application with a pickle of its own."""

    shop = "none"

    def __reduce__(self) -> tuple[Any, ...]:
        return remake, (self.shop,)


def remake(shop: str) -> WithReduce:
    app = WithReduce("shop", broker="amqp://broker", backend="redis://results", set_as_current=False)
    app.shop = shop
    return app


@pytest.mark.parametrize("kind", [WithKeys, WithArguments, WithReduce])
def test_the_pickle_of_a_class_of_its_own_is_respected(
    settings: Any, monkeypatch: pytest.MonkeyPatch, kind: type[Any]
) -> None:
    """An application of a class with a pickle of its own is made again as that class says, and bound."""
    monkeypatch.setitem(sys.modules, "shop_live", module := ModuleType("shop_live"))
    module.settings = settings  # type: ignore[attr-defined]
    app = kind("shop", broker="amqp://broker", backend="redis://results", set_as_current=False)
    app.shop = "first"
    bind(app, settings, **LOGIN, **RESULTS)
    subscribers = len(settings.live.status().subscribers)
    content = pickle.dumps(app)
    again = pickle.loads(content)
    assert isinstance(again, kind)
    assert again.shop == "first"
    assert again.conf.task_default_queue == ("of-arguments" if kind is WithArguments else "celery")
    assert len(settings.live.status().subscribers) == 2 * subscribers
    assert b"one" not in content
    for each in (again, app):
        each.close()


def test_an_application_over_other_settings_cannot_be_pickled(settings: Any) -> None:
    """If the settings are no global variable, pickling the application is an error that says what to do."""
    app = application()
    bind(app, settings, **LOGIN)
    with pytest.raises(pickle.PicklingError, match="assign it to a name at the top level of a module"):
        pickle.dumps(app)
