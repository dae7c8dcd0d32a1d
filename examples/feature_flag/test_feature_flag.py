"""The tests of the shop. They need no cluster, no port and no waiting."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from liveconfig.testing import KubeletVolume, recorded

HERE = Path(__file__).parent
SPEC = importlib.util.spec_from_file_location("feature_flag_shop", HERE / "shop.py")
assert SPEC is not None
shop = sys.modules[SPEC.name] = importlib.util.module_from_spec(SPEC)
assert SPEC.loader is not None
SPEC.loader.exec_module(shop)


def flags(**checkout: Any) -> dict[str, str]:
    return {"flags.json": json.dumps({"flags": {"checkout": checkout, "gift_wrap": {"enabled": True}}})}


@pytest.fixture
def settings(kubelet_volume: KubeletVolume) -> Iterator[Any]:
    kubelet_volume.apply(HERE / "configmap.yaml")
    settings = shop.ShopSettings.load(_volumes=[kubelet_volume.path])
    with settings.live:
        yield settings


def test_the_checkout_is_turned_off(settings: Any, kubelet_volume: KubeletVolume) -> None:
    """After an update that turns the checkout off, an order is refused; after the next update, it is accepted."""
    assert shop.order(settings, "ann") == (HTTPStatus.OK, "paid, gift-wrapped")
    kubelet_volume.write(flags(enabled=False))
    assert settings.live.reload()
    assert shop.order(settings, "ann") == (HTTPStatus.SERVICE_UNAVAILABLE, "the checkout is closed")
    kubelet_volume.write(flags(enabled=True))
    assert settings.live.reload()
    assert shop.order(settings, "ann") == (HTTPStatus.OK, "paid, gift-wrapped")


def test_the_checkout_is_opened_for_some_of_the_users(settings: Any, kubelet_volume: KubeletVolume) -> None:
    """At 10 %, about 100 of 1,000 users may order; all of them still may at 50 %."""
    users = [f"user-{number}" for number in range(1000)]

    def allowed(percent: int) -> set[str]:
        kubelet_volume.write(flags(enabled=True, percent=percent))
        assert settings.live.reload()
        return {user for user in users if shop.order(settings, user)[0] is HTTPStatus.OK}

    tenth, half = allowed(10), allowed(50)
    assert 50 < len(tenth) < 150
    assert tenth < half


def test_a_request_sees_both_flags_of_one_snapshot(
    settings: Any, kubelet_volume: KubeletVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both flags of a request come from one snapshot, even if the volume changes between the two reads."""
    wrapping = shop.wrapping

    def changed_meanwhile(settings: Any, user: str) -> str:
        kubelet_volume.write({"flags.json": "{}"})
        assert settings.live.reload()
        return wrapping(settings, user)

    monkeypatch.setattr(shop, "wrapping", changed_meanwhile)
    assert shop.order(settings, "ann") == (HTTPStatus.OK, "paid, gift-wrapped")
    assert not settings.flags.gift_wrap.enabled


def test_a_bad_percentage_changes_nothing(settings: Any, kubelet_volume: KubeletVolume) -> None:
    """150 % is rejected with the name of the field, and the flags keep their values."""
    with recorded(settings) as events:
        kubelet_volume.write(flags(enabled=False, percent=150))
        assert not settings.live.reload()
    assert [event.fields for event in events] == [("flags.checkout.percent",)]
    assert shop.order(settings, "ann") == (HTTPStatus.OK, "paid, gift-wrapped")
