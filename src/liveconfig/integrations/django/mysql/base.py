"""The database engine ``liveconfig.integrations.django.mysql``, as Django loads it."""

from __future__ import annotations

from django.db.backends.mysql import base, client, creation

from liveconfig.integrations.django._database import LiveLogin, LiveLoginClient, logged_in


class DatabaseClient(LiveLoginClient, client.DatabaseClient):
    """``mysql`` with the newest login."""


class DatabaseCreation(creation.DatabaseCreation):
    """Django clones a test database for parallel tests with ``mysqldump``, which needs the login too."""

    def _clone_db(self, source_database_name: str, target_database_name: str) -> None:
        with logged_in(self.connection):
            super()._clone_db(source_database_name, target_database_name)


class DatabaseWrapper(LiveLogin, base.DatabaseWrapper):
    """Django's wrapper for MySQL and MariaDB, with the newest login."""

    client_class = DatabaseClient
    creation_class = DatabaseCreation
