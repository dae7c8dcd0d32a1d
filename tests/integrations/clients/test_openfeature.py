"""The OpenFeature provider, through the SDK as an application uses it."""

from __future__ import annotations

import gc
import json
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent, ProviderEventDetails
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from openfeature.provider import ProviderStatus
from openfeature.provider.no_op_provider import NoOpProvider
from pydantic import BaseModel, SecretStr

import liveconfig.integrations
from liveconfig import LiveConfigError, Settings, Volume
from liveconfig.integrations.openfeature import LiveConfigProvider
from liveconfig.testing import KubeletVolume


class Limits(BaseModel):
    orders: int = 10
    token: SecretStr = SecretStr("CANARY-00000001")


class FlagFields(BaseModel):
    checkout: bool = False
    greeting: str = "hello"
    discount: float = 0.5
    limits: Limits = Limits()
    regions: dict[str, bool] = {"eu": True}
    banner: str | None = None
    api_key: SecretStr = SecretStr("CANARY-00000002")


class ShopSettings(Settings):
    flags: FlagFields = FlagFields()
    experiments: dict[str, bool] = {}
    targeting: dict[str, Any] | None = None
    message: str = "hello"


@pytest.fixture
def volume(kubelet_volume: KubeletVolume) -> KubeletVolume:
    kubelet_volume.write({"flags.checkout": "true", "flags.limits.orders": "20", "experiments": '{"dark": true}'})
    return kubelet_volume


@pytest.fixture
def settings(volume: KubeletVolume) -> Iterator[ShopSettings]:
    one = ShopSettings.load(_volumes=volume.path)
    with one.live:
        yield one


@pytest.fixture
def with_secret(
    volume: KubeletVolume, make_kubelet_volume: Any
) -> Callable[[dict[str, str]], tuple[ShopSettings, KubeletVolume]]:
    """A function that loads settings which a secret volume with some content feeds too; it returns both."""

    def with_secret(content: dict[str, str]) -> tuple[ShopSettings, KubeletVolume]:
        secret: KubeletVolume = make_kubelet_volume("secret")
        secret.write(content)
        return ShopSettings.load(_volumes=[volume.path, Volume(secret.path, secret=True)]), secret

    return with_secret


@pytest.fixture
def provide(settings: ShopSettings) -> Iterator[Callable[..., Any]]:
    """A client whose provider is ready."""

    def provide(prefix: str | None = None, **how: Any) -> Any:
        api.set_provider(LiveConfigProvider(settings, prefix, **how))
        client = api.get_client()
        until(lambda: client.get_provider_status() != ProviderStatus.NOT_READY)
        return client

    yield provide
    api.shutdown()
    api.clear_providers()


@pytest.fixture
def domain() -> Iterator[Callable[[LiveConfigProvider], Any]]:
    """A client of a domain to which a provider is bound."""

    def bind(provider: LiveConfigProvider) -> Any:
        api.set_provider(provider, "shop")
        return api.get_client("shop")

    yield bind
    api.shutdown()
    api.clear_providers()


def until(holds: Callable[[], object]) -> None:
    for _ in range(1000):
        if holds():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never holds")


@contextmanager
def at_each_line(names: set[str], call: Callable[[], object]) -> Iterator[None]:
    """Call a function before each line that this thread executes in modules of the integrations."""
    files = {str(Path(liveconfig.integrations.__file__).with_name(name)) for name in names}

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        if event == "line":
            call()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


class Heard:
    """The events of one kind that a client, or the whole API, receives."""

    def __init__(self, client: Any, event: ProviderEvent) -> None:
        self.details: list[EventDetails] = []
        client.add_handler(event, self.details.append)

    def next(self) -> EventDetails:
        until(lambda: self.details)
        return self.details.pop(0)


class TestValues:
    """Fields as flags."""

    def test_each_type(self, provide: Any) -> None:
        """Fields of each type are flags, named with dots relative to the prefix."""
        client = provide("flags")
        assert client.get_boolean_value("checkout", False) is True
        assert client.get_string_value("greeting", "") == "hello"
        assert client.get_integer_value("limits.orders", 0) == 20
        assert client.get_float_value("discount", 0.0) == 0.5
        assert client.get_float_value("limits.orders", 0.0) == 20.0
        assert client.get_boolean_value("regions.eu", False) is True

    def test_without_a_prefix(self, provide: Any) -> None:
        """Without a prefix a flag is named as the field."""
        client = provide()
        assert client.get_boolean_value("flags.checkout", False) is True
        assert client.get_string_value("message", "") == "hello"

    def test_entries_of_a_mapping(self, provide: Any) -> None:
        """A mapping may be the prefix: its entries are the flags."""
        assert provide("experiments").get_boolean_value("dark", False) is True

    def test_objects_have_no_secrets(self, provide: Any) -> None:
        """A model is an object flag, without its secrets."""
        client = provide()
        assert client.get_object_value("flags.limits", {}) == {"orders": 20}
        assert client.get_object_value("flags.regions", {}) == {"eu": True}
        assert "CANARY" not in repr(client.get_object_details("flags", {}))

    @pytest.mark.parametrize("key", ["flags.api_key", "flags.limits.token"])
    def test_a_secret_is_no_flag(self, provide: Any, key: str) -> None:
        """A secret is not found, and its value is in no message."""
        details = provide().get_string_details(key, "default")
        assert (details.value, details.error_code) == ("default", ErrorCode.FLAG_NOT_FOUND)
        assert "CANARY" not in repr(details)

    def test_what_a_secret_volume_feeds_is_no_flag(self, make_kubelet_volume: Any) -> None:
        """A field of any type that a secret volume feeds is not found."""
        secret = make_kubelet_volume("secret")
        secret.write({"message": "CANARY-00000003"})
        one = ShopSettings.load(_volumes=[Volume(secret.path, secret=True)])
        with one.live:
            api.set_provider(LiveConfigProvider(one))
            client = api.get_client()
            until(lambda: client.get_provider_status() == ProviderStatus.READY)
            assert client.get_string_details("message", "").error_code == ErrorCode.FLAG_NOT_FOUND
            api.shutdown()
            api.clear_providers()

    @pytest.mark.parametrize("key", ["flags.greeting", "flags.limits.orders"])
    def test_a_secret_volume_that_feeds_a_part_of_a_model(
        self, volume: KubeletVolume, make_kubelet_volume: Any, key: str
    ) -> None:
        """A field that a secret volume feeds a part of holds no flag, and the message names the field and says so."""
        secret = make_kubelet_volume("secret")
        secret.write({key: "1234567"})
        one = ShopSettings.load(_volumes=[volume.path, Volume(secret.path, secret=True)])
        with one.live:
            api.set_provider(LiveConfigProvider(one))
            client = api.get_client()
            until(lambda: client.get_provider_status() == ProviderStatus.READY)
            for flag in ("flags.checkout", "flags", key):
                details = client.get_object_details(flag, {})
                assert details.error_code == ErrorCode.FLAG_NOT_FOUND
                assert "`flags` or a part of it" in details.error_message
                assert "1234567" not in repr(details)
            assert client.get_boolean_value("experiments.dark", False) is True
            api.shutdown()
            api.clear_providers()

    def test_a_flag_that_does_not_exist(self, provide: Any) -> None:
        """An unknown flag gives the default, and the message names the nearest; `live` is unknown like any other."""
        assert provide().get_boolean_details("live", True).error_code == ErrorCode.FLAG_NOT_FOUND
        details = provide("flags").get_boolean_details("chekout", True)
        assert (details.value, details.error_code) == (True, ErrorCode.FLAG_NOT_FOUND)
        assert "'checkout'" in details.error_message

    def test_another_type(self, provide: Any) -> None:
        """A flag of another type than asked for gives the default; a bool is no integer."""
        client = provide("flags")
        assert client.get_integer_details("checkout", 7).error_code == ErrorCode.TYPE_MISMATCH
        assert client.get_integer_details("checkout", 7).value == 7
        assert client.get_string_details("limits", "").error_code == ErrorCode.TYPE_MISMATCH

    def test_none_is_the_default(self, provide: Any) -> None:
        """A field that is None gives the default."""
        details = provide("flags").get_string_details("banner", "none")
        assert (details.value, details.reason, details.error_code) == ("none", Reason.DEFAULT, None)

    async def test_async(self, provide: Any) -> None:
        """The SDK's async methods give the same."""
        client = provide("flags")
        assert await client.get_boolean_value_async("checkout", False) is True
        assert (await client.get_integer_details_async("limits.orders", 0)).flag_metadata["version"] == 1

    def test_a_pinned_request(self, provide: Any, settings: ShopSettings, volume: KubeletVolume) -> None:
        """Inside `pinned` flags and their version come from the pinned snapshot; outside from the newest."""
        client = provide("flags")
        with settings.live.pinned():
            volume.update({"flags.checkout": "false"})
            assert settings.live.reload()
            pinned = client.get_boolean_details("checkout", False)
        newest = client.get_boolean_details("checkout", True)
        assert (pinned.value, pinned.flag_metadata["version"], pinned.reason) == (True, 1, Reason.STATIC)
        assert (newest.value, newest.flag_metadata["version"]) == (False, 2)

    def test_changes_during_an_evaluation(self, provide: Any, settings: ShopSettings, volume: KubeletVolume) -> None:
        """An evaluation gives a flag and its version of one snapshot, however many changes arrive meanwhile."""
        client = provide("flags")

        def change() -> None:
            volume.update({"flags.limits.orders": str(20 + settings.live.version)})
            assert settings.live.reload()

        with at_each_line({"openfeature.py"}, change):
            details = client.get_integer_details("limits.orders", 0)
        assert details.error_code is None
        assert details.value - details.flag_metadata["version"] == 19
        assert settings.live.version > details.flag_metadata["version"] > 1

    def test_versions_of_pinned_snapshots(self, provide: Any, settings: ShopSettings, volume: KubeletVolume) -> None:
        """A pinned request gets the version of its snapshot, however many changes came after it."""
        client = provide("flags")
        with settings.live.pinned():
            for orders in range(21, 61):
                volume.update({"flags.limits.orders": str(orders)})
                assert settings.live.reload()
            assert client.get_integer_details("limits.orders", 0).flag_metadata["version"] == 1
        assert client.get_integer_details("limits.orders", 0).flag_metadata["version"] == 41


class TestEvents:
    """The SDK's events."""

    def test_flags_that_changed(self, provide: Any, settings: ShopSettings, volume: KubeletVolume) -> None:
        """`PROVIDER_CONFIGURATION_CHANGED` names the flags that changed, relative to the prefix."""
        client = provide("flags")
        changed = Heard(client, ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)
        volume.update({"flags.checkout": "false", "flags.limits.orders": "30", "message": "hi"})
        assert settings.live.reload()
        assert changed.next().flags_changed == ["checkout", "limits.orders"]
        volume.update({"flags.regions": '{"eu": true, "us": false}'})
        assert settings.live.reload()
        assert changed.next().flags_changed == ["regions", "regions.us"]
        assert changed.details == []

    def test_other_fields(self, provide: Any, settings: ShopSettings, volume: KubeletVolume) -> None:
        """A change outside of the prefix, or of a secret, is no event."""
        client = provide("flags")
        changed = Heard(client, ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)
        volume.update({"message": "hi", "flags.api-key": "CANARY-00000004"})
        assert settings.live.reload()
        volume.update({"flags.checkout": "false"})
        assert settings.live.reload()
        assert changed.next().flags_changed == ["checkout"]

    def test_stale_and_ready(self, provide: Any, settings: ShopSettings, volume: KubeletVolume) -> None:
        """While a configuration is rejected the provider is stale and serves the last good values; then it is ready."""
        client = provide("flags")
        stale, ready = Heard(client, ProviderEvent.PROVIDER_STALE), Heard(client, ProviderEvent.PROVIDER_READY)
        assert ready.next()
        volume.update({"flags.checkout": "maybe"})
        assert not settings.live.reload()
        assert "checkout" in stale.next().message
        assert client.get_provider_status() == ProviderStatus.STALE
        assert client.get_boolean_value("checkout", False) is True
        volume.update({"flags.checkout": "false"})
        assert settings.live.reload()
        assert ready.next()
        assert client.get_provider_status() == ProviderStatus.READY
        assert client.get_boolean_value("checkout", True) is False

    @pytest.mark.parametrize("content", ["1234567", "hello"])  # "hello" is the default: no value changes
    def test_a_secret_volume_that_begins_to_feed_a_flag(
        self, volume: KubeletVolume, with_secret: Callable[..., tuple[ShopSettings, KubeletVolume]], content: str
    ) -> None:
        """A change that would hide all flags below the prefix is rejected, and the flags keep their values."""
        one, secret = with_secret({"message": "CANARY-00000003"})
        with one.live:
            api.set_provider(LiveConfigProvider(one, "flags"))
            client = api.get_client()
            until(lambda: client.get_provider_status() == ProviderStatus.READY)
            secret.update({"flags.greeting": content})
            assert not one.live.reload()
            until(lambda: client.get_provider_status() == ProviderStatus.STALE)
            reason = one.live.status().last_rejected.reason
            assert "a volume with `secret=True` feeds `flags` or a part of it" in reason
            assert content not in reason
            assert client.get_boolean_value("checkout", False) is True
            assert client.get_string_value("greeting", "") == "hello"
            volume.update({"flags.checkout": "false"})
            one.live.reload()  # the other volume goes on
            assert client.get_boolean_value("checkout", True) is False
            secret.write({"message": "CANARY-00000003"})
            assert one.live.reload()
            until(lambda: client.get_provider_status() == ProviderStatus.READY)
            api.shutdown()
            secret.update({"flags.greeting": content})
            assert one.live.reload()  # nobody asks for flags any more
            api.clear_providers()

    def test_what_was_there_is_back(self, provide: Any, settings: ShopSettings, volume: KubeletVolume) -> None:
        """The provider is ready again when the applied content is back, too, although nothing changed."""
        client = provide("flags")
        volume.update({"flags.checkout": "maybe"})
        assert not settings.live.reload()
        until(lambda: client.get_provider_status() == ProviderStatus.STALE)
        volume.update({"flags.checkout": "true"})
        assert settings.live.reload()
        until(lambda: client.get_provider_status() == ProviderStatus.READY)

    def test_a_rejection_that_stands_at_the_start(
        self, provide: Any, settings: ShopSettings, volume: KubeletVolume
    ) -> None:
        """A provider that is set while a configuration is rejected becomes stale."""
        volume.update({"flags.checkout": "maybe"})
        assert not settings.live.reload()
        client = provide("flags")
        until(lambda: client.get_provider_status() == ProviderStatus.STALE)

    def test_a_rejection_that_stands_at_the_start_of_a_domain(
        self, domain: Any, settings: ShopSettings, volume: KubeletVolume
    ) -> None:
        """A provider that is bound to a domain becomes stale once, after the SDK made it ready."""
        volume.update({"flags.checkout": "maybe"})
        assert not settings.live.reload()
        emitted = threading.Event()

        class Provider(LiveConfigProvider):
            def initialize(self, evaluation_context: EvaluationContext) -> None:
                super().initialize(evaluation_context)
                assert not emitted.wait(0.1)  # until now, events are overwritten

            def emit_provider_stale(self, details: ProviderEventDetails) -> None:
                super().emit_provider_stale(details)
                emitted.set()

        stale, ready = Heard(api, ProviderEvent.PROVIDER_STALE), Heard(api, ProviderEvent.PROVIDER_READY)
        client = domain(Provider(settings, "flags"))
        until(lambda: "liveconfig" in {each.provider_name for each in ready.details})
        until(lambda: client.get_provider_status() == ProviderStatus.STALE)
        assert "checkout" in stale.next().message
        api.set_provider(NoOpProvider(), "another")
        until(lambda: api.get_client("another").get_provider_status() == ProviderStatus.READY)
        volume.update({"flags.checkout": "false"})
        assert settings.live.reload()
        until(lambda: client.get_provider_status() == ProviderStatus.READY)
        # Three, if the thread that made it stale sees the recovery too.
        until(lambda: [each.provider_name for each in ready.details].count("liveconfig") >= 2)
        assert stale.details == []

    def test_a_rejection_before_the_provider_is_ready(
        self, domain: Any, settings: ShopSettings, volume: KubeletVolume
    ) -> None:
        """A rejection that arrives before the SDK makes the provider ready makes it stale afterwards."""

        class RejectedEarly(LiveConfigProvider):
            def initialize(self, evaluation_context: EvaluationContext) -> None:
                super().initialize(evaluation_context)
                volume.update({"flags.checkout": "maybe"})
                assert not settings.live.reload()

        ready = Heard(api, ProviderEvent.PROVIDER_READY)
        client = domain(RejectedEarly(settings, "flags"))
        until(lambda: "liveconfig" in {each.provider_name for each in ready.details})
        until(lambda: client.get_provider_status() == ProviderStatus.STALE)

    def test_a_rejection_that_ends_while_the_provider_becomes_stale(
        self, domain: Any, settings: ShopSettings, volume: KubeletVolume
    ) -> None:
        """A rejection that ends while the provider becomes stale at its start leaves it ready."""
        volume.update({"flags.checkout": "maybe"})
        assert not settings.live.reload()

        class RecoveredEarly(LiveConfigProvider):
            def emit_provider_stale(self, details: ProviderEventDetails) -> None:
                volume.update({"flags.checkout": "false"})
                assert settings.live.reload()
                super().emit_provider_stale(details)

        stale = Heard(api, ProviderEvent.PROVIDER_STALE)
        client = domain(RecoveredEarly(settings, "flags"))
        assert stale.next()
        until(lambda: client.get_provider_status() == ProviderStatus.READY)

    def test_a_provider_after_its_shutdown_is_collected(self, settings: ShopSettings) -> None:
        """Neither the settings nor the handlers of the SDK keep a provider after its shutdown."""
        provider = LiveConfigProvider(settings, "flags")
        provider.initialize(EvaluationContext())
        provider.shutdown()
        kept = weakref.ref(provider)
        del provider
        gc.collect()
        assert kept() is None

    def test_a_provider_that_is_replaced_hears_nothing(self, provide: Any, settings: ShopSettings) -> None:
        """After its shutdown a provider has no subscription."""
        provide("flags")
        assert len(settings.live.status().subscribers) == 3
        api.shutdown()
        assert settings.live.status().subscribers == ()


class TestMistakes:
    """The errors of the constructor."""

    def test_a_prefix_that_is_no_field(self, settings: ShopSettings) -> None:
        """A prefix that is no field is an error that names the nearest; so is one that holds a single value."""
        with pytest.raises(LiveConfigError, match="flags"):
            LiveConfigProvider(settings, prefix="flag")
        with pytest.raises(LiveConfigError, match="no model and no mapping"):
            LiveConfigProvider(settings, prefix="message")

    @pytest.mark.parametrize("prefix", ["flags", "flags.limits"])
    def test_a_prefix_that_a_secret_volume_feeds(
        self, with_secret: Callable[..., tuple[ShopSettings, KubeletVolume]], prefix: str
    ) -> None:
        """A prefix below which a secret volume feeds something is an error that names the cause and the way out."""
        one, _ = with_secret({"flags.banner": "1234567"})
        with one.live, pytest.raises(LiveConfigError, match=r"feeds `flags` or a part of it.* move the key") as error:
            LiveConfigProvider(one, prefix)
        assert f"`{prefix}` holds no flags" in str(error.value)
        assert "1234567" not in str(error.value)

    def test_a_prefix_that_is_a_secret(self, settings: ShopSettings) -> None:
        """A prefix that is a secret by its type holds no flags either, and no volume is blamed."""
        with pytest.raises(LiveConfigError, match="no model and no mapping"):
            LiveConfigProvider(settings, "flags.api_key")

    def test_a_snapshot(self, settings: ShopSettings) -> None:
        """A snapshot in place of live settings is an error."""
        with pytest.raises(LiveConfigError, match="snapshot"):
            LiveConfigProvider(settings.live.snapshot())  # type: ignore[arg-type]


DOCUMENT = {
    "flags": {
        "checkout": {
            "state": "ENABLED",
            "variants": {"on": True, "off": False},
            "defaultVariant": "off",
            "targeting": {"if": [{"==": [{"var": "tier"}, "gold"]}, "on"]},
        }
    }
}


class TestTargeting:
    """A document with flagd's targeting rules."""

    @pytest.fixture(autouse=True)
    def _core(self) -> None:
        pytest.importorskip("openfeature.contrib.tools.flagd.core", reason="pip install openfeature-flagd-core")

    def test_rules(self, provide: Any, settings: ShopSettings, volume: KubeletVolume) -> None:
        """A flag of the document is evaluated for the context; other flags come from fields."""
        volume.update({"targeting": json.dumps(DOCUMENT)})
        assert settings.live.reload()
        client = provide("flags", flagd="targeting")
        gold = client.get_boolean_details("checkout", False, EvaluationContext(attributes={"tier": "gold"}))
        assert (gold.value, gold.variant, gold.reason) == (True, "on", Reason.TARGETING_MATCH)
        assert gold.flag_metadata["version"] == 2
        assert client.get_boolean_value("checkout", True) is False
        assert client.get_string_value("greeting", "") == "hello"

    def test_a_change(self, provide: Any, settings: ShopSettings, volume: KubeletVolume) -> None:
        """A changed document is used at once, and the event names its flags."""
        client = provide("flags", flagd="targeting")
        changed = Heard(client, ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)
        assert client.get_boolean_value("checkout", False) is True
        volume.update({"targeting": json.dumps(DOCUMENT)})
        until(lambda: client.get_boolean_value("checkout", True) is False)
        assert changed.next().flags_changed == ["checkout"]

    def test_changes_during_an_evaluation(self, provide: Any, settings: ShopSettings, volume: KubeletVolume) -> None:
        """An evaluation gives a flag and its version of one document, however many documents arrive meanwhile."""

        def change() -> None:
            flag = {"state": "ENABLED", "variants": {"all": 20 + settings.live.version}, "defaultVariant": "all"}
            volume.update({"targeting": json.dumps({"flags": {"orders": flag}})})
            assert settings.live.reload()

        change()
        client = provide("flags", flagd="targeting")
        with at_each_line({"_flagd.py"}, change):
            details = client.get_integer_details("orders", 0)
        assert details.error_code is None
        assert details.value - details.flag_metadata["version"] == 19
        assert settings.live.version > details.flag_metadata["version"] > 1

    def test_a_document_that_is_wrong(self, provide: Any, settings: ShopSettings, volume: KubeletVolume) -> None:
        """A document that flagd does not understand is rejected, and the one before stays."""
        client = provide("flags", flagd="targeting")
        volume.update({"targeting": '{"flags": {"checkout": {"state": 1}}}'})
        until(lambda: client.get_provider_status() == ProviderStatus.STALE)
        assert "holds no valid flagd document" in settings.live.status().last_rejected.reason
        assert client.get_boolean_value("checkout", False) is True
        with pytest.raises(LiveConfigError, match="no field"):
            LiveConfigProvider(settings, flagd="targetting")
