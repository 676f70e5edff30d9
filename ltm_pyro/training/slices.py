"""Division of a batch into equal consecutive slices, for several processes and for less memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltm_pyro.errors import InputError
from ltm_pyro.training.components import RunComponents

if TYPE_CHECKING:
    from ltm_pyro.data import Batch


def count_slices(batch_size: int, accumulate: int, processes: int, sequences: int | None = None) -> int:
    """Number of slices of a batch: `accumulate` for each process.

    Args:
        batch_size: B.
        accumulate: slices that every process computes, one after another.
        processes: number of processes.
        sequences: size of the training data, if known; fewer than B make one batch.

    Raises:
        InputError: if B is not divisible into equal slices.
    """
    slices = processes * accumulate
    rows = batch_size if sequences is None else min(batch_size, sequences)
    if rows % slices:
        cut = f"{processes} processes x train.accumulate={accumulate} make {slices} equal slices of a batch"
        if rows < batch_size:
            raise InputError(
                f"{cut}, and there are only {rows} training sequences, fewer than train.batch_size={batch_size}: "
                f"give a --train.batch_size of at most {rows} that is a multiple of {slices}, or more text"
            )
        raise InputError(
            f"{cut}, and train.batch_size={batch_size} is not a multiple of it: give --train.batch_size "
            f"{max(1, round(rows / slices)) * slices}, or another --train.accumulate or number of processes"
        )
    return slices


def part_of(batch: Batch, number: int, slices: int) -> Batch:
    """The slice of a batch with a number from 0."""
    from ltm_pyro.data import Batch

    rows = len(batch.ids) // slices
    return Batch(*(None if part is None else part[number * rows : (number + 1) * rows] for part in batch))  # type: ignore[arg-type]


def refuse_unshared(components: RunComponents, slices: int, processes: int) -> None:
    """Raise InputError if a prior or a guide needs whole batches, or the texts of all processes, beside gradients."""
    from ltm_pyro.guides import MemoryGuide
    from ltm_pyro.models import AbstractPrior

    prior, guide = components.model.prior, components.guide
    if slices > 1 and prior is not None and type(prior).on_slow_step is not AbstractPrior.on_slow_step:
        raise InputError(
            f"{type(prior).__name__} needs the posteriors of a whole batch after each step, and batches come in "
            f"{slices} slices here: start one process, with --train.accumulate 1, or give another --prior"
        )
    if processes > 1 and any(isinstance(module, MemoryGuide) for module in guide.modules()):
        raise InputError(
            f"MemoryGuide keeps only the posteriors of the texts of its own process, and {processes} processes were "
            "launched: start one, or give another --guide"
        )
