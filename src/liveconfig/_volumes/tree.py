"""Reading of one directory tree into bytes by key: the only module that opens files of a volume."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from liveconfig import _clock
from liveconfig._volumes.fingerprint import generation_at
from liveconfig._volumes.limits import MAX_BYTES, TreeError, check_depth
from liveconfig._volumes.mounts import is_subpath

# Nearly every key is shorter, so that the first read gets all of it, without a stat of each file.
_USUAL, _LARGE = 4096, 1024 * 1024
_SAFE = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
# Windows opens no folder: there, a folder is read by its path.
_FOLDER = _SAFE | os.O_DIRECTORY if hasattr(os, "O_DIRECTORY") else None
# Opening a FIFO without O_NONBLOCK waits for a writer, for ever. Windows changes line ends without O_BINARY.
_FILE = _SAFE | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

_FILES_IN_A_STEP = 50
"""Files that take about 0.2 ms. Reading gives the interpreter back at each call, but takes it again at once."""


class Content(NamedTuple):
    """The content of one tree.

    Attributes:
        files: The bytes by key.
        modified: When the folder itself was modified.
        volumes: The folders that are volumes of their own, or on another file system; they are not read.
    """

    files: dict[str, bytes]
    modified: float
    volumes: tuple[str, ...]


def read_tree(root: str, folder: str, names: Iterable[str] = ()) -> Content:
    """Read all files below ``folder``.

    Args:
        root: The mount point. Nothing outside it is read.
        folder: The directory to read: a generation, or ``root`` itself in plain mode.
        names: The keys that are likely. The content uses these strings for them, not copies.

    Raises:
        TreeError: Something is not a regular file or leads outside, or the volume is too large.
        OSError: It changed during the read, or there is no permission (yet).
    """
    tree = _Tree(root, names, plain=folder == root)
    descriptor = None if _FOLDER is None else os.open(folder, _FOLDER)
    try:
        status = tree.read(_Folder(folder, descriptor), "")
        files = {key: content for key, content in tree.files.items() if content is not None}
        return Content(files, status.st_mtime, tuple(sorted(tree.volumes)))
    finally:
        if descriptor is not None:
            os.close(descriptor)


class _Folder(NamedTuple):
    """An open folder; without a descriptor where folders cannot be opened."""

    path: str
    descriptor: int | None

    @property
    def place(self) -> int | str:
        return self.path if self.descriptor is None else self.descriptor


class _Tree:
    """One reading of one tree; counts the bytes that are left."""

    def __init__(self, root: str, names: Iterable[str], *, plain: bool) -> None:
        self.files: dict[str, bytes | None] = dict.fromkeys(names)  # it keeps a string when an equal one is set
        self.volumes: list[str] = []
        self._root = root
        self._plain = plain  # no generation of the kubelet's, in which every file is a key
        self._left = MAX_BYTES
        self._pace = _clock.Pace()

    def read(self, folder: _Folder, prefix: str) -> os.stat_result:
        """Add the content of one folder and of the folders in it. Return its stat data from before."""
        descriptor, place = folder.descriptor, folder.place
        status = os.stat(place)
        if not status.st_nlink:  # deleted, perhaps behind a mount: what it lacks is not gone from a volume
            raise FileNotFoundError(errno.ENOENT, folder.path)
        check_depth(prefix)
        files, read_file, plain = self.files, self._file, self._plain
        for number, entry in enumerate(entries_of(place), 1):
            if not number % _FILES_IN_A_STEP:
                self._pace.step()
            name = entry.name
            if entry.is_file(follow_symlinks=False):
                if not (plain and skipped(name)):
                    key = prefix + name
                    files[key] = read_file(entry.path, key, descriptor)
            elif not skipped(name):
                self._other(entry, folder, prefix)
        return status

    def _other(self, entry: os.DirEntry[str], folder: _Folder, prefix: str) -> None:
        key, path = prefix + entry.name, f"{folder.path}/{entry.name}"
        if entry.is_symlink():
            target = resolve(self._root, path, key)
            if target is not None:
                self.files[key] = self._file(target, key, None)
        elif entry.is_dir(follow_symlinks=False):
            self._folder(entry.path, path, key, folder)
        else:
            raise TreeError(f"{key!r} is not a regular file", key)

    def _folder(self, name: str, path: str, key: str, outer: _Folder) -> None:
        try:
            descriptor = None if _FOLDER is None else os.open(name, _FOLDER, dir_fd=outer.descriptor)
        except OSError as error:
            raise _about(key, error) from None
        try:
            inner = _Folder(path, descriptor)
            if foreign(inner, outer):
                self.volumes.append(key)
            else:
                self.read(inner, key + "/")
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _file(self, path: str, key: str, directory: int | None) -> bytes:
        """The bytes of what was found to be a regular file; were it a FIFO by now, there would be none, and no wait."""
        descriptor = -1
        try:
            descriptor = os.open(path, _FILE, dir_fd=directory)  # in a function, a signal handler may raise after it
            content = os.read(descriptor, _USUAL)
            if content and not _ends_at(
                len(content), descriptor
            ):  # a short read is no end: not on FUSE, gVisor and NFS
                content = self._rest(descriptor, content, self._left)
        except OSError as error:
            raise _about(key, error) from None
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        self._left -= len(content)
        if self._left < 0:
            raise TreeError(f"the volume holds more than {MAX_BYTES // 1024 // 1024} MiB (at {key!r})", key)
        return content

    def _rest(self, descriptor: int, first: bytes, left: int) -> bytes:
        """Return the first part and the rest, up to a little more than the limit allows."""
        chunks, size = [first], len(first)
        while size <= left and (chunk := os.read(descriptor, min(left + 1 - size, _LARGE))):
            chunks.append(chunk)
            size += len(chunk)
        return b"".join(chunks)


def _ends_at(position: int, descriptor: int) -> bool:
    """Whether a file that was read up to a position ends there. To ask for its size is faster than to read the end."""
    try:
        if os.lseek(descriptor, 0, os.SEEK_END) == position:
            return True
        os.lseek(descriptor, position, os.SEEK_SET)
    except OSError:  # it has no size, as files of FUSE and of /proc; the position has not moved
        pass
    return False


def _about(key: str, error: OSError) -> OSError:
    """The same error, with the key in place of a path."""
    return OSError(error.errno, error.strerror, key)


def entries_of(directory: int | str) -> list[os.DirEntry[str]]:
    """Return the entries of a directory, given as a path or a descriptor.

    Raises:
        OSError: It may not be read.
    """
    # In one step: a signal handler that raises before a `with` would leave the iterator open. The list closes it.
    directories: tuple[Any] = (directory,)  # for pyright: `os.scandir` has an overload for each of the two types
    return list(*map(os.scandir, directories))


def skipped(name: str) -> bool:
    """Whether a name in a volume belongs to the kubelet or the file system, and is never a key."""
    return name.startswith("..") or name == "lost+found"


def foreign(inner: _Folder, outer: _Folder) -> bool:
    """Whether a nested directory belongs to another volume or file system, and is no subPath mount of a folder."""
    if os.stat(inner.place).st_dev != os.stat(outer.place).st_dev:
        return not is_subpath(inner.path)
    return generation_at(inner.path) is not None


def resolve(root: str, path: str, key: str) -> str | None:
    """Return the target of a link; None if it dangles inside the volume.

    Raises:
        TreeError: The link leads outside the volume, or in a circle.
    """
    target, top = os.path.realpath(path), os.path.realpath(root)
    if not target.startswith(top + os.sep):
        raise TreeError(f"{key!r} is a link that leads outside the volume", key)
    try:
        mode = os.stat(target).st_mode
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        if error.errno != errno.ELOOP:
            raise _about(key, error) from None
        raise TreeError(f"{key!r} is a link that leads to itself", key) from None
    if stat.S_ISREG(mode):
        return target
    raise TreeError(f"{key!r} is a link that leads to no regular file", key)


def signature(root: str) -> tuple[tuple[object, ...], ...]:
    """Return the stat data of every file of a plain directory, in a fixed order; equal if nothing has changed.

    Raises:
        TreeError: Folders lie too deep.
        OSError: It may not be read.
    """
    return tuple(sorted(_state(key, entry) for key, entry, is_folder in _walk(root) if not is_folder))


def newest_change(root: str) -> float:
    """Return when a file or folder of a plain directory was last changed, or removed, in seconds since 1970.

    Raises:
        TreeError: Folders lie too deep.
        OSError: It may not be read.
    """
    newest = os.stat(root).st_ctime
    for _, entry, _ in _walk(root):
        newest = max(newest, entry.stat(follow_symlinks=False).st_ctime)
        with contextlib.suppress(OSError):  # a link that dangles, or turns in a circle
            newest = max(newest, entry.stat().st_ctime)
    return newest


def folders(root: str) -> Iterator[str]:
    """The folders of a plain directory in which files are keys, at any depth; without ``root`` itself.

    Raises:
        TreeError: Folders lie too deep.
        OSError: One may not be read, or is gone.
    """
    return (entry.path for _, entry, is_folder in _walk(root) if is_folder)


def _walk(root: str) -> Iterator[tuple[str, os.DirEntry[str], bool]]:
    """Yield the key of each entry of a plain directory, the entry, and whether it is a folder of the volume."""
    device, left = os.stat(root).st_dev, [(root, "")]
    while left:
        folder, prefix = left.pop()
        check_depth(prefix)
        for entry in entries_of(folder):
            key, is_folder = prefix + entry.name, entry.is_dir(follow_symlinks=False)
            if skipped(entry.name) or (is_folder and not _is_own(entry, device)):
                continue
            if is_folder:
                left.append((entry.path, f"{key}/"))
            yield key, entry, is_folder


def _state(key: str, entry: os.DirEntry[str]) -> tuple[object, ...]:
    try:
        status = entry.stat()
    except OSError as error:  # a link that dangles, or turns in a circle
        return key, error.errno or 0
    return key, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _is_own(entry: os.DirEntry[str], device: int) -> bool:
    """Whether a folder belongs to the volume; the same rule as `foreign`."""
    status = os.stat(entry.path, follow_symlinks=False)  # that of the entry has no device on Windows
    own = status.st_dev == device or is_subpath(entry.path)
    return own and not os.path.islink(f"{entry.path}/..data")
