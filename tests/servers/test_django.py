"""Django's database engines on real servers: PostgreSQL and MariaDB, with each way to keep connections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import pymysql
import pytest
from django.db.utils import ConnectionHandler
from django.test import override_settings

pymysql.install_as_MySQLdb()  # Django's documentation names it as the pure Python stand-in for mysqlclient

ENGINES = {"postgres": "postgresql", "mariadb": "mysql"}
IDENTITY = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}
KEPT = [
    pytest.param({"CONN_MAX_AGE": 0}, id="closed after each request"),
    pytest.param({"CONN_MAX_AGE": None}, id="persistent"),
    pytest.param({"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}, id="persistent and checked"),
]
POOL = pytest.param({"OPTIONS": {"pool": {"min_size": 9, "max_size": 9}}}, id="pool")
CASES = [pytest.param(on, *each.values, id=f"{on}, {each.id}") for on in ENGINES for each in KEPT]
CASES.append(pytest.param("postgres", *POOL.values, id="postgres, pool"))
EACH = pytest.mark.parametrize(("on", "how"), CASES, indirect=["on"])

pytestmark = pytest.mark.usefixtures("django_project")


class Threads:
    """What Django's ``connections`` is to an application: a connection for each thread."""

    def __init__(self, server: Any, **how: Any) -> None:
        options = dict(how.pop("OPTIONS", {}))
        if hasattr(server, "host"):
            where = {"ENGINE": "postgresql", "HOST": server.host, "NAME": "postgres"}
        else:
            where = {"ENGINE": "mysql", "HOST": server.socket, "NAME": "information_schema"}
            options["ssl_disabled"] = True
        self.identity = IDENTITY[where["ENGINE"]]
        where["ENGINE"] = f"liveconfig.integrations.django.{where['ENGINE']}"
        self.handler = ConnectionHandler({"default": {**where, **how, "OPTIONS": options}})
        self._made: set[Any] = set()

    @contextmanager
    def request(self) -> Iterator[Any]:
        """The connection of this thread, as it is during a request."""
        connection = self.handler["default"]
        self._made.add(connection)
        connection.close_if_unusable_or_obsolete()
        try:
            yield connection
        finally:
            connection.close_if_unusable_or_obsolete()

    def fetch(self, statement: str) -> Any:
        with self.request() as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()[0]

    def close(self) -> None:
        for connection in self._made:
            connection.inc_thread_sharing()
            connection.close()
        pool = getattr(self.handler["default"], "close_pool", None)
        if pool is not None:
            pool()


@pytest.fixture
def threads(rotation: Any, request: pytest.FixtureRequest) -> Iterator[Callable[..., Threads]]:
    """Makes the connections of an application whose live settings are those of the rotation."""
    made: list[Threads] = []

    def threads(**how: Any) -> Threads:
        made.append(Threads(rotation.server, **how))
        return made[-1]

    with override_settings(LIVECONFIG={"SETTINGS": rotation.settings}):
        yield threads
        for one in made:
            one.close()


@EACH
def test_an_engine_lives_through_rotations(
    rotation: Any, how: Any, threads: Any, make_load: Any, tell: Callable[..., None]
) -> None:
    """Threads under load lose no operation while their password is rotated ten times in both orders."""
    application = threads(**how)

    def operate() -> None:
        application.fetch("SELECT 1")

    def hold(held: threading.Event, release: threading.Event) -> tuple[Any, Any]:
        with application.request() as connection, connection.cursor() as cursor:
            cursor.execute(application.identity)
            before = cursor.fetchone()
            held.set()
            release.wait(30)
            cursor.execute(application.identity)
            after = cursor.fetchone()
        go_on(before)
        return before, after

    def go_on(busy: Any) -> None:
        """The thread serves more requests: a connection that is kept for it moves with one of them."""
        deadline = monotonic() + 30  # without inotify, a change is found after some seconds
        while application.fetch(application.identity) in busy and monotonic() < deadline:
            threading.Event().wait(0.05)

    tell(rotation, make_load(operate, hold), 1.0 if "pool" in how.get("OPTIONS", {}) else 0.2)
