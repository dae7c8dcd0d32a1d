"""The inner end of `_process`: a JSON object a line in and out. Standard library only; it runs in every environment."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["serve"]


def serve(make: Callable[[Callable[[Any], None]], object]) -> None:
    """Answer each line with a method of what `make` returns, until standard input ends; then end the process.

    Args:
        make: Called with a function that sends a value before the answer proper.
    """
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a contender prints is not an answer

    def answer(value: Any) -> None:
        channel.write(json.dumps(value) + "\n")
        channel.flush()

    target = make(answer)
    answer("ready")
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer({"value": getattr(target, request.pop("do"))(**request)})
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}"})
    os._exit(0)  # some contenders keep threads that would hold the process
