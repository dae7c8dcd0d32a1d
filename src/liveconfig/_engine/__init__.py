"""The transaction of one settings object: read, load, accept, verify, apply, publish; and its state.

- `acceptance`: Whether a loaded configuration may replace the applied one, before verifiers run.
- `candidate`: A valid configuration that waits for its verifiers, and its retries.
- `core`: One settings object assembled: engine, delivery, watching and diagnostics.
- `engine`: The transaction: read, load, verify, apply, publish.
- `pinning`: Pinned snapshots, found through a context variable.
- `reader`: Reads all volumes of one settings object; a fault of one volume does not stop the others.
- `rejections`: The standing rejections of one settings object: each distinct bad content is published once, and so is
  its end.
- `single_flight`: One transaction at a time; concurrent requests share one.
- `startup`: The first load of a settings object: arguments, volumes and sources -> a core, or the error to raise.
- `state`: The applied configuration, its version, and the live object that shows it.
- `verifiers`: Verifiers: user code that checks a candidate before it is applied, on a thread of its own.
"""

from liveconfig._engine.core import Core
from liveconfig._engine.pinning import Pin, pinned
from liveconfig._engine.startup import load_core
from liveconfig._engine.verifiers import Verifier

__all__ = [
    "Core",
    "Pin",
    "Verifier",
    "load_core",
    "pinned",
]
