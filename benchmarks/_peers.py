"""What each contender does with a mounted volume: read in its source and documentation, and tried."""

from __future__ import annotations

__all__ = ["PEERS", "TEXT"]

TEXT = "Read in the source and the documentation of these versions, and tried on a volume that is swapped."

PEERS: tuple[tuple[str, str, str], ...] = (
    (
        "dynamic-config-py",
        "dynamic-config-py",
        "`file(...)` with `watch()` follows every swap, 250 ms late by its debounce; a bad document keeps the "
        "last good one. `secrets_dir(...)` is read but never watched: alone, `watch()` raises; beside a file, a "
        "rotated Secret is seen at the next change of the file. A variable wins over the mounted Secret.",
    ),
    (
        "pydantic-settings",
        "pydantic-settings",
        "No refresh. A new instance opens each key through its visible link, one after the other, so that a swap "
        "in between mixes two generations; the directory is scanned for each field. A variable wins over "
        "`secrets_dir`.",
    ),
    (
        "dynaconf",
        "dynaconf",
        "No watch: `reload()` or `get_fresh()` where the newest value is wanted, which reads and merges everything.",
    ),
    (
        "watchfiles",
        "watchfiles",
        "Follows; 50 ms at least, 1.6 s at most, to group changes, with a wake-up each 50 ms. What is read, and "
        "whether it is whole, valid and silent about secrets, is the application's work.",
    ),
    (
        "LaunchDarkly file source",
        "launchdarkly-server-sdk",
        "Watches the directory to which the path resolves at the start: the first generation. The first swap "
        "removes it, and nothing is heard any more.",
    ),
    (
        "flagd file provider",
        "openfeature-provider-flagd",
        "Looks at the file's modification time every 0.5 s (its README says 5 s), and follows.",
    ),
    (
        "the file, read on each request",
        "-",
        "Always new, one key at a time; two keys that are read one after the other can be of two generations, and "
        "a key can be gone for a moment. Nothing is checked before it is used.",
    ),
)
