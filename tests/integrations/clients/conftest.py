"""A login in a volume, and a server that takes some."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from time import monotonic

import pytest
from pydantic import BaseModel, SecretStr

from liveconfig import Settings
from liveconfig.testing import KubeletVolume


class Db(BaseModel):
    user: str | None = None
    password: SecretStr


class LoginSettings(Settings):
    db: Db


class RefusedError(Exception):
    """The server does not take this login."""

    sqlstate = "28P01"


class Door:
    """Takes some logins, and remembers which were tried."""

    def __init__(self) -> None:
        self.takes: set[tuple[str | None, str | None]] = set()
        self.tried: list[tuple[str | None, str | None]] = []
        self.broken: Exception | None = None

    def enter(self, user: str | None, password: str | None) -> None:
        self.tried.append((user, password))
        if self.broken is not None:
            raise self.broken
        if (user, password) not in self.takes:
            raise RefusedError("login refused")


@pytest.fixture
def door() -> Door:
    one = Door()
    one.takes = {("app", "one")}
    return one


@pytest.fixture
def volume(kubelet_volume: KubeletVolume) -> KubeletVolume:
    kubelet_volume.write({"db.user": "app", "db.password": "one"})
    return kubelet_volume


@pytest.fixture
def settings(volume: KubeletVolume) -> Iterator[LoginSettings]:
    one = LoginSettings.load(_volumes=volume.path)
    with one.live:
        yield one


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], bool]:
    """Whether something holds at last, of which nobody tells."""

    def eventually(holds: Callable[[], object]) -> bool:
        deadline = monotonic() + 10
        while not holds() and monotonic() < deadline:
            threading.Event().wait(0.01)
        return bool(holds())

    return eventually
