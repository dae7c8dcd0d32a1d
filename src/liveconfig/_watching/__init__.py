"""The watcher of the process: file-system events, the scheduler thread, re-checks, and forks.

- `directories`: The directories that are watched, and whether each watch still reports what happens at its path.
- `fork`: Forked children: a weak registry of the objects that they renew, their end, and the end of the interpreter.
- `forks_in_user_code`: Forks in user code: a process that a subscriber, a verifier or a validator forks ends where
  the call ends.
- `inotify`: inotify, through watchdog: the only module that uses watchdog.
- `scheduler`: The scheduler thread of the process: runs posted calls and timers, so that no call blocks another.
- `waitable_thread`: A thread for whose end code can wait that a signal handler may interrupt.
- `watcher`: The watcher of the process: it wakes registered objects at a change, and at each re-check.
"""

from liveconfig._watching.fork import fork_count, is_ending, renew_at_end, renew_in_child, start_thread
from liveconfig._watching.forks_in_user_code import call_user_code
from liveconfig._watching.scheduler import DelayedCall, Scheduler, Timer, Timers, WeakCall
from liveconfig._watching.waitable_thread import WaitableThread
from liveconfig._watching.watcher import POLLING, Fingerprints, Mode, Registration, check_period, process_watcher

__all__ = [
    "POLLING",
    "DelayedCall",
    "Fingerprints",
    "Mode",
    "Registration",
    "Scheduler",
    "Timer",
    "Timers",
    "WaitableThread",
    "WeakCall",
    "call_user_code",
    "check_period",
    "fork_count",
    "is_ending",
    "process_watcher",
    "renew_at_end",
    "renew_in_child",
    "start_thread",
]
