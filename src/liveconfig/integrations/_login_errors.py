"""Errors of database drivers that refuse a login, and their removal of passwords."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

E = TypeVar("E", bound=BaseException)

MYSQL_REFUSALS = {1045, 1698, 3118, 4151}  # access denied, denied without a password, account locked (MySQL, MariaDB)
# libpq gives no SQLSTATE for a connection that failed, only a message; PgBouncer has messages of its own
LIBPQ_REFUSAL = re.compile(
    r"authentication failed|not permitted to log in|role \S+ does not exist|no password supplied|no such user"
)
# limits by role, user or database are checked after the password (PostgreSQL miscinit.c, MySQL sql_connect.cc)
MYSQL_LIMITS = {1203, 1226}
POSTGRES_LIMIT = re.compile(r"too many connections for (role|database)")


def login_refused(error: BaseException) -> bool:
    """Whether an error of a PostgreSQL or MySQL driver means that the login was refused."""
    sqlstate = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if sqlstate and str(sqlstate).startswith("28"):
        return True
    return _number(error) in MYSQL_REFUSALS or LIBPQ_REFUSAL.search(str(error)) is not None


@contextmanager
def accepted_despite_limits() -> Iterator[None]:
    """Suppress an error that a server raises only after it has accepted the login: no more connections are allowed."""
    try:
        yield
    except Exception as error:
        if _number(error) not in MYSQL_LIMITS and not POSTGRES_LIMIT.search(str(error)):
            raise


def _number(error: BaseException) -> int | None:
    number = error.args[0] if error.args else None
    return number if isinstance(number, int) else None


def without_secrets(error: E) -> E:
    """Remove the password from an error and its causes: it is in frames and in psycopg's connection options."""
    chain: list[BaseException] = [error]
    for one in chain:
        chain += [each for each in (one.__cause__, one.__context__) if each is not None and each not in chain]
        connection = getattr(one, "pgconn", None)
        with suppress(AttributeError):
            connection.password, connection.info = b"", []  # type: ignore[union-attr]
        one.__traceback__ = None
    return error
