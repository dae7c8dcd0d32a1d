"""A shop whose database login is rotated under load, in both orders. Nothing fails, and nothing restarts.

Usage: python rotation.py [ROTATIONS [SECONDS]]. SECONDS is the time between the server and the volume.
"""

from __future__ import annotations

import itertools
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from pydantic import BaseModel, SecretStr
from rotated_postgres import PostgreSQL
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from liveconfig import Settings
from liveconfig.integrations.sqlalchemy import bind
from liveconfig.testing import KubeletVolume

THREADS = 8


class Db(BaseModel):
    user: str
    password: SecretStr


class ShopSettings(Settings):
    db: Db


class Shop:
    """Eight threads that sell all the time, and count."""

    def __init__(self, engine: Engine) -> None:
        self.sold = self.failed = 0
        self._engine = engine
        self._counting = threading.Lock()
        self._closed = threading.Event()

    def sell(self) -> None:
        while not self._closed.wait(0.005):
            try:
                with self._engine.begin() as connection:
                    connection.execute(text("SELECT 'one item'"))
            except SQLAlchemyError as error:
                print(error)
                with self._counting:
                    self.failed += 1
            else:
                with self._counting:
                    self.sold += 1

    @contextmanager
    def open(self) -> Iterator[None]:
        with ThreadPoolExecutor(THREADS) as threads:
            for _ in range(THREADS):
                threads.submit(self.sell)
            try:
                yield
            finally:
                self._closed.set()


class Login:
    """The login of the shop on the server and on the volume, which learn a new login at different times."""

    def __init__(self, server: PostgreSQL, volume: KubeletVolume) -> None:
        self._server, self._volume = server, volume
        self._numbers = itertools.count(1)
        self.user = ""
        self.renew()
        self._server.add_login(self.user, self.password)
        self.write_to_volume()

    def renew(self) -> None:
        self.previous, self.user, self.password = self.user, f"shop_{next(self._numbers)}", str(uuid.uuid4())

    def write_to_server(self) -> None:
        self._server.add_login(self.user, self.password)
        self._server.forbid_login(self.previous)

    def write_to_volume(self) -> None:
        self._volume.write({"db.user": self.user, "db.password": self.password})


class Table:
    """Prints one line for each step."""

    def __init__(self, shop: Shop, server: PostgreSQL) -> None:
        self._shop, self._server, self._began = shop, server, monotonic()
        print(f"{'second':>6}  {'':34}{'operations':>10}{'failed':>8}   connections by login")

    def line(self, what: str) -> None:
        logins = ", ".join(f"{user}: {count}" for user, count in self._server.connections().items())
        sold, failed = self._shop.sold, self._shop.failed
        print(f"{monotonic() - self._began:6.1f}  {what:34}{sold:10}{failed:8}   {logins}", flush=True)


def run(server: PostgreSQL, directory: Path, rotations: int, gap: float) -> Shop:
    """Rotate the login in alternating order, with some seconds between the server and the volume."""
    login = Login(server, KubeletVolume(directory))
    settings = ShopSettings.load(_volumes=directory)
    engine = create_engine(f"postgresql+psycopg:///postgres?host={server.host}", pool_size=THREADS)
    bind(engine, settings)
    shop, pause = Shop(engine), threading.Event()
    with settings.live, shop.open():
        table = Table(shop, server)
        pause.wait(gap)
        table.line("the shop is open")
        for rotation in range(rotations):
            login.renew()
            steps = [("server", login.write_to_server), ("volume", login.write_to_volume)]
            for where, step in steps if rotation % 2 == 0 else reversed(steps):
                step()
                table.line(f"{login.user} is in the {where}")
                pause.wait(gap)
        table.line("the end")
    engine.dispose()
    return shop


def main(rotations: int = 10, gap: float = 1.0) -> int:
    """Run on a new server. Return the number of failed operations."""
    server = PostgreSQL()
    try:
        with TemporaryDirectory() as directory:
            return run(server, Path(directory), rotations, gap).failed
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])) > 0)
