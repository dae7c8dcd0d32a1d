"""`Live`, the public methods of one settings object, and `Subscription`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from operator import attrgetter, itemgetter
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, overload

from pydantic_settings import BaseSettings

from liveconfig import _clock
from liveconfig._delivery import (
    EventQueue,
    Reloads,
    Subject,
    Subscriber,
    ValueChanges,
    asyncio_bridge,
    is_subscriber,
    name_of,
    takes_one_argument,
    why_not_callable,
)
from liveconfig._engine import Core, Pin, Verifier, pinned
from liveconfig._loading import failure_of, getter, nearest
from liveconfig._watching import renew_at_end
from liveconfig.events import Change, Recovered, Rejected, Reloaded, Stale
from liveconfig.exceptions import LiveConfigError
from liveconfig.history import HistoryEntry
from liveconfig.origin import Origin
from liveconfig.status import Status

S = TypeVar("S", bound=BaseSettings)
T = TypeVar("T")
R = TypeVar("R")
Callback = Callable[[T], R]


class Subscription:
    """What `Live.subscribe` and `Live.add_verifier` return: the way to cancel it."""

    def __init__(self, core: Core[Any], member: Subscriber | Verifier) -> None:
        self._core: Core[Any] | None = core  # None once cancelled: who keeps this keeps no settings alive by it
        self._member = member

    def cancel(self) -> None:
        """Call it no more; a call that is under way ends as it will. Harmless when called twice."""
        core, self._core = self._core, None
        renew_at_end()
        if core is not None:
            core.cancel(self._member)


def _nothing(_: object) -> None:
    """Select nothing."""


class Live(Generic[S]):
    """Everything that a settings object can do beside being read. Reached as ``settings.live``."""

    def __init__(self, core: Core[S], instance: S) -> None:
        self._its_core = core
        self._instance = instance

    @property
    def _core(self) -> Core[S]:
        renew_at_end()
        return self._its_core

    def __repr__(self) -> str:
        return f"<Live {type(self._instance).__name__} version={self.version}>"

    # Snapshots

    def latest(self) -> S:
        """The newest snapshot: an immutable instance of the same class that never changes."""
        return self._core.engine.in_use.state[0].snapshot  # each pin pays for a property

    def snapshot(self) -> S:
        """The pinned snapshot inside `pinned`, else the newest."""
        in_use = self._core.engine.in_use
        held = pinned(in_use)
        return in_use.state[0].snapshot if held is None else held

    def pinned(self) -> AbstractContextManager[S]:
        """For the length of a ``with``, `snapshot` returns one and the same; nested ones keep the outer.

        Tasks started inside see the newest again once the ``with`` is left.
        """
        return Pin(self._core.engine.in_use)

    @property
    def version(self) -> int:
        """1 after the first load, then one more for each applied change."""
        return self._core.engine.version.number

    # Looking and stopping

    def reload(self, wait: bool = True) -> bool:
        """Look at the volumes now.

        Args:
            wait: Wait until a writer has finished, the verifiers have spoken and each subscriber was given the
                version current at the call (save coroutines, one that has run for over 1 s, and, when called inside
                a subscriber, those still to come). Called inside a validator, it waits for nobody.

        Returns:
            True if what is on disk is applied, now or before; False if it is rejected (`status` says why).
        """
        return self._core.reload(wait)

    async def areload(self) -> bool:
        """The same as ``reload(wait=True)``, without blocking the event loop.

        On return the coroutine subscribers of this loop have finished too, except those that run for over 1 s.

        Raises:
            LiveConfigError: No asyncio event loop runs here.
        """
        applied = await asyncio_bridge.in_thread(lambda: self._core.reload(wait=True))
        await asyncio_bridge.finished(self._core.publisher)
        return applied

    def start(self) -> None:
        """Follow the volumes: again after `close`, or for the first time where ``watch=False`` was given.

        Harmless where they are followed already. A forked child follows by itself.
        """
        self._core.follow()

    def close(self) -> None:
        """Stop watching: bounded in time, idempotent, from anywhere. A closed one still reads, and reloads by hand."""
        self._core.close()

    def __enter__(self) -> Self:
        self._core.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._core.leave()

    async def __aenter__(self) -> Self:
        loop = asyncio_bridge.running_loop()
        self._core.enter()
        self._core.publisher.bind_loop(loop)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._core.publisher.unbind_loop(asyncio_bridge.running_loop())
        self._core.leave()

    # Subscribing

    def on_change(
        self, what: Callable[[S], T] | str, *, initial: bool = False, retry: bool = True
    ) -> Callable[[Callback[Change[T], R]], Callback[Change[T], R]]:
        """Subscribe the decorated function to a value; it is returned unchanged.

        Args:
            what: A selector (``lambda s: (s.db.user, s.db.password)``) or a field (``"db.password"``; a model's name
                hears every leaf below).
            initial: Deliver once at subscription too, with ``old`` as ``new``.
            retry: Deliver again after an exception: after 1 s, doubling to 60 s, until it succeeds.

        Raises:
            LiveConfigError: There is no such field; the message names the nearest.
            TypeError: ``what`` is neither a field nor a selector: the decorator was written without parentheses.
        """
        self._selector(what)

        def decorate(callback: Callback[Change[T], R]) -> Callback[Change[T], R]:
            self.subscribe(what, callback, initial=initial, retry=retry)
            return callback

        return decorate

    def on_reload(self, callback: Callback[Reloaded[S], R]) -> Callback[Reloaded[S], R]:
        """Subscribe the decorated function to each applied change, as a whole."""
        self.subscribe(Reloaded, callback)
        return callback

    def on_reject(self, callback: Callback[Rejected, R]) -> Callback[Rejected, R]:
        """Subscribe the decorated function to rejections."""
        self.subscribe(Rejected, callback)
        return callback

    def on_recover(self, callback: Callback[Recovered, R]) -> Callback[Recovered, R]:
        """Subscribe the decorated function to the ends of rejections."""
        self.subscribe(Recovered, callback)
        return callback

    def on_stale(self, callback: Callback[Stale, R]) -> Callback[Stale, R]:
        """Subscribe the decorated function to fields that cannot follow their volume."""
        self.subscribe(Stale, callback)
        return callback

    @overload
    def subscribe(
        self,
        what: type[Reloaded[Any]],
        callback: Callback[Reloaded[S], object],
        *,
        initial: bool = ...,
        retry: bool = ...,
    ) -> Subscription: ...
    @overload
    def subscribe(
        self, what: type[Rejected], callback: Callback[Rejected, object], *, initial: bool = ..., retry: bool = ...
    ) -> Subscription: ...
    @overload
    def subscribe(
        self, what: type[Recovered], callback: Callback[Recovered, object], *, initial: bool = ..., retry: bool = ...
    ) -> Subscription: ...
    @overload
    def subscribe(
        self, what: type[Stale], callback: Callback[Stale, object], *, initial: bool = ..., retry: bool = ...
    ) -> Subscription: ...
    @overload
    def subscribe(
        self, what: str, callback: Callback[Change[Any], object], *, initial: bool = ..., retry: bool = ...
    ) -> Subscription: ...
    @overload
    def subscribe(
        self,
        what: Callable[[S], T],
        callback: Callback[Change[T], object],
        *,
        initial: bool = ...,
        retry: bool = ...,
    ) -> Subscription: ...
    def subscribe(
        self, what: Any, callback: Callable[[Any], object], *, initial: bool = False, retry: bool = True
    ) -> Subscription:
        """Deliver to ``callback`` from now on.

        Args:
            what: As for `on_change`, or one of `Reloaded`, `Rejected`, `Recovered`, `Stale`.
            callback: A plain function, called on a delivery thread, or a coroutine function, run on the event loop
                that is running now (or at the next ``async with settings.live``). Held strongly.
            initial: As for `on_change`; of `Rejected` and `Stale`, what stands now is delivered.
            retry: As for `on_change`.

        Returns:
            The way to cancel it.

        Raises:
            LiveConfigError: There is no such field; the message names the nearest.
            TypeError: ``what`` is neither a field nor a selector, or ``callback`` cannot be called.
        """
        subject = self._subject(what)
        if (reason := why_not_callable(callback)) is not None:
            raise TypeError(f"a subscriber must be a function of one argument, not {_described(callback)}: {reason}")
        subscriber = Subscriber(subject, callback, initial=initial, retry=retry)
        self._core.subscribe(subscriber)
        return Subscription(self._core, subscriber)

    @overload
    def changes(self, what: str) -> asyncio_bridge.Stream[Change[Any]]: ...
    @overload
    def changes(self, what: Callable[[S], T]) -> asyncio_bridge.Stream[Change[T]]: ...
    def changes(self, what: Any) -> asyncio_bridge.Stream[Change[Any]]:
        """``async for change in settings.live.changes(what)``: subscribed at the call; ends with `close`.

        It has ``aclose()``, as ``contextlib.aclosing`` needs it.

        Raises:
            LiveConfigError: There is no such field; the message names the nearest.
        """
        return asyncio_bridge.Stream(self._core.publisher, self._subject(what), self._core.closed)

    def reloads(self) -> asyncio_bridge.Stream[Reloaded[S]]:
        """The same for each applied change, as a whole."""
        return asyncio_bridge.Stream(self._core.publisher, self._subject(Reloaded), self._core.closed)

    async def wait_for(self, predicate: Callable[[S], bool], timeout: float | None = None) -> S:
        """The first snapshot for which the predicate holds, of those that are the newest when the loop gets to look.

        A state that lasted shorter can be passed over.

        Raises:
            TimeoutError: There was none within ``timeout`` seconds.
        """
        snapshot: S = await asyncio_bridge.wait_for(self._core.publisher, predicate, timeout)
        return snapshot

    def wait(self, predicate: Callable[[S], bool], timeout: float | None = None) -> S:
        """The same as `wait_for`, for plain code: it blocks, and can pass over a state that lasted shorter, too.

        Raises:
            TimeoutError: There was none within ``timeout`` seconds.
        """
        snapshot: S = asyncio_bridge.wait(self._core.publisher, predicate, timeout, _clock.monotonic)
        return snapshot

    @overload
    def verify(
        self, check: Callable[[S], T], *, on: Callable[[S], object] | str | None = ..., timeout: float = ...
    ) -> Callable[[S], T]: ...
    @overload
    def verify(
        self, check: None = ..., *, on: Callable[[S], object] | str | None = ..., timeout: float = ...
    ) -> Callable[[Callable[[S], T]], Callable[[S], T]]: ...
    def verify(
        self, check: Any = None, *, on: Callable[[S], object] | str | None = None, timeout: float = 10.0
    ) -> Callable[..., Any]:
        """Have the decorated function check each change before it is applied: ``@live.verify(on="db", timeout=5)``.

        It is called with the candidate, a snapshot, on a thread of its own. If it raises, returns False or takes
        longer than ``timeout``, the candidate is rejected. It is tried again while it is on disk: after 1 s, doubling
        to 300 s, with 20 % jitter. The function is not called for the first load.

        Args:
            check: The function, if the decorator is written without parentheses: ``@live.verify``.
            on: A selector or the name of a field. The function is called only if that value differs from the one in
                use; volumes that do not feed it are applied at once, while the function runs. None: every change.
            timeout: Seconds that one call may take.

        Raises:
            TypeError: What was given positionally is no function to decorate: a text, a lambda, an `attrgetter`, or
                something that cannot be called with one argument. Nothing is registered.
            LiveConfigError: There is no such field (the message names the nearest), or ``timeout`` is not positive.
        """
        if isinstance(check, (str, attrgetter, itemgetter)) or getattr(check, "__name__", "") == "<lambda>":
            raise TypeError(f"`verify` takes the function that checks, not {_described(check)}: {_WRITE_ON}")
        select = self._verified_value(on, timeout)

        def register(check: Callable[[S], T]) -> Callable[[S], T]:
            self._core.add_verifier(_verifier(check, select, timeout))
            return check

        return register if check is None else register(check)

    def add_verifier(
        self, check: Callable[[S], object], *, on: Callable[[S], object] | str | None = None, timeout: float = 10.0
    ) -> Subscription:
        """The same as `verify`, as a call.

        Returns:
            The way to cancel it. A change that only this verifier has rejected is then applied.

        Raises:
            TypeError: ``check`` or ``on`` cannot be called with one argument.
            LiveConfigError: There is no such field (the message names the nearest), or ``timeout`` is not positive.
        """
        verifier = _verifier(check, self._verified_value(on, timeout), timeout)
        self._core.add_verifier(verifier)
        return Subscription(self._core, verifier)

    def _verified_value(self, on: Any, timeout: float) -> Callable[[Any], Any] | None:
        if not (on is None or isinstance(on, str) or takes_one_argument(on)):
            raise TypeError(f"`on` must be a selector or the name of a field, not {_described(on)}")
        if not isinstance(timeout, (int, float)) or not 0 < timeout <= threading.TIMEOUT_MAX:
            raise LiveConfigError(f"`timeout` must be a positive number of seconds, not {timeout!r}")
        return None if on is None else self._selector(on)

    def _subject(self, what: Any) -> Subject:
        version = self._core.publisher.newest
        if what is Reloaded:
            return Reloads(version)
        if what in (Rejected, Recovered, Stale):
            return EventQueue(what, version)
        select = self._selector(what)
        if failure_of(self._instance) is not None:  # there is nothing to select from, and nothing will change
            select = _nothing
        return ValueChanges(select, what if isinstance(what, str) else None, version)

    def _selector(self, what: Any) -> Callable[[Any], Any]:
        if isinstance(what, str):
            return getter(self._known(what))
        if not takes_one_argument(what) or is_subscriber(what):
            raise TypeError(
                f'name what to watch: a field (`on_change("db.password")`) or a selector '
                f"(`on_change(lambda s: s.db.password)`), not {_described(what)}"
            )
        return what  # type: ignore[no-any-return]

    def _known(self, name: str) -> str:
        plan = self._core.loader.plan
        if plan.node(name) is None:
            close = nearest(name, [*plan.fields, *self.origins()])
            hint = f"; did you mean {close!r}?" if close else ""
            raise LiveConfigError(f"{type(self._instance).__name__} has no field {name!r}{hint}")
        return name

    # Origins, status, history

    def origin(self, field: str) -> Origin:
        """Where the value of a field comes from.

        Raises:
            LiveConfigError: There is no such field; the message names the nearest.
        """
        return self._core.monitor.origin(self._known(field), self._core.engine.applied)

    def origins(self) -> dict[str, Origin]:
        """Where each value comes from, by dotted field."""
        return self._core.monitor.origins(self._core.engine.applied)

    def status(self) -> Status:
        """The state of these settings in this process. It holds no value."""
        return self._core.status()

    @property
    def healthy(self) -> bool:
        """Whether `Status.healthy` is true. For probes: nothing else of the status is computed."""
        return self._core.is_healthy()

    @overload
    def recent(self, field: str, *, within: float | None = ...) -> tuple[Any, ...]: ...
    @overload
    def recent(self, field: Callable[[S], T], *, within: float | None = ...) -> tuple[T, ...]: ...
    def recent(self, field: Any, *, within: float | None = None) -> tuple[Any, ...]:
        """The distinct values of a field that were in use, newest first, 16 at most: keys that must still verify.

        The first call returns the present value; from then on the replaced ones are kept, in memory only.

        Args:
            field: The name of a field, or a selector. A selector is known by its identity: define it once.
            within: Seconds for which a replaced value is kept; None: until 16 others have come.

        Raises:
            LiveConfigError: There is no such field, ``within`` is negative, or this is the 33rd different selector.
            TypeError: ``field`` is neither a field nor a selector.
        """
        if within is not None and not within >= 0:
            raise LiveConfigError(f"`within` must be a number of seconds, not {within!r}")
        return self._core.recent.recent(field, self._selector(field), within)

    def history(self) -> tuple[HistoryEntry, ...]:
        """The newest 32 outcomes, newest first: applied, rejected, recovered and stale. They hold no value."""
        return self._core.history()


_WRITE_ON = "to name the value that it checks, write `verify(on=...)`"


def _verifier(check: Any, select: Callable[[Any], Any] | None, timeout: float) -> Verifier:
    if not takes_one_argument(check):
        raise TypeError(
            f"a verifier must be a function of one argument, the candidate, not {_described(check)}: {_WRITE_ON}"
        )
    return Verifier(check, select, timeout)


def _described(given: object) -> str:
    """What was given, without its value."""
    if getattr(given, "__name__", "") == "<lambda>":
        return "a lambda"
    return f"{name_of(given)} ({type(given).__name__})" if callable(given) else f"a {type(given).__name__}"
