"""Held-out sequences of a run that was trained on sequences given from Python, saved in its folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ltm_pyro.data.annotations import Annotations
from ltm_pyro.errors import InputError
from ltm_pyro.training.state_files import load_state, save_state

if TYPE_CHECKING:
    from ltm_pyro.data import Sequences

GIVEN = "given"  # entry of data.json: true if the sequences came from Python, so that no corpus can be read again
NAME = "held-out"  # of the files
LONGEST = 200  # characters of the note on lost text
COLUMNS = ("tokens", "byte_counts", "bounds", "previous")


def keep_held_out(sequences: Sequences, folder: Path) -> None:
    """Write the held-out sequences into a run's folder.

    Raises:
        OSError: if they cannot be written.
    """
    count = len(sequences)
    previous = np.asarray(sequences.previous[np.arange(count)])
    columns = {name: getattr(sequences, name) for name in COLUMNS} | {"previous": previous}
    columns |= sequences.annotations.columns
    about = {"length": sequences.length, "pad": sequences.pad, "fixed": sequences.fixed, "lost": sequences.lost}
    about |= {"values": list(sequences.annotations.values), "score_prompts": sequences.annotations.score_prompts}
    names = [sequences.name(number) for number in range(count)]
    tensors = {name: torch.from_numpy(np.asarray(column).astype(np.int64)) for name, column in columns.items()}
    save_state(folder, NAME, {**tensors, **about, "names": names})


def read_held_out(folder: Path) -> Sequences:
    """The held-out sequences that `keep_held_out` wrote.

    Raises:
        InputError: if the file is missing or damaged.
    """
    from ltm_pyro.data import Sequences

    if not (folder / f"{NAME}.safetensors").is_file():
        raise InputError(
            f"{folder} was trained on sequences given from Python, and its held-out sequences are not in the folder: "
            "score a text by `ltm evaluate RUN TEXT`"
        )
    state: dict[Any, Any] = load_state(folder, NAME)
    try:
        columns = {name: state[name].numpy() for name in COLUMNS}
        sequences = Sequences(
            **{**columns, "tokens": columns["tokens"].astype(np.uint32)},
            names=[str(name) for name in state["names"]],
            length=int(state["length"]),
            pad=int(state["pad"]),
            fixed=bool(state["fixed"]),
            lost="".join(letter for letter in str(state["lost"])[:LONGEST] if letter.isprintable()),
            annotations=_annotations(state, len(columns["previous"])),
        )
        _check(columns, len(sequences.names), sequences.length)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"{folder / NAME}.safetensors does not hold a run's sequences ({error}): restore it from a copy"
        ) from error
    return sequences


def content(sequences: Sequences) -> Counter[int]:
    """Number of occurrences of each sequence, by content hash."""
    from ltm_pyro.data.content import content_hash

    parts = np.split(np.asarray(sequences.tokens, dtype=np.int64), sequences.bounds[1:-1])
    return Counter(content_hash(" ".join(map(str, part.tolist()))) for part in parts)


def refuse_given(folder: Path, saved: Mapping[str, Any]) -> None:
    """Raise InputError for a run whose text cannot be read again, since its sequences were given from Python."""
    if saved.get(GIVEN):
        raise InputError(
            f"{folder} was trained on sequences given from Python, which cannot be read from here: resume it by "
            "ltm_pyro.train(..., resume=True)"
        )


def _annotations(state: Mapping[Any, Any], count: int) -> Annotations:
    """Prompts and labels of the sequences; an earlier version saved none."""
    columns = {name: state[name].numpy() for name in ("prompts", "labels") if name in state}
    if any(len(column) != count for column in columns.values()):
        raise ValueError("its prompts or labels are fewer than its sequences")
    values = tuple(str(value) for value in state.get("values", ()))
    return Annotations(**columns, values=values, score_prompts=bool(state.get("score_prompts", True)))


def _check(columns: Mapping[str, np.ndarray], count: int, length: int) -> None:
    bounds = columns["bounds"]
    sizes = np.diff(bounds)
    complete = len(bounds) == count + 1 and count > 0 and bounds[0] == 0 and bounds[-1] == len(columns["tokens"])
    if not complete or sizes.min() < 1 or sizes.max() > length or len(columns["previous"]) != count:
        raise ValueError("its parts have unequal lengths")
    if len(columns["byte_counts"]) != len(columns["tokens"]) or columns["tokens"].min() < 0:
        raise ValueError("its tokens are invalid")
