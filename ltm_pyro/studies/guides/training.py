"""Training a guide's global parameters on a decoder that stands still."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn

from ltm_pyro.data import Batch
from ltm_pyro.freezing import frozen
from ltm_pyro.inference import DualRateSVI, FastLoop, SlowStep
from ltm_pyro.studies.bounds.passes import CountPasses


def train_guide(
    model: nn.Module,
    guide: Any,
    fast: FastLoop,
    slow: SlowStep,
    batches: Iterable[Batch],
    steps: int,
    listener: Callable[[int], None] = lambda done: None,
) -> int:
    """Train what the guide shares among sequences; the model is left as it is.

    Args:
        model: held.
        guide: with global parameters.
        fast: as in training.
        slow: whose bound the guide follows.
        batches: on the model's device.
        steps: slow steps.
        listener: told how many are done.

    Returns:
        decoder passes through training sequences.
    """
    passes = 0
    guide.train()
    with frozen(model.parameters()):
        svi = DualRateSVI(model, guide, fast, slow)
        for done, batch in zip(range(1, steps + 1), batches, strict=False):
            with CountPasses() as counter:
                svi.step(**batch.inputs)
            passes += counter.passes * len(batch.x)
            listener(done)
    guide.eval()
    return passes
