"""Priors that learn by maximum likelihood recover the aggregates that they can express, and no others.

The gap is KL(target || prior), the held-out log-density that is lacking to the target's own, in nats.
"""

import math

import pytest
import torch

from benchmarks.recovery.__main__ import Cell, markdown, table
from benchmarks.recovery.learning import held_out
from benchmarks.recovery.students import STUDENTS
from benchmarks.recovery.targets import DEPENDENT, TARGETS

RECOVERED, MISSED = 0.05, 0.15  # nats: a prior that can comes within the first, one that cannot stays beyond the second
LESSONS = [
    pytest.param(student, target, target in student.can, id=f"{name}, {target}")
    for name, student in STUDENTS.items()
    for target in (*student.can, *student.cannot)
]


@pytest.mark.parametrize(("student", "target", "can"), LESSONS)
def test_it_recovers_what_it_can_express_and_nothing_else(student, target, can):
    exact, learned = held_out(student, target)
    nats = exact - learned
    error = nats.std() / len(nats) ** 0.5
    if can:
        assert nats.mean() + error < RECOVERED
    else:
        assert nats.mean() - error > MISSED


def test_the_targets_have_the_entropies_they_are_compared_with():
    """The two chains' are exact: the entropy of a Gaussian is log sigma + (1 + log 2 pi) / 2, and E[z_1] = 0."""
    each = 0.5 * (1 + math.log(2 * math.pi))
    chances = DEPENDENT.sum(1), DEPENDENT.sum(0)
    entropies = {
        "banana": 2 * each + math.log(0.3),
        "two levels": 2 * each - 1.0,
        "dependent codes": torch.special.entr(DEPENDENT).sum().item(),
        "independent codes": sum(torch.special.entr(p).sum().item() for p in chances),
    }
    for name, entropy in entropies.items():
        p = TARGETS[name]()
        nats = -p.log_prob(p.sample((100_000,)))
        assert (nats.mean() - entropy).abs() < 4 * nats.std() / len(nats) ** 0.5


def test_independent_codes_lack_the_mutual_information_of_the_table():
    exact, learned = held_out(STUDENTS["CodebookPrior, independent"], "dependent codes", held=20_000)
    p, q = DEPENDENT, DEPENDENT.sum(1)[:, None] * DEPENDENT.sum(0)
    nats = exact - learned
    assert (nats.mean() - (p * (p / q).log()).sum()).abs() < 4 * nats.std() / len(nats) ** 0.5 + 0.01


def test_the_table_has_the_exact_density_and_the_gap_of_each_prior():
    cells = table(["LearnedGaussianPrior", "CodebookPrior, independent"], steps=2, held=100)
    assert len(cells) == 3 + 2
    cell = cells[0]
    assert cell.gap == pytest.approx(cell.exact - cell.log_density, abs=1e-5)
    lines = markdown(cells).splitlines()
    assert any(line.startswith("| exact ") and f"{cell.exact:.3f}" in line for line in lines)
    assert any(line.startswith("| `LearnedGaussianPrior`") and f"{cell.log_density:.3f}" in line for line in lines)
    other = markdown([Cell("A", "banana", "log p(z)", -1.0, 0.1, -2.0, 1.0, 0.05)])
    assert "-2.000 (1.000 ± 0.050)" in other
