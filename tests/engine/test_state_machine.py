"""Three volumes and a model of them: whatever is done to the disk, P1 to P3 hold for each volume at each look.

The first two volumes share a validator of the class, two verifiers watch the third and the first two, and either of
them may refuse, or hang.
"""

from __future__ import annotations

import copy
import datetime as dt
import itertools
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pydantic import BaseModel, Field, SecretStr, model_validator

import liveconfig._clock
from liveconfig import Recovered, Rejected, Settings, SettingsConfigDict
from liveconfig.testing import KubeletVolume

FASTER = 200
"""How much faster the machine's clock runs: a patience of a second is over in 5 ms."""

CALLS = sys.modules["liveconfig._volumes.file_calls"]
HUNG = CALLS.HUNG

PATIENCE = 60.0
"""Seconds in which the settings must come to what the model says."""

EXAMPLES = int(os.environ.get("LIVECONFIG_EXAMPLES", "60"))
"""How many sequences of actions are tried. Before a release: 2,000, which takes about half an hour."""


class Database(BaseModel):
    user: str = "default"
    port: int = 0


class App(Settings):
    """The fields of each volume; `low` of the first and `high` of the second can be invalid together."""

    model_config = SettingsConfigDict(resync=3600.0)
    message: str = "default"
    number: int = Field(0, ge=0)
    secret: SecretStr = SecretStr("default")
    db: Database = Database()
    low: int = 0
    other: str = "default"
    count: int = Field(0, ge=0)
    high: int = 9
    token: str = "default"
    pin: int = Field(0, ge=0)

    @model_validator(mode="after")
    def ordered(self):
        if self.low > self.high:
            raise ValueError
        return self


FEEDS = (
    {"message": "message", "number": "number", "secret": "secret", "db/user": "db.user", "db/port": "db.port"},
    {"other": "other", "count": "count"},
    {"token": "token", "pin": "pin"},
)
COUPLED = ("low", "high", None)
"""The key of each volume whose value does not tell the generation."""
LIMITS = {"low": range(10), "high": range(10)}
NUMBERS = {"number", "count", "db.port", "pin"}
BAD_NUMBER = ("number", "count", "pin")
TEXT = ("message", "other", "token")

WATCHED = (("token",), ("db.user", "count"))
"""What the verifiers watch; the second may watch everything instead."""

PLACES = range(len(FEEDS))

# What is done to a payload. Each generation has a number of its own, which stands in each of its values. A verifier
# knows by that number whether it is to refuse a value, or to hang at it.
KINDS = (*("good",) * 5, "not a number", "negative", "not UTF-8", "two claims", *("refused",) * 3, *("hanging",) * 2)


def payload_of(place: int, generation: Generation) -> dict[str, bytes]:
    """The content of a generation."""
    serial, kind = generation.serial, generation.kind
    content = {key: str(serial).encode() for key in FEEDS[place] if key in generation.keys}
    coupled = COUPLED[place]
    if coupled is not None and generation.coupled is not None:
        content[coupled] = str(generation.coupled).encode()
    number = BAD_NUMBER[place]
    if kind == "not a number":
        content[number] = b"many"
    elif kind == "negative":
        content[number] = b"-1"
    elif kind == "not UTF-8":
        content[TEXT[place]] = b"\xff"
    elif kind == "two claims":
        content[number], content[number.upper()] = b"1", b"1"
    content["unused"] = str(serial).encode()
    return content


@dataclass(eq=False)
class Generation:
    """One generation, as the model knows it."""

    serial: int = 0
    keys: frozenset[str] = frozenset()
    kind: str = "good"
    coupled: int | None = None
    name: str | None = None
    losing: bool = False  # it lost a file after it had been read

    @property
    def parses(self) -> bool:
        return self.kind not in ("not UTF-8", "two claims")

    @property
    def validates(self) -> bool:
        return self.kind not in ("not a number", "negative")


@dataclass
class Place:
    """One volume: the hand that writes it, what lies there, and what the settings should hold of it."""

    volume: KubeletVolume
    on_disk: Generation = field(default_factory=Generation)
    applied: Generation = field(default_factory=Generation)
    there: bool = True


Combination = tuple[Generation, ...]
Fault = tuple[str, frozenset[int]]


def values(combination: Combination) -> dict[str, str]:
    """The value of each leaf."""
    found = {"low": "0", "high": "9"}
    for place, generation in enumerate(combination):
        for key, leaf in FEEDS[place].items():
            default = "0" if leaf in NUMBERS else "default"
            found[leaf] = str(generation.serial) if key in generation.keys else default
        coupled = COUPLED[place]
        if coupled is not None and generation.coupled is not None:
            found[coupled] = str(generation.coupled)
    return found


PLACE_OF = {leaf: place for place, feeds in enumerate(FEEDS) for leaf in feeds.values()} | {"low": 0, "high": 1}


class Verifiers:
    """The two verifiers, which refuse or hang depending on the serial number in a value."""

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self.hanging: dict[str, threading.Event] = {}

    def learn(self, generation: Generation) -> None:
        """Know what to make of a generation."""
        if generation.kind == "refused":
            self.refused.add(str(generation.serial))
        elif generation.kind == "hanging":
            self.hanging[str(generation.serial)] = threading.Event()

    def release(self) -> None:
        """Let the calls that hang return; they accept."""
        gates = [self.hanging.pop(serial) for serial in list(self.hanging)]
        for gate in gates:
            gate.set()

    def check(self, watched: tuple[str, ...]) -> Callable[[App], bool]:
        """A verifier of these leaves."""

        def check(candidate: App) -> bool:
            seen = flat(candidate)
            for gate in [self.hanging[seen[leaf]] for leaf in watched if seen[leaf] in self.hanging]:
                gate.wait()
            return not any(seen[leaf] in self.refused for leaf in watched)

        return check


class Model:
    """The expected state of the volumes, by the rules of P3 only.

    Attributes:
        applied: The generation in use of each volume.
        faults: The standing rejections: the stage, and the volumes that wait.
        pending: The volumes that the verifiers have not decided on.
        version: The version in use.
    """

    def __init__(self, applied: Combination, verifiers: Verifiers, *, everything: bool) -> None:
        self.applied = applied
        self.faults: set[Fault] = set()
        self.pending: frozenset[int] = frozenset()
        self.version = 1
        self._verifiers = verifiers
        self._everything = everything

    def look(self, newest: Combination) -> None:
        """Come to where a look should bring the settings."""
        while not self._settles(newest):
            pass

    def _settles(self, newest: Combination) -> bool:
        """Apply what can be applied, one step; True where nothing can be, and all else waits."""
        self.faults, self.pending = set(), frozenset()
        free, invalid, watched = self._isolate(newest, verified=True)
        watched |= {place for place in invalid if self._is_valid({place}, newest) and self._asks({place}, newest)}
        if invalid and watched:
            free, _, _ = self._isolate(self._without(watched, newest), verified=True)
        if self._apply(free):
            return False
        rest, _, _ = self._isolate(newest, verified=False, note=True)
        return not any(self._verify(group, rest) for group in self._groups(rest))

    # Valid or not

    def changed(self, tried: Combination) -> frozenset[int]:
        """The volumes of which another generation is in use."""
        return frozenset(place for place in PLACES if tried[place] is not self.applied[place])

    def _without(self, places: Iterable[int], tried: Combination) -> Combination:
        left_out = frozenset(places)
        return tuple((self.applied if place in left_out else tried)[place] for place in PLACES)

    def _with(self, places: Iterable[int], newest: Combination) -> Combination:
        return self._without(set(PLACES).difference(places), newest)

    def _is_valid(self, places: Iterable[int], newest: Combination) -> bool:
        return not self._problems(self._with(places, newest))

    def _problems(self, tried: Combination) -> list[frozenset[int]]:
        """The volumes at fault, apart where the faults are; an empty set where no field is named."""
        if bad := [frozenset([place]) for place in sorted(self.changed(tried)) if not tried[place].validates]:
            return bad
        seen = values(tried)
        if int(seen["low"]) > int(seen["high"]):
            return [frozenset()]
        lost = "secret" in self.applied[0].keys - tried[0].keys
        return [frozenset([0])] if lost else []

    def _isolate(
        self, newest: Combination, *, verified: bool, note: bool = False
    ) -> tuple[Combination, set[int], set[int]]:
        tried = newest
        invalid: set[int] = set()
        watched: set[int] = set()
        while changed := self.changed(tried):
            found = self._problems(tried)
            if found == [frozenset()]:
                ends = {place for place in changed if not self._problems(self._without([place], tried))}
                found = [frozenset(ends if ends and len(changed) > 1 else changed)]
            invalid.update(*found)
            if note:
                self.faults.update(("validate", places) for places in found)
            if not found and verified:
                found = self._questions(tried)
                watched.update(*found)
            if not found:
                break
            tried = self._without(frozenset().union(*found), tried)
        return tried, invalid, watched

    # Verified or not

    def _watches(self, verifier: int, tried: Combination) -> frozenset[int]:
        """The volumes that change what a verifier watches."""
        before, after = values(self.applied), values(tried)
        leaves = PLACE_OF if verifier and self._everything else WATCHED[verifier]
        return frozenset(PLACE_OF[leaf] for leaf in leaves if before[leaf] != after[leaf])

    def _asks(self, places: Iterable[int], newest: Combination) -> bool:
        tried = self._with(places, newest)
        return any(self._watches(verifier, tried) for verifier in (0, 1))

    def _questions(self, tried: Combination) -> list[frozenset[int]]:
        apart: list[frozenset[int]] = []
        for places in (self._watches(verifier, tried) for verifier in (0, 1)):
            if places:
                near = [other for other in apart if other & places]
                apart = [other for other in apart if other not in near] + [places.union(*near)]
        return apart

    def _groups(self, newest: Combination) -> list[frozenset[int]]:
        groups = self._questions(newest)
        alone = self.changed(newest).difference(*groups)
        groups += [frozenset([place]) for place in sorted(alone)]
        needy = frozenset().union(*(each for each in groups if not self._is_valid(each, newest)))
        groups = [each for each in groups if not each & needy]
        while needy and not self._is_valid(needy, newest):
            other = next((each for each in groups if self._is_valid(needy | each, newest)), groups[0])
            groups.remove(other)
            needy |= other
        return [*groups, needy] if needy else groups

    def _verify(self, places: frozenset[int], newest: Combination) -> bool:
        """Ask about some volumes; True where something was applied."""
        tried = self._with(places, newest)
        seen, refused, hanging = values(tried), self._verifiers.refused, self._verifiers.hanging
        for verifier in (0, 1):
            watched = self._watches(verifier, tried)
            if watched and any(seen[leaf] in hanging for leaf in WATCHED[verifier]):
                self.pending |= places
                return False
            if watched and any(seen[leaf] in refused for leaf in WATCHED[verifier]):
                if verifier and self._everything and len(places) > 1:
                    return self._one_by_one(places, newest)
                rest = places - watched if not (verifier and self._everything) else frozenset()
                if rest and not self._is_valid(rest, newest):
                    rest = frozenset()
                self.faults.add(("verify", places - rest))
                return bool(rest) and self._verify(rest, newest)
        return self._apply(tried)

    def _one_by_one(self, places: frozenset[int], newest: Combination) -> bool:
        for place in sorted(places):
            seen = values(self._with([place], newest))
            accepted = not any(seen[leaf] in self._verifiers.refused for leaf in (*WATCHED[0], *WATCHED[1]))
            if accepted and self._is_valid([place], newest):
                return self._apply(self._with([place], newest))
        self.faults.update(("verify", frozenset([place])) for place in places)
        return False

    def _apply(self, tried: Combination) -> bool:
        if not self.changed(tried):
            return False
        self.version += values(tried) != values(self.applied)
        self.applied = tried
        return True


KEYS = tuple(st.frozensets(st.sampled_from(sorted(feeds))) for feeds in FEEDS)
VERIFIED = st.sampled_from(("good", "good", "refused"))


class Machine(RuleBasedStateMachine):
    """Writers that crash, mounts that vanish and come back, events that come late or never, clocks that jump."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="liveconfig-"))
        self.serials = itertools.count(1)
        self.folders = itertools.count()
        self.clocks = monotonic, _ = liveconfig._clock.monotonic, liveconfig._clock.now
        begun = monotonic()
        CALLS.HUNG = FASTER  # a second by the real clock: nothing hangs here, but the machine may be busy
        liveconfig._clock.monotonic = lambda: begun + (monotonic() - begun) * FASTER
        self.settings = None
        self.verifiers = Verifiers()

    @initialize(legacy=st.booleans(), watch=st.booleans(), everything=st.booleans(), data=st.data())
    def start(self, legacy: bool, watch: bool, everything: bool, data: st.DataObject) -> None:
        """Load three good volumes, and register the verifiers."""
        self.watch, self.everything = watch, everything
        self.places = [Place(KubeletVolume(self.root / name, legacy=legacy)) for name in ("one", "other", "third")]
        for place in PLACES:
            self.swap(place, Generation(next(self.serials), data.draw(KEYS[place])), None)
            self.places[place].applied = self.places[place].on_disk
        self.settings = App(_volumes=[place.volume.path for place in self.places], _watch=watch)
        self.newest: Combination = tuple(place.applied for place in self.places)
        self.model = Model(tuple(place.applied for place in self.places), self.verifiers, everything=everything)
        self.rejected: list[Rejected] = []
        self.recovered: list[Recovered] = []
        self.settings.live.on_reject(self.rejected.append)
        self.settings.live.on_recover(self.recovered.append)
        for verifier, watched in enumerate(WATCHED):
            on = None if verifier and everything else (lambda s, watched=watched: [flat(s)[leaf] for leaf in watched])
            self.settings.live.add_verifier(self.verifiers.check(watched), on=on, timeout=1e6)
        self.unread: set[Fault] = set()
        self.look()

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.verifiers.release()
        if self.settings is not None:
            self.settings.live.close()
        shutil.rmtree(self.root)
        deadline = time.monotonic() + PATIENCE  # what waits by the fast clock would wait for long by the real one
        try:
            while left := [thread for thread in threading.enumerate() if thread.name.startswith("liveconfig")]:
                assert time.monotonic() < deadline, left
                time.sleep(0.001)
        finally:
            liveconfig._clock.monotonic, liveconfig._clock.now = self.clocks
            CALLS.HUNG = HUNG

    # What is done to the disk

    def swap(self, place: int, generation: Generation, steps: int | None, look: bool = False) -> None:
        """Write a generation, or the first steps of that, and look after each if that is asked for."""
        here = self.places[place]
        self.verifiers.learn(generation)
        for step in itertools.islice(here.volume.steps(payload_of(place, generation)), steps):
            if step == "rename":
                generation.name = here.volume.generation
                here.on_disk = generation
            if look:
                self.look()

    def draw(self, place: int, data: st.DataObject) -> Generation:
        """Another generation of a volume."""
        kind = data.draw(st.sampled_from(KINDS))
        if kind == "hanging" and (place != 2 or self.may_not_hang()):
            kind = "refused"
        coupled = COUPLED[place]
        limits = st.none() if coupled is None else st.none() | st.sampled_from(LIMITS[coupled])
        return Generation(next(self.serials), data.draw(KEYS[place]), kind, data.draw(limits))

    def may_not_hang(self) -> bool:
        """Whether too many calls hang, or one would hold up all that is asked about with it."""
        return self.everything or len(self.verifiers.hanging) > 5

    @rule(place=st.sampled_from(PLACES), data=st.data(), look=st.booleans())
    def write(self, place: int, data: st.DataObject, look: bool) -> None:
        """A whole swap, perhaps with a look between any two of its steps."""
        if self.places[place].there:
            self.swap(place, self.draw(place, data), None, look)
        self.after()

    @rule(places=st.sets(st.sampled_from(PLACES), min_size=2), data=st.data())
    def write_several(self, places: set[int], data: st.DataObject) -> None:
        """Swap several volumes before a look; if they are watched, a look may come in between."""
        for place in sorted(places):
            if self.places[place].there:
                self.swap(place, self.draw(place, data), None)
            self.after()

    @rule(low=st.integers(0, 9), high=st.integers(0, 9), keys=st.tuples(*KEYS), kinds=st.tuples(VERIFIED, VERIFIED))
    def move_limits(self, low: int, high: int, keys: tuple[frozenset[str], ...], kinds: tuple[str, str]) -> None:
        """Both volumes that share a validator of the class are swapped, one after the other."""
        for place, limit in enumerate((low, high)):
            if self.places[place].there:
                self.swap(place, Generation(next(self.serials), keys[place], kinds[place], limit), None)
            self.after()

    @rule(kind=st.sampled_from(("good", "refused", "hanging")), look=st.booleans())
    def rotate(self, kind: str, look: bool) -> None:
        """The value that the first verifier watches is another one."""
        if self.places[2].there:
            kind = "refused" if kind == "hanging" and self.may_not_hang() else kind
            self.swap(2, Generation(next(self.serials), frozenset(FEEDS[2]), kind), None)
        if look:
            self.look()
        self.after()

    @rule(place=st.sampled_from(PLACES), data=st.data(), steps=st.integers(0, 14))
    def crash(self, place: int, data: st.DataObject, steps: int) -> None:
        """A swap whose writer dies after some steps."""
        if self.places[place].there:
            self.swap(place, self.draw(place, data), steps)
        self.after()

    @rule(place=st.sampled_from(PLACES))
    def same_again(self, place: int) -> None:
        """The same bytes in a new generation."""
        here = self.places[place]
        if here.there and not here.on_disk.losing:
            name = f"..2026_11_22_06_30_00.{next(self.serials)}"
            root = here.volume.path
            shutil.copytree(root / here.on_disk.name, root / name)
            os.symlink(name, root / "..again")
            os.rename(root / "..again", root / "..data")
            here.on_disk = replace(here.on_disk, name=name)
        self.after()

    @rule(place=st.sampled_from(PLACES))
    def vanish(self, place: int) -> None:
        """The whole mount is deleted."""
        here = self.places[place]
        if here.there:
            shutil.rmtree(here.volume.path)
            here.there = False
        self.after()

    @rule(place=st.sampled_from(PLACES))
    def move_away(self, place: int) -> None:
        """The mount is renamed away, generation and all."""
        here = self.places[place]
        if here.there:
            here.volume.path.rename(self.root / f"away {next(self.folders)}")
            here.there = False
        self.after()

    @rule(place=st.sampled_from(PLACES), data=st.data())
    def mount(self, place: int, data: st.DataObject) -> None:
        """A mount comes (back), whole, by one rename."""
        here = self.places[place]
        path = here.volume.path
        if here.there:
            path.rename(self.root / f"away {next(self.folders)}")
        here.there = True
        generation = self.draw(place, data)
        self.verifiers.learn(generation)
        made = KubeletVolume(self.root / f"made {generation.serial}")
        made.write(payload_of(place, generation))
        generation.name = made.generation
        here.on_disk = generation
        made.path.rename(path)
        self.after()

    @rule(place=st.sampled_from(PLACES), data=st.data())
    def lose_a_file(self, place: int, data: st.DataObject) -> None:
        """A generation that was read already loses a file under its link, as when it is being removed."""
        here = self.places[place]
        if here.there:
            self.look()
            generation = here.volume.path / here.on_disk.name
            files = sorted(path for path in generation.rglob("*") if path.is_file())
            if files:
                data.draw(st.sampled_from(files)).unlink()
                here.on_disk.losing = True
        self.after()

    @rule(days=st.integers(-400, 400))
    def clock(self, days: int) -> None:
        """The wall clock jumps."""
        liveconfig._clock.now = lambda: self.clocks[1]() + dt.timedelta(days=days)

    # What becomes of the verifiers

    @rule()
    def repent(self) -> None:
        """Make the verifiers accept what they refused: the database is up again."""
        self.verifiers.refused.clear()
        self.look()

    @rule()
    def release(self) -> None:
        """The calls that hang return. They decide on what the newest look has read, whatever is on the disk by now."""
        self.verifiers.release()
        self.think(self.newest, set())
        self.await_model()
        self.look()

    # Looking

    def after(self) -> None:
        """If the volumes are watched, wait for the result of an event; otherwise a look comes later."""
        if self.watch:
            self.look()

    @rule()
    def look(self) -> None:
        """Look, and hold the settings against the model."""
        before = self.model.version
        self.expect()
        applied = self.settings.live.reload(wait=not self.model.pending)
        self.await_model()
        assert self.settings.live.version >= before
        if not self.model.pending:
            assert applied is not bool(self.model.faults | self.unread)
            self.await_health(applied)

    def await_health(self, applied: bool) -> None:
        """P3: healthy if everything is applied. On the faster clock, a look of 10 ms takes long, which is a problem too."""
        deadline = time.monotonic() + PATIENCE
        while (status := self.settings.live.status()).healthy is not applied and not self.crashed():
            assert time.monotonic() < deadline, status.problems
            time.sleep(0.001)

    def crashed(self) -> bool:
        """Whether a writer that crashed has left a generation behind: an unfinished update is a problem of its own."""
        folders = [path for here in self.places for path in here.volume.path.glob("..2*")]
        return any(path.name not in {here.volume.generation for here in self.places} for path in folders)

    def expect(self) -> None:
        """Bring the model to where a look should bring the settings."""
        newest, self.unread = [], set()
        for place, here in enumerate(self.places):
            known = here.on_disk is self.model.applied[place]
            if not here.there or (not known and here.on_disk.losing):
                self.unread.add(("read", frozenset([place])))
            elif not known and not here.on_disk.parses:
                self.unread.add(("parse", frozenset([place])))
            readable = ("read", frozenset([place])) not in self.unread and (
                "parse",
                frozenset([place]),
            ) not in self.unread
            newest.append(here.on_disk if readable else self.model.applied[place])
        self.think(tuple(newest), {place for _, places in self.unread for place in places})

    def think(self, newest: Combination, unread: set[int]) -> None:
        """Bring the model to where a look should bring the settings.

        For a volume that cannot be read, the first looks wait a while, with all that waits together with it. What they
        apply meanwhile is a version of its own.
        """
        together = [places for _, places in self.model.faults] + [self.model.pending]
        while more := frozenset().union(*(places for places in together if places & unread)) - unread:
            unread |= more
        patient = copy.copy(self.model)
        patient.look(patient._without(unread, newest))
        patient.look(newest)
        self.model.look(newest)
        self.newest, self.versions = newest, {self.model.version, patient.version}

    def await_model(self) -> None:
        """P1, P2, P3: the settings hold just what the model says, whole, and report what waits."""
        deadline = time.monotonic() + PATIENCE
        while (seen := self.seen()) != (expected := self.expected()) and time.monotonic() < deadline:
            threading.Event().wait(0.001)
            if self.settings.live.version in self.versions:
                self.model.version = self.settings.live.version
            if self.model.pending:  # a look that waits for nobody does not wait for a volume to come to rest either
                self.settings.live.reload(wait=False)
        assert seen == expected, [each.reason for each in self.settings.live.status().rejections]

    def expected(self) -> tuple[object, ...]:
        """The expected state."""
        leaves = values(self.model.applied)
        generations = [each.name for each in self.model.applied]
        return leaves, leaves, self.model.version, generations, self.model.faults | self.unread

    def seen(self) -> tuple[object, ...]:
        """The observed state."""
        status = self.settings.live.status()
        standing = {(each.stage, self.waiting(each)) for each in status.rejections}
        generations = [each.generation_applied for each in status.volumes]
        latest = self.settings.live.latest()
        return flat(self.settings), flat(latest), self.settings.live.version, generations, standing

    def waiting(self, rejected: Rejected) -> frozenset[int]:
        """The volumes that a rejection holds back. One that has disappeared has no generation, but a reason."""
        paths = [str(here.volume.path) for here in self.places]
        found = {paths.index(path) for path in rejected.generations}
        return frozenset(
            found or {place for place, path in enumerate(paths) if rejected.reason.startswith(f"{path}: ")}
        )

    @invariant()
    def whole(self) -> None:
        """P2, P3: at any moment all values of one volume are of one generation, valid, and none that was refused."""
        if self.settings is not None:
            seen = flat(self.settings.live.latest())
            for feeds in FEEDS:
                assert len({seen[leaf] for leaf in feeds.values()} - {"default", "0"}) <= 1
            assert int(seen["low"]) <= int(seen["high"])
            assert not {seen[leaf] for watched in WATCHED for leaf in watched} & self.verifiers.refused


def flat(seen: App) -> dict[str, str]:
    """All leaves as texts."""
    return {
        "message": seen.message,
        "number": str(seen.number),
        "secret": seen.secret.get_secret_value(),
        "db.user": seen.db.user,
        "db.port": str(seen.db.port),
        "low": str(seen.low),
        "other": seen.other,
        "count": str(seen.count),
        "high": str(seen.high),
        "token": seen.token,
        "pin": str(seen.pin),
    }


TestMachine = pytest.mark.timeout(max(180, 5 * EXAMPLES))(Machine.TestCase)
TestMachine.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=25,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate,),
    report_multiple_bugs=False,
)
