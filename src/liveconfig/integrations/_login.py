"""What the credential guests share: the newest login, and what to do when it is refused.

One course, run by a plain shell (`Logins.connect`) and an awaitable one (`Logins.aconnect`): try the newest login;
refused, read the volume now and try what is new; try the logins before (the volume can be ahead of the server); wait
for a newer one (the server can be ahead of the volume). When patience is at its end, the client's own error stands.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from operator import attrgetter
from time import monotonic
from typing import Any, TypeVar

from pydantic import SecretStr

from liveconfig import Settings
from liveconfig.integrations._refusal import login_refused, without_secrets

T = TypeVar("T")

ASK_AGAIN = 1.0  # seconds between two tries of a newest login that the server does not take yet
FIRST_PAUSE = 0.25  # seconds, doubled with each try, in case the server changes between two tries
MEMORY = 2  # logins before the newest that are worth a try

log = logging.getLogger("liveconfig")


@dataclass(frozen=True, slots=True, repr=False)
class Login:
    """A user and a password from one snapshot; None: what the client's own configuration says."""

    user: SecretStr | None
    password: SecretStr | None

    def arguments(self, user: str = "user", password: str = "password") -> dict[str, str]:  # noqa: S107 - names
        """The login in the clear, under the client's own names for it."""
        given = {user: self.user, password: self.password}
        return {name: value.get_secret_value() for name, value in given.items() if value is not None}


def login_reader(settings: Settings, user: str | None, password: str | None) -> Callable[[Any], Login]:
    """A function that reads the login from a snapshot, by the dotted names of the fields.

    Raises:
        LiveConfigError: There is no such field; the message names the nearest.
    """
    for field in (user, password):
        if field is not None:
            settings.live.origin(field)

    get_user, get_password = (_nothing if field is None else attrgetter(field) for field in (user, password))
    return lambda snapshot: Login(as_secret(get_user(snapshot)), as_secret(get_password(snapshot)))


@dataclass(frozen=True, slots=True)
class Look:
    """Read the volume now."""

    def plain(self, live: Any) -> None:
        live.reload(wait=False)

    async def awaitable(self, live: Any) -> None:
        await asyncio.to_thread(live.reload, wait=False)


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for a snapshot that says enough, at most some seconds."""

    seconds: float
    enough: Callable[[Any], bool]

    def plain(self, live: Any) -> None:
        with suppress(TimeoutError):
            live.wait(self.enough, self.seconds)

    async def awaitable(self, live: Any) -> None:
        with suppress(TimeoutError):
            await live.wait_for(self.enough, self.seconds)


Course = Iterator[Login | Look | Wait]
Perform = Callable[[Look | Wait], None]


class Logins:
    """The logins of one client, the newest first, and what its server said to them.

    There is no lock in here (a fork would inherit it held): what two threads do at once costs one try more at worst.
    """

    def __init__(
        self,
        settings: Settings,
        user: str | None,
        password: str | None,
        patience: float,
        refused: Callable[[BaseException], bool] = login_refused,
    ) -> None:
        self.live: Any = settings.live
        self._fields = ", ".join(name for name in (user, password) if name)
        self.read = login_reader(settings, user, password)
        self._patience = patience
        self._refused = refused
        self._history: tuple[Login, ...] = (self.read(self.live.latest()),)  # the newest first
        self._proven: Login | None = None
        self._warned_of: Login | None = None
        self._asked_at = float("-inf")
        self._listen(weakref.ref(self))

    def _listen(self, this: weakref.ref[Logins]) -> None:
        """Hear of a login even if nobody connects while it is the newest, for as long as this object is in use."""

        def remember(change: Any) -> None:
            if (logins := this()) is not None:
                logins._note(change.new)  # noqa: SLF001 - its own
                logins.newest()

        weakref.finalize(self, self.live.subscribe(self.read, remember).cancel).atexit = False

    def newest(self) -> Login:
        """The login in the newest snapshot, never in a pinned one."""
        return self._note(self.read(self.live.latest()))

    def outdated(self, login: Login | None) -> bool:
        """Whether a connection with this login should give way to one with the newest.

        While the server does not take the newest yet, one connection a second is sent to try it.
        """
        if self._proven == (newest := self.newest()) or login == newest:
            return login != newest
        if due := monotonic() - self._asked_at >= ASK_AGAIN:
            self._asked_at = monotonic()
        return due

    def superseded(self, login: Login) -> bool:
        """Whether the server took a newer login since."""
        return self._proven == self.newest() != login

    def connect(self, attempt: Callable[[Login], T], perform: Perform | None = None) -> T:
        """Connect with the login that the server takes; what the client raises at the end is the client's own.

        Args:
            attempt: Connects with one login.
            perform: Reads and waits, where the calling thread must not block.
        """
        return self._run(self._course(), attempt, perform)

    async def aconnect(self, attempt: Callable[[Login], Awaitable[T]]) -> T:
        """As `connect`, on an event loop."""
        return await self._arun(self._course(), attempt)

    def prove(self, attempt: Callable[[Login], None]) -> None:
        """Try the newest login, and nothing else, until the server takes it, unless it is known to."""
        if self._proven != self.newest():
            self._run(self._proof(), attempt)

    async def aprove(self, attempt: Callable[[Login], Awaitable[None]]) -> None:
        """As `prove`, on an event loop."""
        if self._proven != self.newest():
            await self._arun(self._proof(), attempt)

    def _run(self, course: Course, attempt: Callable[[Login], T], perform: Perform | None = None) -> T:
        trial = _Trial(self)
        for step in course:
            if isinstance(step, Login):
                with trial.of(step):
                    return attempt(step)
            elif perform is None:
                step.plain(self.live)
            else:
                perform(step)
        assert trial.refusal is not None
        raise trial.refusal

    async def _arun(self, course: Course, attempt: Callable[[Login], Awaitable[T]]) -> T:
        trial = _Trial(self)
        for step in course:
            if isinstance(step, Login):
                with trial.of(step):
                    return await attempt(step)
            else:
                await step.awaitable(self.live)
        assert trial.refusal is not None
        raise trial.refusal

    def _course(self) -> Course:
        first = self.newest()
        yield first
        deadline = monotonic() + self._patience
        yield Look()
        self.newest()
        for login in self._history:
            if login != first:
                yield login
        yield from self._newest_until(deadline, FIRST_PAUSE)

    def _proof(self) -> Course:
        yield self.newest()
        yield from self._newest_until(monotonic() + self._patience, FIRST_PAUSE)

    def _newest_until(self, deadline: float, pause: float) -> Course:
        while (left := deadline - monotonic()) > 0:
            yield Wait(min(pause, left), self._newer_than(self.newest()))
            yield Look()
            yield self.newest()
            pause = min(2 * pause, ASK_AGAIN)

    def _newer_than(self, login: Login) -> Callable[[Any], bool]:
        return lambda snapshot: self.read(snapshot) != login

    def judge(self, login: Login, error: Exception | None) -> bool:
        """Take down what the server said to a login; whether the course goes on."""
        if error is not None:
            return self._refused(error)
        if login == (newest := self._history[0]):
            self._proven, self._history = login, (login,)  # what the server has replaced is not kept in memory
        elif self._warned_of != newest:
            self._warned_of = newest
            log.warning("the server refuses the newest login (%s); the one before still works", self._fields)
        return False

    def _note(self, login: Login) -> Login:
        if login != self._history[0]:
            self._history = tuple(dict.fromkeys((login, *self._history)))[: 1 + MEMORY]
            self._asked_at = float("-inf")
        return login


class _Trial:
    """The tries of one connection: keeps the refusal of the newest login."""

    def __init__(self, logins: Logins) -> None:
        self.refusal: Exception | None = None
        self._logins = logins

    @contextmanager
    def of(self, login: Login) -> Iterator[None]:
        """Swallow and keep the client's error where it is a refusal of this login."""
        try:
            yield
        except Exception as error:
            if not self._logins.judge(login, error):
                raise
            if self.refusal is None or login == self._logins.newest():
                self.refusal = without_secrets(error)
        else:
            self._logins.judge(login, None)


def _nothing(_snapshot: Any) -> None:
    return None


def as_secret(value: Any) -> SecretStr | None:
    """A value of a settings field, wrapped until the moment of use."""
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if isinstance(value, bytes):
        value = value.decode(errors="replace")  # strict would put the bytes into the error
    return None if value is None else SecretStr(str(value))
