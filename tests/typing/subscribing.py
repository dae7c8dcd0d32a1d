"""Checked by mypy and pyright, never run: the types of a value reach its subscriber.

Where a line carries an ignore, both checkers must refuse it: an ignore that is not needed is an error of its own.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true
from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_type

from pydantic import BaseModel, SecretStr

from liveconfig import Change, Live, Recovered, Rejected, Reloaded, Settings, SettingsConfigDict, Stale, Subscription


class Database(BaseModel):
    user: str = "app"
    password: SecretStr


class AppSettings(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/config"], documents=["application.yaml"], resync=30.0)
    message: str = "hello"
    count: int = 0
    db: Database


settings = AppSettings.load()
assert_type(settings, AppSettings)
assert_type(settings.live, Live[AppSettings])
assert_type(settings.live.latest(), AppSettings)
assert_type(settings.live.snapshot().db.user, str)

with settings.live.pinned() as pinned:
    assert_type(pinned, AppSettings)


@settings.live.on_change(lambda s: s.message)
def text(change: Change[str]) -> None:
    assert_type(change.new, str)


@settings.live.on_change(lambda s: s.message)  # type: ignore[arg-type]
def number(change: Change[int]) -> None: ...


@settings.live.on_change(lambda s: s.message)
def wider(change: Change[str | None]) -> None: ...


@settings.live.on_change(lambda s: (s.db.user, s.db.password), initial=True)
async def pair(change: Change[tuple[str, SecretStr]]) -> None: ...


@settings.live.on_change("message")
def untyped(change: Change[Any]) -> None: ...


@settings.live.on_reload
def reloaded(event: Reloaded[AppSettings]) -> None:
    assert_type(event.new, AppSettings)


@settings.live.on_reject
def rejected(event: Rejected) -> None: ...


@settings.live.on_stale
def stale(event: Stale) -> None: ...


@settings.live.on_reject  # type: ignore[arg-type]
def wrong(event: Stale) -> None: ...


@settings.live.verify(on=lambda s: s.db, timeout=3.0)
def check(candidate: AppSettings) -> bool:
    return candidate.db.user != "root"


@settings.live.verify
def check_all(candidate: AppSettings) -> bool:
    return candidate.count > 0


@settings.live.verify
async def check_later(candidate: AppSettings) -> None: ...


@settings.live.verify(on="db")  # type: ignore[arg-type]
def check_wrong(candidate: Database) -> None: ...


@settings.live.on_recover
def recovered(event: Recovered) -> None:
    assert_type(event.after, Rejected)


settings.live.verify("db")  # type: ignore[call-overload]
assert_type(check(settings), bool)
assert_type(check_all(settings), bool)
assert_type(settings.live.add_verifier(check, on=lambda s: s.db), Subscription)
settings.live.subscribe(Recovered, recovered)
assert_type(settings.live.subscribe(lambda s: s.count, print), Subscription)
settings.live.subscribe(Reloaded, reloaded)
settings.live.subscribe(Rejected, rejected)
settings.live.subscribe(Stale, stale)
callback: Callable[[Change[str]], None] = text


async def stream() -> None:
    async for change in settings.live.changes(lambda s: s.count):
        assert_type(change, Change[int])
    async for event in settings.live.reloads():
        assert_type(event, Reloaded[AppSettings])
    assert_type(await settings.live.wait_for(lambda s: s.count > 1, timeout=1.0), AppSettings)
    async with settings.live as live:
        assert_type(live, Live[AppSettings])


assert_type(settings.live.wait(lambda s: s.count > 1), AppSettings)
