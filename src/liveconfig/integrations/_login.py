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
from time import monotonic
from typing import Any, TypeVar

from liveconfig import LiveConfigError, Settings
from liveconfig.integrations._fields import Login, login_reader
from liveconfig.integrations._refusal import login_refused, taken_at_least, without_secrets

T = TypeVar("T")

ASK_AGAIN = 1.0  # seconds between two tries of a newest login that the server does not take yet
FIRST_PAUSE = 0.25  # seconds, doubled with each try, in case the server changes between two tries
MEMORY = 2  # logins before the newest that are worth a try

log = logging.getLogger("liveconfig")


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

    def outdated(self, login: Login, probe: Callable[[Login], None]) -> bool:
        """Whether a connection with this login should give way to one with the newest.

        It should once the server takes the newest, and no sooner, as it works and that one may not. Of all who ask
        meanwhile, one a second tries it.

        Args:
            login: That of the connection.
            probe: Connects with a login, beside that connection, and closes what it made.
        """
        if login == (newest := self.newest()):
            return False
        if self._proven != newest and monotonic() - self._asked_at >= ASK_AGAIN:
            self._asked_at = monotonic()
            self._try(newest, probe)
        return self._proven == newest

    def _try(self, newest: Login, probe: Callable[[Login], None]) -> None:
        try:
            with taken_at_least():
                probe(newest)
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever asks has a connection
            if self._denied(error):
                self._warn_of(newest)
        else:
            self.judge(newest, None)

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
            return self._denied(error)
        if login == (newest := self._history[0]):
            self._proven, self._history = login, (login,)  # what the server has replaced is not kept in memory
        else:
            self._warn_of(newest)
        return False

    def presentable(self, error: Exception) -> Exception:
        """The refusal as it may be shown."""
        if isinstance(error, UnicodeEncodeError):  # its message shows a letter of the password, and it holds the rest
            return LiveConfigError(f"the driver cannot send the login ({self._fields}): a letter that it does not know")
        return without_secrets(error)

    def _denied(self, error: Exception) -> bool:
        """Whether the login is at fault: the server refuses it, or the driver cannot even send it."""
        return isinstance(error, UnicodeEncodeError) or self._refused(error)

    def _warn_of(self, newest: Login) -> None:
        if self._warned_of != newest:
            self._warned_of = newest
            log.warning("the server refuses the newest login (%s); the one before still works", self._fields)

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
                self.refusal = self._logins.presentable(error)
        else:
            self._logins.judge(login, None)
