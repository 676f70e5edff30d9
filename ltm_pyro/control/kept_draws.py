"""Draws of posteriors kept in a run's folder, so that another fit to the same texts need not fit q again."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ltm_pyro.control.posterior_draws import PosteriorDraws
from ltm_pyro.data import Sequences
from ltm_pyro.errors import InputError
from ltm_pyro.files.new_folder import made_aside
from ltm_pyro.training.manifest import fault, write_manifest
from ltm_pyro.training.state_files import load_state, save_state

LARGEST = 2**30  # bytes of draws that are kept
NAME = "draws"
FILES = (f"{NAME}.safetensors", f"{NAME}.json")


def key_of(sequences: Sequences, rows: np.ndarray, settings: Mapping[str, Any]) -> str:
    """Hash of everything that draws depend on.

    Args:
        sequences, rows: the chosen sequences.
        settings: weights, fit and seed, as plain values.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    starts, stops = sequences.bounds[:-1][rows], sequences.bounds[1:][rows]
    digest.update(np.stack((stops - starts, np.asarray(sequences.previous[rows]))).astype(np.int64).tobytes())
    for start, stop in zip(starts, stops, strict=True):
        digest.update(np.asarray(sequences.tokens[start:stop], dtype=np.int64).tobytes())
    return digest.hexdigest()


def kept_draws(folder: Path, key: str) -> PosteriorDraws | None:
    """The draws kept under a key; None if there are none, or the files are damaged."""
    with suppress(InputError, LookupError, TypeError):
        if not fault(folder, FILES) and (state := load_state(folder, NAME))["key"] == key:
            return PosteriorDraws(*(state[name] for name in PosteriorDraws._fields))
    return None


def keep_draws(folder: Path, key: str, draws: PosteriorDraws) -> None:
    """Keep draws in the place of earlier ones; those that are too large, or cannot be written, are not kept."""
    if sum(part.numel() * part.element_size() for part in draws) > LARGEST:
        return
    with suppress(OSError), made_aside(folder) as aside:
        save_state(aside, NAME, {"key": key, **draws._asdict()})
        write_manifest(aside, FILES)
        if folder.is_dir():
            shutil.rmtree(folder)
