"""`KeyRing`: when a new key is accepted, when it signs, and how long an old one is kept."""

from __future__ import annotations

import gc
import itertools
import random
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from cryptography.fernet import Fernet, MultiFernet
from itsdangerous import BadSignature, Signer
from pydantic import BaseModel, SecretBytes, SecretStr

from liveconfig import LiveConfigError, Settings, SettingsConfigDict
from liveconfig.integrations.keys import KeyRing
from liveconfig.testing import KubeletVolume

DAY = 86400.0


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("liveconfig.integrations.keys.monotonic", clock)
    return clock


class One(Settings):
    """A single field, and a field with the keys before."""

    model_config = SettingsConfigDict(missing_key="fallback")
    session_key: SecretStr | None = None
    old_keys: list[SecretStr] = []
    note: str = ""


class Several(Settings):
    """A list field."""

    session_keys: list[SecretStr] = []


class Pod:
    """A process with a volume of its own and a ring over it.

    Args:
        keys: What the volume holds at the start, newest first.
        listed: Whether the keys are in one list field, and not in a field for the newest and one for the others.
    """

    def __init__(self, volume: KubeletVolume, keys: str, *, listed: bool = False, **options: Any) -> None:
        self.volume, self.listed = volume, listed
        self._write(keys)
        if listed:
            self.settings: Settings = Several.load(_volumes=volume.path, _watch=False)
            self.ring = KeyRing(self.settings, "session_keys", **options)
        else:
            self.settings = One.load(_volumes=volume.path, _watch=False)
            self.ring = KeyRing(self.settings, "session_key", previous="old_keys", **options)

    def _write(self, keys: str) -> None:
        quoted = [f'"{key}"' for key in keys]
        if self.listed:
            self.volume.write({"session_keys": f"[{', '.join(quoted)}]"})
        else:
            newest = {"session_key": keys[0]} if keys else {"note": "empty"}
            self.volume.write({**newest, "old_keys": f"[{', '.join(quoted[1:])}]"})

    def swap(self, keys: str) -> None:
        """The kubelet swaps these keys in, newest first."""
        self._write(keys)
        assert self.settings.live.reload()

    @property
    def state(self) -> tuple[str, str]:
        """The key that signs, and those that verify, as one word."""
        return self.ring.signing, "".join(self.ring.verifying)


@pytest.fixture
def make_pod(make_kubelet_volume: Callable[..., KubeletVolume], clock: Clock) -> Callable[..., Pod]:
    numbers = itertools.count()
    return lambda keys, **options: Pod(make_kubelet_volume(f"pod-{next(numbers)}"), keys, **options)


@pytest.fixture(params=[True, False], ids=["list-field", "previous"])
def make_pod_of_both_kinds(request: pytest.FixtureRequest, make_pod: Callable[..., Pod]) -> Callable[..., Pod]:
    return lambda keys, **options: make_pod(keys, listed=request.param, **options)


# When a new key signs


def test_a_new_key_verifies_at_once_and_signs_later(make_pod_of_both_kinds: Callable[..., Pod], clock: Clock) -> None:
    """A new key is accepted when it arrives, and signs after ``sign_after`` seconds."""
    pod = make_pod_of_both_kinds("A")
    assert pod.state == ("A", "A")
    pod.swap("BA")
    assert pod.state == ("A", "BA")
    clock.time += 119.9
    assert pod.state == ("A", "BA")
    clock.time += 0.1
    assert pod.state == ("B", "BA")


@pytest.mark.parametrize(("keys", "first"), [("BA", "A"), ("CBA", "B"), ("B", "B")])
def test_a_process_that_starts_signs_with_the_key_before(
    make_pod_of_both_kinds: Callable[..., Pod], clock: Clock, keys: str, first: str
) -> None:
    """A new process signs with the second newest key for ``sign_after`` seconds; with one key it signs with that."""
    pod = make_pod_of_both_kinds(keys)
    assert pod.state == (first, keys)
    clock.time += 120
    assert pod.state == (keys[0], keys)


def test_a_key_that_is_replaced_before_it_signs(make_pod: Callable[..., Pod], clock: Clock) -> None:
    """In a single field, a key that left the volume before its time never signs: a pod may have skipped it."""
    pod = make_pod("A")
    pod.swap("B")
    clock.time += 60
    pod.swap("C")
    assert pod.state == ("A", "CBA")
    clock.time += 119
    assert pod.state == ("A", "CBA")
    clock.time += 1
    assert pod.state == ("C", "CBA")


def test_keys_in_a_list_sign_one_after_the_other(make_pod: Callable[..., Pod], clock: Clock) -> None:
    """In a list, each key signs ``sign_after`` seconds after it arrived, as every pod has it by then."""
    pod = make_pod("A", listed=True)
    pod.swap("BA")
    clock.time += 60
    pod.swap("CBA")
    assert pod.state == ("A", "CBA")
    clock.time += 60
    assert pod.state == ("B", "CBA")
    clock.time += 60
    assert pod.state == ("C", "CBA")


def test_a_rotation_that_is_taken_back(make_pod: Callable[..., Pod], clock: Clock) -> None:
    """A key that returns while it still signs goes on signing; one that returns later waits as a new key does."""
    pod = make_pod("A")
    pod.swap("B")
    pod.swap("A")
    assert pod.state == ("A", "AB")
    pod.swap("B")
    clock.time += 120
    assert pod.state == ("B", "BA")
    pod.swap("A")
    assert pod.state == ("B", "AB")
    clock.time += 120
    assert pod.state == ("A", "AB")


def test_without_a_delay_a_new_key_signs_at_once(make_pod: Callable[..., Pod], clock: Clock) -> None:
    """With ``sign_after=0`` the newest key signs."""
    pod = make_pod("BA", sign_after=0)
    assert pod.state == ("B", "BA")
    pod.swap("CBA")
    assert pod.state == ("C", "CBA")


# How long an old key is kept


def test_a_replaced_key_is_kept_for_a_time(make_pod: Callable[..., Pod], clock: Clock) -> None:
    """The key of a single field is kept for ``keep_for`` seconds from its replacement, which a later one does not move."""
    pod = make_pod("A")
    pod.swap("B")
    clock.time += DAY / 2
    pod.swap("C")
    assert pod.state == ("B", "CBA")
    clock.time += DAY / 2 - 1
    assert pod.state == ("C", "CBA")
    clock.time += 1
    assert pod.state == ("C", "CB")
    clock.time += DAY / 2
    assert pod.state == ("C", "C")


def test_a_number_of_replaced_keys_is_kept(make_pod: Callable[..., Pod], clock: Clock) -> None:
    """Of the replaced keys of a single field ``keep`` are kept, the newest ones."""
    pod = make_pod("A", keep=2)
    for key in "BCDE":
        pod.swap(key)
        clock.time += 120
    assert pod.state == ("E", "EDC")


@pytest.mark.parametrize("options", [{"keep": 0}, {"keep_for": 0}, {"keep_for": 60}, {"keep": 1}], ids=str)
def test_the_key_that_signs_is_always_accepted(
    make_pod: Callable[..., Pod], clock: Clock, options: dict[str, Any]
) -> None:
    """While the old key still signs it is accepted, whatever ``keep`` and ``keep_for`` are."""
    pod = make_pod("A", **options)
    for key in "BCD":
        pod.swap(key)
        clock.time += 70
        assert pod.ring.signing == "A"
        assert {"A", key} <= set(pod.ring.verifying)
    clock.time += 50
    assert pod.ring.signing == "D"


def test_keys_on_the_volume_are_always_accepted(make_pod_of_both_kinds: Callable[..., Pod], clock: Clock) -> None:
    """A key that is still on the volume is accepted, however many there are and however old it is."""
    pod = make_pod_of_both_kinds("ABCDEFG", keep=1, keep_for=1)
    clock.time += 10 * DAY
    assert pod.state == ("A", "ABCDEFG")


def test_a_removed_key_is_dropped_at_once(make_pod_of_both_kinds: Callable[..., Pod], clock: Clock) -> None:
    """A key that leaves the list or ``previous`` is not accepted any more, and does not sign."""
    pod = make_pod_of_both_kinds("BA")
    assert pod.ring.signing == "A"
    pod.swap("B")
    assert pod.state == ("B", "B")
    pod.swap("CB")
    pod.swap("C")
    assert pod.state == ("C", "C")


def test_a_replaced_key_that_was_listed_meanwhile_is_dropped_with_its_entry(
    make_pod: Callable[..., Pod], clock: Clock
) -> None:
    """A single field's replaced key that moved to ``previous`` is dropped when it leaves there."""
    pod = make_pod("A")
    pod.swap("B")
    pod.swap("BA")
    clock.time += 120
    pod.swap("B")
    assert pod.state == ("B", "B")


def test_of_two_removed_signing_keys_the_oldest_key_that_is_left_takes_over(
    make_pod: Callable[..., Pod], clock: Clock
) -> None:
    """If the key that signs is removed, the key that arrived first takes over: the other pods most likely have it."""
    pod = make_pod("A", listed=True)
    pod.swap("BA")
    clock.time += 10
    pod.swap("CB")
    assert pod.state == ("B", "CB")
    clock.time += 110
    assert pod.state == ("B", "CB")
    clock.time += 10
    assert pod.state == ("C", "CB")


def test_a_field_that_becomes_none_drops_its_key(make_pod: Callable[..., Pod], clock: Clock) -> None:
    """Revoking the only key leaves none; the next one signs at once."""
    pod = make_pod("A")
    pod.swap("")
    assert pod.ring.verifying == ()
    with pytest.raises(LiveConfigError, match="`session_key` holds no key"):
        _ = pod.ring.signing
    pod.swap("B")
    assert pod.state == ("B", "B")


@pytest.mark.parametrize("keys", [{"note": "empty"}, {"session_key": ""}], ids=["None", "empty"])
def test_a_key_that_vanishes_after_a_rotation(make_pod: Callable[..., Pod], clock: Clock, keys: dict[str, str]) -> None:
    """Where no key is left on the volume, none signs; the key that was replaced before is still accepted."""
    pod = make_pod("A")
    pod.swap("B")
    clock.time += 120
    assert pod.state == ("B", "BA")
    pod.volume.write(keys)
    assert pod.settings.live.reload()
    assert pod.ring.verifying == ("A",)
    with pytest.raises(LiveConfigError, match="`session_key` holds no key"):
        _ = pod.ring.signing
    pod.swap("C")
    assert pod.state == ("C", "CA")


# Pods


@pytest.mark.parametrize("listed", [True, False], ids=["list-field", "previous"])
@pytest.mark.parametrize("order", list(itertools.permutations(range(2))), ids=str)
def test_two_pods_that_are_swapped_20_seconds_apart(
    make_pod: Callable[..., Pod], clock: Clock, listed: bool, order: tuple[int, ...]
) -> None:
    """No session is lost while a key is rotated on two pods 20 s apart and a third pod starts in between."""
    pods = [make_pod("A", listed=listed) for _ in range(2)]
    dice = random.Random(20)
    sessions: list[tuple[float, bytes]] = []
    for second in range(400):
        if second == 30:
            pods[order[0]].swap("BA")
        if second == 40:
            pods.append(make_pod("BA", listed=listed))
        if second == 50:
            pods[order[1]].swap("BA")
        sessions += [(clock.time, sign(pod.ring, f"user {second}")) for pod in dice.choices(pods, k=3)]
        assert all(verifies(pod.ring, session) for pod in pods for _, session in dice.choices(sessions, k=5))
        clock.time += 1
    assert all(verifies(pod.ring, session) for pod in pods for _, session in sessions)
    assert {pod.ring.signing for pod in pods} == {"B"}


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))), ids=str)
def test_two_pods_with_a_single_field(make_pod: Callable[..., Pod], clock: Clock, order: tuple[int, ...]) -> None:
    """With a single field alone, no session is lost between pods that were there before the rotation."""
    pods = [make_pod("A") for _ in range(2)]
    sessions: list[bytes] = []
    for second in range(400):
        for step, index in enumerate(order):
            if second == 30 + 20 * step:
                pods[index].swap("B")
        sessions += [sign(pod.ring, f"user {second}") for pod in pods]
        assert all(verifies(pod.ring, session) for pod in pods for session in sessions[-80:])
        clock.time += 1
    assert all(verifies(pod.ring, session) for pod in pods for session in sessions)


def test_a_clock_that_is_set_back(kubelet_volume: KubeletVolume, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of day may jump in either direction: neither the delay nor the age of a key depends on it."""
    kubelet_volume.write({"session_key": "A"})
    settings = One.load(_volumes=kubelet_volume.path, _watch=False)
    ring = KeyRing(settings, "session_key")
    kubelet_volume.write({"session_key": "B"})
    settings.live.reload()
    for jump in (-10 * DAY, 10 * DAY):
        monkeypatch.setattr("time.time", lambda jump=jump: 1.8e9 + jump)
        assert (ring.signing, ring.verifying) == ("A", ("B", "A"))


def test_a_forked_child_goes_on(
    make_pod_of_both_kinds: Callable[..., Pod], clock: Clock, holds_in_child: Callable[[Callable[[], bool]], bool]
) -> None:
    """A child that is forked during the delay has the same keys, signs at the same time, and follows by itself."""
    pod = make_pod_of_both_kinds("A")
    pod.swap("BA")
    clock.time += 60

    def follows() -> bool:
        states = [pod.state]
        clock.time += 60
        states.append(pod.state)
        pod.swap("CBA")
        states.append(pod.state)
        return states == [("A", "BA"), ("B", "BA"), ("B", "CBA")]

    assert holds_in_child(follows)
    assert pod.state == ("A", "BA")


def test_many_rotations_leave_nothing_behind(make_pod: Callable[..., Pod], clock: Clock) -> None:
    """However often a single field is rotated, the ring holds its key, the ``keep`` last ones, and the one that signs."""
    pod = make_pod("A", keep=3)
    for number in range(200):
        pod.volume.write({"session_key": f"key-{number}", "old_keys": "[]"})
        pod.settings.live.reload()
        clock.time += 1
        assert len(pod.ring.verifying) <= 5
    assert pod.ring.verifying == ("key-199", "key-198", "key-197", "key-196", pod.ring.signing)


@pytest.mark.parametrize("listed", [True, False], ids=["list-field", "previous"])
@pytest.mark.parametrize("seed", range(3))
def test_pods_that_are_swapped_and_started_at_any_time(
    make_pod: Callable[..., Pod], clock: Clock, listed: bool, seed: int
) -> None:
    """Five rotations reach each pod up to 100 s late, and pods start at any time: what is not expired is accepted."""
    dice = random.Random(seed)
    keys, swaps = "A", []
    pods = [make_pod(keys, listed=listed) for _ in range(3)]
    sessions: list[tuple[float, bytes]] = []
    for second in range(0, 3000, 10):
        if second % 600 == 100 and second < 2600:
            keys = (chr(ord(keys[0]) + 1) + keys)[:3]
            swaps += [(second + dice.randrange(0, 100, 10), index, keys) for index in range(3)]
        for when, index, content in [swap for swap in swaps if swap[0] <= second]:
            swaps.remove((when, index, content))
            pods[index].swap(content)
        if dice.random() < 0.06:  # a pod ends, and one with the newest keys takes its place
            index = dice.randrange(3)
            swaps = [swap for swap in swaps if swap[1] != index]
            pods[index] = make_pod(keys, listed=listed)
        sessions = [one for one in sessions if one[0] > clock.time - 300]
        sessions.append((clock.time, sign(dice.choice(pods).ring, f"user {second}")))
        for pod in pods:
            some = [sessions[0], *dice.choices(sessions, k=5)]
            assert all(verifies(pod.ring, one) for _, one in some), f"after {second} s"
        clock.time += 10
    assert keys[0] == "F"


def sign(ring: KeyRing, user: str) -> bytes:
    return Signer(ring.signing).sign(user)


def verifies(ring: KeyRing, session: bytes) -> bool:
    try:
        Signer([*reversed(ring.verifying)]).unsign(session)
    except BadSignature:
        return False
    return True


# Libraries


def test_pyjwt(make_pod: Callable[..., Pod], clock: Clock) -> None:
    """Tokens of PyJWT that were issued before, during and after a rotation are accepted."""
    old, new = "o" * 32, "n" * 32

    class Keys(Settings):
        key: SecretStr

    volume = make_pod("A").volume
    volume.write({"key": old})
    settings = Keys.load(_volumes=volume.path, _watch=False)
    ring = KeyRing(settings, "key")

    def claims(token: str) -> Any:
        for key in ring.verifying:
            try:
                return jwt.decode(token, key, ["HS256"])
            except jwt.InvalidSignatureError:
                continue
        return None

    tokens = [jwt.encode({"sub": "ada"}, ring.signing, "HS256")]
    volume.write({"key": new})
    settings.live.reload()
    tokens.append(jwt.encode({"sub": "ada"}, ring.signing, "HS256"))
    clock.time += 120
    tokens.append(jwt.encode({"sub": "ada"}, ring.signing, "HS256"))
    assert tokens[0] == tokens[1] != tokens[2]
    assert [claims(token) for token in tokens] == [{"sub": "ada"}] * 3


def test_multi_fernet(make_kubelet_volume: Callable[..., KubeletVolume], clock: Clock) -> None:
    """`MultiFernet` decrypts what two pods encrypted before, during and after a rotation."""
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    pods = [Pod(make_kubelet_volume(name), "A") for name in "xy"]
    for pod in pods:
        pod.volume.update({"session_key": old})
        pod.settings.live.reload()
    rings = [KeyRing(pod.settings, "session_key") for pod in pods]

    def fernet(ring: KeyRing) -> MultiFernet:
        return MultiFernet([Fernet(key) for key in (ring.signing, *ring.verifying)])

    texts = []
    for pod in pods:
        pod.volume.update({"session_key": new})
        pod.settings.live.reload()
        texts += [fernet(ring).encrypt(b"card") for ring in rings]
        clock.time += 20
    clock.time += 120
    texts += [fernet(ring).encrypt(b"card") for ring in rings]
    assert {fernet(ring).decrypt(text) for ring in rings for text in texts} == {b"card"}


# Where keys come from


def test_the_newest_key_inside_a_pinned_block(make_pod: Callable[..., Pod], clock: Clock) -> None:
    """A pinned snapshot does not hide the newest key."""
    pod = make_pod("A")
    with pod.settings.live.pinned():
        pod.swap("BA")
        assert pod.state == ("A", "BA")


def test_nested_fields_of_any_kind(kubelet_volume: KubeletVolume) -> None:
    """A key is read from a dotted field; ``previous`` may hold one key; text, bytes and secrets are taken."""

    class Web(BaseModel):
        key: bytes
        before: SecretBytes | None = None

    class Nested(Settings):
        web: Web | None = None

    kubelet_volume.write({"web.key": "B", "web.before": "A"})
    settings = Nested.load(_volumes=kubelet_volume.path, _watch=False)
    ring = KeyRing(settings, "web.key", previous="web.before")
    assert (ring.signing, ring.verifying) == ("A", ("B", "A"))


@pytest.mark.parametrize(("key", "previous"), [("sesion_key", None), ("session_key", "old_key")])
def test_a_field_that_is_not_there_is_named(make_pod: Callable[..., Pod], key: str, previous: str | None) -> None:
    """The name of a field that does not exist is an error that names the nearest."""
    with pytest.raises(LiveConfigError, match=r"did you mean '(session_key|old_keys)'"):
        KeyRing(make_pod("A").settings, key, previous=previous)


def test_a_snapshot_is_refused(make_pod: Callable[..., Pod]) -> None:
    """A ring over a snapshot could not follow anything: it is an error."""
    with pytest.raises(LiveConfigError, match="snapshot"):
        KeyRing(make_pod("A").settings.live.latest(), "session_key")


BAD_NUMBERS = [{"keep": -1}, {"keep": 1.5}, {"keep": "3"}, {"keep_for": -0.5}, {"keep_for": "60"}]


@pytest.mark.parametrize("options", [*BAD_NUMBERS, {"sign_after": float("nan")}], ids=str)
def test_what_is_no_number_is_refused(make_pod: Callable[..., Pod], options: dict[str, Any]) -> None:
    """A negative number, or what is no number, is an error that names the argument."""
    with pytest.raises(LiveConfigError, match=f"`{next(iter(options))}` must be"):
        make_pod("A", **options)


class Other(Settings):
    data: SecretBytes
    number: int = 1


def test_what_is_no_key_is_refused(kubelet_volume: KubeletVolume, canary: str) -> None:
    """A field that holds no text is an error that names the field and the type, and shows no value."""
    kubelet_volume.write({"data": canary + "é"})
    settings = Other.load(_volumes=kubelet_volume.path, _watch=False)
    for field, found in {"number": "int", "data": "bytes"}.items():
        with pytest.raises(LiveConfigError, match=rf"KeyRing of `{field}`: expected a key .*, found {found}") as caught:
            KeyRing(settings, field)
        trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        frames = [frame.locals for frame in trace.stack if frame.filename != __file__]
        assert canary not in f"{caught.value} {frames}"
        assert caught.value.__cause__ is caught.value.__context__ is None


def test_a_key_that_cannot_be_used_leaves_the_one_before_in_place(kubelet_volume: KubeletVolume) -> None:
    """A rotation to what is no key makes the settings unhealthy, and the ring keeps the keys it had."""
    kubelet_volume.write({"data": "A"})
    settings = Other.load(_volumes=kubelet_volume.path)
    with settings.live:
        ring = KeyRing(settings, "data")
        kubelet_volume.write({"data": "é"})
        settings.live.reload()
        assert (ring.signing, ring.verifying) == ("A", ("A",))
        assert not settings.live.status().healthy
        kubelet_volume.write({"data": "B"})
        settings.live.reload()
        assert ring.verifying == ("B", "A")


# The object


def test_a_ring_shows_no_key(make_pod: Callable[..., Pod], canary: str) -> None:
    """Neither the ring's ``repr`` nor that of anything it refers to shows a key."""
    pod = make_pod("A")
    pod.volume.update({"session_key": canary})
    pod.settings.live.reload()
    assert repr(pod.ring) == "<KeyRing of session_key>"
    assert canary not in repr(vars(pod.ring))


def test_a_ring_that_is_gone_is_forgotten(make_pod: Callable[..., Pod]) -> None:
    """The settings do not keep an unreferenced ring alive."""
    pod = make_pod("A")
    (subscriber,) = pod.settings.live.status().subscribers
    assert subscriber.name.endswith("KeyRing of session_key")
    del pod.ring
    gc.collect()
    assert pod.settings.live.status().subscribers == ()


def test_an_arrival_is_noted_while_nobody_asks(make_pod: Callable[..., Pod], clock: Clock) -> None:
    """The time runs from the arrival of a key, even if the ring is not used meanwhile."""
    pod = make_pod("A")
    pod.swap("B")
    clock.time += 100
    pod.swap("C")
    clock.time += 119
    assert pod.state == ("A", "CBA")


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """The settings of the pods are not watched; what follows them goes with them."""
    yield
    gc.collect()
