"""The standing rejections of one settings object: each distinct bad content is published once, and so is its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace

from liveconfig import _clock
from liveconfig._loading import Fault
from liveconfig._record import record
from liveconfig.events import Rejected


@record
class Rejection:
    """A reason why some volumes are not applied, as one attempt found it.

    Attributes:
        fault: The reason.
        contents: The content of each volume that waits, by index. It identifies the same bad content at the next
            attempt.
    """

    fault: Fault
    contents: Mapping[int, object] = field(repr=False)


class Standing:
    """A rejection that has not ended.

    Attributes:
        event: The published event.
        found: The newest attempt.
        attempt: The number of attempts.
    """

    def __init__(self, event: Rejected, found: Rejection) -> None:
        self.event = event
        self.found = found
        self.attempt = 1

    def present(self) -> Rejected:
        """Return the event with the reason of the newest attempt and the present count."""
        fault = self.found.fault
        return replace(
            self.event,
            reason=fault.reason,
            fields=fault.fields,
            held=fault.held,
            generations=fault.generations,
            attempt=self.attempt,
        )

    def is_about(self, found: Rejection) -> bool:
        """Whether an attempt rejected the same content at the same stage."""
        return self.found.fault.stage == found.fault.stage and self.found.contents == found.contents


@record
class _State:
    """The standing rejections, and the events that are to be published."""

    standing: tuple[Standing, ...] = ()
    suspended: tuple[Standing, ...] = ()  # replaced by content that the verifiers have not decided on yet
    newest: Standing | None = None
    begun: tuple[Standing, ...] = ()
    ended: tuple[Standing, ...] = ()


class Rejections:
    """The standing rejections, oldest first, and the events to publish about them.

    They are replaced as a whole, in a transaction only: others read them meanwhile, and a signal handler may raise
    anywhere.
    """

    def __init__(self) -> None:
        self._state = _State()

    def stand(self) -> bool:
        """Whether a rejection stands."""
        return bool(self._state.standing)

    def standing(self) -> tuple[Rejected, ...]:
        """Return the standing rejections, oldest first, each with its present count of attempts."""
        return tuple(each.present() for each in self._state.standing)

    def published(self) -> tuple[tuple[Rejected, Rejected], ...]:
        """Return the standing rejections, each as it is published and with its present count of attempts."""
        return tuple((each.event, each.present()) for each in self._state.standing)

    def newest(self) -> Rejected | None:
        """Return the newest rejection, standing or not, with its present count of attempts."""
        newest = self._state.newest
        return None if newest is None else newest.present()

    def attempts(self, found: Rejection) -> int:
        """Return how often the content of a standing rejection was tried."""
        return next((each.attempt for each in self._state.standing if each.found is found), 1)

    def update(self, found: Sequence[Rejection], undecided: Mapping[int, object]) -> None:
        """Replace the standing rejections.

        Args:
            found: The present rejections. A known one counts as a new attempt, unless it is the same object.
            undecided: The content of the volumes that verifiers have not decided on yet, by index.
        """
        state = self._state
        known = [*state.standing, *state.suspended]
        if not found and not known:
            return
        now = [_standing(each, known) for each in found]
        rejected = {index for each in now for index in each.found.contents}
        kept, suspended, ended = [], [], []
        for each in known:
            waiting = each.found.contents
            if each in now or waiting.keys() & rejected:
                continue
            if all(undecided.get(index) == content for index, content in waiting.items()):
                kept.append(each)  # the same content is tried again
            elif waiting.keys() & undecided.keys():
                suspended.append(each)
            else:
                ended.append(each)
        begun = [each for each in now if each not in known]
        self._state = _State(
            (*(each for each in known if each in now or each in kept), *begun),
            tuple(suspended),
            next(reversed(begun), state.newest),
            (*state.begun, *begun),
            (*state.ended, *ended),
        )

    def publish_rejected(self, publish: Callable[[Rejected], None]) -> None:
        """Publish the rejections that were not published yet."""
        while self._state.begun:
            publish(self._state.begun[0].event)
            self._state = replace(self._state, begun=self._state.begun[1:])

    def publish_recovered(self, publish: Callable[[Rejected], None]) -> None:
        """Publish the ends of rejections that were not published yet, each with its final count of attempts."""
        while self._state.ended:
            publish(self._state.ended[0].present())
            self._state = replace(self._state, ended=self._state.ended[1:])


def _standing(found: Rejection, known: list[Standing]) -> Standing:
    standing = next((each for each in known if each.is_about(found)), None)
    if standing is None:
        fault = found.fault
        event = Rejected(fault.stage, fault.reason, fault.fields, fault.held, fault.generations, _clock.now())
        return Standing(event, found)
    if standing.found is not found:
        standing.found = found
        standing.attempt += 1
    return standing
