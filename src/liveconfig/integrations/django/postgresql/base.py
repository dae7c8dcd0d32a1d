"""The database engine ``liveconfig.integrations.django.postgresql``, as Django loads it."""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import suppress
from typing import Any

from django.db.backends.postgresql import base, client

from liveconfig.integrations.django._configuration import configuration
from liveconfig.integrations.django._database import LiveLogin, LiveLoginClient, login_options

_bind: Any = None
with suppress(ModuleNotFoundError):  # without psycopg_pool Django makes no pool that could be bound
    from liveconfig.integrations.psycopg import bind

    _bind = bind

_bound: weakref.WeakSet[Any] = weakref.WeakSet()
_binding: dict[int, threading.Lock] = {}  # by process: a fork could inherit a lock that is held


class DatabaseClient(LiveLoginClient, client.DatabaseClient):
    """``psql`` with the newest login."""


class DatabaseWrapper(LiveLogin, base.DatabaseWrapper):
    """Django's wrapper for PostgreSQL, with the newest login, with and without Django's pool."""

    client_class = DatabaseClient

    @property
    def pool(self) -> Any:
        """Django's pool, bound to the live settings before it is opened."""
        pool = super().pool
        if pool is not None and pool not in _bound:
            with _binding.setdefault(os.getpid(), threading.Lock()):
                if pool not in _bound:
                    options = login_options(self.alias, self.settings_dict)
                    _bind(pool, configuration().settings, **options)
                    _bound.add(pool)
        return pool
