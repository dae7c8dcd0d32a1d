"""Django's ``SECRET_KEY`` on several pods, whose volumes are swapped at different times."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings as django_settings
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.test import override_settings
from pydantic import SecretStr

from liveconfig import Settings
from liveconfig.integrations.keys import KeyRing
from liveconfig.testing import KubeletVolume

pytestmark = pytest.mark.usefixtures("django_project")

APART = 20  # seconds between the swaps of two pods
KEYS = {name: f"CANARY-{name}-{name * 50}" for name in "ABC"}


class Clock:
    """A clock that only moves when it is told to."""

    time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("liveconfig.integrations.keys.monotonic", clock)
    return clock


class Listed(Settings):
    session_keys: list[SecretStr]


class Two(Settings):
    session_key: SecretStr
    old_session_keys: list[SecretStr] = []


class Pod:
    """A process of the project, with a volume of its own.

    Args:
        volume: Its volume.
        keys: The names of the keys on it, newest first.
        listed: Whether the keys are in one list field, or in one for the newest and one for the others.
    """

    def __init__(self, volume: KubeletVolume, keys: str, *, listed: bool) -> None:
        self._volume, self._listed = volume, listed
        self._write(keys)
        kind = Listed if listed else Two
        self.settings: Settings = kind.load(_volumes=volume.path, _watch=False)
        fields = {"key": "session_keys"} if listed else {"key": "session_key", "previous": "old_session_keys"}
        self.ring = KeyRing(self.settings, **fields)

    def _write(self, keys: str) -> None:
        values = [f'"{KEYS[key]}"' for key in keys]
        if self._listed:
            self._volume.write({"session-keys": f"[{', '.join(values)}]"})
        else:
            self._volume.write({"session-key": KEYS[keys[0]], "old-session-keys": f"[{', '.join(values[1:])}]"})

    def swap(self, keys: str) -> None:
        """The kubelet swaps these keys in."""
        self._write(keys)
        assert self.settings.live.reload()

    @contextmanager
    def serving(self) -> Iterator[None]:
        """The process of this pod is the one that runs."""
        mirror = {"SECRET_KEY": self.ring}
        with override_settings(LIVECONFIG={"SETTINGS": self.settings, "MIRROR": mirror}):
            yield

    def log_in(self, user: str) -> str:
        """The cookie of a new session."""
        with self.serving():
            session = SessionStore()
            session["user"] = user
            session.save()
            return str(session.session_key)

    def knows(self, cookie: str) -> bool:
        """Whether a session is accepted here."""
        with self.serving():
            return "user" in SessionStore(cookie).load()


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))), ids=str)
@pytest.mark.parametrize("listed", [True, False], ids=["list-field", "previous"])
def test_no_session_is_lost(
    make_kubelet_volume: Callable[..., KubeletVolume], clock: Clock, listed: bool, order: tuple[int, ...]
) -> None:
    """No session is lost while ``SECRET_KEY`` is rotated twice on two pods 20 s apart, and a third starts in between."""
    names = (f"pod-{number}" for number in itertools.count())

    def start(keys: str) -> Pod:
        return Pod(make_kubelet_volume(next(names)), keys, listed=listed)

    pods, dice, cookies = [start("A"), start("A")], random.Random(20), []
    for second in range(0, 600, 5):
        for begin, keys in ((30, "BA"), (330, "CBA")):
            if second == begin:
                pods[order[0]].swap(keys)
            if second == begin + APART // 2:
                pods.append(start(keys))
            if second == begin + APART:
                for late in {*pods} - {pods[order[0]], pods[-1]}:
                    late.swap(keys)
        cookies.append(dice.choice(pods).log_in(f"user {second}"))
        for pod in pods:
            assert all(pod.knows(cookie) for cookie in {cookies[-1], *dice.choices(cookies, k=2)}), f"at {second} s"
        clock.time += 5
    for pod in pods:
        assert all(map(pod.knows, cookies))
        with pod.serving():
            assert KEYS["C"] == django_settings.SECRET_KEY
