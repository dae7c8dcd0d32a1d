"""The shop's own tests: no cluster, no port, no waiting."""

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
    """The order after the swap is refused, and the one after the next swap is taken."""
    assert shop.order(settings, "ann") == (HTTPStatus.OK, "paid, gift-wrapped")
    kubelet_volume.write(flags(enabled=False))
    assert settings.live.reload()
    assert shop.order(settings, "ann") == (HTTPStatus.SERVICE_UNAVAILABLE, "the checkout is closed")
    kubelet_volume.write(flags(enabled=True))
    assert settings.live.reload()
    assert shop.order(settings, "ann") == (HTTPStatus.OK, "paid, gift-wrapped")


def test_it_is_opened_to_a_part_of_the_users(settings: Any, kubelet_volume: KubeletVolume) -> None:
    """Of 1,000 users about a tenth may order, and they are still among those of the next step."""
    users = [f"user-{number}" for number in range(1000)]

    def allowed(percent: int) -> set[str]:
        kubelet_volume.write(flags(enabled=True, percent=percent))
        assert settings.live.reload()
        return {user for user in users if shop.order(settings, user)[0] is HTTPStatus.OK}

    tenth, half = allowed(10), allowed(50)
    assert 50 < len(tenth) < 150
    assert tenth < half


def test_a_flag_that_goes_off_does_not_tear_a_request_apart(
    settings: Any, kubelet_volume: KubeletVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both flags of a request come from one snapshot, even if they are swapped between the two reads."""
    wrapping = shop.wrapping

    def swapped_meanwhile(settings: Any, user: str) -> str:
        kubelet_volume.write({"flags.json": "{}"})
        assert settings.live.reload()
        return wrapping(settings, user)

    monkeypatch.setattr(shop, "wrapping", swapped_meanwhile)
    assert shop.order(settings, "ann") == (HTTPStatus.OK, "paid, gift-wrapped")
    assert not settings.flags.gift_wrap.enabled


def test_a_bad_percentage_changes_nothing(settings: Any, kubelet_volume: KubeletVolume) -> None:
    """150 % is rejected by name, and the flags stay as they were."""
    with recorded(settings) as events:
        kubelet_volume.write(flags(enabled=False, percent=150))
        assert not settings.live.reload()
    assert [event.fields for event in events] == [("flags.checkout.percent",)]
    assert shop.order(settings, "ann") == (HTTPStatus.OK, "paid, gift-wrapped")
