"""How a database driver says that the login is at fault, and what its error has no need to hold."""

from __future__ import annotations

import re
from contextlib import suppress

MYSQL_REFUSALS = {1045, 1698, 3118, 4151}  # access denied, denied without a password, account locked (MySQL, MariaDB)
# libpq hands out no SQLSTATE for a connection that failed, so its message has to do; PgBouncer has words of its own
LIBPQ_REFUSAL = re.compile(r"authentication failed|not permitted to log in|role \S+ does not exist|no such user")


def login_refused(error: BaseException) -> bool:
    """Whether a PostgreSQL or MySQL driver says with this error that the login is at fault, and nothing else."""
    sqlstate = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if sqlstate and str(sqlstate).startswith("28"):
        return True
    number = error.args[0] if error.args else None
    return number in MYSQL_REFUSALS or LIBPQ_REFUSAL.search(str(error)) is not None


def without_secrets(error: Exception) -> Exception:
    """The error without the frames, and psycopg's without the finished connection's options, that hold the password."""
    connection = getattr(error, "pgconn", None)
    with suppress(AttributeError):
        connection.password, connection.info = b"", []  # type: ignore[union-attr]
    return error.with_traceback(None)
