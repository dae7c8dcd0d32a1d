"""Two volumes and a model of them: whatever is done to the disk, P1 to P3 hold at each look."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pydantic import BaseModel, Field, SecretStr

import liveconfig._clock
from liveconfig import Settings, SettingsConfigDict
from liveconfig.testing import KubeletVolume

FASTER = 200
"""How much faster the machine's clock runs: a patience of a second is over in 5 ms."""

REAL = liveconfig._clock.monotonic, liveconfig._clock.now


class Database(BaseModel):
    user: str = "default"
    port: int = 0


class App(Settings):
    """What the first volume feeds, what the second feeds, and what either may."""

    model_config = SettingsConfigDict(resync=3600.0)
    message: str = "default"
    number: int = Field(0, ge=0)
    secret: SecretStr = SecretStr("default")
    db: Database = Database()
    other: str = "default"
    count: int = Field(0, ge=0)


FEEDS = (
    {"message": "message", "number": "number", "secret": "secret", "db/user": "db.user", "db/port": "db.port"},
    {"other": "other", "count": "count"},
)
NUMBERS = {"number", "count", "db.port"}

# What is done to a payload. Each generation has a number of its own, which stands in each of its values.
KINDS = ("good", "not a number", "negative", "not UTF-8", "two claims")


def payload_of(place: int, serial: int, keys: frozenset[str], kind: str) -> dict[str, bytes]:
    """The content of a generation."""
    content = {key: str(serial).encode() for key in FEEDS[place] if key in keys}
    number = "count" if place else "number"
    if kind == "not a number":
        content[number] = b"many"
    elif kind == "negative":
        content[number] = b"-1"
    elif kind == "not UTF-8":
        content["other" if place else "message"] = b"\xff"
    elif kind == "two claims":
        content[number], content[number.upper()] = b"1", b"1"
    content["unused"] = str(serial).encode()
    return content


@dataclass
class Generation:
    """What the model knows of one generation."""

    name: str | None = None
    serial: int = 0
    keys: frozenset[str] = frozenset()
    kind: str = "good"
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


KEYS = st.tuples(*(st.frozensets(st.sampled_from(sorted(feeds))) for feeds in FEEDS))


class Machine(RuleBasedStateMachine):
    """Writers that crash, mounts that vanish and come back, events that come late or never, clocks that jump."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="liveconfig-"))
        self.serials = itertools.count(1)
        self.folders = itertools.count()
        begun = REAL[0]()
        liveconfig._clock.monotonic = lambda: begun + (REAL[0]() - begun) * FASTER
        self.settings = None

    @initialize(legacy=st.booleans(), watch=st.booleans(), keys=KEYS)
    def start(self, legacy: bool, watch: bool, keys: tuple[frozenset[str], ...]) -> None:
        """Load two good volumes."""
        self.watch = watch
        self.places = [Place(KubeletVolume(self.root / name, legacy=legacy)) for name in ("one", "other")]
        for place, chosen in enumerate(keys):
            self.swap(place, chosen, "good", None)
            self.places[place].applied = self.places[place].on_disk
        self.settings = App(_volumes=[place.volume.path for place in self.places], _watch=watch)
        self.rejected: list[object] = []
        self.settings.live.on_reject(self.rejected.append)
        self.version, self.told = 1, 0
        self.faults: dict[int | None, tuple[object, ...]] = {}
        self.looked()

    def teardown(self) -> None:
        """Leave nothing behind."""
        liveconfig._clock.monotonic, liveconfig._clock.now = REAL
        if self.settings is not None:
            self.settings.live.close()
        shutil.rmtree(self.root)

    # What is done to the disk

    def swap(self, place: int, keys: frozenset[str], kind: str, steps: int | None, look: bool = False) -> None:
        """Write a generation, or the first steps of that, and look after each if that is asked for."""
        here, serial = self.places[place], next(self.serials)
        generation = Generation(None, serial, keys, kind)
        for step in itertools.islice(here.volume.steps(payload_of(place, serial, keys, kind)), steps):
            if step == "rename":
                generation.name = here.volume.generation
                here.on_disk = generation
            if look:
                self.look()

    @rule(place=st.integers(0, 1), keys=KEYS, kind=st.sampled_from(KINDS), look=st.booleans())
    def write(self, place: int, keys: tuple[frozenset[str], ...], kind: str, look: bool) -> None:
        """A whole swap, perhaps with a look between any two of its steps."""
        if self.places[place].there:
            self.swap(place, keys[place], kind, None, look)
        self.after()

    @rule(place=st.integers(0, 1), keys=KEYS, steps=st.integers(0, 14), kind=st.sampled_from(KINDS))
    def crash(self, place: int, keys: tuple[frozenset[str], ...], steps: int, kind: str) -> None:
        """A swap whose writer dies after some steps."""
        if self.places[place].there:
            self.swap(place, keys[place], kind, steps)
        self.after()

    @rule(place=st.integers(0, 1))
    def same_again(self, place: int) -> None:
        """The same bytes in a new generation."""
        here = self.places[place]
        if here.there and not here.on_disk.losing:
            name = f"..2026_11_22_06_30_00.{next(self.serials)}"
            root = here.volume.path
            shutil.copytree(root / here.on_disk.name, root / name)
            os.symlink(name, root / "..again")
            os.rename(root / "..again", root / "..data")
            here.on_disk = Generation(name, here.on_disk.serial, here.on_disk.keys, here.on_disk.kind)
        self.after()

    @rule(place=st.integers(0, 1))
    def vanish(self, place: int) -> None:
        """The whole mount is deleted."""
        here = self.places[place]
        if here.there:
            shutil.rmtree(here.volume.path)
            here.there = False
        self.after()

    @rule(place=st.integers(0, 1))
    def move_away(self, place: int) -> None:
        """The mount is renamed away, generation and all."""
        here = self.places[place]
        if here.there:
            here.volume.path.rename(self.root / f"away {next(self.folders)}")
            here.there = False
        self.after()

    @rule(place=st.integers(0, 1), keys=KEYS, kind=st.sampled_from(KINDS))
    def mount(self, place: int, keys: tuple[frozenset[str], ...], kind: str) -> None:
        """A mount comes (back), whole, by one rename."""
        here = self.places[place]
        path = here.volume.path
        if here.there:
            path.rename(self.root / f"away {next(self.folders)}")
        else:
            here.there = True
        serial = next(self.serials)
        made = KubeletVolume(self.root / f"made {serial}")
        made.write(payload_of(place, serial, keys[place], kind))
        here.on_disk = Generation(made.generation, serial, keys[place], kind)
        made.path.rename(path)
        self.after()

    @rule(place=st.integers(0, 1), data=st.data())
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
        liveconfig._clock.now = lambda: REAL[1]() + dt.timedelta(days=days)

    # Looking

    def after(self) -> None:
        """Where somebody watches, wait for what an event leads to; else the event is lost, and a look comes later."""
        if self.watch:
            self.look()

    @rule()
    def look(self) -> None:
        """Look, and hold the settings against the model."""
        expected = self.expect()
        assert self.settings.live.reload() is expected
        self.looked()
        assert self.settings.live.status().healthy is expected

    def expect(self) -> bool:
        """Bring the model to where a look should bring the settings; returns whether all is applied."""
        faults: dict[int | None, tuple[object, ...]] = {}
        candidate = []
        for place, here in enumerate(self.places):
            if not here.there:
                faults[place] = ("gone",)
            elif here.on_disk is not here.applied and (here.on_disk.losing or not here.on_disk.parses):
                # What was applied is never read again; what was rejected, and is being removed, cannot be any more.
                faults[place] = (here.on_disk.name, here.on_disk.losing)
            candidate.append(here.applied if place in faults else here.on_disk)
        # What is bad is known by the volumes at fault: others may move on beside it, and it is told of once.
        if bad := [(place, each.name) for place, each in enumerate(candidate) if not each.validates]:
            faults[None] = tuple(bad)
        elif self.loses_its_secret(candidate):
            faults[None] = ("secret", candidate[0].name)
        else:
            before = self.values()
            for here, generation in zip(self.places, candidate, strict=True):
                here.applied = generation
            self.version += self.values() != before
        self.told += sum(self.faults.get(place) != fault for place, fault in faults.items())
        self.faults = faults
        return not faults

    def loses_its_secret(self, candidate: list[Generation]) -> bool:
        """Whether the candidate lacks the secret that is applied."""
        return "secret" in self.places[0].applied.keys - candidate[0].keys

    def values(self) -> dict[str, str]:
        """What each leaf should hold."""
        found = {}
        for here, feeds in zip(self.places, FEEDS, strict=True):
            for key, leaf in feeds.items():
                default = "0" if leaf in NUMBERS else "default"
                found[leaf] = str(here.applied.serial) if key in here.applied.keys else default
        return found

    def looked(self) -> None:
        """P1, P2, P3: the settings hold just what the model says, whole, and have told of each fault once."""
        expected = self.values()
        for seen in (self.settings, self.settings.live.latest()):
            assert flat(seen) == expected
        assert self.settings.live.version == self.version
        if not self.watch:  # a watcher may see, and tell of, what is over when the model looks
            assert len(self.rejected) >= len(self.faults)

    @invariant()
    def whole(self) -> None:
        """P2: at any moment all values of one volume are of one generation, and never of a bad one."""
        if self.settings is not None:
            seen = flat(self.settings.live.latest())
            for feeds in FEEDS:
                assert len({seen[leaf] for leaf in feeds.values()} - {"default", "0"}) <= 1


def flat(seen: App) -> dict[str, str]:
    """All leaves as texts."""
    return {
        "message": seen.message,
        "number": str(seen.number),
        "secret": seen.secret.get_secret_value(),
        "db.user": seen.db.user,
        "db.port": str(seen.db.port),
        "other": seen.other,
        "count": str(seen.count),
    }


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate,),
    report_multiple_bugs=False,
)
