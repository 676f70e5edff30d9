"""How long a run's slow steps take, by timing a few of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ltm_pyro.runs import train
from ltm_pyro.training.build import build, validate
from ltm_pyro.training.run import run_parser

if TYPE_CHECKING:
    from accelerate import Accelerator
    from jsonargparse import Namespace

    from ltm_pyro.training.build import RunComponents
    from ltm_pyro.training.data_module import DataModule

WARM_UP, TIMED = 1, 3  # steps before, and while, a prior is timed


class TimedStep(NamedTuple):
    """The seconds of a slow step and the tokens that it learned from."""

    seconds: float
    tokens: int


Take = Callable[[int], TimedStep]


def steps_within(seconds: float, config: Namespace, material: DataModule) -> tuple[int, float]:
    """How many slow steps take so many seconds, by timing a few of them, and the seconds of one.

    What a prior does every so many steps, as `ExemplarPrior` fits its exemplars, is timed once, and every step bears
    its share of it.

    Args:
        seconds: of training, without validations and checkpoints.
        config, material: of the run; its weights and its random numbers are left alone.
    """
    validate(run_parser(config), config)
    take, every = timed_steps(config, material)
    one = statistics.mean([take(every + 1).seconds for _ in range(WARM_UP + TIMED)][WARM_UP:])
    one += now_and_then(take, every, one)
    return max(1, round(seconds / one)), one


def now_and_then(take: Take, every: int, one: float) -> float:
    """Each step's share, in seconds, of what a prior does every so many steps; `one` is the time of the others."""
    return max(0.0, take(every).seconds - one) / every if every > 1 else 0.0


def timed_steps(config: Namespace, material: DataModule) -> tuple[Take, int]:
    """A function that takes and times a slow step as that of a given number, with all that belongs to it.

    The weights are fresh ones, the batches those that the run begins with, in this process alone.

    Returns:
        It, and every how many steps the prior does more than in the others.
    """
    from ltm_pyro.training.randomness import seed_everything

    accelerator = train.make_accelerator(Path(), config)
    seed_everything(config.train.seed)
    tokenizer = material.tokenizer
    components = build(run_parser(config), config, tokenizer.vocabulary, tokenizer.bos_id).to(accelerator.device)
    components.model.train()
    if config.compile:
        components.model.compile_passes(config.compile)
    prior = components.model.prior
    return _timed_steps(components, config, material, accelerator), 1 if prior is None else prior.every


def _timed_steps(components: RunComponents, config: Namespace, material: DataModule, accelerator: Accelerator) -> Take:
    import torch

    from ltm_pyro.data import Batches
    from ltm_pyro.models.priors import SlowStepContext
    from ltm_pyro.training.slices import count_slices, part_of

    model, guide, svi = components.model, components.guide, components.svi()
    batches = Batches(material.training, config.train.batch_size, config.train.seed)

    def take(number: int) -> TimedStep:
        batch, began = next(batches).to(accelerator.device), time.perf_counter()
        assert svi.slow is not None
        context = SlowStepContext(number, batch.ids, material.training, model, guide, svi.fit, svi.slow.optimizer)
        with accelerator.autocast(), nullcontext() if model.prior is None else model.prior.on_slow_step(context):
            slices = count_slices(len(batch.ids), config.train.accumulate, processes=1)
            svi.step_in_slices((part_of(batch, n, slices).inputs for n in range(slices)), batch.tokens.sum())
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return TimedStep(time.perf_counter() - began, int(batch.tokens.sum()))

    return take
