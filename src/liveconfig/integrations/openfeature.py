"""OpenFeature: fields of live settings as feature flags, with the SDK's own events."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from liveconfig import Recovered, Rejected, Reloaded, Settings
from liveconfig.integrations._extras import extra_of
from liveconfig.integrations._flags import Flags, MissingFlagError
from liveconfig.settings import live_of

with extra_of(__name__):
    from openfeature.client import OpenFeatureClient
    from openfeature.event import EventDetails, ProviderEvent, ProviderEventDetails
    from openfeature.exception import FlagNotFoundError, TypeMismatchError
    from openfeature.flag_evaluation import FlagResolutionDetails, Reason
    from openfeature.provider import AbstractProvider, Metadata

_flagd: Any = None
with suppress(ModuleNotFoundError):  # only for documents with targeting rules
    from liveconfig.integrations import _flagd as _core_of_flagd

    _flagd = _core_of_flagd

if TYPE_CHECKING:
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.flag_evaluation import FlagValueType

    FlagObject = Sequence[FlagValueType] | Mapping[str, FlagValueType]

__all__ = ["LiveConfigProvider"]

P = TypeVar("P", bound=AbstractProvider)
T = TypeVar("T")

KINDS: Mapping[str, Callable[[Any], bool]] = {
    "a boolean": lambda value: isinstance(value, bool),
    "a string": lambda value: isinstance(value, str),
    "an integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "a float": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "an object": lambda value: isinstance(value, dict | list),
}


class LiveConfigProvider(AbstractProvider):
    """A provider whose flags are fields: ``api.set_provider(LiveConfigProvider(settings, prefix="flags"))``.

    A flag is named as the field, with dots for nested ones and for entries of a mapping. A model, a mapping or a list
    is an object flag. Inside ``settings.live.pinned()`` all flags come from the pinned snapshot.
    ``flag_metadata["version"]`` is the version of the settings.

    Secrets are not flags, and object flags leave them out. A field of the settings class is a secret as a whole if a
    volume with ``secret=True`` feeds a part of it. A change that makes the field of the prefix one is rejected.

    ``PROVIDER_CONFIGURATION_CHANGED`` names the flags that changed. While a configuration is rejected the provider is
    ``STALE``; its flags keep their last good values.

    Args:
        settings: Live settings.
        prefix: The dotted name of the model or mapping whose fields are the flags; they are named relative to it.
            None: all fields.
        flagd: The dotted name of a field that holds a document with flagd's flags and targeting rules, as a mapping or
            as JSON. Its flags come before the fields; a document that flagd does not understand is rejected. Needs
            ``openfeature-flagd-core``.

    Raises:
        LiveConfigError: There is no such field (the message names the nearest), it has no fields below it, a secret
            volume feeds a part of it, it holds no valid document, or the settings are a snapshot.
        ModuleNotFoundError: ``flagd`` is given and ``openfeature-flagd-core`` is not installed.
    """

    def __init__(self, settings: Settings, prefix: str | None = None, *, flagd: str | None = None) -> None:
        super().__init__()
        self._live = live_of(settings)
        self._flags = Flags(settings, prefix)
        self._flagd = None if flagd is None else _flagd_of(settings, flagd)
        self._flagd_field = flagd
        self._subscriptions: list[Any] = []
        self._versions: dict[int, int] = {}  # by the identity of each snapshot that still exists

    def get_metadata(self) -> Metadata:
        """The name of the provider."""
        return Metadata(name="liveconfig")

    def initialize(self, evaluation_context: EvaluationContext) -> None:  # noqa: ARG002 - the SDK's signature
        """Follow the settings; the SDK calls it."""
        self.shutdown()
        self._remember(self._live.latest(), self._live.version)
        subscribe = self._live.subscribe
        self._subscriptions = [
            subscribe(Reloaded, self._reloaded),
            subscribe(Rejected, self._rejected),
            subscribe(Recovered, self._recovered),
            self._live.add_verifier(self._flags.check, on=self._flags.are_hidden),
            _OwnReady(self, LiveConfigProvider._ready),
        ]
        if self._flagd is not None:
            self._subscriptions.append(self._live.add_verifier(self._flagd.check, on=self._flagd_field))

    def shutdown(self) -> None:
        """Follow the settings no longer; the SDK calls it."""
        subscriptions, self._subscriptions = self._subscriptions, []
        for subscription in subscriptions:
            subscription.cancel()

    def _reloaded(self, event: Reloaded[Any]) -> None:
        self._remember(event.new, event.version)
        changed = {*self._flags.changed(event), *(self._flagd.changed(event) if self._flagd else ())}
        if changed:
            self.emit_provider_configuration_changed(
                ProviderEventDetails(flags_changed=sorted(changed), metadata={"version": event.version})
            )

    def _rejected(self, event: Rejected) -> None:
        self.emit_provider_stale(ProviderEventDetails(message=event.reason))

    def _recovered(self, event: Recovered) -> None:
        self._ready_again(event.version)

    def _ready(self) -> None:
        """Make the provider stale while a configuration is rejected: the SDK makes it ready after `initialize`."""
        if rejections := self._live.status().rejections:
            self._rejected(rejections[0])
            self._ready_again(self._live.version)  # `_recovered` may have run on another thread meanwhile

    def _ready_again(self, version: int) -> None:
        if not self._live.status().rejections:
            self.emit_provider_ready(ProviderEventDetails(metadata={"version": version}))

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """The value of a bool field."""
        return self._resolve(flag_key, default_value, "a boolean", evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """The value of a str field."""
        return self._resolve(flag_key, default_value, "a string", evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """The value of an int field."""
        return self._resolve(flag_key, default_value, "an integer", evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """The value of a float or int field, as a float."""
        details = self._resolve(flag_key, default_value, "a float", evaluation_context)
        details.value = float(details.value)
        return details

    def resolve_object_details(
        self, flag_key: str, default_value: FlagObject, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[FlagObject]:
        """The value of a model, mapping or list, as JSON has it, without secrets."""
        return self._resolve(flag_key, default_value, "an object", evaluation_context)

    def _resolve(self, key: str, default: T, kind: str, context: EvaluationContext | None) -> FlagResolutionDetails[T]:
        snapshot = self._live.snapshot()
        details = self._by_flagd(snapshot, key, default, kind, context)
        if details is None:
            details = self._by_field(snapshot, key, default, kind)
        details.flag_metadata = {**details.flag_metadata, "version": self._version_of(snapshot)}
        return details

    def _by_flagd(
        self, snapshot: Any, key: str, default: Any, kind: str, context: EvaluationContext | None
    ) -> FlagResolutionDetails[Any] | None:
        """Return the answer of the document; None if it has no such flag."""
        with suppress(FlagNotFoundError):
            return None if self._flagd is None else self._flagd.resolve(snapshot, key, default, kind, context)
        return None

    def _by_field(self, snapshot: Any, key: str, default: Any, kind: str) -> FlagResolutionDetails[Any]:
        try:
            value = self._flags.find(snapshot, key)
        except MissingFlagError as error:
            raise FlagNotFoundError(str(error)) from None
        if value is None:
            return FlagResolutionDetails(default, reason=Reason.DEFAULT)
        if not KINDS[kind](value):
            raise TypeMismatchError(f"the flag {key!r} is a {type(value).__name__}, not {kind}")
        return FlagResolutionDetails(value, reason=Reason.STATIC)

    def _remember(self, snapshot: Any, version: int) -> None:
        """Keep the version of a snapshot for as long as that exists: it may be pinned."""
        self._versions[id(snapshot)] = version
        weakref.finalize(snapshot, self._versions.pop, id(snapshot), None).atexit = False

    def _version_of(self, snapshot: Any) -> int:
        return self._versions.get(id(snapshot), self._live.version)


class _OwnReady(OpenFeatureClient):
    """Calls ``receive(provider)`` after each ``PROVIDER_READY`` of one provider, until `cancel`.

    A provider knows neither its domain nor when it is ready, and other handlers get the events of every provider, or of
    a domain. So this is a client of the provider itself. The SDK keeps it, so it holds the provider weakly.
    """

    def __init__(self, provider: P, receive: Callable[[P], None]) -> None:
        super().__init__(domain=None, version=None)
        self._provider = weakref.ref(provider)
        self._receive: Callable[[Any], None] = receive
        self.add_handler(ProviderEvent.PROVIDER_READY, self._ready)

    @property
    def provider(self) -> Any:
        """The provider; the SDK compares it with the one of each event."""
        return self._provider()

    def cancel(self) -> None:
        """Receive no more events."""
        with suppress(ValueError):  # `api.clear_providers` removes all handlers
            self.remove_handler(ProviderEvent.PROVIDER_READY, self._ready)

    def _ready(self, _details: EventDetails) -> None:
        if (provider := self._provider()) is not None:
            self._receive(provider)


def _flagd_of(settings: Settings, field: str) -> Any:
    if _flagd is None:
        raise ModuleNotFoundError("flagd documents need flagd's core: pip install openfeature-flagd-core")
    return _flagd.Flagd(settings, field)
