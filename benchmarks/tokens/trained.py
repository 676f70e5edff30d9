"""Trained model with an earlier checkpoint and held-out texts."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.timing.sizes import Sizes
from ltm_pyro import LatentThoughtModel
from ltm_pyro.cli.main import main as ltm
from ltm_pyro.data import in_order
from ltm_pyro.errors import InputError
from ltm_pyro.training.held_out import RunText
from ltm_pyro.training.run import Run


class Trained(NamedTuple):
    """Trained model and held-out texts for the comparison of options.

    Attributes:
        model: model of the last checkpoint.
        earlier: model of the checkpoint before; the same if there is none.
        batches: held-out texts, shape (B, T) each, every token scored.
    """

    model: LatentThoughtModel
    earlier: LatentThoughtModel
    batches: list[Tensor]


def trained(folder: Path, batch: int, sequences: int) -> Trained:
    """Models of a run's last two checkpoints, with its held-out texts.

    Args:
        folder: folder of the run.
        batch: B.
        sequences: largest number of held-out texts.

    Raises:
        InputError: if the run's model has no thoughts.
    """
    run = Run.open(folder)
    steps = run.checkpoints.steps()
    model, earlier = (run.load(str(step)).model for step in (steps[-1], steps[max(0, len(steps) - 2)]))
    if not isinstance(model, LatentThoughtModel) or not isinstance(earlier, LatentThoughtModel):
        raise InputError(f"{folder} is the run of a model without thoughts: there is no q to fit")
    held_out = in_order(RunText(run).held_out, batch, sequences)
    full = torch.cat([part.x if part.mask is None else part.x[part.mask.all(1)] for part in held_out])
    return Trained(model, earlier, [part for part in full.split(batch) if len(part) == batch])


def train(folder: Path, sizes: Sizes, steps: int, seed: int, corpus: str | None = None) -> None:
    """Train a model by `ltm train`.

    Args:
        folder: folder of the new run.
        sizes: sizes of the decoder and its batches.
        steps: number of training steps; the two checkpoints kept are a tenth of them apart.
        seed: seed of the run.
        corpus: corpus; the built-in one if None.
    """
    interval = max(1, steps // 10)
    options = {
        "data.length": sizes.length,
        "data.vocabulary": sizes.vocabulary,
        **{f"decoder.{n}": getattr(sizes, n) for n in ("width", "layers", "heads", "thoughts", "window")},
        "train.steps": steps,
        "train.batch_size": sizes.batch,
        "train.evaluate_every": steps,
        "train.save_every": interval,
        "train.keep": 2,
        "train.evaluate_sequences": sizes.batch,
        "train.final_sequences": sizes.batch,
        "train.seed": seed,
    }
    words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    status = ltm(["train", *([corpus] if corpus else []), "--run", str(folder), *words])
    if status:
        raise SystemExit(status)


def made_up(folder: Path) -> str:
    """Write a small artificial corpus; returns its path."""
    path = folder / "corpus.txt"
    words = ("one", "two", "three", "four", "five", "six", "seven")
    lines = (" ".join(words[(n * k) % 7] for k in range(1, 12)) + "." for n in range(3000))
    path.write_text("\n\n".join(lines), encoding="utf-8")
    return str(path)


def temporary() -> tempfile.TemporaryDirectory[str]:
    """Temporary folder for a run."""
    return tempfile.TemporaryDirectory(prefix="ltm-tokens-")
