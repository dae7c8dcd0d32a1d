"""SQLAlchemy: engines, sync and async, whose connections log in with the newest user and password."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from liveconfig import Settings
from liveconfig.integrations._extras import extra_of
from liveconfig.integrations._fields import Login
from liveconfig.integrations._login import Logins, ReadVolume, Wait
from liveconfig.integrations._login_errors import login_refused

with extra_of(__name__):
    from sqlalchemy import Engine, create_engine, event, util
    from sqlalchemy.exc import ArgumentError, DisconnectionError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["bind"]

_await = getattr(util, "await_", None) or util.await_only  # SQLAlchemy 2.1's name, and 2.0's
_MADE = "liveconfig.made"
_FRESH = "liveconfig.fresh"


def bind(
    engine: Engine | AsyncEngine,
    settings: Settings,
    user: str | None = "db.user",
    password: str | None = "db.password",  # noqa: S107 - the name of a field
    patience: float = 5.0,
    *,
    refused: Callable[[BaseException], bool] = login_refused,
) -> None:
    """Make the connections of an engine log in with the newest user and password of live settings.

    New connections take both from one snapshot. Idle ones with an older login are replaced when they are checked out,
    once the server accepts the newest; busy ones finish their work. A refused login is retried as the documentation of
    credentials describes.

    Args:
        engine: An engine, sync or async, that makes its own connections: without ``creator`` or ``async_creator``.
        settings: Live settings.
        user: The dotted name of the field that holds the user; None where the URL has it. A field that is None
            leaves it to the URL as well.
        password: The dotted name of the field that holds the password; likewise.
        patience: Seconds that a new connection may wait, from its first refusal, for a login that the server accepts.
        refused: Returns whether an error refuses the login. The default knows psycopg, psycopg2, asyncpg, PyMySQL and
            mysqlclient.

    Raises:
        LiveConfigError: There is no such field; the message names the nearest. Or the settings are a snapshot.
        sqlalchemy.exc.ArgumentError: The engine has a ``creator``, or its driver takes the login in a connection
            string, and not by name.
    """
    target = engine if isinstance(engine, Engine) else engine.sync_engine
    _refuse_creator(target)
    names = _names_of_arguments(target)
    logins = Logins(settings, user, password, patience, refused)
    perform = _awaiting(logins) if target.dialect.is_async else None

    def connect(dialect: Any, record: Any, cargs: list[Any], cparams: dict[str, Any]) -> Any:
        def log_in(login: Login) -> Any:
            return dialect.connect(*cargs, **cparams | login.arguments(**names))

        def attempt(login: Login) -> Any:
            connection = log_in(login)
            record.info.update({_MADE: (login, lambda login: log_in(login).close()), _FRESH: True})
            return connection

        return logins.connect(attempt, perform)

    def replace_outdated(_connection: Any, record: Any, _proxy: Any) -> None:
        # the pool gives up on a checkout that disconnects twice: a connection made for it is good enough
        if record.info.pop(_FRESH, False):
            return
        made = record.info.get(_MADE)
        if made is None or logins.outdated(*made):  # None: it was there before `bind`
            raise DisconnectionError("the login has changed")

    event.listen(target, "do_connect", connect)
    event.listen(target, "connect", _refuse_unknown)
    event.listen(target, "checkout", replace_outdated)


def _awaiting(logins: Logins) -> Callable[[ReadVolume | Wait], None]:
    """Read and wait on the event loop: an async engine calls its listeners in a greenlet that can await."""
    return lambda step: _await(step.awaitable(logins.live))


def _refuse_unknown(_connection: Any, record: Any) -> None:
    """Raise if a new connection was not made by the listener of `bind`: no checkout would ever be content with it."""
    if _MADE not in record.info:
        why = "an earlier listener to do_connect makes its connections, without asking for the login"
        raise ArgumentError(f"bind cannot follow this engine: {why}. Let that listener only change the arguments")


def _refuse_creator(engine: Engine) -> None:
    """Raise if the pool connects with a function that was given to it, because that never asks for the login."""
    creator = engine.pool._creator  # noqa: SLF001 - SQLAlchemy has no public name for it
    if getattr(creator, "__module__", None) != create_engine.__module__:
        why = "its pool has a creator (or async_creator), which makes connections without asking for the login"
        raise ArgumentError(f"bind cannot follow this engine: {why}. Create the engine from a URL, without creator")


def _names_of_arguments(engine: Engine) -> dict[str, str]:
    """The driver's names for the user and the password, found with a URL that holds stand-ins for both."""
    placeholders = {"user": "liveconfig-user", "password": "liveconfig-password"}
    url = engine.url.set(username=placeholders["user"], password=placeholders["password"])
    _, arguments = engine.dialect.create_connect_args(url)
    names = {role: name for role, value in placeholders.items() for name, given in arguments.items() if given == value}
    if names.keys() != placeholders.keys():
        driver = f"{engine.dialect.name}+{engine.dialect.driver}"
        raise ArgumentError(f"{driver} does not take the user and the password by name")
    return names
