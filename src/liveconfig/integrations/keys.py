"""Keys that are rotated while several pods use them: sign with the old key until every pod has the new one.

::

    ring = KeyRing(settings, "session_key")
    ring.signing    # sign or encrypt with this key
    ring.verifying  # accept these keys, the newest first

Pods receive a changed Secret at different times, so the new key is accepted at once and used for signing later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

from pydantic import SecretStr

from liveconfig import Change, LiveConfigError, Settings
from liveconfig.integrations._fields import if_loaded, value_reader
from liveconfig.integrations._subscription import subscribe_for
from liveconfig.settings import live_of

__all__ = ["KeyRing"]


class KeyRing:
    """The keys to sign and to verify with, while the key on the volume is rotated.

    `signing` moves to a new key only ``sign_after`` seconds after the key arrived in this process. `verifying` holds
    the new key at once. A process that starts while a rotation is under way finds the old key in a list field or in
    the field ``previous``, and signs with it for the same time.

    A key that leaves a list field or ``previous`` is dropped at once, as it may have leaked. The key of a single field
    is kept for ``keep_for`` seconds after it was replaced.

    Args:
        settings: Live settings.
        key: The dotted name of the field that holds the key, or a list of keys with the newest first.
        previous: The dotted name of the field that holds the keys before: a list, newest first, or one key.
        keep: How many replaced keys of a single field are kept.
        keep_for: Seconds for which each of them is kept. At least as long as what was signed with it is valid.
        sign_after: Seconds from the arrival of a new key until it signs: longer than a Secret needs to reach all pods.

    Raises:
        LiveConfigError: There is no such field (the message names the nearest), the settings are a snapshot, a field
            holds no key, or a number is negative.
    """

    def __init__(
        self,
        settings: Settings,
        key: str,
        *,
        previous: str | None = None,
        keep: int = 3,
        keep_for: float = 86400,
        sign_after: float = 120,
    ) -> None:
        if not isinstance(keep, int):
            raise LiveConfigError(f"KeyRing: `keep` must be a whole number, not {keep!r}")
        for name, number in {"keep": keep, "keep_for": keep_for, "sign_after": sign_after}.items():
            if not isinstance(number, int | float) or not number >= 0:
                raise LiveConfigError(f"KeyRing: `{name}` must be 0 or more, not {number!r}")
        self._live = live_of(settings)
        self._field = key
        self._rules = _Rules(keep, keep_for, sign_after)
        self._values = _reader(settings, key, previous)
        # No lock: a forked child would inherit it held. Two threads that overwrite each other's state lose at most the
        # exact moment of an arrival, and the next look finds the same keys on the volume.
        self._state = _first(self._on_volume(), monotonic())
        subscribe_for(self, settings, self._values, KeyRing._changed, f"KeyRing of {key}")

    def __repr__(self) -> str:
        return f"<KeyRing of {self._field}>"

    @property
    def signing(self) -> str:
        """The key to sign or encrypt with.

        Raises:
            LiveConfigError: There is no key: the field is None or empty.
        """
        key = self._newest().signing
        if key is None:
            raise LiveConfigError(f"KeyRing: the field `{self._field}` holds no key")
        return key.get_secret_value()

    @property
    def verifying(self) -> Sequence[str]:
        """The keys to verify or decrypt with, newest first; `signing` is one of them, if there is one."""
        return tuple(key.get_secret_value() for key in self._newest().verifying())

    def _newest(self) -> _State:
        """The state now."""
        try:
            on_volume = self._on_volume()
        except LiveConfigError:  # the subscriber reports it; the keys before stay in use
            on_volume = self._state.on_volume
        self._state = _after(self._state, on_volume, monotonic(), self._rules)
        return self._state

    def _changed(self, _change: Change[Any]) -> None:
        self._newest()
        self._on_volume()  # raises where a key cannot be used: the settings are unhealthy until that is fixed

    def _on_volume(self) -> _OnVolume:
        """The keys in the newest snapshot, never in a pinned one."""
        try:
            return _keys_in(self._values(self._live.latest()), self._field)
        except LiveConfigError as error:
            raise error.with_traceback(None) from None  # the frames hold the keys


@dataclass(frozen=True, slots=True)
class _Rules:
    """The rules of a ring: how many keys are kept, for how long, and when a new one signs."""

    keep: int
    keep_for: float
    sign_after: float


@dataclass(frozen=True, slots=True, repr=False)
class _OnVolume:
    """The keys that the fields hold.

    Attributes:
        single: That of a single field; None if the field holds a list or nothing.
        listed: Those of a list field and of ``previous``, newest first.
    """

    single: SecretStr | None
    listed: tuple[SecretStr, ...]

    def keys(self) -> tuple[SecretStr, ...]:
        """All of them once, newest first."""
        return tuple(dict.fromkeys((*_some(self.single), *self.listed)))


@dataclass(frozen=True, slots=True, repr=False)
class _State:
    """The state of the keys at one moment.

    Attributes:
        on_volume: The keys on the volume.
        arrived: When each of them arrived there.
        replaced: Keys of a single field that were replaced, and when; newest first.
        signing: The key to sign with.
    """

    on_volume: _OnVolume
    arrived: Mapping[SecretStr, float]
    replaced: tuple[tuple[SecretStr, float], ...]
    signing: SecretStr | None

    def verifying(self) -> tuple[SecretStr, ...]:
        """All keys that are accepted, newest first."""
        kept = (key for key, _ in self.replaced)
        return tuple(dict.fromkeys((*self.on_volume.keys(), *kept, *_some(self.signing))))


def _first(on_volume: _OnVolume, now: float) -> _State:
    """The state of a process that starts: of several keys the newest may have arrived just now, the others did not."""
    newest, *others = on_volume.keys() or (None,)
    arrived = {**dict.fromkeys(_some(newest), now), **dict.fromkeys(others, float("-inf"))}
    return _State(on_volume, arrived, (), others[0] if others else newest)


def _after(state: _State, on_volume: _OnVolume, now: float, rules: _Rules) -> _State:
    """The state at a later moment."""
    state = _aged(state, now, rules)
    return state if on_volume == state.on_volume else _aged(_moved(state, on_volume, now), now, rules)


def _aged(state: _State, now: float, rules: _Rules) -> _State:
    """The state at a later moment at which the volume holds the same keys."""
    kept = tuple((key, since) for key, since in state.replaced if now - since < rules.keep_for)[: rules.keep]
    return replace(state, replaced=kept, signing=_signing(state, now - rules.sign_after))


def _moved(state: _State, on_volume: _OnVolume, now: float) -> _State:
    """The state after the keys on the volume have changed."""
    keys, before = on_volume.keys(), state.on_volume
    removed = {*before.listed, *(_some(before.single) if on_volume.single is None else ())}
    gone = removed.difference(keys)
    replaced = (*((key, now) for key in _some(before.single)), *state.replaced)
    return _State(
        on_volume,
        {key: state.arrived.get(key, now) for key in keys},
        tuple((key, since) for key, since in replaced if key not in keys and key not in gone),
        None if state.signing in gone else state.signing,
    )


def _signing(state: _State, latest: float) -> SecretStr | None:
    """The newest key on the volume that arrived early enough; else the key that signs now; else the oldest."""
    keys = state.on_volume.keys()
    for key in keys:
        if state.arrived[key] <= latest:
            return key
    return state.signing or min(reversed(keys), key=state.arrived.__getitem__, default=None)


def _reader(settings: Settings, key: str, previous: str | None) -> Callable[[Any], tuple[Any, Any]]:
    """A function that reads the values of both fields from a snapshot."""
    read_key = if_loaded(value_reader(settings, key))
    read_previous = (lambda _: None) if previous is None else if_loaded(value_reader(settings, previous))
    return lambda snapshot: (read_key(snapshot), read_previous(snapshot))


def _keys_in(values: tuple[Any, Any], field: str) -> _OnVolume:
    """The keys in the values of the two fields.

    Raises:
        LiveConfigError: One of them is no key.
    """
    key, previous = values
    listed = tuple(_each(previous, field))
    if isinstance(key, list | tuple):
        return _OnVolume(None, (*_each(key, field), *listed))
    return _OnVolume(next(_each(key, field), None), listed)


def _each(value: Any, field: str) -> Iterator[SecretStr]:
    for one in value if isinstance(value, list | tuple) else (value,):
        key = one.get_secret_value() if hasattr(one, "get_secret_value") else one
        if key:
            yield SecretStr(_as_text(key, field))


def _as_text(key: Any, field: str) -> str:
    if isinstance(key, bytes) and key.isascii():
        return key.decode()
    if not isinstance(key, str):
        expected = "a key as text (str, SecretStr, or ASCII in bytes) or a list of keys, newest first"
        raise LiveConfigError(f"KeyRing of `{field}`: expected {expected}, found {type(key).__name__}")
    return key


def _some(key: SecretStr | None) -> tuple[SecretStr, ...]:
    return () if key is None else (key,)
