"""`bind` with an engine, whose SQLite dialect logs in to a replacement for a server."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr
from sqlalchemy import Engine, NullPool, create_engine, event, text
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.exc import ArgumentError, DisconnectionError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import QueuePool

from liveconfig import LiveConfigError, Settings
from liveconfig.integrations.sqlalchemy import bind


class GuardedDialect(SQLiteDialect_pysqlite):
    """SQLite that asks for a login."""

    supports_statement_cache = True
    login_server: Any

    def create_connect_args(self, url: Any) -> Any:
        return [":memory:"], url.translate_connect_args(username="who", password="word", database="unused")

    def connect(self, *cargs: Any, who: str | None = None, word: str | None = None, **_: Any) -> Any:
        self.login_server.log_in(who, word)
        return super().connect(*cargs, check_same_thread=False)


class ConnectionStringDialect(GuardedDialect):
    """One that puts the login into a connection string, as pyodbc's do."""

    def create_connect_args(self, url: Any) -> Any:
        return [f"user={url.username};password={url.password}"], {}


registry.impls["sqlite.guarded"] = lambda: GuardedDialect
registry.impls["sqlite.string"] = lambda: ConnectionStringDialect


@pytest.fixture
def make_engine(login_server: Any) -> Iterator[Callable[..., Engine]]:
    engines: list[Engine] = []

    def make(url: str = "sqlite+guarded://", **how: Any) -> Engine:
        engine = create_engine(url, **how)
        engine.dialect.login_server = login_server  # type: ignore[attr-defined]
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.dispose()


def swap(volume: Any, settings: Any, password: str, user: str = "app") -> None:
    volume.write({"db.user": user, "db.password": password})
    assert settings.live.reload()


def use(engine: Engine) -> Any:
    """One operation: the driver's connection that served it."""
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        return connection.connection.driver_connection


def test_a_connection_logs_in_with_the_pair_of_one_snapshot(
    make_engine: Any, settings: Any, volume: Any, login_server: Any
) -> None:
    """User and password come from the newest snapshot, and go under the driver's own names for them."""
    engine = make_engine()
    bind(engine, settings)
    use(engine)
    swap(volume, settings, "two", user="other")
    login_server.takes = {("other", "two")}
    use(engine)
    assert login_server.tried == [
        ("app", "one"),
        ("other", "two"),
        ("other", "two"),
    ]  # tried first, then connected with


@pytest.mark.parametrize("how", ["no field", "a field that is None"])
def test_the_url_can_have_the_user(make_engine: Any, settings: Any, volume: Any, login_server: Any, how: str) -> None:
    """Where no field, or an empty one, gives the user, the URL's stands."""
    if how == "a field that is None":
        volume.write({"db.password": "one"})
        settings.live.reload()
    engine = make_engine("sqlite+guarded://of-the-url:old@/")
    bind(engine, settings, user=None if how == "no field" else "db.user")
    login_server.takes = {("of-the-url", "one")}
    use(engine)
    assert login_server.tried == [("of-the-url", "one")]


def test_an_idle_connection_with_an_old_login_is_replaced(
    make_engine: Any, settings: Any, volume: Any, login_server: Any
) -> None:
    """An idle connection gives way to one with the new login when it is checked out; after that it stays."""
    engine = make_engine()
    bind(engine, settings)
    first = use(engine)
    assert use(engine) is first
    swap(volume, settings, "two")
    login_server.takes = {("app", "two")}
    second = use(engine)
    assert second is not first
    assert use(engine) is second


def test_a_busy_connection_is_left_alone(make_engine: Any, settings: Any, volume: Any, login_server: Any) -> None:
    """A connection that is in use goes on when the login changes, and is replaced the next time."""
    engine = make_engine()
    bind(engine, settings)
    with engine.connect() as connection:
        busy = connection.connection.driver_connection
        swap(volume, settings, "two")
        login_server.takes = {("app", "two")}
        connection.execute(text("SELECT 1"))
        assert connection.connection.driver_connection is busy
    assert use(engine) is not busy


def test_connections_stay_while_the_server_does_not_take_the_newest(
    make_engine: Any, settings: Any, volume: Any, login_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """While the server refuses the newest login, one connection a second tries it, and those that are there stay."""
    engine = make_engine()
    bind(engine, settings)
    with engine.connect() as one, engine.connect() as other:
        there = {one.connection.driver_connection, other.connection.driver_connection}
    swap(volume, settings, "two")
    login_server.tried.clear()
    assert {use(engine) for _ in range(20)} <= there
    assert set(login_server.tried) == {("app", "two")}
    assert len(login_server.tried) < 20
    assert caplog.text.count("the server refuses the newest login") == 1


def test_connections_stay_where_the_server_takes_neither_login(
    make_engine: Any, settings: Any, volume: Any, login_server: Any
) -> None:
    """The server has moved on, and the volume got a wrong login: what is connected still works, and stays."""
    engine = make_engine()
    bind(engine, settings, patience=0)
    there = use(engine)
    login_server.takes = set()
    swap(volume, settings, "a typing error")
    assert use(engine) is there


def test_a_connection_stays_while_no_other_can_be_made(
    make_engine: Any, settings: Any, volume: Any, login_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that cannot be reached has said nothing of the newest login: what is connected still works, and stays."""
    engine = make_engine()
    bind(engine, settings)
    there = use(engine)
    swap(volume, settings, "two")
    login_server.broken = OSError("no route to host")
    assert use(engine) is there
    assert "refuses" not in caplog.text


def test_a_connection_gives_way_where_there_is_no_room_for_one_more(
    make_engine: Any, settings: Any, volume: Any, login_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server took the newest login and has no room for one more of this role: the idle connection makes room."""
    engine = make_engine()
    bind(engine, settings)
    there = use(engine)
    swap(volume, settings, "two")
    full = [OSError('too many connections for role "app"')]

    def log_in(*_: object) -> None:
        if full:
            raise full.pop()

    monkeypatch.setattr(login_server, "log_in", log_in)
    assert use(engine) is not there
    assert full == []


def test_a_connection_from_before_gives_way(make_engine: Any, settings: Any, login_server: Any) -> None:
    """A connection that was made before the engine was bound is replaced when it is checked out."""
    login_server.takes = {(None, None), ("app", "one")}
    engine = make_engine()
    there = use(engine)
    bind(engine, settings)
    assert use(engine) is not there
    assert login_server.tried == [(None, None), ("app", "one")]


def test_a_password_that_the_driver_cannot_send_is_not_shown(
    make_engine: Any, settings: Any, volume: Any, login_server: Any, canary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F52: a password with a letter that the driver cannot encode is a refused one, and nowhere in the error."""
    engine = make_engine(poolclass=NullPool)
    bind(engine, settings, patience=0)
    log_in = login_server.log_in
    monkeypatch.setattr(
        login_server, "log_in", lambda user, password: log_in(user, password.encode("latin-1").decode("latin-1"))
    )
    swap(volume, settings, f"{canary}€")
    use(engine)
    assert login_server.tried == [("app", "one")]
    login_server.takes = set()
    with pytest.raises(LiveConfigError, match=r"cannot send the login \(db\.user, db\.password\)") as caught:
        use(engine)
    assert caught.value.__context__ is None
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    assert canary not in "".join(str(frame.locals) for frame in frames if frame.filename != __file__)


def test_a_model_that_is_none_gives_no_login(make_engine: Any, kubelet_volume: Any, login_server: Any) -> None:
    """Where the model that holds user and password is None, the URL's login stands, until there is one."""

    class Db(BaseModel):
        user: str
        password: SecretStr

    class MaybeSettings(Settings):
        db: Db | None = None

    kubelet_volume.write({"other": ""})
    settings = MaybeSettings.load(_volumes=kubelet_volume.path, _watch=False)
    engine = make_engine("sqlite+guarded://of-the-url:old@/", poolclass=NullPool)
    bind(engine, settings)
    login_server.takes = {("of-the-url", "old"), ("app", "one")}
    use(engine)
    swap(kubelet_volume, settings, "one")
    use(engine)
    assert login_server.tried == [("of-the-url", "old"), ("app", "one")]


def test_a_login_that_the_server_has_replaced_is_forgotten(
    make_engine: Any, settings: Any, volume: Any, login_server: Any
) -> None:
    """Once the server took the newest login, the one before is never tried again."""
    engine = make_engine()
    bind(engine, settings, patience=0)
    swap(volume, settings, "two")
    login_server.takes = {("app", "two")}
    use(engine)
    engine.dispose()
    login_server.takes = set()
    with pytest.raises(Exception, match="refused"):
        use(engine)
    assert ("app", "one") not in login_server.tried


def test_a_login_between_two_that_nobody_used_is_tried(
    make_engine: Any, settings: Any, volume: Any, login_server: Any
) -> None:
    """A previous login is remembered even if no connection used it: the server may still have it."""
    engine = make_engine()
    bind(engine, settings, patience=0)
    swap(volume, settings, "two")
    swap(volume, settings, "three")
    login_server.takes = {("app", "two")}
    use(engine)
    assert login_server.tried == [("app", "three"), ("app", "two")]


def test_a_typing_error_that_was_corrected_does_not_hide_the_login_that_works(
    make_engine: Any, settings: Any, volume: Any, login_server: Any
) -> None:
    """The volume had a wrong login for a while: the one that works is tried although it is not the last but one."""
    engine = make_engine()
    bind(engine, settings, patience=0)
    use(engine)
    swap(volume, settings, "tow")
    swap(volume, settings, "two")
    engine.dispose()
    login_server.tried.clear()
    use(engine)
    assert login_server.tried == [("app", "two"), ("app", "tow"), ("app", "one")]


def test_other_errors_are_handed_on_at_once(make_engine: Any, settings: Any, login_server: Any) -> None:
    """An error that is no refusal is not retried."""
    engine = make_engine()
    bind(engine, settings, patience=60)
    login_server.broken = OSError("no route to host")
    with pytest.raises(OSError, match="no route"):
        use(engine)
    assert len(login_server.tried) == 1


def test_what_counts_as_a_refusal_can_be_told(make_engine: Any, settings: Any, volume: Any, login_server: Any) -> None:
    """For a driver with other words `refused` says which errors refuse the login."""
    engine = make_engine()
    bind(engine, settings, patience=0, refused=lambda error: "1017" in str(error))
    swap(volume, settings, "two")
    login_server.broken = OSError("ORA-01017")
    with pytest.raises(OSError, match="1017"):
        use(engine)
    assert login_server.tried == [("app", "two"), ("app", "one")]


def test_a_driver_that_takes_a_connection_string_is_refused(make_engine: Any, settings: Any) -> None:
    """A driver to which the login cannot be given by name is an error at once."""
    with pytest.raises(ArgumentError, match="by name"):
        bind(make_engine("sqlite+string://"), settings)


def test_a_field_that_is_not_there_is_named(make_engine: Any, settings: Any) -> None:
    """The name of a field that does not exist is an error at once, that names the nearest."""
    with pytest.raises(LiveConfigError, match=r"db\.password"):
        bind(make_engine(), settings, password="db.pasword")


def test_an_engine_that_is_gone_is_forgotten(settings: Any, login_server: Any) -> None:
    """The settings keep neither a collected engine nor a subscription for it."""
    engine = create_engine("sqlite+guarded://")
    engine.dialect.login_server = login_server  # type: ignore[attr-defined]
    bind(engine, settings)
    assert len(settings.live.status().subscribers) == 1
    use(engine)
    engine.dispose()
    del engine
    gc.collect()
    assert settings.live.status().subscribers == ()


def connect_myself(*_: Any) -> Any:
    raise AssertionError("nobody should connect")


async def connect_myself_later() -> Any:
    raise AssertionError("nobody should connect")


CREATORS: dict[str, Callable[[], Any]] = {
    "creator": lambda: create_engine("sqlite://", creator=connect_myself),
    "partial": lambda: create_engine("sqlite://", creator=partial(connect_myself, 1)),
    "lambda": lambda: create_engine("postgresql+psycopg://db/shop", creator=lambda: connect_myself()),
    "a pool": lambda: create_engine("postgresql+psycopg://db/shop", pool=QueuePool(connect_myself)),
    "async_creator": lambda: create_async_engine("postgresql+asyncpg://db/shop", async_creator=connect_myself_later),
}


@pytest.mark.parametrize("make", CREATORS.values(), ids=CREATORS)
def test_an_engine_with_a_creator_is_refused(settings: Any, make: Callable[[], Any]) -> None:
    """S07: an engine that makes its connections itself cannot follow, and the error says why."""
    with pytest.raises(ArgumentError, match=r"has a creator \(or async_creator\).*Create the engine from a URL"):
        bind(make(), settings)


def test_a_listener_that_makes_the_connections_is_refused(make_engine: Any, settings: Any, login_server: Any) -> None:
    """S07: where another listener makes the connections, the first checkout fails with an error that says why."""
    login_server.takes = {(None, None)}
    engine = make_engine()
    event.listen(engine, "do_connect", lambda dialect, _record, cargs, cparams: dialect.connect(*cargs, **cparams))
    bind(engine, settings)
    with pytest.raises(ArgumentError, match=r"listener to do_connect makes its connections.*only change the arguments"):
        use(engine)
    assert login_server.tried == [(None, None)]


@pytest.mark.parametrize("error", [DisconnectionError("of the application"), ValueError("no tenant")], ids=repr)
@pytest.mark.parametrize("insert", [False, True])
def test_a_checkout_listener_that_raises_leaves_nothing_behind(
    make_engine: Any, settings: Any, volume: Any, login_server: Any, error: Exception, insert: bool
) -> None:
    """Behind a listener to checkout that raises, each connection has the newest login, and none stays checked out."""
    engine = make_engine(poolclass=QueuePool, pool_size=2, max_overflow=0)
    raising: list[Exception] = []

    def raise_once(*_: Any) -> None:
        if raising:
            raise raising.pop()

    if not insert:
        event.listen(engine, "checkout", raise_once)
    bind(engine, settings)
    if insert:
        event.listen(engine, "checkout", raise_once, insert=True)
    old = use_two(engine)
    swap(volume, settings, "two")
    login_server.takes = {("app", "two")}
    for _ in range(4):
        raising.append(error)
        with suppress(ValueError):
            use(engine)
    assert not old & use_two(engine)
    assert (engine.pool.checkedin(), engine.pool.checkedout()) == (2, 0)
    assert set(login_server.tried) == {("app", "one"), ("app", "two")}


def use_two(engine: Engine) -> set[Any]:
    """Two connections at the same time, which the pool has afterwards."""
    with engine.connect() as one, engine.connect() as other:
        return {each.connection.driver_connection for each in (one, other)}


@pytest.mark.parametrize("options", [{}, {"poolclass": NullPool}, {"connect_args": {"timeout": 1}}], ids=str)
def test_an_engine_without_a_creator_is_taken(settings: Any, options: dict[str, Any]) -> None:
    """Engines of any pool class are bound, sync and async, also through a view with other options."""
    bind(create_engine("postgresql+psycopg://db/shop", **options), settings)
    bind(create_engine("postgresql+psycopg://db/shop", **options).execution_options(stream_results=True), settings)
    bind(create_async_engine("postgresql+asyncpg://db/shop", **options), settings)
