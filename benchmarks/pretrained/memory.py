"""Peak memory of a gradient on a frozen model, in a process of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.pretrained.contestants import FastStep, GradientOfInputs, decoder_of, model_of
from benchmarks.timing.child import set_up
from benchmarks.timing.process import answer_of
from benchmarks.timing.resident import Peak, forget_most, most_bytes, now_bytes

THEIRS, OURS = "transformers", "ours"
RECOMPUTED = {OURS: "none", f"{OURS}, feed-forward recomputed": "feed-forward", f"{OURS}, layers recomputed": "layers"}
WARM = (1, 8)  # a text whose pass touches all weights, which are mapped from their file


def peak_of(contestant: str, name: str, batch: int, length: int, threads: int, seed: int) -> Peak:
    """Peak memory of one gradient beyond the loaded model, in a new process.

    Args:
        contestant: `THEIRS` or one of `RECOMPUTED`.
        name: of the model.
        batch, length: of the texts.
        threads, seed: of torch.
    """
    what = {"contestant": contestant, "name": name, "shape": [batch, length], "threads": threads, "seed": seed}
    return Peak(*answer_of(["-m", "benchmarks.pretrained.memory", json.dumps(what)], contestant))


def measure(contestant: str, name: str, batch: int, length: int) -> Peak:
    """The peak of one gradient in this process."""
    step, vocabulary = _step_of(contestant, name, length)
    step(torch.randint(vocabulary, WARM))()
    run = step(torch.randint(vocabulary, (batch, length)))
    forget_most()  # what loading took is not what a gradient takes
    before = now_bytes()
    run()
    return Peak(before, max(before, most_bytes()))


def _step_of(contestant: str, name: str, length: int) -> tuple[Callable[[Tensor], Callable[[], None]], int]:
    if contestant == THEIRS:
        model: Any = model_of(name)
        return partial(GradientOfInputs, model), model.config.vocab_size
    decoder = decoder_of(name, "prefix", length, recompute=RECOMPUTED[contestant])
    return partial(FastStep, decoder), decoder.vocabulary


def _main(what: str) -> None:
    given = json.loads(what)
    set_up(given["threads"], given["seed"])
    print(json.dumps(measure(given["contestant"], given["name"], *given["shape"])))


if __name__ == "__main__":
    _main(sys.argv[1])
