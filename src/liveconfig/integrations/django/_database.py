"""Database connections that log in with the newest user and password, shared by the engines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from liveconfig import LiveConfigError
from liveconfig.integrations._fields import Login
from liveconfig.integrations._login import Logins
from liveconfig.integrations.django._configuration import configuration, nearest

DEFAULTS = {"user": "db.user", "password": "db.password", "patience": 5.0}

# By alias: what the login is read from, and what its server said to it. Each thread has connections of its own, and
# the threads of an ASGI server last for one request, so this is kept for the whole process.
_logins: dict[str, tuple[tuple[Any, ...], Logins]] = {}


def logins_of(alias: str, database: dict[str, Any]) -> Logins:
    """The logins of a database.

    Args:
        alias: Its name in ``DATABASES``.
        database: Its entry there.

    Raises:
        ImproperlyConfigured: ``LIVECONFIG`` is missing or wrong, or names a field that does not exist.
    """
    options = login_options(alias, database)
    key = (configuration().settings, *options.values(), database.get("HOST"), database.get("PORT"))
    found = _logins.get(alias)
    if found is None or found[0] != key:
        try:
            found = _logins[alias] = (key, Logins(key[0], **options))
        except LiveConfigError as error:
            raise ImproperlyConfigured(f"DATABASES[{alias!r}]: {error}") from None
    return found[1]


def login_options(alias: str, database: dict[str, Any]) -> dict[str, Any]:
    """The fields of the login, and the patience.

    Raises:
        ImproperlyConfigured: ``OPTIONS["liveconfig"]`` has a key that is not known.
    """
    given = database.get("OPTIONS", {}).get("liveconfig", {})
    for key in given:
        if key not in DEFAULTS:
            where = f'DATABASES[{alias!r}]["OPTIONS"]["liveconfig"]'
            raise ImproperlyConfigured(f"{where} has no key {key!r}{nearest(key, DEFAULTS)}")
    return {**DEFAULTS, **given}


class LiveLogin:
    """Goes before Django's ``DatabaseWrapper``: each new connection takes the newest login.

    A connection with an older login is closed where Django closes old connections, before and after each request, once
    the server has accepted the newest login.
    """

    _login: Login | None = None  # that of the connection; None where a pool makes the connections

    @property
    def logins(self) -> Logins:
        """The logins of this database, shared by all threads."""
        wrapper: Any = self
        return logins_of(wrapper.alias, wrapper.settings_dict)

    def get_connection_params(self) -> dict[str, Any]:
        """As Django's, without our own option."""
        parameters: dict[str, Any] = super().get_connection_params()  # type: ignore[misc]
        parameters.pop("liveconfig", None)
        return parameters

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """As Django's, with a login that the server accepts."""
        connect: Any = super().get_new_connection  # type: ignore[misc]
        if getattr(self, "pool", None):
            return connect(conn_params)

        def attempt(login: Login) -> tuple[Login, Any]:
            return login, connect(conn_params | login.arguments())

        self._login, connection = self.logins.connect(attempt)
        return connection

    def close_if_unusable_or_obsolete(self) -> None:
        """As Django's, and close a connection whose login is out of date."""
        wrapper: Any = self
        if wrapper.connection is not None and not wrapper.in_atomic_block and self._is_outdated():
            wrapper.close()
        super().close_if_unusable_or_obsolete()  # type: ignore[misc]

    def _is_outdated(self) -> bool:
        return self._login is not None and self.logins.outdated(self._login, self._probe)

    def _probe(self, login: Login) -> None:
        parameters = self.get_connection_params() | login.arguments()
        super().get_new_connection(parameters).close()  # type: ignore[misc]


@contextmanager
def logged_in(wrapper: Any) -> Iterator[None]:
    """Meanwhile the newest login is in the wrapper's settings, for Django code that starts a program."""
    before = wrapper.settings_dict
    wrapper.settings_dict = before | wrapper.logins.newest().arguments("USER", "PASSWORD")
    try:
        yield
    finally:
        wrapper.settings_dict = before


class LiveLoginClient:
    """Goes before Django's ``DatabaseClient``: ``manage.py dbshell`` logs in with the newest login."""

    def runshell(self, parameters: list[str]) -> None:
        """As Django's."""
        client: Any = self
        with logged_in(client.connection):
            super().runshell(parameters)  # type: ignore[misc]
