"""`reload(retry=False)`: new content is checked, and rejected content waits for its time."""

from __future__ import annotations

import pytest

from liveconfig import Settings


class App(Settings):
    message: str = "default"


class Verifier:
    """Accepts some messages, and remembers which it was called for."""

    def __init__(self) -> None:
        self.accepts = {"one"}
        self.calls = []

    def __call__(self, candidate):
        self.calls.append(candidate.message)
        return candidate.message in self.accepts


@pytest.fixture(autouse=True)
def long_pauses(monkeypatch):
    """No second attempt becomes due during a test."""
    monkeypatch.setattr("liveconfig._engine.verification.FIRST_RETRY", 3600.0)


@pytest.fixture
def verifier():
    return Verifier()


@pytest.fixture(params=[True, False], ids=["watched", "unwatched"])
def settings(request, kubelet_volume, load, verifier):
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path, _watch=request.param)
    settings.live.add_verifier(verifier, on="message")
    return settings


def test_rejected_content_waits(settings, kubelet_volume, verifier):
    """Without a retry, `reload` calls no verifier for content that it has rejected; with one, it does."""
    kubelet_volume.write({"message": "two"})
    assert not settings.live.reload()
    verifier.calls.clear()
    verifier.accepts.add("two")
    for _ in range(3):
        assert not settings.live.reload(retry=False)
    assert verifier.calls == []
    assert settings.live.reload()
    assert verifier.calls == ["two"]


def test_new_content_is_checked(settings, kubelet_volume, verifier):
    """Without a retry, `reload` verifies and applies new content at once, after a rejection too."""
    kubelet_volume.write({"message": "two"})
    assert not settings.live.reload(retry=False)
    assert set(verifier.calls) == {"two"}
    verifier.accepts.add("three")
    kubelet_volume.write({"message": "three"})
    assert settings.live.reload(retry=False)
    assert settings.message == "three"


def test_after_close(settings, kubelet_volume, verifier):
    """Without a retry, `reload` of closed settings reads the volume too."""
    settings.live.close()
    verifier.accepts.add("two")
    kubelet_volume.write({"message": "two"})
    assert settings.live.reload(retry=False)
    assert settings.message == "two"


async def test_on_an_event_loop(settings, kubelet_volume, verifier):
    """`areload` without a retry does the same."""
    kubelet_volume.write({"message": "two"})
    assert not await settings.live.areload()
    verifier.calls.clear()
    assert not await settings.live.areload(retry=False)
    assert verifier.calls == []
    verifier.accepts.add("three")
    kubelet_volume.write({"message": "three"})
    assert await settings.live.areload(retry=False)
