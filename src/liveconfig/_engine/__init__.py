"""The transaction of one settings object: read, load, accept, verify, apply, publish; and its state.

- `acceptance`: Whether a composition may replace what is applied, before verifiers are asked.
- `attribution`: Which volumes a finding comes from: by the fields that it names, or by leaving out each volume in turn.
- `candidate`: A candidate: changes that have to be verified before they are applied, and what is known of them.
- `composition`: What a configuration is made of: one revision of each volume, and the overrides.
- `core`: One settings object assembled: engine, delivery, watching and diagnostics.
- `engine`: The transaction: read, load, verify, apply, publish.
- `pinning`: Pinned snapshots, found through a context variable.
- `reader`: Reads all volumes of one settings object; a fault of one volume does not stop the others.
- `rejections`: The standing rejections of one settings object: each distinct bad content is published once, and so is
  its end.
- `single_flight`: One transaction at a time; concurrent requests share one.
- `startup`: The first load of a settings object: arguments, volumes and sources -> a core, or the error to raise.
- `state`: The applied configuration, its version, and the live object that shows it.
- `verification`: Brings candidates before the verifiers, and applies or holds back what they were asked about.
- `verifiers`: Verifiers: user code that checks a candidate before it is applied, on a thread of its own.
"""

from liveconfig._engine.core import Core
from liveconfig._engine.pinning import Pin, pinned
from liveconfig._engine.startup import has_arguments, load_core
from liveconfig._engine.verifiers import Verifier

__all__ = [
    "Core",
    "Pin",
    "Verifier",
    "has_arguments",
    "load_core",
    "pinned",
]
