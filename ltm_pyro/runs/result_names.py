"""Names of results from the text and the arguments, so that different results never overwrite one another."""

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
LONGEST = 120  # characters of a name; file systems allow somewhat more
LONGEST_VALUE = 32


def result_name(stem: str, call: Call, run: Run | None = None, left_out: Collection[str] = ()) -> str:
    """Name of a result: the text or suite, and every argument that is not at its default.

    Args:
        stem: the name of the text, from `place_name` or `RunText`, or of the suite.
        call: the call of the function that computed the result.
        run: the run whose checkpoint is named by its step.
        left_out: arguments to leave out, in addition to `NO_PART`.
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
    """Name of a corpus: its path below the current folder; elsewhere its path's last parts and a hash of the path."""
    return _shortened("-".join(_of_one(part) for part in divide(corpus) if part) or "text")


def _of_one(part: str) -> str:
    if part == BUILT_IN or part.startswith(PREFIX):
        return slug(part.removeprefix(PREFIX))
    path = Path(part).expanduser().resolve()
    current = Path.cwd().resolve()
    if path.is_relative_to(current):
        return slug(path.relative_to(current).as_posix().removesuffix(".txt"))
    return f"{slug('/'.join(path.parts[-2:]).removesuffix('.txt'))}-{_hash(str(path))}"


def _worded(key: str, value: Any) -> str:
    if value is True:
        return slug(key)
    text = "-".join(map(_placed, value)) if isinstance(value, (list, tuple)) else _placed(value)
    return f"{slug(key)}-{text if len(text) <= LONGEST_VALUE else _hash(text)}"


def _placed(value: Any) -> str:
    """Text of a value; an existing path, alone or after `NAME=`, is named by `place_name`."""
    name, equals, path = str(value).rpartition("=")
    if isinstance(value, str) and path and os.path.exists(os.path.expanduser(path)):
        return f"{slug(name)}-{place_name(path)}" if equals else place_name(path)
    return slug(str(value))


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 9].rstrip('-.')}-{_hash(name)}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
