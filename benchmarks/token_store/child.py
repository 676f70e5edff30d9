"""A store built or opened in a process of its own, which says what that took."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing.process import answer_of
from benchmarks.token_store.stores import STORES, AbstractStore, TokenizedDocument

TEXTS = "texts.npz"  # the documents that are repeated


def asked(work: str, **told: Any) -> dict[str, Any]:
    """Answer of a new process: `built` or `opened`, by name, with its arguments."""
    answer: dict[str, Any] = answer_of(["-m", "benchmarks.token_store.child", json.dumps({"work": work, **told})], work)
    return answer


def store_in(folder: str | Path, name: str, length: int) -> AbstractStore:
    """A store in the folder that has the documents."""
    texts = np.load(Path(folder) / TEXTS)
    return STORES[name](Path(folder) / name, length, int(texts["end"]), int(texts["vocabulary"]))


def repeated(folder: str | Path, tokens: int) -> Iterator[TokenizedDocument]:
    """The documents again and again, each time with names of their own, until there are so many tokens."""
    texts = np.load(Path(folder) / TEXTS)
    ids, byte_counts, bounds = texts["ids"], texts["byte_counts"], texts["bounds"]
    made = number = 0
    while made < tokens:
        place = number % (len(bounds) - 1)
        part = slice(bounds[place], bounds[place + 1])
        yield TokenizedDocument(f"document {number}", ids[part], byte_counts[part])
        made, number = made + bounds[place + 1] - bounds[place] + 1, number + 1


def built(folder: str, name: str, length: int, tokens: int) -> dict[str, float]:
    """Seconds of building, and the most memory of this process's own meanwhile."""
    store, memory = store_in(folder, name, length), Memory()
    began, worked = time.perf_counter(), time.process_time()
    store.build(memory.watched(repeated(folder, tokens)))
    return {
        "seconds": time.perf_counter() - began,
        "processor_seconds": time.process_time() - worked,
        "own_megabytes": memory.most / 1e6,
    }


def opened(folder: str, name: str, length: int, batch: int, batches: int, seed: int) -> dict[str, float]:
    """Seconds from a process's beginning to its first batch, of which opening, and then of random batches."""
    memory = Memory()
    before = time.process_time()
    windows = store_in(folder, name, length).open()
    opening = time.process_time() - before
    order = np.random.default_rng(seed).permutation(len(windows))
    windows.batch(order[:batch])
    first = time.process_time()  # of all that this process has done
    before = time.process_time()
    for number in range(batches):
        windows.batch(order[np.arange(number * batch, (number + 1) * batch) % len(order)])
        memory.look()
    return {
        "opening": opening,
        "to_first_batch": first,
        "batch": (time.process_time() - before) / batches,
        "own_megabytes": memory.most / 1e6,
    }


class Memory:
    """The most bytes that this process had to itself, beyond what it had at first: pages of mapped files are not."""

    def __init__(self) -> None:
        self.first, self.most = own_bytes(), 0

    def look(self) -> None:
        self.most = max(self.most, own_bytes() - self.first)

    def watched(self, documents: Iterator[TokenizedDocument]) -> Iterator[TokenizedDocument]:
        """The same documents; memory is looked at beside each hundredth."""
        for number, document in enumerate(documents):
            if number % 100 == 0:
                self.look()
            yield document
        self.look()


def own_bytes() -> int:
    """Anonymous memory of this process; on Linux alone."""
    status = Path(f"/proc/{os.getpid()}/status").read_text()
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    assert found, "there is no RssAnon but on Linux"
    return 1024 * int(found[1])


WORK = {"built": built, "opened": opened}

if __name__ == "__main__":
    what = json.loads(sys.argv[1])
    print(json.dumps(WORK[what.pop("work")](**what)))
