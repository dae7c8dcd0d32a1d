"""The application under soak, in a process of its own: settings, readers, subscribers, forks, and what was wrong."""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import gc
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from pydantic import SecretStr, field_validator, model_validator

from benchmarks._serve import serve
from benchmarks._soak_workers import ForkingSubscriber, Workers
from benchmarks._usage import Usage
from liveconfig import Change, Recovered, Rejected, Settings, SettingsConfigDict

_CAPABILITY_VERSION_3 = 0x20080522
_READERS = 4
_PATIENCE = 20.0  # for an update to be seen: a re-check a second, and some back-off after a fault


_WORKERS = 2


class AppSettings(Settings):
    """Three volumes: keys and documents, two secrets, a login. Each holds one number in all its places."""

    config_0: int
    config_1: int
    config_2: int
    config_3: int
    config_4: int
    document_number: int
    yaml_number: int
    limit: int
    low: int = 0
    secret_0: SecretStr
    secret_1: SecretStr
    high: int = 9
    login_0: int
    login_1: int
    mood: str = "good"

    @model_validator(mode="after")
    def ordered(self) -> AppSettings:
        """A fault of the class as a whole, across two volumes."""
        if self.low > self.high:
            raise ValueError
        return self

    def numbers(self) -> tuple[set[int], set[int], set[int]]:
        """What is in the places of each volume; one number each, if the snapshot is whole."""
        config = {getattr(self, f"config_{index}") for index in range(5)} | {self.document_number, self.yaml_number}
        secret = {int(secret.get_secret_value()) for secret in (self.secret_0, self.secret_1)}
        return config, secret, {self.login_0, self.login_1}


class BlockedSettings(Settings):
    """Settings whose validator blocks for as long as the volume says; they must hold up no others."""

    number: int
    pause: float = 0.0

    @field_validator("pause")
    @classmethod
    def blocks(cls, value: float) -> float:
        """Block, as a look-up of a name does."""
        time.sleep(value)
        return value


def verified(candidate: AppSettings) -> bool:
    """The verifier of the login: refuses, or takes its time, as the volume says."""
    if candidate.mood in ("slow", "hangs"):
        time.sleep(0.2 if candidate.mood == "slow" else 1.5)
    return candidate.mood != "refused"


class Witness:
    """Counts, and collects what must not be."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.violations: list[str] = []

    def object(self, what: str) -> None:
        """Something that must not be was seen; the first of each kind is kept."""
        self.counts["violations"] += 1
        if len(self.violations) < 20:
            self.violations.append(what)


class Reader(threading.Thread):
    """Takes snapshots of all settings and looks for mixed ones, bad ones and steps back."""

    def __init__(self, settings: list[AppSettings], witness: Witness, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._settings, self._witness, self._stop_event = settings, witness, stop

    def run(self) -> None:
        before = {id(settings): (0, 0, 0, 0) for settings in self._settings}
        while not self._stop_event.wait(random.uniform(0, 0.004)):
            for settings in self._settings:
                version = settings.live.version
                seen = settings.live.latest()
                numbers = seen.numbers()
                self._witness.counts["snapshots"] += 1
                if any(len(each) > 1 for each in numbers):
                    self._witness.object(f"a mixed snapshot: {numbers}")
                    continue
                if seen.mood in ("refused", "hangs") or seen.low > seen.high:
                    self._witness.object("a snapshot that was refused")
                config, secret, login = (each.pop() for each in numbers)
                now = (version, config, secret, login)
                if any(later < earlier for later, earlier in zip(now, before[id(settings)], strict=True)):
                    self._witness.object(f"a step back: {before[id(settings)]} then {now}")
                before[id(settings)] = now


class Subscriber:
    """Checks the chain of changes that it is given; misbehaves as `mood` says."""

    def __init__(self, witness: Witness, mood: str) -> None:
        self.last: int | None = None
        self._witness, self._mood, self._version = witness, mood, 0

    def __call__(self, change: Change[int]) -> None:
        self._witness.counts[f"calls, {self._mood}"] += 1
        if self._mood == "raises" and random.random() < 0.05:
            raise RuntimeError("a subscriber that raises")
        if self._mood == "slow" and random.random() < 0.05:
            time.sleep(0.3)
        if change.version <= self._version:
            self._witness.object(f"version {change.version} after {self._version} ({self._mood})")
        if self.last is not None and change.old != self.last:
            self._witness.object(f"old is {change.old}, it saw {self.last} before ({self._mood})")
        self.last, self._version = change.new, change.version

    async def awaited(self, change: Change[int]) -> None:
        """The same as a coroutine function."""
        self(change)


class Subject:
    """Answers the judge; each public method is an operation."""

    def __init__(self) -> None:
        _forgo_privileges()
        self._witness, self._stop = Witness(), threading.Event()
        self._settings: list[AppSettings] = []
        self._blocked: BlockedSettings | None = None
        self._workers: Workers | None = None
        self._forking = ForkingSubscriber(self._witness.object)
        self._subscribers: list[Subscriber] = []
        self._readers: list[Reader] = []
        self._loop = asyncio.new_event_loop()
        self._loop_thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._before: Usage | None = None

    def begin(self, volumes: list[str], blocked: str, objects: int) -> None:
        self._before = Usage.of_self()
        self._blocked = BlockedSettings.load(_volumes=blocked)
        configured = type(
            "Configured", (AppSettings,), {"model_config": _configuration(volumes), "__module__": __name__}
        )
        self._settings = [configured.load() for _ in range(objects)]
        self._loop_thread.start()
        for settings in self._settings:
            self._subscribe(settings)
        self._readers = [Reader(self._settings, self._witness, self._stop) for _ in range(_READERS)]
        for reader in self._readers:
            reader.start()
        self._workers = Workers(_WORKERS)

    def expect(self, config: int, secret: int, login: int) -> float:
        """Seconds until all settings and all subscribers have these numbers; what does not come is a violation."""
        started = time.monotonic()
        self.expect_config(config)
        for settings in self._settings:
            try:
                settings.live.wait(lambda s: s.numbers() == ({config}, {secret}, {login}), timeout=_PATIENCE)
            except TimeoutError:
                seen, status = settings.live.latest().numbers(), settings.live.status()
                self._witness.object(f"a lost update: {seen}, not {config}, {secret}, {login}; {status.problems}")
            if not _until(lambda settings=settings: not settings.live.status().rejections):
                self._witness.object(f"a rejection that does not end: {settings.live.status().problems}")
        settled = _until(lambda: all(one.last in (None, config) for one in self._subscribers))
        if not settled:
            self._witness.object(f"subscribers were left at {[one.last for one in self._subscribers]}, not {config}")
        return time.monotonic() - started

    def expect_config(self, config: int) -> float:
        """Seconds until all settings have this number of the first volume, whatever holds back the others."""
        started = time.monotonic()
        for settings in self._settings:
            try:
                settings.live.wait(lambda s: s.config_0 == config, timeout=_PATIENCE)
            except TimeoutError:
                self._witness.object(f"held back: {settings.config_0}, not {config}; {settings.live.status().problems}")
        return time.monotonic() - started

    def expect_blocked(self, number: int) -> None:
        """Wait for the settings whose validator blocks."""
        assert self._blocked is not None
        try:
            self._blocked.live.wait(lambda s: s.number == number, timeout=_PATIENCE)
        except TimeoutError:
            self._witness.object(f"blocked settings stay at {self._blocked.number}, not {number}")

    def pids(self) -> list[int]:
        """This process and its workers."""
        assert self._workers is not None
        return [os.getpid(), *self._workers.pids]

    def replace_worker(self) -> None:
        """Kill a worker, and fork another one."""
        assert self._workers is not None
        self._workers.replace_one()

    def rejected(self) -> bool:
        """Whether all settings say that what is on the disk is bad."""
        return _until(lambda: not any(settings.live.status().healthy for settings in self._settings))

    def fork(self) -> int:
        number = self._settings[0].config_0  # the handler will write higher ones, perhaps before the child runs at all
        pid = os.fork()
        if pid == 0:
            os._exit(_child(self._settings[0], number))
        self._witness.counts["forks"] += 1
        return pid

    def reap(self, pid: int) -> None:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code:
            self._witness.object(f"a forked child ended with {code}")

    def report(self) -> dict[str, Any]:
        gc.collect()
        return {"counts": dict(self._witness.counts), "violations": self._witness.violations}

    def finish(self) -> dict[str, Any]:
        """Close everything. What is left of threads and descriptors is a violation."""
        self._stop.set()
        assert self._workers is not None
        assert self._blocked is not None
        self._workers.end()
        self._blocked.live.close()
        self._witness.counts["forks of a subscriber"] = self._forking.forks
        for reader in self._readers:
            reader.join()
        for settings in self._settings:
            settings.live.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._loop_thread.join()
        self._loop.close()
        before = self._before
        assert before is not None
        # The event loop had three descriptors before `begin`; the report of the process stays.
        _until(lambda: Usage.of_self().threads <= before.threads)
        left = Usage.of_self()
        if left.threads > before.threads or left.descriptors > before.descriptors - 3 + 1:
            self._witness.object(f"left behind: {asdict(left)}, before: {asdict(before)}")
        return self.report()

    def _subscribe(self, settings: AppSettings) -> None:
        for mood in ("plain", "raises", "slow"):
            subscriber = Subscriber(self._witness, mood)
            settings.live.subscribe(lambda s: s.config_0, subscriber)
            self._subscribers.append(subscriber)
        asynchronous = Subscriber(self._witness, "coroutine")
        self._loop.call_soon_threadsafe(lambda: settings.live.subscribe(lambda s: s.config_0, asynchronous.awaited))
        self._subscribers.append(asynchronous)
        settings.live.subscribe(Rejected, lambda _event: self._witness.counts.update(["rejections"]))
        settings.live.subscribe(Recovered, lambda _event: self._witness.counts.update(["recoveries"]))
        settings.live.add_verifier(verified, on=lambda s: (s.login_0, s.mood), timeout=1.0)
        if settings is self._settings[0]:
            settings.live.subscribe(lambda s: s.login_0, self._forking)


def _child(settings: AppSettings, number: int) -> int:
    """In a forked child: follow the volume beyond a number. What is wrong is told where somebody listens."""
    try:
        settings.live.wait(lambda s: s.config_0 > number, timeout=_PATIENCE)
    except Exception as error:
        print("child:", type(error).__name__, number, settings.live.status(), file=sys.stderr)
        faulthandler.dump_traceback(all_threads=True)
        return 3
    return 0


def _configuration(volumes: list[str]) -> SettingsConfigDict:
    return SettingsConfigDict(volumes=volumes, documents=["application.json", "features.yaml"], resync=1.0)


def _until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while not (holds := condition()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return holds


def _forgo_privileges() -> None:
    """Without the right to pass over permissions, so that EACCES is met as root too. Where that fails it is not."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()
    if libc.capget(header, sets) == 0:
        for index in range(3):
            sets[index] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        libc.capset(header, sets)


if __name__ == "__main__":
    sys.setswitchinterval(0.001)
    serve(lambda _answer: Subject())
