"""Changes that `==` does not see, and defaults that a factory makes."""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import uuid
from typing import Any

import pytest
from pydantic import BaseModel, Field

from liveconfig import Settings, SettingsConfigDict
from liveconfig.testing import recorded

PATIENCE = 60.0


class App(Settings):
    model_config = SettingsConfigDict(resync=3600.0, documents=["app.json"])
    rates: dict[str, int] = {}
    nested: dict[str, dict[str, int]] = {}
    price: decimal.Decimal = decimal.Decimal(0)
    at: dt.datetime = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    zero: float = 0.0
    tags: set[str] = set()


CHANGES = [
    pytest.param("rates", '{"a": 1, "b": 2}', '{"b": 2, "a": 1}', lambda v: list(v), id="the order of a mapping"),
    pytest.param(
        "nested", '{"x": {"a": 1, "b": 2}}', '{"x": {"b": 2, "a": 1}}', lambda v: list(v["x"]), id="inside a mapping"
    ),
    pytest.param("price", "1.0", "1.00", str, id="the digits of a Decimal"),
    pytest.param("at", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", str, id="the zone of a time"),
    pytest.param("zero", "0.0", "-0.0", str, id="the sign of a zero"),
]


@pytest.fixture
def settings(load, kubelet_volume):
    """Live settings that are read only at `reload`."""
    kubelet_volume.write({"unused": "1"})
    return load(App, _volumes=kubelet_volume.path, _watch=False)


@pytest.mark.parametrize(("field", "before", "after", "shown"), CHANGES)
def test_applied(settings, kubelet_volume, field, before, after, shown):
    """H01: a change that `==` does not see is applied, under the same version and without an event."""
    kubelet_volume.write({field: before})
    assert settings.live.reload()
    held, version = settings.live.latest(), settings.live.version
    old = shown(getattr(settings, field))
    with recorded(settings) as events:
        kubelet_volume.write({field: after})
        assert settings.live.reload()
        assert settings.live.reload()
    assert events == []
    assert settings.live.version == version
    for seen in (settings, settings.live.latest(), settings.live.snapshot()):
        assert shown(getattr(seen, field)) != old
    assert shown(getattr(held, field)) == old
    status = settings.live.status()
    assert status.healthy
    assert status.volumes[0].generation_applied == kubelet_volume.generation


def test_as_a_new_process_sees_it(settings, kubelet_volume, load):
    """H01: a process that starts now and one that has run for long show the same."""
    kubelet_volume.write({"rates": '{"a": 1, "b": 2}', "price": "1.0"})
    assert settings.live.reload()
    kubelet_volume.write({"rates": '{"b": 2, "a": 1}', "price": "1.00"})
    assert settings.live.reload()
    started = load(App, _volumes=kubelet_volume.path, _watch=False)
    assert settings.model_dump_json() == started.model_dump_json()


def test_the_next_change(settings, kubelet_volume):
    """H01: a change that follows is delivered with the next version, and nothing is lost."""
    kubelet_volume.write({"rates": '{"a": 1, "b": 2}', "price": "1"})
    assert settings.live.reload()
    seen = []
    settings.live.on_change("price")(lambda change: seen.append((str(change.old), str(change.new), change.version)))
    kubelet_volume.write({"rates": '{"b": 2, "a": 1}', "price": "1.0"})
    assert settings.live.reload()
    kubelet_volume.write({"rates": '{"b": 2, "a": 1}', "price": "2"})
    assert settings.live.reload()
    assert [(old.rstrip(".0"), new, version) for old, new, version in seen] == [("1", "2", 3)]


def test_verifier_of_what_is_not_seen(settings, kubelet_volume):
    """H01: a verifier whose own value differs is asked, though no field does; without `on` it is not."""
    asked: list[str] = []
    kubelet_volume.write({"rates": '{"a": 1, "b": 2}'})
    assert settings.live.reload()
    settings.live.add_verifier(lambda _: asked.append("all"))
    settings.live.add_verifier(lambda _: asked.append("order"), on=lambda s: list(s.rates))
    kubelet_volume.write({"rates": '{"b": 2, "a": 1}'})
    assert settings.live.reload()
    assert asked == ["order"]
    assert list(settings.rates) == ["b", "a"]


def test_re_check(load, kubelet_volume, monkeypatch):
    """H01: after such a change nothing is read at a re-check while nothing changes."""
    from liveconfig._volumes import tree

    kubelet_volume.write({"rates": '{"a": 1, "b": 2}'})
    settings = load(App, _volumes=kubelet_volume.path)
    kubelet_volume.write({"rates": '{"b": 2, "a": 1}'})
    assert settings.live.reload()
    assert list(settings.rates) == ["b", "a"]
    monkeypatch.setattr(tree, "read_tree", lambda *_: pytest.fail("it was read"))
    assert settings.live.reload()


class Job(BaseModel):
    name: str = "job"
    key: str = Field(default_factory=lambda: str(uuid.uuid4()))


class Group(BaseModel):
    title: str = ""
    lead: Job = Field(default_factory=Job)
    jobs: list[Job] = []
    by_name: dict[str, Job] = {}
    pair: tuple[Job, Job] | None = None


class Made(Settings):
    model_config = SettingsConfigDict(resync=3600.0, documents=["app.json"])
    number: int = 0
    instance: str = Field(default_factory=lambda: str(uuid.uuid4()))
    job: Job = Job()
    group: Group = Group()
    groups: list[Group] = []


CONTENTS: list[dict[str, str]] = [
    {"job.name": "a"},
    {"group.title": "x", "group.lead.name": "b"},
    {"app.json": '{"group": {"jobs": [{"name": "a"}, {"name": "b"}], "by_name": {"x": {"name": "c"}}}}'},
    {"app.json": '{"groups": [{"title": "t", "jobs": [{"name": "a"}], "pair": [{"name": "p"}, {}]}]}'},
]


@pytest.mark.parametrize("content", CONTENTS, ids=["nested", "deeper", "in a list and a mapping", "lists in lists"])
def test_nested_factory(load, kubelet_volume, content):
    """H02: a default that a factory made stays, at any depth: another key that changes is one change, of that key."""
    kubelet_volume.write({**content, "number": "1"})
    settings = load(Made, _volumes=kubelet_volume.path, _watch=False)
    before: dict[str, Any] = settings.model_dump(exclude={"number"})
    with recorded(settings) as events:
        kubelet_volume.write({**content, "unused": "1", "number": "1"})
        assert settings.live.reload()
        assert settings.live.version == 1
        kubelet_volume.write({**content, "number": "2"})
        assert settings.live.reload()
    assert settings.model_dump(exclude={"number"}) == before
    assert [[change.field for change in event.changes] for event in events] == [["number"]]


def test_an_item_that_is_new(load, kubelet_volume):
    """H02: the default of one item of a list is never given to another one."""
    kubelet_volume.write({"app.json": '{"groups": [{"title": "a"}, {"title": "b"}]}'})
    settings = load(Made, _volumes=kubelet_volume.path, _watch=False)
    keys = [group.lead.key for group in settings.groups]
    kubelet_volume.write({"app.json": '{"groups": [{"title": "new"}, {"title": "b"}]}'})
    assert settings.live.reload()
    assert settings.groups[0].lead.key not in keys
    assert settings.groups[1].lead.key == keys[1]


def test_a_value_that_was_given(load, kubelet_volume):
    """H02: a value that was given and is no longer falls back to a new default."""
    kubelet_volume.write({"job.name": "a", "job.key": "mine"})
    settings = load(Made, _volumes=kubelet_volume.path, _watch=False)
    kubelet_volume.write({"job.name": "a"})
    assert settings.live.reload()
    assert settings.job.key != "mine"


async def test_waiting_for_it(settings, kubelet_volume):
    """`wait_for` and `wait` see a snapshot that is applied under the same version."""

    def begins_with_b(snapshot):
        return next(iter(snapshot.rates)) == "b"

    kubelet_volume.update({"rates": '{"a": 1, "b": 2}'})
    settings.live.reload()
    waiting = asyncio.create_task(settings.live.wait_for(begins_with_b, PATIENCE))
    blocked = asyncio.create_task(asyncio.to_thread(settings.live.wait, begins_with_b, PATIENCE))
    await asyncio.sleep(0)
    version = settings.live.version
    kubelet_volume.update({"rates": '{"b": 2, "a": 1}'})
    settings.live.reload()
    assert (await waiting) is (await blocked) is settings.live.latest()
    assert settings.live.version == version
