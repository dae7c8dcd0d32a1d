"""The memory file that holds the report of a process."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys

import pytest

from liveconfig._processes import memory_file, procfs
from liveconfig._processes.memory_file import LINK, MemoryFile


def shown() -> list[int]:
    """The descriptors of this process that lead to a memory file of liveconfig."""
    links = ((int(name), f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd"))
    return [number for number, path in links if os.path.lexists(path) and os.readlink(path) == LINK]


@pytest.fixture
def file():
    before = set(shown())
    yield MemoryFile()
    for number in set(shown()) - before:
        os.close(number)


def content(number: int) -> bytes:
    return os.pread(number, 1000, 0)


def test_replaced_under_the_same_number(file):
    """New content takes the descriptor number of the old content."""
    before = set(shown())
    file.replace(b"one")
    [number] = set(shown()) - before
    file.replace(b"two")
    assert set(shown()) - before == {number}
    assert content(number) == b"two"


def test_nobody_can_change_it(file):
    """The file is sealed: it can be neither written nor resized, and it is closed on exec."""
    before = set(shown())
    file.replace(b"one")
    [number] = set(shown()) - before
    with pytest.raises(OSError, match="Operation not permitted"):
        os.pwrite(number, b"two", 0)
    with pytest.raises(OSError, match="Operation not permitted"):
        os.ftruncate(number, 0)
    assert fcntl.fcntl(number, fcntl.F_GETFD) & fcntl.FD_CLOEXEC


def test_a_number_that_is_somebody_elses(file):
    """A descriptor that the program opened under the old number is left alone, and the report gets another number."""
    before = set(shown())
    file.replace(b"one")
    [number] = set(shown()) - before
    read, write = os.pipe()
    os.dup2(read, number)
    assert not file.is_there()
    file.replace(b"two")
    [new] = set(shown()) - before
    try:
        assert new != number
        assert content(new) == b"two"
        os.write(write, b"x")
        assert os.read(number, 1) == b"x"
    finally:
        for each in {read, write, number}:
            os.close(each)


def test_closed_by_somebody(file):
    """A report whose descriptor was closed is shown again by the next replacement."""
    before = set(shown())
    file.replace(b"one")
    [number] = set(shown()) - before
    os.close(number)
    assert not file.is_there()
    file.replace(b"two")
    [new] = set(shown()) - before
    assert content(new) == b"two"


def test_a_reader_waits_for_the_content(file, monkeypatch):
    """A reader that comes while a new file is being written gets its content, not an empty report."""
    new = os.memfd_create("liveconfig", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)

    def is_complete(descriptor):
        complete = memory_file.is_complete(descriptor)
        if not complete:  # the writer goes on now
            os.write(new, b"one")
            fcntl.fcntl(new, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
        return complete

    monkeypatch.setattr(procfs, "is_complete", is_complete)
    assert procfs.read(f"/proc/self/fd/{new}") == b"one"


def test_a_file_that_is_never_complete(file):
    """A file that nobody completes is read as it is: the wait has an end."""
    new = os.memfd_create("liveconfig", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(new, b"half")
    assert procfs.read(f"/proc/self/fd/{new}") == b"half"


LOSING = """
import os
import subprocess
import sys
from liveconfig._processes.memory_file import LINK, MemoryFile

class TimeLimit(Exception):
    pass

def losing(*arguments):
    create(*arguments)
    raise TimeLimit

create, file = os.memfd_create, MemoryFile()
file.replace(b"one")
os.memfd_create = losing
for _ in range(3):
    try:
        file.replace(b"two")
    except TimeLimit:
        pass
os.memfd_create = create
file.replace(b"three")
links = [os.readlink(f"/proc/self/fd/{each}") for each in os.listdir("/proc/self/fd") if int(each) > 2 and
         os.path.lexists(f"/proc/self/fd/{each}")]
print(links.count(LINK), os.pread(file._descriptor, 10, 0).decode())
"""


def test_a_descriptor_that_a_signal_handler_lost():
    """G08: the next replacement closes the files whose descriptors an interrupted one has lost."""
    run = subprocess.run([sys.executable, "-c", LOSING], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout == "1 three\n"
