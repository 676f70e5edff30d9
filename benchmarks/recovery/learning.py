"""Learning a target by maximum likelihood, and what is lacking then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor
from torch.distributions import Distribution

from benchmarks.recovery.students import Student
from benchmarks.recovery.targets import TARGETS
from ltm_pyro.models.priors import AbstractPrior, DiffusionPrior, EnergyPrior

BATCH = 256


def fitted(student: Student, p: Distribution, steps: int, seen: int) -> AbstractPrior:
    """The prior after these steps of Adam on its own `log_prob` of so many samples of p."""
    prior, sample = student.make(), p.sample((seen,))
    if not list(prior.parameters()):
        return prior
    optimizer = torch.optim.Adam(prior.parameters(), student.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps * student.pace)
    with _one_noise_level(prior):
        for _ in range(steps * student.pace):
            optimizer.zero_grad()
            batch = sample[torch.randint(seen, (BATCH,))]
            (-prior().log_prob(batch).mean()).backward()
            optimizer.step()
            schedule.step()
    return prior


@contextmanager
def _one_noise_level(prior: AbstractPrior) -> Iterator[None]:
    """A diffusion learns from a level drawn at random for each sample, as is usual; it is scored by all."""
    if not isinstance(prior, DiffusionPrior):
        yield
        return
    scored, prior.estimate = prior.estimate, "step"
    yield
    prior.estimate = scored


@torch.no_grad()
def log_density(prior: AbstractPrior, z: Tensor) -> Tensor:
    """The prior's log-density, shape (...); of an energy, with its normaliser estimated from above."""
    with prior.normaliser_held(20_000) if isinstance(prior, EnergyPrior) else nullcontext():
        return prior().log_prob(z)


def held_out(
    student: Student, target: str, steps: int = 400, seen: int = 20_000, held: int = 4_000
) -> tuple[Tensor, Tensor]:
    """Log-densities of held-out samples of a target: its own, and those of the prior that learned it, in nats."""
    p = TARGETS[target]()
    prior = fitted(student, p, steps, seen)
    z = p.sample((held,))
    return p.log_prob(z), log_density(prior, z)
