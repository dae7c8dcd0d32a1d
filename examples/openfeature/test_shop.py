from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openfeature import api
from openfeature.provider import ProviderStatus
from shop import Shop, ShopSettings

from liveconfig.integrations.openfeature import LiveConfigProvider
from liveconfig.testing import KubeletVolume


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[ShopSettings]:
    volume = KubeletVolume(tmp_path / "shop")
    volume.write({"flags.checkout": "true"})
    settings = ShopSettings.load(_volumes=volume.path)
    with settings.live:
        yield settings


@pytest.fixture
def shop(settings: ShopSettings) -> Iterator[Shop]:
    api.set_provider_and_wait(LiveConfigProvider(settings, prefix="flags"))
    yield Shop(api.get_client())
    api.shutdown()


@pytest.fixture
def edit(settings: ShopSettings, tmp_path: Path) -> Callable[..., None]:
    """What `kubectl edit` does, as soon as the kubelet has brought it."""

    def edit(**flags: str) -> None:
        KubeletVolume(tmp_path / "shop").update({f"flags.{name}": value for name, value in flags.items()})
        settings.live.reload()

    return edit


def test_the_checkout_closes_while_the_shop_runs(shop: Shop, edit: Callable[..., None]) -> None:
    """A flag in the ConfigMap closes the checkout."""
    assert shop.order(3) == "accepted"
    edit(checkout="false")
    assert shop.order(3) == "checkout is closed"


def test_a_number_is_a_flag(shop: Shop, edit: Callable[..., None]) -> None:
    """The most items of an order follow the ConfigMap."""
    assert shop.order(12) == "at most 10 items"
    edit(max_items="20")
    assert shop.order(12) == "accepted"


def test_a_broken_flag_changes_nothing(shop: Shop, edit: Callable[..., None]) -> None:
    """A flag that is not valid is rejected: the last good one stays, and the provider says that it is stale."""
    edit(max_items="none")
    assert shop.order(3) == "accepted"
    assert api.get_client().get_provider_status() == ProviderStatus.STALE
    edit(max_items="2")
    assert shop.order(3) == "at most 2 items"
