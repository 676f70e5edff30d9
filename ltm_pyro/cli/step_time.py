"""How long a run's slow steps take, foretold from a few of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ltm_pyro.cli import train
from ltm_pyro.training.blueprint import assemble, check
from ltm_pyro.training.run import run_parser

if TYPE_CHECKING:
    from accelerate import Accelerator
    from jsonargparse import Namespace

    from ltm_pyro.training.blueprint import Blueprint
    from ltm_pyro.training.material import Material

WARM_UP, TIMED = 1, 3  # steps before, and while, a prior is timed


def steps_within(seconds: float, config: Namespace, material: Material) -> tuple[int, float]:
    """How many slow steps take so many seconds, by timing a few of them, and the seconds of one.

    What a prior does every so many steps, as `ExemplarPrior` fits its exemplars, is timed once, and every step bears
    its share of it.

    Args:
        seconds: of training, without validations and checkpoints.
        config, material: of the run; its weights and its random numbers are left alone.
    """
    from ltm_pyro.training.randomness import seed_everything

    check(run_parser(), config)
    accelerator = train.make_accelerator(Path(), config)
    seed_everything(config.train.seed)
    tokenizer = material.tokenizer
    blueprint = assemble(run_parser(), config, tokenizer.vocabulary, tokenizer.begin).to(accelerator.device)
    assert blueprint.model.prior is not None
    blueprint.model.train()
    if config.compile:
        blueprint.model.decoder.compile_passes(config.compile)
    take, every = _timed_steps(blueprint, config, material, accelerator), blueprint.model.prior.every
    one = statistics.mean([take(every + 1) for _ in range(WARM_UP + TIMED)][WARM_UP:])
    if every > 1:
        one += max(0.0, take(every) - one) / every
    return max(1, round(seconds / one)), one


def _timed_steps(
    blueprint: Blueprint, config: Namespace, material: Material, accelerator: Accelerator
) -> Callable[[int], float]:
    """What takes a slow step as if it were that of a given number, with all that belongs to it; returns its seconds."""
    import torch

    from ltm_pyro.data import Batches
    from ltm_pyro.models.priors import Lesson
    from ltm_pyro.training.slices import count_slices, part_of

    model, guide, svi = blueprint.model, blueprint.guide, blueprint.svi()
    batches = Batches(material.training, config.train.batch_size, config.train.seed)

    def take(number: int) -> float:
        batch, began = next(batches).to(accelerator.device), time.perf_counter()
        assert model.prior is not None
        assert svi.slow is not None
        lesson = Lesson(number, batch.ids, material.training, model, guide, svi.fit, svi.slow.optimizer)
        with accelerator.autocast(), model.prior.learning_from(lesson):
            slices = count_slices(len(batch.ids), config.train.accumulate, processes=1)
            svi.step_in_slices((part_of(batch, n, slices).inputs for n in range(slices)), batch.tokens.sum())
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter() - began

    return take
