"""What each contender does with a mounted volume: read in its source and documentation, and tried."""

from __future__ import annotations

__all__ = ["PEERS", "TEXT"]

TEXT = "From the source and the documentation of these versions, and from a test with a volume that is updated."

PEERS: tuple[tuple[str, str, str], ...] = (
    (
        "dynamic-config-py",
        "dynamic-config-py",
        "`file(...)` with `watch()` follows every swap, 250 ms later because of its debounce. An invalid document is "
        "not used. `secrets_dir(...)` is read but never watched: without a file, `watch()` raises; with a file, it "
        "sees a rotated Secret at the next change of the file. A variable overrides the mounted Secret.",
    ),
    (
        "pydantic-settings",
        "pydantic-settings",
        "Does not follow. A new instance opens each key through its visible link, one after the other, so a swap in "
        "between mixes two generations. It scans the directory once for each field. A variable overrides "
        "`secrets_dir`.",
    ),
    (
        "dynaconf",
        "dynaconf",
        "Does not watch. `reload()` and `get_fresh()` read and merge everything again.",
    ),
    (
        "watchfiles",
        "watchfiles",
        "Follows. It groups changes for 50 ms to 1.6 s, and wakes up every 50 ms. Reading one generation, validating "
        "it, and keeping secrets out of the log is left to the application.",
    ),
    (
        "LaunchDarkly file source",
        "launchdarkly-server-sdk",
        "Watches the directory that the path leads to at the start, which is the first generation. The first swap "
        "removes it, and the client sees no change after that.",
    ),
    (
        "flagd file provider",
        "openfeature-provider-flagd",
        "Follows. It checks the modification time of the file every 0.5 s (its README says 5 s).",
    ),
    (
        "the file, read on each request",
        "-",
        "Always new, one key at a time. Two keys that are read one after the other can come from two generations, and "
        "a key can be missing for a moment. Nothing is validated before it is used.",
    ),
)
