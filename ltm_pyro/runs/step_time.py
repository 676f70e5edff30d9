"""Duration of a run's slow steps, measured on a few of them."""

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

WARM_UP, TIMED = 1, 3  # untimed and timed steps


class TimedStep(NamedTuple):
    """The duration of a slow step in seconds, and the number of tokens in its batch."""

    seconds: float
    tokens: int


Take = Callable[[int], TimedStep]


def steps_within(seconds: float, config: Namespace, material: DataModule) -> tuple[int, float]:
    """Number of slow steps that fit into a time, and the seconds of one, measured on a few steps.

    The work of a prior that comes once every few steps, as when `ExemplarPrior` fits its exemplars, is timed once and
    averaged over the steps.

    Args:
        seconds: training time, without validations and checkpoints.
        config: of the run, whose weights and random numbers are left alone.
        material: its data.
    """
    validate(run_parser(config), config)
    take, interval = timed_steps(config, material)
    duration = statistics.mean([take(interval + 1).seconds for _ in range(WARM_UP + TIMED)][WARM_UP:])
    duration += now_and_then(take, interval, duration)
    return max(1, round(seconds / duration)), duration


def now_and_then(take: Take, interval: int, usual: float) -> float:
    """Seconds per step of a prior's extra work in every `interval`-th step; `usual` is the time of the other steps."""
    return max(0.0, take(interval).seconds - usual) / interval if interval > 1 else 0.0


def timed_steps(config: Namespace, material: DataModule) -> tuple[Take, int]:
    """A function that takes and times a complete slow step of a given number.

    The weights are fresh, the batches are the run's first ones, and this process alone does the work.

    Returns:
        The function, and the interval in steps at which the prior does extra work; 1 if there is none.
    """
    from ltm_pyro.training.randomness import seed_everything

    accelerator = train.make_accelerator(Path(), config)
    seed_everything(config.train.seed)
    tokenizer = material.tokenizer
    components = build(run_parser(config), config, tokenizer).to(accelerator.device)
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
