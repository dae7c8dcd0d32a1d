"""``liveconfig explain``: a new process, and the running one."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pty
import re
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer

import pytest

from liveconfig import Settings
from liveconfig.cli import main

PATIENCE = 30.0

APP = """
import logging
from pydantic import BaseModel, SecretStr
from liveconfig import Settings, SettingsConfigDict

logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO)
print("said by the module")

class Database(BaseModel):
    user: str = "root"

class AppSettings(Settings):
    model_config = SettingsConfigDict(volumes=["kubelet-volume"], from_environment=["pod_name"])
    message: str = "hello world"
    pod_name: str = ""
    database: Database = Database()
    mysql_root_password: SecretStr
"""


class Running(Settings):
    """The settings of a running process: this one."""

    message: str = "hello world"
    port: int = 8000


@pytest.fixture
def app(module):
    """The module ``app`` with the class ``AppSettings``, on the volume ``kubelet-volume``."""
    return module("app", APP)


@pytest.fixture
def running(kubelet_volume):
    """The live settings of this process."""
    kubelet_volume.write({"message": "hello"})
    settings = Running.load(_volumes=[kubelet_volume.path])
    with settings.live:
        yield settings


@contextmanager
def serving(answer, *, code=200, asked=None):
    """A server of one page; the address of it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if asked is not None:
                asked.append((self.path, dict(self.headers)))
            self.send_response(code)
            self.end_headers()
            self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

        def log_message(self, *_):
            pass

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/liveconfig/status"
        finally:
            server.shutdown()
            thread.join()


def row(output, first):
    """The words of the first line that begins with a word."""
    return next(words for line in output.splitlines() if (words := line.split())[:1] == [first])


# A new process


def test_class_in_a_new_process(run, app, kubelet_volume, canary):
    """A class is loaded: the first line says that it is a new process, each leaf has its origin, no value is shown."""
    kubelet_volume.write({"message": canary, "mysql-root-password": canary})
    done = run("explain", "app:AppSettings", POD_NAME=canary)
    assert done.returncode == 0
    first, *_ = done.stdout.splitlines()
    assert re.fullmatch(
        r"This is a new process \(\d+\), started for this command; it is NOT the running application\.", first
    )
    path = kubelet_volume.path
    assert row(done.stdout, "message")[1] == "live"
    assert row(done.stdout, "message")[-1] == f"{path}/message"
    assert row(done.stdout, "mysql_root_password")[-1] == f"{path}/mysql-root-password"
    assert row(done.stdout, "pod_name") == ["pod_name", "fixed", "start", "variable", "POD_NAME"]
    assert row(done.stdout, "database.user") == ["database.user", "default", "start", "default"]
    assert row(done.stdout, str(path))[1] == "atomic"
    assert row(done.stdout, str(path))[-1] == kubelet_volume.generation
    assert canary not in done.stdout + done.stderr


def test_live_object(run, module, app, kubelet_volume):
    """A live object is explained as it is, wherever in its module it hangs."""
    module("use", "import app\nclass Holder:\n    settings = app.AppSettings.load(message='mine')")
    kubelet_volume.write({"mysql-root-password": "x"})
    done = run("explain", "use:Holder.settings")
    assert done.returncode == 0
    assert row(done.stdout, "message")[1:] == ["fixed", "start", "given", "in", "the", "code"]


def test_json_of_a_new_process(run, app, kubelet_volume):
    """With --json it is the status as one object, and what the module prints does not come between."""
    kubelet_volume.write({"mysql-root-password": "x"})
    done = run("explain", "--json", "app:AppSettings")
    status = json.loads(done.stdout)
    assert (done.returncode, status["new_process"], status["healthy"], status["frozen"]) == (0, True, True, [])
    assert status["fields"]["mysql_root_password"]["live"] is True
    assert "said by the module" in done.stderr


def test_key_that_no_field_uses(run, app, kubelet_volume):
    """A key with a typing error is shown with the field that it was meant for."""
    kubelet_volume.write({"mysql-root-password": "x", "mesage": "y"})
    said = run("explain", "app:AppSettings").stdout
    assert f"Keys that no field uses\n- {kubelet_volume.path}/mesage (the nearest field is message)\n" in said


def test_not_healthy(run, module, app, kubelet_volume, canary):
    """A rejected configuration: the reason and what waits with it, the generation that is not in use, exit code 3."""
    module(
        "broken",
        """
import app
from liveconfig.testing import KubeletVolume
class Wider(app.AppSettings):
    port: int = 1
settings = Wider.load()
KubeletVolume("kubelet-volume").update({"port": "CANARY", "message": "new"})
settings.live.reload()
""",
    )
    kubelet_volume.write({"mysql-root-password": canary, "port": "1"})
    done = run("explain", "broken:settings")
    assert done.returncode == 3
    assert "NOT HEALTHY" in done.stdout
    assert re.search(r"Problems\n- rejected at stage validate: port: .*message", done.stdout, re.DOTALL)
    assert f"on disk, and not in use: {kubelet_volume.generation}" in done.stdout
    assert re.search(r"it is still there, after attempt \d+", _joined(done.stdout))
    assert "CANARY" not in done.stdout


# What is frozen, and what is not


def test_only_the_environment(run, app, kubelet_volume, canary):
    """Served by the environment: FROZEN with its variable, said in the log and on the page, exit code 1."""
    kubelet_volume.write({"message": "x"})
    done = run("explain", "app:AppSettings", MYSQL_ROOT_PASSWORD=canary)
    assert done.returncode == 1
    assert "FROZEN: mysql_root_password.\n" in done.stdout
    assert row(done.stdout, "mysql_root_password")[1:] == ["FROZEN", "start", "variable", "MYSQL_ROOT_PASSWORD"]
    assert "Notes\n- `mysql_root_password` is read from the environment variable" in _joined(done.stdout)
    assert (
        "WARNING AppSettings: `mysql_root_password` is read from the environment variable MYSQL_ROOT_PASSWORD and"
        in done.stderr
    )


def test_only_the_volume(run, app, kubelet_volume):
    """Served by the volume: live, nothing to know, no warning in the log, exit code 0."""
    kubelet_volume.write({"mysql-root-password": "x"})
    done = run("explain", "app:AppSettings")
    assert done.returncode == 0
    assert "Nothing is frozen.\n" in done.stdout
    assert row(done.stdout, "mysql_root_password")[1] == "live"
    assert "environment" not in done.stdout + done.stderr


def test_both(run, app, kubelet_volume, canary):
    """Served by the volume while a variable holds another value: live, and the variable loses, exit code 0."""
    kubelet_volume.write({"mysql-root-password": "x"})
    done = run("explain", "app:AppSettings", MYSQL_ROOT_PASSWORD=canary)
    assert done.returncode == 0
    assert row(done.stdout, "mysql_root_password")[1] == "live"
    assert "\n  variable MYSQL_ROOT_PASSWORD holds another value, and loses\n" in re.sub(" {3,}", "  ", done.stdout)
    assert (
        "WARNING AppSettings: `mysql_root_password` (MYSQL_ROOT_PASSWORD) differs between the volume and" in done.stderr
    )


SUBPATH = """
mkdir kubelet-volume
touch kubelet-volume/mysql-root-password
mount --bind "source/$(readlink source/..data)/mysql-root-password" kubelet-volume/mysql-root-password
"""


def test_subpath(run, app, make_kubelet_volume, with_mounts, canary):
    """C13: a subPath mount: FROZEN with its reason, a warning in the log, exit code 1, healthy while it holds."""
    make_kubelet_volume("source").write({"mysql-root-password": canary})
    done = run("explain", "app:AppSettings", before=with_mounts(SUBPATH))
    assert done.returncode == 1
    assert "Healthy.\nFROZEN: mysql_root_password.\n" in done.stdout
    assert row(done.stdout, "mysql_root_password")[1] == "FROZEN"
    assert "FROZEN: mysql-root-password (subPath mount)" in done.stdout
    assert re.search("WARNING .*mysql-root-password is a subPath mount", done.stderr)


def test_stale_subpath(run, app, make_kubelet_volume, with_mounts, canary):
    """C13: a subPath mount whose volume has moved on: an error in the log, not healthy, and the reason says so."""
    make_kubelet_volume("source").write({"mysql-root-password": canary})
    moves_on = 'rm -r "source/$(readlink source/..data)"'
    done = run("explain", "app:AppSettings", before=with_mounts(f"{SUBPATH}\n{moves_on}"))
    assert done.returncode == 1
    assert "NOT HEALTHY" in done.stdout
    assert "FROZEN: mysql-root-password (subPath mount, and the volume has moved on)" in done.stdout
    assert re.search("ERROR .*mysql-root-password is a stale subPath mount", done.stderr)


def test_watched_subpath(start, make_kubelet_volume, with_mounts):
    """C13: watch names the key that is frozen by a subPath mount."""
    make_kubelet_volume("source").write({"mysql-root-password": "x"})
    command = start("watch", "kubelet-volume", before=with_mounts(SUBPATH))
    assert command.until("plain volume").endswith("; FROZEN, subpath: mysql-root-password")


# The running process


def test_running_process(run, running):
    """A status page is explained with the process id and the start of the process that runs."""
    with serving(running.live.status().as_dict()) as address:
        done = run("explain", address)
    assert (done.returncode, done.stderr) == (0, "")
    first, second, *_ = done.stdout.splitlines()
    assert re.fullmatch(rf"This is the running process {os.getpid()}, started [-\d]+ [:\d]+ UTC, .+ ago\.", first)
    assert second == "Healthy."
    assert row(done.stdout, "message")[1] == "live"


def test_failing_subscriber(run, running, kubelet_volume, canary):
    """A subscriber that raised is shown with the type of its error, and the exit code is 3."""

    def reconnect(change):
        raise ConnectionError(canary)

    running.live.subscribe("message", reconnect)
    kubelet_volume.write({"message": canary})
    assert running.live.reload()
    with serving(running.live.status().as_dict()) as address:
        done = run("explain", address)
    assert done.returncode == 3
    assert re.search(r"Subscribers that fail\n- \S+reconnect raised\s+ConnectionError;", done.stdout)
    assert canary not in done.stdout


def test_rejection_that_is_over(run, running, kubelet_volume):
    """The last rejection is shown with its reason and its age when it is over, too."""
    for port in ("x", "1"):
        kubelet_volume.write({"port": port})
        running.live.reload()
    with serving(running.live.status().as_dict()) as address:
        done = run("explain", address)
    assert done.returncode == 0
    assert re.search(
        r"Last rejection\n- .* ago, at stage validate: .* it is over\. It was: port: ", _joined(done.stdout)
    )
    assert re.search(r"Version 2, applied .* ago, .* after it was written\.", done.stdout)


def _joined(text):
    return text.replace("\n  ", " ")


def test_header_and_json(run, running):
    """The given headers are sent, and --json prints the answer."""
    asked = []
    status = running.live.status().as_dict()
    with serving(status, asked=asked) as address:
        done = run("explain", f"{address}?x=1", "--json", "--header", "Authorization: Bearer abc")
    assert json.loads(done.stdout) == {"new_process": False, **status}
    ((path, headers),) = asked
    assert (path, headers["Authorization"]) == ("/liveconfig/status?x=1", "Bearer abc")


def test_no_proxy(run, running):
    """A process is asked itself: a proxy in the environment does not come between."""
    with serving(running.live.status().as_dict()) as address:
        done = run("explain", address, http_proxy="http://127.0.0.1:9", ALL_PROXY="http://127.0.0.1:9")
    assert done.returncode == 0


def test_answer_with_commands_for_a_terminal(run, running):
    """The answer of another process cannot move the cursor of the terminal."""
    status = running.live.status().as_dict()
    with serving({**status, "problems": ["\x1b[2J\x07\u202eevil"]}) as address:
        done = run("explain", address)
    assert "- ?[2J??evil\n" in done.stdout
    assert not [character for character in "\x1b\x07\u202e" if character in done.stdout]


# Colours


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colours(run, running, variables, coloured):
    """There are colours on a terminal, unless NO_COLOR or a dumb terminal says otherwise."""
    ours, theirs = pty.openpty()
    with serving(running.live.status().as_dict()) as address:
        environment = {"NO_COLOR": "", **variables}
        done = run("explain", address, stdout=theirs, **environment)
    os.close(theirs)
    with open(ours, "rb", buffering=0) as terminal:
        said = terminal.read(65536)
    assert done.returncode == 0
    assert b"This is the running process" in said
    assert (b"\x1b[" in said) == coloured


FACTORIES = """
import functools
from liveconfig import Settings

class AppSettings(Settings):
    message: str = ""

def plain(path=None): return AppSettings()

@functools.lru_cache
def cached(): return AppSettings()

@functools.lru_cache(maxsize=1)
def cached_once(*, path=None): return AppSettings()

async def coroutine(): return AppSettings()

class Container:
    @staticmethod
    def static(): return AppSettings()

    def method(self): return AppSettings()

container = Container()
partial = functools.partial(plain, path="x")
"""


@pytest.mark.parametrize(
    "name", ["plain", "cached", "cached_once", "coroutine", "Container.static", "container.method", "partial"]
)
def test_function_that_returns_settings(run, module, name):
    """S10: a function that returns settings, cached or not, is called and explained."""
    module("app", FACTORIES)
    done = run("explain", f"app:{name}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("This is a new process (")
    assert "message" in done.stdout


# What cannot be explained


def refused(code, stdout, stderr):
    """The one line on standard error."""
    assert (code, stdout) == (2, "")
    assert stderr.startswith("liveconfig explain: ")
    assert stderr.count("\n") == 1
    return stderr


@pytest.fixture
def refusal(capsys):
    """A function that asks an address in this process, and gives the one line that is said."""
    return lambda *arguments: refused(main(["explain", *arguments]), *capsys.readouterr())


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("app", "'app' is neither MODULE:OBJECT (as in app.settings:settings) nor a URL"),
        ("nowhere:x", "'nowhere' cannot be imported: there is no module 'nowhere'"),
        ("needs:x", "'needs' cannot be imported: there is no module 'not_installed'"),
        ("wrong:x", "'wrong' cannot be imported: no valid Python in "),
        ("raises:x", "'raises' cannot be imported: KeyError at raises.py:1 in <module>"),
        ("ends:x", "'ends' cannot be imported: SystemExit at "),
        ("fine:AppSetings", "'fine' has no 'AppSetings'; did you mean 'AppSettings'?"),
        ("fine:AppSettings.x", "'fine' has no 'AppSettings.x'"),
        (
            "fine:number",
            "fine:number is neither live settings, nor a Settings class, nor a function that returns settings",
        ),
        ("fine:get_number", "what fine:get_number() returns is neither live settings, nor a Settings class"),
        ("fine:needs_arguments", "fine:needs_arguments is neither live settings, nor a Settings class"),
        ("fine:get_error", "KeyError at fine.py:"),
        ("exits:get_settings", "SystemExit at exits.py:1 in get_settings"),
        ("fine:snapshot", "AppSettings is a snapshot: only the object it came from is live"),
        ("fine:get_number()", "name the function without parentheses: fine:get_number"),
        ("shop:create_app", "; for a Flask application: flask --app shop liveconfig explain"),
        ("shop:app", "; for a Flask application: flask --app shop liveconfig explain"),
    ],
)
def test_no_such_settings(run, module, target, says):
    """A target that is missing or cannot be loaded is one line without a value, and exit code 2."""
    module("needs", "import not_installed")
    module("wrong", "x = = 'CANARY'")
    module("raises", "raise KeyError('CANARY')")
    module("ends", "raise SystemExit('CANARY')")
    module("exits", "def get_settings(): raise SystemExit(0)")
    module("fine", FINE)
    module("shop", "from flask import Flask\napp = Flask('shop')\ndef create_app(): return app\n")
    done = run("explain", target)
    error = refused(done.returncode, done.stdout, done.stderr)
    assert says in error
    assert "CANARY" not in error


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (
            "Wanting",
            "Wanting: no valid configuration\n  password: Field required\n    looked for the key password (with - or _) "
            "in {path}; the variable PASSWORD\n",
        ),
        ("get_wanting", "Wanting: no valid configuration\n  password: Field required\n"),
        ("Refuses", "Refuses: no valid configuration\n  token: refused by its validator (ValueError)\n"),
        ("Wrong", "Wrong: no valid configuration\n  port: {problem} (in {path}/port)\n"),
    ],
)
def test_no_valid_configuration(run, module, kubelet_volume, target, says):
    """A class or function without a valid configuration is exit code 1, with the lines that ``load()`` raises."""
    module("fine", FINE)
    kubelet_volume.write({"port": "CANARY"})
    done = run("explain", f"fine:{target}")
    problem = "Input should be a valid integer, unable to parse string as an integer"
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("liveconfig explain: " + says.format(path=kubelet_volume.path, problem=problem))
    assert "CANARY" not in done.stderr


@pytest.mark.parametrize(("paths", "count"), [(["nowhere"], "1 volume is"), (["no", "nor"], "2 volumes are")])
def test_missing_volumes(run, module, tmp_path, paths, count):
    """The verdict names volumes that are missing, as after a typing error in ``LIVECONFIG_VOLUMES``."""
    module("fine", FINE)
    places = [str(tmp_path / path) for path in paths]
    done = run("explain", "fine:AppSettings", LIVECONFIG_VOLUMES=os.pathsep.join(places))
    assert done.returncode == 0
    assert done.stdout.splitlines()[1] == f"Healthy, but {count} missing: {', '.join(places)}."


def test_a_missing_volume_of_a_pair(run, module, tmp_path):
    """A missing volume that ``LIVECONFIG_VOLUMES`` put in the place of a declared one is a note that names the variable."""
    module("fine", FINE)
    done = run("explain", "fine:Declared", LIVECONFIG_VOLUMES=f"/etc/shop={tmp_path / 'nowhere'}")
    assert done.returncode == 0
    assert "Healthy, but 1 volume is missing: " in done.stdout
    assert "It is used as soon as it appears; check LIVECONFIG_VOLUMES" in " ".join(done.stdout.split())


def test_a_missing_directory_of_the_variable(run, module, tmp_path):
    """A missing directory that ``LIVECONFIG_VOLUMES`` names is to be created; the advice is not to set the variable."""
    module("fine", FINE)
    done = run("explain", "fine:Wanting", LIVECONFIG_VOLUMES=str(tmp_path / "nowhere"))
    assert f"no such directory: {tmp_path / 'nowhere'}. Create it, or correct LIVECONFIG_VOLUMES" in done.stderr


FINE = """
from pydantic import field_validator
from liveconfig import Settings
class AppSettings(Settings): pass
class Declared(Settings, volumes=["/etc/shop"]): pass
class Wanting(Settings, volumes=["kubelet-volume"]):
    password: str
class Wrong(Settings, volumes=["kubelet-volume"]):
    port: int
class Refuses(Settings):
    model_config = {"validate_default": True}
    token: str = "CANARY"
    @field_validator("token")
    def no(cls, value): raise ValueError(value)
snapshot = AppSettings().live.snapshot()
number = 1
def get_number(): return number
def needs_arguments(path): return AppSettings()
def get_error(): raise KeyError("CANARY")
def get_wanting(): return Wanting.load()
"""


@pytest.mark.parametrize(
    ("login", "given", "sent"),
    [
        ("me:p%40ss%3Aw%C3%B6rd@", (), "Basic " + base64.b64encode("me:p@ss:wörd".encode()).decode()),
        ("me@", (), "Basic " + base64.b64encode(b"me:").decode()),
        ("me:CANARY@", ("--header", "authorization: Bearer abc"), "Bearer abc"),
        ("", (), None),
    ],
)
def test_login_in_the_address(run, running, login, given, sent):
    """User and password in the address are sent as Basic authentication, unless a header says otherwise."""
    asked = []
    with serving(running.live.status().as_dict(), asked=asked) as address:
        done = run("explain", address.replace("http://", f"http://{login}"), *given)
    ((_, headers),) = asked
    assert headers.get("Authorization", headers.get("authorization")) == sent
    assert "CANARY" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        (b"", 404, "answers 404 Not Found: is the status page on (status=True)?"),
        (b"", 401, "answers 401 Unauthorized: pass the credentials with --header NAME:VALUE"),
        (b"", 302, "answers 302 Found: redirects are not followed. If it leads to a login, pass the credentials"),
        (b"<html>", 200, "does not return JSON"),
        (b"\xff", 200, "does not return JSON"),
        ([], 200, "not the status of settings"),
        ({"ready": True}, 200, "not the status of settings"),
        ({"pid": 1, "healthy": True, "fields": {}, "frozen": []}, 200, "not the status of settings"),
    ],
)
def test_no_such_page(refusal, answer, code, says):
    """A page that is not that of a status is one line that says what it is, and exit code 2."""
    with serving(answer, code=code) as address:
        assert says in refusal(address)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://127.0.0.1:9/liveconfig/status", "http://127.0.0.1:9/liveconfig/status cannot be reached: Connection"),
        (
            "http://me:CANARY@127.0.0.1:9/?token=CANARY",
            "http://127.0.0.1:9/ cannot be reached: Connection refused: is the application running",
        ),
        ("http://", "not a valid address"),
        ("http://host:CANARY/", "not a valid address"),
        ("http://127.0.0.1:9/?token=CANARY x", "http://127.0.0.1:9/ cannot be reached: InvalidURL"),
    ],
)
def test_no_such_address(refusal, address, says):
    """An address without an answer is one line without the password, and exit code 2."""
    error = refusal(address)
    assert says in error
    assert "CANARY" not in error


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("CANARY", "--header takes NAME:VALUE"),
        (": CANARY", "--header takes NAME:VALUE"),
        ("CANARY name: x", "--header takes NAME:VALUE"),
        ("Name: CANARY\r\nOther: x", "the value of --header must not hold a line end"),
        ("Name: CANARY\nx", "the value of --header must not hold a line end"),
        ("Name: CANARY\rx", "the value of --header must not hold a line end"),
        ("Name: CANARY \u20ac", "the value of --header must hold characters of Latin-1 only"),
    ],
)
def test_header_that_is_none(refusal, header, says):
    """A header that cannot be sent is one line that says why and does not repeat it."""
    line = refusal("http://127.0.0.1:9/", "--header", header)
    assert line == f"liveconfig explain: {says}\n"


HUGE = {
    "since_apply": 1e300,
    "written_to_applied": 1e300,
    "version": 10**400,
    "pid": -1e300,
    "applied_at": "9999-12-31T23:59:59+00:00",
    "volumes": [1e300],
    "subscribers": [{"name": "x", "error": None, "running_since": "0001-01-01T00:00:00+00:00", "version": 1}],
}


@pytest.mark.parametrize("name", HUGE)
def test_huge_numbers(running, capsys, name):
    """I09: a status page with numbers that no time or count can have is shown, or is one line: no traceback."""
    status = {**running.live.status().as_dict(), name: HUGE[name]}
    with serving(status) as address:
        code = main(["explain", address])
    stdout, stderr = capsys.readouterr()
    if code == 2:
        refused(code, stdout, stderr)
    else:
        assert stdout.startswith("This is the running process")


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"pid": ' + b"9" * 5000 + b"}", b'{"a": NaN'], ids=len)
def test_json_that_is_none_to_read(refusal, body):
    """I09: JSON that is too deep, a number that is too long, and an answer that is cut off are one line."""
    with serving(body) as address:
        assert "JSON" in refusal(address)


@pytest.mark.parametrize("as_json", [True, False])
def test_a_deep_status(running, capsys, as_json):
    """I09: a status with a field that is nested deeply is shown, or is one line."""
    deep: dict = {}
    for _ in range(900):
        deep = {"a": deep}
    with serving({**running.live.status().as_dict(), "notes": deep}) as address:
        code = main(["explain", address, *(["--json"] if as_json else [])])
    stdout, stderr = capsys.readouterr()
    assert code == 0 or refused(code, stdout, stderr)


@pytest.mark.parametrize("piece", [b"H", b" "], ids=["headers", "body"])
def test_a_server_that_drips(piece, monkeypatch, capsys):
    """I09: a server that sends byte after byte without an end is given up after the time for all of it."""
    monkeypatch.setattr("liveconfig.cli.explain.TIMEOUT", 0.5)
    head = b"" if piece == b"H" else b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()

        def drip():
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(head)
                while not stop.wait(0.02):
                    connection.sendall(piece)

        thread = threading.Thread(target=drip)
        thread.start()
        began = time.monotonic()
        code = main(["explain", f"http://127.0.0.1:{server.getsockname()[1]}/liveconfig/status"])
        assert time.monotonic() - began < PATIENCE
        stop.set()
        thread.join(PATIENCE)
    assert "no complete answer within 0.5 s" in refused(code, *capsys.readouterr())


@pytest.mark.parametrize("password", ["a/b", "a?b", "a#b", "a@/b", "12/34@5"])
def test_a_password_that_is_not_encoded(password, canary, capsys):
    """A password with a character that ends the host is refused, and not shown; the line says what to write."""
    code = main(["explain", f"http://me:{canary}{password}@127.0.0.1:9/liveconfig/status"])
    line = refused(code, *capsys.readouterr())
    assert "as %2F, %3F, %23 and %40" in line
    assert canary not in line
