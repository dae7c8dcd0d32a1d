"""The delivery of applied versions to subscribers: events, threads, event loops and retries.

- `async_reloads`: `areload()`: a look on a separate thread, and the coroutine subscribers that it waits for.
- `calls`: One call of one subscriber on a delivery thread, and the retries after an exception.
- `changes`: The changes between two snapshots.
- `coroutines`: Coroutine subscribers: each call runs on an event loop, or waits until there is one.
- `loops`: The running event loops of one settings object, for coroutines whose own loop does not run.
- `publisher`: The subscribers of one settings object, and the delivery of each version to them.
- `recent_values`: The recent values of fields and selectors, kept from the first request on.
- `signal_subscribers`: Receivers of blinker signals, which are called like subscribers, after them.
- `signatures`: Checks of the signatures of functions, without a call.
- `streams`: `changes()` and `reloads()`: events as asynchronous iterators.
- `subjects`: The subjects of subscriptions, and the version that a subscriber received last. No threads, no callbacks.
- `subscribers`: One subscriber: its callback, its event loop, and the result of its last call.
- `threads`: The delivery threads of one settings object, with the 1 s and 30 s rules for slow subscribers.
- `waits`: `wait()` and `wait_for()`: wait until a snapshot fulfils a condition.
"""

from liveconfig._delivery import waits
from liveconfig._delivery.async_reloads import call_in_thread, coroutines_finished
from liveconfig._delivery.changes import diff
from liveconfig._delivery.loops import needed_loop
from liveconfig._delivery.publisher import Publisher
from liveconfig._delivery.recent_values import RecentValues
from liveconfig._delivery.signal_subscribers import SignalSubscribers
from liveconfig._delivery.signatures import is_subscriber, takes_one_argument, why_not_callable
from liveconfig._delivery.streams import Stream
from liveconfig._delivery.subjects import EventQueue, Reloads, Subject, ValueChanges, Version
from liveconfig._delivery.subscribers import Subscriber, name_of

__all__ = [
    "EventQueue",
    "Publisher",
    "RecentValues",
    "Reloads",
    "SignalSubscribers",
    "Stream",
    "Subject",
    "Subscriber",
    "ValueChanges",
    "Version",
    "call_in_thread",
    "coroutines_finished",
    "diff",
    "is_subscriber",
    "name_of",
    "needed_loop",
    "takes_one_argument",
    "waits",
    "why_not_callable",
]
