"""Priors that learn by maximum likelihood recover the aggregates that they can express, and no others.

The gap is KL(target || prior), the held-out log-density that is lacking to the target's own, in nats.
"""

from typing import NamedTuple

import pyro.distributions as dist
import pytest
import torch

from ltm_pyro.models.priors import (
    AutoregressivePrior,
    CouplingFlowPrior,
    HierarchicalPrior,
    LearnedGaussianPrior,
    MixturePrior,
    SplineFlowPrior,
    ThoughtDistribution,
    VampPrior,
)

Z_SHAPE = (2, 1, 1)
RECOVERED, MISSED = 0.05, 0.15  # nats: a prior that can comes within the first, one that cannot stays beyond the second


def three_places():
    mu = torch.tensor([[-2.0, 0.0], [2.0, 1.5], [1.0, -2.0]]).view(3, *Z_SHAPE)
    sigma = torch.tensor([0.4, 0.6, 0.5]).view(3, 1, 1, 1).expand_as(mu)
    return dist.MixtureSameFamily(dist.Categorical(torch.tensor([0.5, 0.3, 0.2])), dist.Normal(mu, sigma).to_event(3))


def chain(mean, sigma):
    """z_1 ~ N(0, 1), and z_2 ~ N(mean(z_1), sigma(z_1)²)."""

    def log_density(z):
        first, second = z[..., 0, 0, 0], z[..., 1, 0, 0]
        return dist.Normal(0.0, 1.0).log_prob(first) + dist.Normal(mean(first), sigma(first)).log_prob(second)

    def draw(shape):
        first = torch.randn(shape)
        return torch.stack((first, dist.Normal(mean(first), sigma(first)).sample()), -1)[..., None, None]

    return ThoughtDistribution(Z_SHAPE, log_density, draw)


TARGETS = {
    "three places": three_places,
    "banana": lambda: chain(lambda z: 0.6 * (z**2 - 1), lambda z: torch.full_like(z, 0.3)),
    "two levels": lambda: chain(lambda z: torch.sin(2 * z), lambda z: (0.5 * z - 1).exp()),
}


class Student(NamedTuple):
    """A prior, its learning rate, and the targets that it can and cannot express; in between, nothing is said."""

    make: object
    rate: float
    can: tuple[str, ...]
    cannot: tuple[str, ...]


STUDENTS = {
    "gaussian": Student(lambda: LearnedGaussianPrior(Z_SHAPE), 0.03, (), tuple(TARGETS)),
    "mixture": Student(lambda: MixturePrior(Z_SHAPE, 3, spread=0.5), 0.03, ("three places",), ("banana", "two levels")),
    "mixture of many": Student(lambda: MixturePrior(Z_SHAPE, 16, spread=0.5), 0.03, ("three places",), ()),
    "mixture by layer": Student(lambda: MixturePrior(Z_SHAPE, 8, "layer", 0.5), 0.03, (), tuple(TARGETS)),
    "vamp": Student(lambda: VampPrior(Z_SHAPE, 32, spread=0.5), 0.03, ("three places",), ()),
    "hierarchical": Student(lambda: HierarchicalPrior(Z_SHAPE), 0.01, ("banana", "two levels"), ("three places",)),
    "autoregressive": Student(
        lambda: AutoregressivePrior(Z_SHAPE, 32, 1, 2), 0.01, ("banana", "two levels"), ("three places",)
    ),
    "coupling flow": Student(lambda: CouplingFlowPrior(Z_SHAPE, 4, 32), 0.01, ("banana", "two levels"), ()),
    "spline flow": Student(lambda: SplineFlowPrior(Z_SHAPE, 2, 32, bound=8.0), 0.01, tuple(TARGETS), ()),
}
LESSONS = [
    pytest.param(student, target, target in student.can, id=f"{name}, {target}")
    for name, student in STUDENTS.items()
    for target in (*student.can, *student.cannot)
]


def gap(student, target, steps=400):
    """Held-out log-density that the fitted prior lacks, in nats, one value a sample."""
    prior, p = student.make(), TARGETS[target]()
    seen, held_out = p.sample((20_000,)), p.sample((4_000,))
    optimizer = torch.optim.Adam(prior.parameters(), student.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        batch = seen[torch.randint(len(seen), (256,))]
        (-prior().log_prob(batch).mean()).backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return p.log_prob(held_out) - prior().log_prob(held_out)


@pytest.mark.parametrize(("student", "target", "can"), LESSONS)
def test_it_recovers_what_it_can_express_and_nothing_else(student, target, can):
    nats = gap(student, target)
    error = nats.std() / len(nats) ** 0.5
    if can:
        assert nats.mean() + error < RECOVERED
    else:
        assert nats.mean() - error > MISSED


def test_the_targets_have_the_entropies_they_are_compared_with():
    """The two chains' are exact: the entropy of a Gaussian is log sigma + (1 + log 2 pi) / 2, and E[z_1] = 0."""
    each = 0.5 * (1 + torch.log(torch.tensor(2 * torch.pi)))
    for name, log_sigma in (("banana", torch.log(torch.tensor(0.3))), ("two levels", torch.tensor(-1.0))):
        p = TARGETS[name]()
        nats = -p.log_prob(p.sample((100_000,)))
        assert (nats.mean() - (2 * each + log_sigma)).abs() < 4 * nats.std() / len(nats) ** 0.5
