"""Training of a guide's global parameters with the decoder frozen."""

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
    """Train the guide's global parameters; the model is frozen.

    Args:
        model: model, not modified.
        guide: guide with global parameters.
        fast: fast loop of training.
        slow: slow step, with the bound for the guide.
        batches: batches on the model's device.
        steps: number of slow steps.
        listener: called with the number of finished steps.

    Returns:
        Number of decoder passes through training sequences.
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
