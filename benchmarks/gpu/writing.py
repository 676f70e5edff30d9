"""Tokens a second of writing, against reading the whole text again for every token."""

from __future__ import annotations

from benchmarks.generation.__main__ import OURS, PLAIN, contestants
from benchmarks.gpu.finding import Finding
from benchmarks.gpu.setting import Setting
from benchmarks.timing.measures import rate, times_as_fast

BATCHES = (1, 16)


def measure(setting: Setting) -> Finding:
    """Of one text, and of several at once."""
    seconds = setting.alternate(contestants(setting.sizes, BATCHES, setting.device))
    found = []
    for batch in BATCHES:
        theirs, mine = (seconds[f"{name}, batch {batch}"] for name in (PLAIN, OURS))
        written = batch * setting.sizes.length
        found += [rate(f"{name}, batch {batch}", written, t) for name, t in ((PLAIN, theirs), (OURS, mine))]
        found += [times_as_fast(f"ours / recomputing, batch {batch}", theirs, mine)]
    return Finding(found)
