"""pickle, deepcopy and spawn hand over a snapshot."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from multiprocessing.connection import Connection

from common import PATIENCE, AppSettings, follow, swap

from liveconfig import LiveConfigError


def is_frozen(settings: AppSettings) -> bool:
    try:
        settings.live  # noqa: B018
    except LiveConfigError:
        return True
    return False


def child(settings: AppSettings, connection: Connection) -> None:
    connection.send((settings.left, is_frozen(settings)))


if __name__ == "__main__":
    settings = AppSettings.load()
    copies = [copy.copy(settings), copy.deepcopy(settings), pickle.loads(pickle.dumps(settings))]
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=child, args=(settings, theirs))
    process.start()
    swap("two")
    assert follow(settings, "two")
    assert ours.poll(PATIENCE)
    assert ours.recv() == ("one", True)
    process.join(PATIENCE)
    assert process.exitcode == 0
    assert [each.left for each in copies] == ["one"] * 3
    assert all(is_frozen(each) for each in copies)
    assert all(each == settings.live.latest().model_copy(update={"left": "one", "right": "one"}) for each in copies)
