"""Maximum-likelihood fit of a prior to a target, and its held-out log-density."""

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
    """Prior after `steps` steps of Adam (times its pace) on its mean `log_prob` of `seen` samples of p."""
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
    """Context manager in which a diffusion prior is trained with one random noise level per sample, as usual."""
    if not isinstance(prior, DiffusionPrior):
        yield
        return
    scored, prior.estimate = prior.estimate, "step"
    yield
    prior.estimate = scored


@torch.no_grad()
def log_density(prior: AbstractPrior, z: Tensor) -> Tensor:
    """Log-density of a prior, shape (...); for an energy prior, with an upper bound on its log-normaliser."""
    with prior.normaliser_held(20_000) if isinstance(prior, EnergyPrior) else nullcontext():
        return prior().log_prob(z)


def held_out(
    student: Student, target: str, steps: int = 400, seen: int = 20_000, held: int = 4_000
) -> tuple[Tensor, Tensor]:
    """Log-densities of held-out samples under the target, and under the prior fitted to it, in nats."""
    p = TARGETS[target]()
    prior = fitted(student, p, steps, seen)
    z = p.sample((held,))
    return p.log_prob(z), log_density(prior, z)
