"""The checks that decide whether a composition can replace the one in use, before the verifiers are called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

from pydantic_settings import BaseSettings

from liveconfig._engine.attribution import Attribution, Attributor, Finding, all_parts, joined
from liveconfig._engine.composition import Composition
from liveconfig._engine.rejections import Rejection
from liveconfig._engine.verifier_calls import Verifier
from liveconfig._loading import Fault, Invalid, Loaded, Loader, Origins, Removals
from liveconfig._watching import call_user_code
from liveconfig.events import Stage

S = TypeVar("S", bound=BaseSettings)


class Isolated(NamedTuple):
    """The valid part of a composition, and the parts that were left out.

    Attributes:
        rest: The composition.
        invalid: The parts that are not valid.
        watched: The parts that have to be verified.
    """

    rest: Composition
    invalid: list[Attribution]
    watched: list[Attribution]


class Trials(Generic[S]):
    """Loads compositions, each once, and finds the reasons why one cannot replace the configuration in use.

    Args:
        loader: Makes instances.
        origins: Finds the source of a field.
        applied: The configuration in use.
        verifiers: The verifiers.
    """

    def __init__(self, loader: Loader[S], origins: Origins, applied: Loaded[S], verifiers: Sequence[Verifier]) -> None:
        self.applied = applied
        self.base = Composition.of(applied)
        self.attributor = Attributor(loader.plan, self.base)
        self._loader = loader
        self._origins = origins
        self._verifiers = verifiers
        self._known: dict[tuple[int, ...], tuple[Composition, Loaded[S] | Invalid]] = {}

    def load(self, tried: Composition) -> Loaded[S]:
        """Return the configuration of a composition that has no problems."""
        loaded = self._load(tried)
        assert isinstance(loaded, Loaded)
        return loaded

    def _load(self, tried: Composition) -> Loaded[S] | Invalid:
        key = (*map(id, tried.feeds), id(tried.overrides))
        if key not in self._known:
            self._known[key] = tried, self._make(tried)
        return self._known[key][1]

    def _make(self, tried: Composition) -> Loaded[S] | Invalid:
        applied = self.applied
        if tried.has_values_of(applied):
            return Loaded(applied.snapshot, tried.feeds, applied.overrides, applied.restart_pending, applied.given)
        return call_user_code(self._loader.load, tried.feeds, applied, tried.overrides)

    def problems(self, tried: Composition) -> tuple[Finding, ...]:
        """Return the reasons why a composition is not valid; none if it is valid."""
        loaded = self._load(tried)
        if isinstance(loaded, Invalid):
            return tuple(Finding((each.location,) if each.location else (), str(each)) for each in loaded.problems)
        refused = Removals(self._loader, self._origins, self.applied, loaded).refused()
        return tuple(Finding((name,), reason) for name, reason in refused)

    def concerned(self, snapshot: BaseSettings) -> list[Verifier]:
        """Return the verifiers for which a snapshot has another value than the one in use."""
        old = self.applied.snapshot
        return [] if old is snapshot else [each for each in self._verifiers if each.concerns(old, snapshot)]

    def isolate(self, newest: Composition, *, verified: bool) -> Isolated:
        """Find the largest part of a composition that is valid.

        Args:
            newest: The present content of the volumes.
            verified: Also leave out the parts that have to be verified.
        """
        rest = newest
        invalid: list[Attribution] = []
        watched: list[Attribution] = []
        while rest.changed_from(self.base):
            faults = self.faults(rest)
            questions = self.questions(rest) if verified and not faults else []
            if not faults and not questions:
                break
            invalid += faults
            watched += questions
            rest = rest.taking(all_parts(faults + questions), self.base)
        return Isolated(rest, invalid, watched)

    def faults(self, tried: Composition) -> list[Attribution]:
        """Return the reasons why a composition is not valid, with the parts that cause them."""
        problems = self.problems(tried)
        if not problems:
            return []
        found = self.attributor.by_field(tried, problems)
        return found or [Attribution(self.attributor.by_trial(tried, self.problems), problems)]

    def questions(self, tried: Composition) -> list[Attribution]:
        """Return the parts of a valid composition that have to be verified, joined where one verifier watches both."""
        concerned = self.concerned(self.load(tried).snapshot)
        return joined(Attribution(self.watched(tried, each)) for each in concerned)

    def watched(self, tried: Composition, verifier: Verifier) -> frozenset[int]:
        """Return the changed parts of a valid composition that feed the value of a verifier."""

        def persists(other: Composition) -> bool:
            return bool(self.problems(other)) or verifier in self.concerned(self.load(other).snapshot)

        feeding = self.attributor.feeding(tried, self.fields(tried, verifier))
        return feeding or self.attributor.by_trial(tried, persists)

    def watched_alone(self, tried: Composition, invalid: Iterable[Attribution]) -> frozenset[int]:
        """Return those of the invalid parts that are valid alone and have to be verified."""
        alone = {index: self.base.taking([index], tried) for index in all_parts(invalid)}
        valid = {index: self.load(each).snapshot for index, each in alone.items() if not self.problems(each)}
        return frozenset(index for index, snapshot in valid.items() if self.concerned(snapshot))

    def fields(self, tried: Composition, verifier: Verifier) -> tuple[str, ...]:
        """Return the changed fields of a valid composition that a verifier watches."""
        return verifier.fields(self.applied.snapshot, self.load(tried).snapshot)

    def rejection(self, tried: Composition, found: Attribution) -> Rejection:
        """Return the rejection of the invalid parts of a composition."""
        fault = self.fault("validate", found.reason, tried, found.parts, found.fields)
        return Rejection(fault, tried.contents(found.parts))

    def fault(
        self, stage: Stage, reason: str, tried: Composition, parts: frozenset[int], fields: tuple[str, ...]
    ) -> Fault:
        """Describe why some parts of a composition are not applied."""
        held = self.attributor.held(tried, parts, fields)
        return Fault(stage, reason, fields, tried.generations(parts), held)
