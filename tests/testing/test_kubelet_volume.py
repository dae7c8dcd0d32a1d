"""`KubeletVolume` against the facts of the kubelet's own writer, step by step."""

from __future__ import annotations

import datetime as dt
import inspect
import itertools
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import traceback

import pytest
from pydantic import SecretStr

from liveconfig import Settings
from liveconfig.testing import KubeletVolume

OLD = {"message": "hello", "flag": "on", "db/user": "web"}
NEW = {"message": "bye", "flag": "on", "db/password": "x", "added": "1"}
BAD_KEYS = ["", "/etc", "a//b", "a/", "..", ".", "..data", "a/../b", "a b", "ä", "a\n", "k" * 254]
NAME = re.compile(r"\.\.\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d\.\d+")


def read(folder):
    """Every file below a folder, by its relative name."""
    found = {}
    for place, _, names in os.walk(folder, followlinks=True):
        for name in names:
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = file.read().decode()
    return found


def visible(volume):
    """The names that a reader sees in the mount directory."""
    return {name for name in os.listdir(volume.path) if not name.startswith("..")}


def hidden(volume):
    return {name for name in os.listdir(volume.path) if name.startswith("..")}


def advance(steps, last):
    """Do the steps up to and with the first one of this name."""
    for step in steps:
        if step == last:
            return
    raise AssertionError(f"there was no {last}")


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture
def volume(kubelet_volume):
    kubelet_volume.write(OLD)
    return kubelet_volume


@pytest.fixture
def legacy(make_kubelet_volume):
    made = make_kubelet_volume("legacy", legacy=True)
    made.write(OLD)
    return made


class TestLayout:
    def test_root(self, volume):
        """A volume holds one generation, the link ..data to it, and one visible link per first path part."""
        links = {name: os.readlink(volume.path / name) for name in os.listdir(volume.path) if name != volume.generation}
        assert links == {
            "..data": volume.generation,
            "message": "..data/message",
            "flag": "..data/flag",
            "db": "..data/db",
        }
        assert read(volume.path / volume.generation) == OLD

    def test_name(self, kubelet_volume):
        """A generation is named after the UTC time in whole seconds, and a random number."""
        before = dt.datetime.now(dt.UTC).replace(microsecond=0)
        kubelet_volume.write(OLD)
        after = dt.datetime.now(dt.UTC)
        assert NAME.fullmatch(kubelet_volume.generation)
        stamp = kubelet_volume.generation[2:].partition(".")[0]
        assert before <= dt.datetime.strptime(f"{stamp} +0000", "%Y_%m_%d_%H_%M_%S %z") <= after

    def test_names_are_unique(self, kubelet_volume):
        """200 swaps, many in the same second, give 200 names."""
        names = set()
        for number in range(200):
            kubelet_volume.write({"key": str(number)})
            names.add(kubelet_volume.generation)
        assert len(names) == 200

    def test_modification_time(self, volume, tmp_path):
        """The folder of a generation carries the time at which it was written, finer than its name."""
        (tmp_path / "before").touch()
        volume.write(NEW)
        (tmp_path / "after").touch()
        paths = (tmp_path / "before", volume.path / "..data", tmp_path / "after")
        times = [os.stat(path).st_mtime_ns for path in paths]
        assert times == sorted(times)

    def test_modes_do_not_depend_on_the_umask(self, kubelet_volume):
        """A generation and the folders in it have mode 0755, its files 0644, whatever the umask."""
        umask = os.umask(0o077)
        try:
            kubelet_volume.write({"message": "x", "db/login/user": "x", "db/port": "1"})
        finally:
            os.umask(umask)
        assert {mode(kubelet_volume.path / folder) for folder in ("..data", "db", "db/login")} == {0o755}
        assert {mode(kubelet_volume.path / key) for key in ("message", "db/login/user", "db/port")} == {0o644}

    def test_empty_volume(self, make_kubelet_volume):
        """A new volume is an empty directory without a generation."""
        volume = make_kubelet_volume("a/b")
        assert os.listdir(volume.path) == []
        assert volume.generation is None

    def test_empty_payload(self, volume):
        """An empty payload (an optional ConfigMap that was deleted) is a swap to an empty generation."""
        volume.write({})
        assert os.listdir(volume.path / "..data") == []
        assert visible(volume) == set()

    def test_relative_path(self, tmp_path, monkeypatch):
        """A relative path keeps its meaning when the working directory changes, as a path of the settings does."""
        monkeypatch.chdir(tmp_path)
        volume = KubeletVolume("config")
        monkeypatch.chdir("/")
        volume.write({"message": "hello"})
        assert volume.path == tmp_path / "config"
        assert read(tmp_path / "config")["message"] == "hello"


class TestOrder:
    def test_events_of_an_update(self, volume, raw_events):
        """The inotify events of an update come in the kubelet's order."""
        old, events = volume.generation, raw_events(volume.path)
        volume.write({"message": "bye", "flag": "on", "added": "1"})
        assert events() == [
            f"CREATE,ISDIR {volume.generation}",
            f"ATTRIB,ISDIR {volume.generation}",
            "CREATE ..data_tmp",
            "MOVED_FROM ..data_tmp",
            "MOVED_TO ..data",
            "CREATE added",
            "DELETE db",
            f"DELETE,ISDIR {old}",
        ]

    def test_events_of_the_first_write(self, kubelet_volume, raw_events):
        """The first write has no old generation to remove."""
        events = raw_events(kubelet_volume.path)
        kubelet_volume.write({"message": "hello"})
        assert events() == [
            f"CREATE,ISDIR {kubelet_volume.generation}",
            f"ATTRIB,ISDIR {kubelet_volume.generation}",
            "CREATE ..data_tmp",
            "MOVED_FROM ..data_tmp",
            "MOVED_TO ..data",
            "CREATE message",
        ]

    def test_events_of_a_legacy_update(self, legacy, raw_events):
        """A10: a legacy update makes the visible links before the swap."""
        old, events = legacy.generation, raw_events(legacy.path)
        legacy.write({"message": "bye", "flag": "on", "added": "1"})
        assert events() == [
            f"CREATE,ISDIR {legacy.generation}",
            f"ATTRIB,ISDIR {legacy.generation}",
            "CREATE added",
            "CREATE ..data_tmp",
            "MOVED_FROM ..data_tmp",
            "MOVED_TO ..data",
            "DELETE db",
            f"DELETE,ISDIR {old}",
        ]

    @pytest.mark.parametrize("name", ["volume", "legacy"])
    def test_unchanged_payload(self, name, request, raw_events):
        """A06: an unchanged payload writes nothing and causes no event, in the generation neither."""
        volume = request.getfixturevalue(name)
        before = volume.generation
        mount, generation = raw_events(volume.path), raw_events(volume.path / before)
        volume.write(dict(reversed(OLD.items())))
        assert mount() == generation() == []
        assert volume.generation == before

    def test_change_of_mode_alone(self, volume, raw_events):
        """A mode that differs on the disk is no reason to write."""
        os.chmod(volume.path / "message", 0o600)
        events = raw_events(volume.path)
        volume.write(OLD)
        assert events() == []

    def test_steps(self, volume):
        """The steps of an update are named after what was done."""
        steps = list(volume.steps(NEW))
        assert steps[:9] == ["mkdir", "chmod", *["file"] * 4, "symlink", "rename", "link"]
        assert sorted(steps[9:]) == [*["remove-file"] * 3, *["remove-folder"] * 2]
        assert steps[-1] == "remove-folder"

    def test_legacy_steps(self, legacy):
        """The steps of a legacy update end with the modes of the files."""
        steps = list(legacy.steps({"message": "bye", "added": "1"}))
        assert steps[:7] == ["mkdir", "chmod", "file", "file", "link", "symlink", "rename"]
        assert steps[7:9] == ["unlink", "unlink"]
        assert steps[-3:] == ["remove-folder", "permit", "permit"]

    def test_order_of_files(self, kubelet_volume, raw_events):
        """The files of a generation are written in an order that varies."""
        orders = set()
        for number in range(50):
            steps = kubelet_volume.steps(dict.fromkeys("abcdef", str(number)))
            advance(steps, "mkdir")
            (folder,) = hidden(kubelet_volume) - {"..data", kubelet_volume.generation}
            events = raw_events(kubelet_volume.path / folder)
            advance(steps, "symlink")
            orders.add(tuple(event for event in events() if event.startswith("CREATE")))
            list(steps)
        assert len(orders) > 1


class TestWindows:
    """The state that a reader sees between two steps."""

    def test_new_generation_is_private_at_first(self, volume):
        """The folder of a generation is made with mode 0700 and opened to all before the first file."""
        steps = volume.steps(NEW)
        advance(steps, "mkdir")
        (folder,) = hidden(volume) - {"..data", volume.generation}
        assert mode(volume.path / folder) == 0o700
        assert next(steps) == "chmod"
        assert mode(volume.path / folder) == 0o755
        assert os.listdir(volume.path / folder) == []

    def test_until_the_rename_all_is_old(self, volume):
        """Until the rename a reader of ..data sees the old payload, from then on the new one, never a mix."""
        seen = ["old" if read(volume.path / "..data") == OLD else "new"]
        for step in volume.steps(NEW):
            now = read(volume.path / "..data")
            assert now in (OLD, NEW), step
            seen.append("old" if now == OLD else "new")
            assert (step == "rename") == (seen[-2:] == ["old", "new"])

    def test_new_key_appears_after_the_swap(self, volume):
        """Between the swap and its link, a new key is in the generation but has no visible name."""
        advance(steps := volume.steps(NEW), "rename")
        assert read(volume.path / "..data")["added"] == "1"
        assert "added" not in visible(volume)
        advance(steps, "link")
        assert "added" in visible(volume)

    def test_removed_key_dangles_after_the_swap(self, volume):
        """Between the swap and its removal, the visible link of a removed key dangles."""
        advance(steps := volume.steps({"message": "bye"}), "rename")
        assert os.path.lexists(volume.path / "flag")
        assert not os.path.exists(volume.path / "flag")
        list(steps)
        assert visible(volume) == {"message"}

    def test_links_are_made_before_others_are_removed(self, volume):
        """The links of new keys are made before those of removed keys are deleted."""
        steps = [step for step in volume.steps({"added": "1", "more": "2"}) if step.endswith("link")]
        assert steps == ["symlink", "link", "link", "unlink", "unlink", "unlink"]

    def test_old_generation_lists_short(self, volume):
        """A reader of the old generation sees it lose its files one by one, and then disappear."""
        old = volume.path / volume.generation
        steps = volume.steps({"message": "bye"})
        advance(steps, "remove-file")
        assert 0 < len(read(old)) < len(OLD)
        list(steps)
        assert not old.exists()

    def test_legacy_link_dangles_before_the_swap(self, legacy):
        """A10: in the old order a new key has a visible name that leads nowhere until the swap."""
        advance(steps := legacy.steps(NEW), "link")
        assert os.path.lexists(legacy.path / "added")
        assert not os.path.exists(legacy.path / "added")
        advance(steps, "rename")
        assert os.path.exists(legacy.path / "added")

    def test_legacy_files_are_private_at_first(self, legacy):
        """In the old order the files of the new generation are private for a moment after the swap."""
        advance(steps := legacy.steps(NEW), "rename")
        assert {mode(legacy.path / "..data" / key) for key in NEW} == {0o600}
        list(steps)
        assert {mode(legacy.path / "..data" / key) for key in NEW} == {0o644}


class TestKeys:
    def test_update(self, volume):
        """`update` sets the keys it is given and leaves the others."""
        volume.update({"flag": "off", "db/password": b"\xff"})
        volume.update({"db/password": "x"})
        assert read(volume.path / "..data") == {**OLD, "flag": "off", "db/password": "x"}

    def test_remove(self, volume):
        """`remove` takes keys away; the link of a folder goes with its last key."""
        volume.remove("flag", "db/user")
        assert visible(volume) == {"message"}

    def test_remove_one_of_a_folder(self, volume):
        """The link of a folder stays while a key is left in it."""
        volume.update({"db/password": "x"})
        volume.remove("db/user")
        assert read(volume.path / "db") == {"password": "x"}

    def test_remove_unknown(self, volume):
        """Removing a missing key is a KeyError, and changes nothing."""
        with pytest.raises(KeyError, match="nonsense"):
            volume.remove("flag", "nonsense")
        assert read(volume.path / "..data") == OLD

    def test_bytes(self, kubelet_volume):
        """Text is written as UTF-8, bytes as they are."""
        kubelet_volume.write({"text": "grüß\r\n", "binary": b"\x00\xff\r\n", "empty": ""})
        found = {key: (kubelet_volume.path / key).read_bytes() for key in ("text", "binary", "empty")}
        assert found == {"text": "grüß\r\n".encode(), "binary": b"\x00\xff\r\n", "empty": b""}

    def test_deep_folders(self, kubelet_volume):
        """A12: a key may lie in folders of folders, and only the first has a visible link."""
        kubelet_volume.write({"x/y/z": "1", "x/w": "2"})
        assert visible(kubelet_volume) == {"x"}
        assert (kubelet_volume.path / "x/y/z").read_text() == "1"

    @pytest.mark.parametrize("key", [".env", "a.b-c_D9", "a..b", "-", "a/b"])
    def test_good_keys(self, kubelet_volume, key):
        """A key is made of letters, digits, '-', '_' and '.'."""
        kubelet_volume.write({key: "x"})
        assert (kubelet_volume.path / key).read_text() == "x"

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_bad_keys(self, volume, key, raw_events):
        """A key that the kubelet refuses is a ValueError that names it, and nothing is written."""
        events = raw_events(volume.path)
        with pytest.raises(ValueError, match="no volume can hold the key") as caught:
            volume.write({"good": "x", key: "y"})
        assert repr(key) in str(caught.value)
        assert events() == []

    def test_file_and_folder_at_once(self, volume):
        """A key cannot be the folder of another key."""
        with pytest.raises(ValueError, match="'db' cannot be a key and the folder of another key"):
            volume.update({"db": "x"})

    @pytest.mark.parametrize("value", [True, 1, None, ["x"]])
    def test_bad_values(self, volume, value):
        """A value that is neither text nor bytes is a TypeError that names the key and the type."""
        with pytest.raises(TypeError, match=f"'flag' is of type {type(value).__name__}"):
            volume.update({"flag": value})

    @pytest.mark.parametrize("payload", [None, "abc", ["abc"], {"abc"}])
    def test_no_mapping(self, volume, payload):
        """A payload that is no mapping is a TypeError that names its type."""
        with pytest.raises(TypeError, match=f"expected a mapping .* found {type(payload).__name__}"):
            volume.write(payload)

    def test_no_value_in_an_error(self, volume, canary):
        """F63: no error of a volume, none of its frames, and no repr, holds a value."""
        for call in (volume.write, volume.update, volume.steps):
            for payload in ({"password": [canary]}, {"password": f"{canary}\ud800"}, {"a b": canary}):
                with pytest.raises((TypeError, ValueError), match=r"password|a b") as caught:
                    call(payload)
                said = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
                frames = [frame for frame in said.stack if frame.filename != __file__]
                assert canary not in "".join(traceback.StackSummary.from_list(frames).format()) + str(said)
                assert not isinstance(caught.value, UnicodeError)
        volume.write({"password": canary})
        assert canary not in repr(volume)


class TestContinuing:
    def test_second_writer(self, volume):
        """A second volume on the same directory continues from the content of the disk."""
        other = KubeletVolume(volume.path)
        assert other.generation == volume.generation
        other.update({"flag": "off"})
        volume.update({"added": "1"})
        assert read(volume.path / "..data") == {**OLD, "flag": "off", "added": "1"}
        assert len(hidden(volume)) == 2

    def test_second_process(self, volume):
        """A writer in another process continues from the content of the disk, too."""
        program = (
            "import sys; from liveconfig.testing import KubeletVolume;"
            "KubeletVolume(sys.argv[1]).update({'flag': 'off'})"
        )
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        subprocess.run([sys.executable, "-c", program, volume.path], check=True, env=env, timeout=30)
        assert read(volume.path / "..data") == {**OLD, "flag": "off"}

    @pytest.mark.parametrize("legacy", [False, True])
    def test_killed_writer(self, make_kubelet_volume, legacy):
        """After a writer that was killed at any step, the next one completes the payload."""
        for killed in range(1, 30):
            volume = make_kubelet_volume(f"volume-{killed}", legacy=legacy)
            volume.write(OLD)
            done = list(itertools.islice(volume.steps(NEW), killed))
            assert read(volume.path / "..data") == (NEW if "rename" in done else OLD)
            KubeletVolume(volume.path, legacy=legacy).write(NEW)
            assert read(volume.path / "..data") == NEW
            assert {key: (volume.path / key).read_text() for key in NEW} == NEW
            assert "..data_tmp" not in hidden(volume)
            if len(done) < killed:
                return
        raise AssertionError("an update has fewer steps than this")

    @pytest.mark.parametrize("target", ["/", "../other", "..", "nonsense"])
    def test_strange_data_link(self, volume, tmp_path, target):
        """C10: what a ..data of another making points to is neither read nor removed."""
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "precious").touch()
        os.unlink(volume.path / "..data")
        os.symlink(target, volume.path / "..data")
        assert volume.generation is None
        volume.write(NEW)
        assert read(volume.path / "..data") == NEW
        assert (tmp_path / "other" / "precious").exists()

    def test_strange_files(self, volume, tmp_path):
        """C11: links, FIFOs and folders that a test has put into a generation are replaced, not followed."""
        (tmp_path / "precious").touch()
        generation = volume.path / volume.generation
        os.mkfifo(generation / "fifo")
        os.symlink(tmp_path, generation / "folder")
        os.unlink(generation / "message")
        os.symlink(tmp_path / "precious", generation / "message")
        volume.update({"message": "back"})
        assert read(volume.path / "..data") == {**OLD, "message": "back"}
        assert (tmp_path / "precious").exists()

    def test_ruins(self, volume):
        """C01: a volume of which everything was removed is written anew."""
        for name in visible(volume) | {"..data"}:
            os.unlink(volume.path / name)
        assert volume.generation is None
        volume.write(NEW)
        assert visible(volume) == {"message", "flag", "db", "added"}


def test_a_key_that_is_no_text(kubelet_volume):
    """A key that is not text is refused as such, and nothing is written."""
    with pytest.raises(TypeError, match="the key 5 is of type int, not str"):
        kubelet_volume.write({5: "value"})
    assert os.listdir(kubelet_volume.path) == []


def test_a_generation_that_somebody_removed(volume):
    """If the generation in use is missing or is a link, all files are written."""
    generation = volume.path / volume.generation
    shutil.rmtree(generation)
    volume.update({"added": "1"})
    assert read(volume.path / "..data") == {"added": "1"}
    generation = volume.path / volume.generation
    generation.rename(volume.path / "elsewhere")
    generation.symlink_to("elsewhere")
    volume.update({"added": "2"})
    assert read(volume.path / "..data") == {"added": "2"}


CONFIG_MAP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data: {message: hello, shared: from the ConfigMap}
"""
SECRET = """
apiVersion: v1
kind: Secret
metadata: {name: web}
stringData: {password: "pass word", shared: from the Secret}
"""
OTHER = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}, "data": {"other": "x"}}
STREAM = f"{CONFIG_MAP}---{SECRET}---\n{json.dumps(OTHER)}\n"
LIST = {"apiVersion": "v1", "kind": "List", "items": [OTHER, {**OTHER, "metadata": {"name": "b"}, "data": {"b": "1"}}]}


class TestApplyOneOfSeveral:
    @pytest.mark.parametrize(
        ("manifest", "chosen", "keys"),
        [
            (STREAM, {"kind": "Secret"}, {"password", "shared"}),
            (STREAM, {"name": "other"}, {"other"}),
            (STREAM, {"name": "web", "kind": "ConfigMap"}, {"message", "shared"}),
            (LIST, {"name": "b"}, {"b"}),
            (CONFIG_MAP, {"name": "web"}, {"message", "shared"}),
        ],
    )
    def test_by_name_and_kind(self, kubelet_volume, manifest, chosen, keys):
        """`apply(name=, kind=)` takes one object of a stream or a List."""
        kubelet_volume.apply(manifest, **chosen)
        assert visible(kubelet_volume) == keys

    @pytest.mark.parametrize(
        "chosen", [{}, {"name": "web"}, {"kind": "ConfigMap"}, {"name": "nothing"}, {"kind": "Pod"}]
    )
    def test_not_exactly_one(self, kubelet_volume, chosen):
        """If several objects fit, or none, the error lists the objects of the manifest; nothing is written."""
        with pytest.raises(ValueError, match=r"ConfigMap web, Secret web|ConfigMap web, ConfigMap other"):
            kubelet_volume.apply(STREAM, **chosen)
        assert os.listdir(kubelet_volume.path) == []

    @pytest.mark.parametrize(
        "text",
        [
            CONFIG_MAP.replace("message: hello", "message: hello, message: hello"),
            json.dumps({**OTHER, "data": {"other": "CANARY"}}).replace('"other": "C', '"other": "x", "other": "C'),
        ],
    )
    def test_a_key_that_stands_twice(self, kubelet_volume, text):
        """A key that occurs twice in a manifest is an error with its name, without its value."""
        with pytest.raises(ValueError, match="stands twice") as caught:
            kubelet_volume.apply(text)
        assert "CANARY" not in str(caught.value)


class TestProjected:
    def test_in_one_swap(self, kubelet_volume):
        """Several manifests become one generation; of a key that two of them hold the later one is used."""
        kubelet_volume.projected(CONFIG_MAP, SECRET, OTHER)
        expected = {"message": "hello", "shared": "from the Secret", "password": "pass word", "other": "x"}
        assert read(kubelet_volume.path / "..data") == expected
        assert len(hidden(kubelet_volume)) == 2  # the generation and its link

    @pytest.mark.parametrize(
        "given",
        [(STREAM,), ([CONFIG_MAP, SECRET], OTHER), (LIST, STREAM), ((CONFIG_MAP, SECRET, OTHER),)],
        ids=["stream", "list and one", "List and stream", "one tuple"],
    )
    def test_however_they_are_given(self, kubelet_volume, given):
        """A stream, a List and a list of manifests stand for the objects in them."""
        kubelet_volume.projected(*given)
        assert visible(kubelet_volume) >= {"message", "shared", "password", "other"}

    def test_settings_follow(self, kubelet_volume, load):
        """Settings on a projected volume see a ConfigMap and a Secret change together, in one version."""

        class App(Settings):
            message: str = ""
            password: SecretStr = SecretStr("")

        kubelet_volume.projected(CONFIG_MAP, SECRET)
        settings = load(App, _volumes=kubelet_volume.path, _watch=False)
        kubelet_volume.projected(CONFIG_MAP.replace("hello", "bye"), SECRET.replace("pass word", "new"))
        assert settings.live.reload()
        assert (settings.message, settings.password.get_secret_value(), settings.live.version) == ("bye", "new", 2)

    @pytest.mark.parametrize(
        "wrong", ["kind: Pod\napiVersion: v1\nmetadata: {name: x}\n", "", {"kind": "List", "items": []}]
    )
    def test_what_is_no_source(self, kubelet_volume, wrong):
        """An object that is neither a ConfigMap nor a Secret is an error, and nothing is written."""
        with pytest.raises(ValueError, match=r"^expected a "):
            kubelet_volume.projected(CONFIG_MAP, wrong)
        assert os.listdir(kubelet_volume.path) == []

    def test_no_value_in_an_error(self, kubelet_volume, canary):
        """The error about one manifest shows no value of another one, in its frames neither."""
        with pytest.raises(ValueError, match="Pod") as caught:
            kubelet_volume.projected(SECRET.replace("pass word", canary), "kind: Pod\n")
        assert canary not in "".join(traceback.format_exception(caught.value, limit=None))
        inside = [each for each in inspect.getinnerframes(caught.tb) if "src/liveconfig" in each.filename]
        frames = [each.frame.f_locals for each in inside]
        assert canary not in repr(frames)
