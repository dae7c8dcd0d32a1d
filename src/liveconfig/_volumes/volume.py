"""The reader of one volume, which makes immutable revisions.

A volume has one of three modes: *atomic*, with the kubelet's ``..data`` link, whose text is the only reliable token of
a change (kubernetes ``pkg/volume/util/atomic_writer.go``); *plain*, a directory of ordinary files, which is read after
it has not changed for a moment; *missing*, not there (yet).
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from datetime import UTC, datetime
from typing import Literal

from liveconfig import _clock
from liveconfig._record import record
from liveconfig._volumes.file_calls import HUNG, Unresponsive, file_calls
from liveconfig._volumes.fingerprint import generation_at
from liveconfig._volumes.limits import TreeError
from liveconfig._volumes.tree import read_tree, signature

Mode = Literal["atomic", "plain", "missing"]
Token = tuple[object, ...]

PATIENCE = 1.0
"""Seconds for which ENOENT and EACCES count as a running write, not as a fault."""

QUIET = 0.05
"""Seconds without a change before a plain directory is read."""

LONGEST_WRITE = 10.0
"""Seconds for which a plain directory may change all the time before this counts as a fault."""

_RETRY = 0.02


@record
class Volume:
    """A directory on which a ConfigMap, a Secret or a projected volume is mounted.

    Args:
        path: The mount point.
        required: What happens if the directory does not exist. True: a `VolumeError` at the start. None: a problem in a
            pod (``KUBERNETES_SERVICE_HOST`` is set), an INFO line elsewhere. False: nothing.
        secret: Whether every field that it feeds counts as a secret, whatever its type.
    """

    path: str
    required: bool | None = field(default=None, kw_only=True)
    secret: bool = field(default=False, kw_only=True)

    def __init__(self, path: str | os.PathLike[str], *, required: bool | None = None, secret: bool = False) -> None:
        object.__setattr__(self, "path", os.fspath(path))
        object.__setattr__(self, "required", required)
        object.__setattr__(self, "secret", secret)


@record
class Revision:
    """The complete content of one volume at one moment: one generation.

    Attributes:
        path: The mount point.
        mode: The mode of the volume.
        generation: The name of the kubelet's folder, ``plain-3`` in plain mode, None for a missing volume.
        token: The identity of this state of the disk, known without reading a file.
        files: The bytes by key; a key in a folder is ``folder/key``.
        written_at: When the kubelet wrote it; None in plain mode.
        volumes: The folders in it that are volumes of their own; they are not read.
    """

    path: str
    mode: Mode
    generation: str | None
    token: Token
    files: Mapping[str, bytes] = field(repr=False)
    written_at: datetime | None = None
    volumes: tuple[str, ...] = ()

    @property
    def only_volumes(self) -> str | None:
        """Return a sentence if the directory holds other volumes and no key of its own; otherwise None."""
        if self.files or not self.volumes:
            return None
        below = ", ".join(f"{self.path.rstrip('/')}/{name}" for name in self.volumes)
        return (
            f"{self.path} holds no key of its own, only other volumes, and nothing is read from those: name {below} in "
            "`volumes` instead"
        )


class VolumeUnreadable(Exception):  # noqa: N818 - caught inside, never seen by users
    """A volume cannot be read. The message says why and contains no content."""

    def __init__(self, reason: str, key: str = "", generation: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.key = key
        self.generation = generation


class VolumeBusy(Exception):  # noqa: N818 - caught inside, never seen by users
    """A volume is being written at this moment: look again after ``delay`` seconds.

    Attributes:
        fault: What is wrong with the volume if this does not end; None if only more time is needed.
    """

    def __init__(self, delay: float, fault: VolumeUnreadable | None = None) -> None:
        super().__init__(delay)
        self.delay = delay
        self.fault = fault


class VolumeReader:
    """Reads one volume, if it has changed.

    Args:
        path: The mount point.
        names: The keys that are likely; see `read_tree`.
    """

    def __init__(self, path: str, names: Iterable[str] = ()) -> None:
        self.path = path
        self._names = names
        self._failing: tuple[str | None, float] | None = None  # the generation, and when it was first seen
        self._writing_since: float | None = None
        self._unquiet: tuple[Token, float] | None = None
        self._atomic_last: Revision | None = None
        self._plain: Revision | None = None
        self._latest: Revision | VolumeBusy | VolumeUnreadable | None = None
        self._answers = 0
        self.renew()

    def renew(self) -> None:
        """Create the lock: at the start, and in a forked child, where the thread that held the old one does not run."""
        self._lock = threading.RLock()  # the lock knows whether it was acquired here

    def refresh(self, known: Revision | None) -> None:
        """Read the volume, for `latest`. Make no file call if one of another thread does not return.

        Args:
            known: The revision that is applied.
        """
        answers = self._answers
        try:
            self._alone(lambda: self._read_again(known))
        except Unresponsive as error:
            if self._answers == answers:  # else the other thread has its answer by now
                self._answer(VolumeUnreadable(f"it does not answer: {error.strerror}"))

    def _read_again(self, known: Revision | None) -> None:
        try:
            self._answer(file_calls.run(self.path, lambda: self.read(known) or known))
        except (VolumeBusy, VolumeUnreadable) as error:
            self._answer(error)

    def _answer(self, latest: Revision | VolumeBusy | VolumeUnreadable | None) -> None:
        self._latest = latest
        self._answers += 1

    def _alone(self, read: Callable[[], None]) -> None:
        """Read on one thread at a time, without waiting for a thread whose file call does not return.

        The answers are stored inside, or one that is older could replace a newer one.
        """
        hung = file_calls.hung_since(self.path)
        try:
            if hung or not self._lock.acquire(timeout=HUNG):
                raise Unresponsive(hung or file_calls.hung_since(self.path) or _clock.now())
            read()
        finally:
            try:  # noqa: SIM105 - `suppress` is Python code, in which a signal handler may raise before the release
                self._lock.release()
            except RuntimeError:  # it was not acquired
                pass

    def found(self) -> Revision | None:
        """Return the revision that the newest `refresh` read; None if the volume could not be read."""
        latest = self._latest
        return latest if isinstance(latest, Revision) else None

    def latest(self, known: Revision | None) -> Revision | None:
        """Return the result of the newest `refresh`; None if it is the known revision.

        Raises:
            VolumeBusy: The volume is being written.
            VolumeUnreadable: It cannot be read, and waiting does not help.
        """
        latest = self._latest
        if isinstance(latest, Exception):
            raise latest.with_traceback(None)
        return None if latest is None or (known is not None and known.token == latest.token) else latest

    def read(self, known: Revision | None) -> Revision | None:
        """Read the volume. Return None if it has not changed.

        Args:
            known: The revision that is applied; None at the first load.

        Raises:
            VolumeBusy: The volume is being written.
            VolumeUnreadable: It cannot be read, and waiting does not help.
        """
        try:
            revision = self._read(known)
        except (TreeError, VolumeUnreadable) as error:
            failure: Exception = VolumeUnreadable(error.reason, error.key, generation_at(self.path))
        except OSError as error:
            failure = self._transient(error)
        except VolumeBusy as not_yet:
            failure = self._unsettled(not_yet)
        else:
            self._failing = self._writing_since = None
            return revision
        raise failure

    @property
    def busy_for(self) -> float:
        """Seconds for which the volume has been written; 0 if it is at rest."""
        since = self._writing_since
        return 0.0 if since is None else _clock.monotonic() - since

    @property
    def busy_too_long(self) -> bool:
        """Whether the volume has been written for too long."""
        return self.busy_for >= LONGEST_WRITE

    def _unsettled(self, not_yet: VolumeBusy) -> Exception:
        if self._writing_since is None:
            self._writing_since = _clock.monotonic()
        if not self.busy_too_long:
            return not_yet
        return VolumeUnreadable(f"it does not come to rest: something has been written to it for {LONGEST_WRITE:g} s")

    def _transient(self, error: OSError) -> VolumeUnreadable:
        generation = generation_at(self.path)
        if self._failing is None or self._failing[0] != generation:  # a new state has its own time limit
            self._failing = (generation, _clock.monotonic())
        fault = VolumeUnreadable(_explain(error, self.path), _key_of(error, self.path), generation)
        if _clock.monotonic() - self._failing[1] < PATIENCE:
            raise VolumeBusy(_RETRY, fault) from None
        return fault

    def _read(self, known: Revision | None) -> Revision | None:
        try:
            link = os.readlink(f"{self.path}/..data")
        except OSError as error:
            return self._without_link(known, error)
        status = os.stat(self.path)
        token: Token = (link, status.st_dev, status.st_ino)
        if known is not None and known.token == token:
            return None
        return self._atomic(link, token)

    def _atomic(self, link: str, token: Token) -> Revision:
        for _ in range(10):
            if link in (".", "..") or "/" in link:
                raise VolumeUnreadable("'..data' is a link that leads outside the volume", "..data")
            try:
                content = read_tree(self.path, f"{self.path}/{link}", self._names)
            except OSError:
                # The generation was deleted during the read: that matters only if no other one replaced it.
                if os.readlink(f"{self.path}/..data") == link:
                    raise
            else:
                if os.readlink(f"{self.path}/..data") == link:
                    written_at = _as_time(content.modified)
                    return self._whole(Revision(self.path, "atomic", link, token, content.files, written_at))
            link = os.readlink(f"{self.path}/..data")
            token = (link, *token[1:])
        # It was swapped faster than it can be read.
        raise VolumeBusy(_RETRY)

    def _whole(self, revision: Revision) -> Revision:
        """Raise for a generation that was read before with more keys: the kubelet is deleting it."""
        last = self._atomic_last
        if last is not None and last.token == revision.token and last.files.keys() - revision.files.keys():
            raise FileNotFoundError(errno.ENOENT, revision.generation)
        self._atomic_last = revision
        return revision

    def _without_link(self, known: Revision | None, error: OSError) -> Revision | None:
        if error.errno == errno.EINVAL:
            raise VolumeUnreadable("'..data' is not a symbolic link", "..data") from None
        if error.errno != errno.ENOENT:
            raise error
        if not os.path.isdir(self.path):
            return self._missing(known)
        if known is not None and known.mode == "atomic":
            raise FileNotFoundError(errno.ENOENT, "..data")
        return self._settled(known)

    def _missing(self, known: Revision | None) -> Revision | None:
        if known is None:
            return Revision(self.path, "missing", None, (), {})
        if known.mode == "missing":
            return None
        raise FileNotFoundError(errno.ENOENT, self.path)

    def _settled(self, known: Revision | None) -> Revision | None:
        token = signature(self.path)
        if known is not None and known.token == token:
            self._unquiet = None
            return None
        if self._plain is None or self._plain.token != token:
            self._plain = self._read_when_quiet(token)
        return self._plain

    def _read_when_quiet(self, token: Token) -> Revision:
        now = _clock.monotonic()
        if self._unquiet is None or self._unquiet[0] != token:
            self._unquiet = (token, now)
        quiet_for = now - self._unquiet[1]
        if quiet_for < QUIET:
            raise VolumeBusy(QUIET - quiet_for + 0.001)
        real = os.path.realpath(self.path)  # where the path is a link, it may be turned meanwhile
        first, second = read_tree(real, real, self._names), read_tree(real, real, self._names)
        if first.files != second.files or signature(self.path) != token:
            self._unquiet = None
            raise VolumeBusy(QUIET)
        name = self._next_name(second.files)
        return Revision(self.path, "plain", name, token, second.files, volumes=second.volumes)

    def _next_name(self, files: Mapping[str, bytes]) -> str:
        """Return the next generation name; files that are rewritten with the same content keep the generation."""
        if self._plain is None:
            return "plain-1"
        number = int(str(self._plain.generation).removeprefix("plain-"))
        return f"plain-{number if self._plain.files == files else number + 1}"


def _as_time(modified: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(modified, UTC)
    except (ValueError, OverflowError, OSError):  # in no calendar
        return None


def _key_of(error: OSError, path: str) -> str:
    """The key that an error is about; empty where it is about the volume, or where something is gone."""
    name = error.filename
    if not isinstance(name, str) or error.errno == errno.ENOENT:
        return ""
    key = name.removeprefix(f"{path}/")
    return "" if key.startswith(("/", "..")) else key


def _explain(error: OSError, path: str) -> str:
    if error.errno == errno.ENOENT:
        return _explain_absence(path)
    key = _key_of(error, path)
    return f"{repr(key) if key else 'it'} may not be read: {error.strerror}"


def _explain_absence(path: str) -> str:
    try:
        links = os.stat(f"{path}/.").st_nlink  # with the dot, a file in its place is an error too
    except OSError:
        return "the volume has disappeared"
    return "'..data' or what it leads to is gone" if links else "its directory has been deleted"
