"""Posterior means of values' own texts, the conditions of `--condition thoughts`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ltm_pyro.control import draw_posteriors
from ltm_pyro.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ltm_pyro.data import Sequences
    from ltm_pyro.training.build import RunComponents
    from ltm_pyro.training.run import Run

SEED = 0  # the same where a control is fitted and where text is written


def value_thoughts(
    run: Run, components: RunComponents, device: torch.device, values: Sequence[str], batch_size: int = 32
) -> Tensor:
    """Posterior means of values under the run, each as a text of its own, shape (N, L, K, D), on the CPU.

    A value that is longer than a sequence is cut off.

    Args:
        run, components, device: the run, its trained objects and their device.
        values: of a field, none of them empty.
        batch_size: values in a batch.

    Raises:
        InputError: for a value without text.
    """
    from ltm_pyro.data import in_order

    batches = (batch.to(device) for batch in in_order(_sequences(run, values), batch_size))
    return draw_posteriors(components.model, components.guide, components.fast, batches, draws=1, seed=SEED).means


def _sequences(run: Run, values: Sequence[str]) -> Sequences:
    from ltm_pyro.data import text_sequences

    if not all(value.strip() for value in values):
        raise InputError("a value without text has no thoughts: give --given a text")
    return text_sequences("documents", values, run.tokenizer, run.config.data.length).sequences
