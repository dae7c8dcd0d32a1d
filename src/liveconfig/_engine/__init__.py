"""The transaction of one settings object: read, load, accept, verify, apply, publish; and its state.

- `acceptance`: The checks that decide whether a composition can replace the one in use, before the verifiers are
  called.
- `attribution`: Attribution of findings to volumes: by the fields that they name, or by leaving out one volume at a
  time.
- `candidate`: A candidate: changes that have to be verified before they are applied, and the progress of their
  verification.
- `composition`: The content of one configuration: one revision of each volume, and the overrides.
- `core`: The parts of one settings object, connected: engine, delivery, watching and diagnostics.
- `engine`: The transaction: read, load, verify, apply, publish.
- `pinning`: Pinned snapshots, stored in a context variable.
- `reader`: The readers of all volumes of one settings object; a fault of one volume does not stop the others.
- `rejections`: The standing rejections of one settings object: each distinct bad content is published once, and so is
  its end.
- `single_flight`: One transaction at a time; concurrent requests share one.
- `startup`: The first load of a settings object: arguments, volumes and sources -> a core, or the error to raise.
- `state`: The applied configuration, its version, and the live object that shows it.
- `verification`: The verification of candidates: calls the verifiers, and applies or holds back the parts that they
  decided on.
- `verifier_calls`: Verifiers: functions of the user that check a candidate before it is applied, on a separate thread.
"""

from liveconfig._engine.core import Core
from liveconfig._engine.pinning import Pin, pinned
from liveconfig._engine.startup import has_arguments, load_core
from liveconfig._engine.verifier_calls import Verifier

__all__ = [
    "Core",
    "Pin",
    "Verifier",
    "has_arguments",
    "load_core",
    "pinned",
]
