"""Looks that share one transaction."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from liveconfig import Settings, SettingsConfigDict


class App(Settings):
    model_config = SettingsConfigDict(resync=3600.0)
    message: str = "default"


def test_a_reload_beside_an_event(kubelet_volume, load, monkeypatch):
    """P3: a reload asks the verifiers again, also if the look of an event comes just before it."""
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path)
    accepted = []
    settings.live.add_verifier(lambda _: bool(accepted), on="message")
    kubelet_volume.write({"message": "two"})
    assert not settings.live.reload()
    accepted.append(True)
    engine = settings.live._core.engine
    run = engine._transactions.run

    def late(transaction):
        monkeypatch.undo()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(engine.look).result()
        return run(transaction)

    monkeypatch.setattr(engine._transactions, "run", late)
    assert settings.live.reload()
    assert settings.message == "two"
