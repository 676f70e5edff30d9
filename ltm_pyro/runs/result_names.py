"""Names of results by what they are of, so that none takes the place of another."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.data.hub import PREFIX
from ltm_pyro.data.sources import BUILT_IN, divide
from ltm_pyro.runs.arguments import Call
from ltm_pyro.runs.names import slug

if TYPE_CHECKING:
    from ltm_pyro.training.run import Run

NO_PART = (
    "run",
    "runs",
    "corpus",
    "corpus_at",
    "resume",
    "out",
    "trust_code",
    "batch_size",
    "command",
)
LONGEST = 120  # letters of a name; file systems have room for some more
LONGEST_VALUE = 32


def result_name(stem: str, call: Call, run: Run | None = None, left_out: Collection[str] = ()) -> str:
    """A result's name: what was looked at, and every argument that is not at its default.

    Args:
        stem: what was looked at, as `place_name` or `RunText` name it, or which suite.
        call: of the function that found it.
        run: whose checkpoint `latest` is named by its step.
        left_out: arguments on which the result does not depend, besides those of no result.
    """
    parts = []
    for key, value in call.given.items():
        if key in (*NO_PART, *left_out) or value == call.defaults[key]:
            continue
        if key == "checkpoint" and run is not None:
            key, value = "step", int(run.find(value).name.removeprefix("step-"))
        parts.append(_worded(key, value))
    return _shortened("-".join([stem, *parts]))


def place_name(corpus: str) -> str:
    """A corpus as a name: its place below the current folder; from elsewhere its last parts and a hash of its path."""
    return _shortened("-".join(_of_one(part) for part in divide(corpus) if part) or "text")


def _of_one(part: str) -> str:
    if part == BUILT_IN or part.startswith(PREFIX):
        return slug(part.removeprefix(PREFIX))
    path = Path(part).expanduser().resolve()
    here = Path.cwd().resolve()
    if path.is_relative_to(here):
        return slug(path.relative_to(here).as_posix().removesuffix(".txt"))
    return f"{slug('/'.join(path.parts[-2:]).removesuffix('.txt'))}-{_hash(str(path))}"


def _worded(key: str, value: Any) -> str:
    if value is True:
        return slug(key)
    text = "-".join(map(_placed, value)) if isinstance(value, (list, tuple)) else _placed(value)
    return f"{slug(key)}-{text if len(text) <= LONGEST_VALUE else _hash(text)}"


def _placed(value: Any) -> str:
    """A value's text; the path of a file or folder, alone or behind `NAME=`, by its place."""
    name, given, path = str(value).rpartition("=")
    if isinstance(value, str) and path and os.path.exists(os.path.expanduser(path)):
        return f"{slug(name)}-{place_name(path)}" if given else place_name(path)
    return slug(str(value))


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 9].rstrip('-.')}-{_hash(name)}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
