"""`liveconfig.processes`: the reports of all processes that may be read."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from liveconfig import Settings, SettingsConfigDict, processes

PATIENCE = 60.0


NO_THREAD = "could not be looked at, because no thread can be started"


class App(Settings):
    model_config = SettingsConfigDict()
    message: str = "unset"
    port: int = 1


def report_of(pid):
    """The report of one process, which has one settings object."""
    [process] = processes(pid)
    [settings] = process.settings
    return process, settings


def own_reports(volume):
    """What this process reports of the settings of one volume; those of earlier tests may still be in the report."""
    [process] = processes(os.getpid())
    return [each for each in process.settings if [one.path for one in each.volumes] == [str(volume)]]


def until(holds):
    """What ``holds`` returns, once it is true."""
    deadline = time.monotonic() + PATIENCE
    while not (found := holds()):
        assert time.monotonic() < deadline, processes()
        time.sleep(0.01)
    return found


def in_state(pid, state):
    return until(lambda: (found := report_of(pid))[1].state == state and found)


def test_another_process(program, kubelet_volume):
    """A process is listed with its settings class, its generation, and a state that follows the volume."""
    kubelet_volume.write({"message": "one"})
    pid = program().pid
    process, settings = report_of(pid)
    assert (process.pid, process.parent, process.is_current) == (pid, os.getpid(), True)
    assert (settings.name, settings.version, settings.state) == ("__main__.App", 1, "current")
    assert [(each.path, each.mode, each.generation) for each in settings.volumes] == [
        (str(kubelet_volume.path), "atomic", kubelet_volume.generation)
    ]
    kubelet_volume.write({"message": "two"})
    settings = until(lambda: (now := report_of(pid)[1]).version == 2 and now)
    assert settings.volumes[0].generation == kubelet_volume.generation
    assert settings.apply_delay is not None
    assert [(each.kind, each.fields) for each in settings.history] == [("applied", ("message",))]


def test_a_process_that_rejects(program, kubelet_volume):
    """A process that rejects what is on disk says so with the reason, and is current again after the correction."""
    kubelet_volume.write({"port": "1"})
    pid = program().pid
    kubelet_volume.write({"port": "x"})
    process, settings = in_state(pid, "rejected")
    assert not process.is_current
    assert "port" in settings.problems[0]
    kubelet_volume.write({"port": "2"})
    assert in_state(pid, "current")[0].is_current


@pytest.mark.parametrize("mode", ["atomic", "plain"])
def test_a_process_that_hangs_after_a_rejection(program, kubelet_volume, stopped, mode):
    """A process is rejected only as long as what it rejected is on disk; then it is behind."""

    def write(port):
        if mode == "atomic":
            kubelet_volume.write({"port": port})
        else:
            kubelet_volume.path.mkdir(exist_ok=True)
            (kubelet_volume.path / "port").write_text(port)

    write("1")
    pid = program().pid
    write("wrong")
    [volume] = in_state(pid, "rejected")[1].volumes
    assert volume.mode == mode
    assert volume.rejected == volume.on_disk
    with stopped(pid):
        write("23")
        process, settings = in_state(pid, "behind")
        assert not process.is_current
        assert settings.volumes[0].rejected != settings.volumes[0].on_disk
    assert in_state(pid, "current")[1].volumes[0].rejected is None


def test_rejected_content_in_a_new_generation(program, kubelet_volume, stopped):
    """A process that finds content that it has rejected in a new generation says so, without a re-check."""
    kubelet_volume.write({"port": "1"})
    running = program()
    running.do("class Rare(App): model_config = SettingsConfigDict(resync=3600.0)")
    running.do("import gc; settings = Rare.load(); gc.collect()")
    pid = running.pid
    until(lambda: [each.name for each in processes(pid)[0].settings] == ["__main__.Rare"])
    kubelet_volume.write({"port": "x"})
    first = in_state(pid, "rejected")[1].volumes[0].rejected
    with stopped(pid):
        for port in ("2", "x"):
            kubelet_volume.write({"port": port})
    until(lambda: report_of(pid)[1].volumes[0].rejected == kubelet_volume.generation != first)


ENDED = """
import ctypes, os, sys
from liveconfig import Settings, SettingsConfigDict, processes

class App(Settings):
    model_config = SettingsConfigDict(volumes=sys.argv[1])
    message: str = "unset"

settings = App.load()
if not os.geteuid():
    os.setgid(65534)
    os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1)  # PR_SET_DUMPABLE: it may read its own report again
child = os.fork()
if not child:
    os._exit(0)
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
shown = [each.pid for each in processes() if each.pid in (os.getpid(), child)]
os._exit(0 if shown == [os.getpid()] else 1)
"""


def test_a_child_that_has_ended(kubelet_volume):
    """A child that has ended and that its parent has not waited for is not listed, whatever the user."""
    subprocess.run([sys.executable, "-c", ENDED, str(kubelet_volume.path)], timeout=PATIENCE, check=True)


FAILING = """
class Flaky:
    fails = True
    def __call__(self, _):
        if self.fails: raise ConnectionError
flaky = Flaky()
"""


@pytest.mark.parametrize("kind", ["function", "coroutine function", "receiver of a signal"])
def test_a_subscriber_that_fails(program, kubelet_volume, kind):
    """A subscriber that fails makes the report unhealthy at once, not at the next re-check, and so does its recovery."""
    kubelet_volume.write({"message": "one"})
    running = program()
    running.do(FAILING)
    running.do(SUBSCRIBING[kind])
    kubelet_volume.write({"message": "two"})
    settings = until(lambda: (now := report_of(running.pid)[1]).failing_subscribers and now)
    assert not settings.healthy
    assert "ConnectionError" in settings.problems[0]
    running.do("flaky.fails = False")
    settings = until(lambda: not (now := report_of(running.pid)[1]).failing_subscribers and now)
    assert settings.healthy


SUBSCRIBING = {
    "function": "settings.live.on_change('message')(flaky)",
    "coroutine function": (
        "import asyncio, threading; loop = asyncio.new_event_loop();"
        "threading.Thread(target=loop.run_forever, daemon=True).start();"
        "exec('async def call(change): flaky(change)');"
        "exec('async def subscribe(): settings.live.on_change(\"message\")(call)');"
        "asyncio.run_coroutine_threadsafe(subscribe(), loop).result()"
    ),
    "receiver of a signal": (
        "from liveconfig import signals;"
        "receive = lambda sender, **event: flaky(event);"
        "signals.reloaded.connect(receive, sender=settings)"
    ),
}


HANGING = """
import threading
from liveconfig._delivery import calls, coroutines, subscribers
subscribers.HUNG = calls.HUNG = coroutines.HUNG = 1.5
gate = threading.Event()
if KIND == "function":
    settings.live.on_change("message")(lambda _: gate.wait())
else:
    import asyncio
    async def call(_):
        while not gate.is_set():
            await asyncio.sleep(0.01)
    async def main():
        settings.live.on_change("message")(call)
        await asyncio.Event().wait()
    threading.Thread(target=asyncio.run, args=(main(),), daemon=True).start()
    while not settings.live.status().subscribers:
        pass
"""


@pytest.mark.parametrize("kind", ["function", "coroutine function"])
def test_a_subscriber_that_hangs(program, kubelet_volume, kind):
    """A subscriber that does not return makes the report unhealthy, not only at the next re-check, until it returns."""
    kubelet_volume.write({"message": "one"})
    running = program()
    running.do(f"KIND = {kind!r}; exec({HANGING!r})")
    kubelet_volume.write({"message": "two"})
    began = time.monotonic()
    settings = until(lambda: (now := report_of(running.pid)[1]).failing_subscribers and now)
    assert not settings.healthy
    assert "has been running for" in settings.problems[0]
    running.do("gate.set()")
    until(lambda: (now := report_of(running.pid)[1]).healthy and not now.failing_subscribers)
    assert time.monotonic() - began < 20  # a re-check is due after 30 s


def test_a_failing_subscriber_that_is_cancelled(program, kubelet_volume):
    """A failing subscriber that is cancelled leaves the report at once."""
    kubelet_volume.write({"message": "one"})
    running = program()
    running.do(FAILING)
    running.do("subscription = settings.live.subscribe('message', flaky)")
    kubelet_volume.write({"message": "two"})
    until(lambda: report_of(running.pid)[1].failing_subscribers)
    running.do("subscription.cancel()")
    until(lambda: report_of(running.pid)[1].healthy)


def test_a_stopped_process(program, kubelet_volume, stopped):
    """A process that is stopped is behind once the volume has moved on for 2 s, and current after it goes on."""
    kubelet_volume.write({"message": "one"})
    pid = program().pid
    with stopped(pid):
        kubelet_volume.write({"message": "two"})
        assert report_of(pid)[1].state == "current"  # a swap under way is no fault
        process, settings = in_state(pid, "behind")
        assert not process.is_current
        assert kubelet_volume.generation in settings.problems[0]
    assert in_state(pid, "current")[0].is_current


def test_a_closed_one(program, kubelet_volume):
    """Closed settings are healthy until their volume has moved on."""
    kubelet_volume.write({"message": "one"})
    running = program()
    running.do("settings.live.close()")
    process, settings = report_of(running.pid)
    assert (settings.state, process.is_current) == ("closed", True)
    kubelet_volume.write({"message": "two"})
    until(lambda: not report_of(running.pid)[0].is_current)
    assert report_of(running.pid)[1].state == "closed"


def test_a_forked_child(program, kubelet_volume):
    """A forked child has a report of its own at once; its parent's descriptor is not taken for it."""
    kubelet_volume.write({"message": "one"})
    running = program()
    running.do("child = os.fork() or (os.read(os.pipe()[0], 1), os._exit(0))")
    children = until(lambda: [each for each in processes() if each.parent == running.pid])
    try:
        [child] = children
        assert child.is_current
        assert child.pid != running.pid
    finally:
        for each in children:
            os.kill(each.pid, signal.SIGKILL)
        running.do("os.wait()")


def memory_files(pid):
    """How many memory files a process has open."""
    count = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            count += "memfd" in os.readlink(f"/proc/{pid}/fd/{name}")
    return count


def test_one_descriptor(program, kubelet_volume):
    """A process has one descriptor for its report, whatever the number of its settings objects and changes."""
    kubelet_volume.write({"message": "one"})
    running = program()
    running.do("many = [App.load() for _ in range(70)]")
    for text in ("two", "three"):
        kubelet_volume.write({"message": text})
        until(lambda: all(each.version > 1 for each in processes(running.pid)[0].settings))
    until(lambda: memory_files(running.pid) == 1)  # the objects beyond the 64th are perhaps still at work
    [process] = processes(running.pid)
    assert (len(process.settings), process.unlisted) == (64, 7)


def test_the_unhealthy_one_of_many(program, kubelet_volume):
    """Of more than 64 settings objects, the report lists those that are not healthy first."""
    kubelet_volume.write({"message": "one"})
    running = program()
    running.do("many = [App.load() for _ in range(70)]")
    running.do("many[69].live.on_change('message')(lambda change: 1 / 0)")
    kubelet_volume.write({"message": "two"})
    found = until(lambda: (now := processes(running.pid)[0]) and not now.settings[0].healthy and now)
    assert "ZeroDivisionError" in found.settings[0].problems[0]
    assert not found.is_current


@pytest.mark.parametrize(("refused", "state"), [(1, "current"), (1000, "unknown")])
def test_no_thread_for_the_comparison(load, kubelet_volume, monkeypatch, refused, state):
    """Where no thread can be started, the report says so; a later thread gives the answer."""
    kubelet_volume.write({"message": "one"})
    load(App, _volumes=kubelet_volume.path)
    start, refusals = threading.Thread.start, iter(range(refused))

    def limited(thread):
        if thread.name == "liveconfig-look" and next(refusals, None) is not None:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    [report] = own_reports(kubelet_volume.path)
    assert report.state == state
    assert report.problems == ((f"a volume {NO_THREAD}: {kubelet_volume.path}",) if state == "unknown" else ())


def test_descriptors_closed_by_the_program(program, kubelet_volume):
    """A program that closes all its descriptors has a report again after the next change or re-check."""
    kubelet_volume.write({"message": "one"})
    running = program()
    running.do("os.closerange(3, 1000)")
    assert not processes(running.pid)
    running.do("settings.live.reload()")
    assert report_of(running.pid)[1].state == "current"


def test_no_other_argument(program, kubelet_volume, canary):
    """The command line is shown as the name of the program; a secret among the arguments is not."""
    kubelet_volume.write({"password": canary})
    running = program(canary)
    process, _ = report_of(running.pid)
    assert process.command.startswith("python")
    assert process.command.endswith(" -c")
    assert canary not in json.dumps(process.as_dict())


def test_switched_off(program, kubelet_volume, monkeypatch):
    """With LIVECONFIG_REPORT=0 a process shows no report."""
    monkeypatch.setenv("LIVECONFIG_REPORT", "0")
    kubelet_volume.write({"message": "one"})
    assert not processes(program().pid)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b"\xff", b'{"schema": 99, "settings": []}', b"[" * 100_000, b'{"schema": 1, "settings": [1]}'],
    ids=["empty", "list", "object", "bytes", "another version", "deep", "another shape"],
)
def test_a_report_that_cannot_be_read(program, kubelet_volume, content, monkeypatch):
    """A report that cannot be read makes a hidden row, and no exception."""
    monkeypatch.setenv("LIVECONFIG_REPORT", "0")
    kubelet_volume.write({"message": "one"})
    running = program()
    if content.startswith(b'{"schema": 1'):
        content = content[:-1] + f', "pid": {running.pid}}}'.encode()
    running.do("from liveconfig._processes.memory_file import MemoryFile; foreign = MemoryFile()")
    running.do(f"foreign.replace({content!r})")
    process, settings = report_of(running.pid)
    assert (settings.state, process.is_current) == ("hidden", False)
    assert "cannot be read" in settings.problems[0]


def test_a_huge_report(program, kubelet_volume, monkeypatch):
    """A report of more than 8 MiB is not read."""
    monkeypatch.setenv("LIVECONFIG_REPORT", "0")
    kubelet_volume.write({"message": "one"})
    running = program()
    running.do("from liveconfig._processes.memory_file import MemoryFile; foreign = MemoryFile()")
    running.do("foreign.replace(bytes(9 * 1024 * 1024))")
    assert report_of(running.pid)[1].state == "hidden"


def test_a_plain_volume(tmp_path, load):
    """A plain directory is compared by names, sizes, inodes and times of its files."""
    (tmp_path / "message").write_text("one")
    settings = load(App, _volumes=tmp_path, _watch=False)
    [report] = own_reports(tmp_path)
    assert (report.volumes[0].mode, report.state, report.healthy) == ("plain", "closed", True)
    (tmp_path / "message").write_text("three")
    until(lambda: not own_reports(tmp_path)[0].healthy)
    settings.live.reload()
    assert own_reports(tmp_path)[0].healthy


def test_stale_from_the_start(load, kubelet_volume, monkeypatch):
    """The first report of a process names the fields that are stale."""
    monkeypatch.setenv("MESSAGE", "one")
    kubelet_volume.write({"another": "key"})
    load(App, _volumes=kubelet_volume.path)
    [report] = own_reports(kubelet_volume.path)
    assert report.stale == ("message",)


def test_collected_objects(load, kubelet_volume):
    """Objects that were collected leave the report at the next publication."""
    kubelet_volume.write({"message": "one"})
    kept, gone = load(App, _volumes=kubelet_volume.path), App.load(_volumes=kubelet_volume.path)
    assert len(own_reports(kubelet_volume.path)) == 2
    gone.live.close()
    del gone
    gc.collect()
    kubelet_volume.write({"message": "two"})
    kept.live.reload()
    assert len(own_reports(kubelet_volume.path)) == 1


@pytest.mark.parametrize("others", [0, 1])
def test_a_collected_object_that_was_watched(program, kubelet_volume, others):
    """Watched settings that were collected leave the report without a change; a process without others is not listed."""
    kubelet_volume.write({"message": "one"})
    running = program()
    running.do(f"import gc; others = [App.load() for _ in range({others})]; del settings; gc.collect()")
    until(lambda: [len(each.settings) for each in processes(running.pid)] == [others] * bool(others))
    kubelet_volume.write({"message": "two"})
    until(lambda: all(each.version == 2 for process in processes(running.pid) for each in process.settings))
