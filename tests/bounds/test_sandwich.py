"""Brackets of log p(x) where it is known, and wrong ones that the same tests reject."""

from itertools import pairwise

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import nn
from torch.distributions.transforms import ReshapeTransform
from toys import autoregressive_with, z_test

from ltm_pyro import ELBO, FastLoop, InputError, MeanFieldGuide
from ltm_pyro.bounds.annealing import Annealing
from ltm_pyro.bounds.hamiltonian import Hamiltonian
from ltm_pyro.bounds.sandwich import Sandwich, Simulated
from ltm_pyro.bounds.weights import log_mean_exp
from ltm_pyro.models.exact import FiniteMixture, LinearGaussian

COPIES = 4000
QUICK = {"temperatures": 10, "leapfrog_steps": 4, "chains": 2, "tuning": 10}
SINGLE = {**QUICK, "chains": 1}


@pytest.fixture
def gentle():
    """A posterior that is not far from the prior, so that few temperatures give weights without heavy tails."""
    return LinearGaussian(noise=2.5)


class Beside(nn.Module):
    """A Gaussian beside the posterior of a toy, and somewhat wider in every direction."""

    def __init__(self, toy):
        super().__init__()
        self.toy = toy

    def forward(self, x=None, **_):
        mean, precision = self.toy.posterior_mean(x) + 0.15, self.toy.precision() / 1.3
        reshape = ReshapeTransform((self.toy.size,), self.toy.z_shape)
        with pyro.plate("sequences", len(x), dim=-1):
            flat = dist.MultivariateNormal(mean, precision_matrix=precision)
            return pyro.sample("z", dist.TransformedDistribution(flat, [reshape]))


class TwoLevels:
    """z from a wider level above it; x of z. Two latent sites, one dependent on the other."""

    sd, noise = 0.8, 0.6

    def __call__(self, x=None, batch_size=None, **_):
        with pyro.plate("sequences", batch_size or len(x), dim=-1):
            above = pyro.sample("above", dist.Normal(torch.ones(2, dtype=torch.float64), 1.0).to_event(1))
            z = pyro.sample("z", dist.Normal(above, self.sd).to_event(1))
            return pyro.sample("x", dist.Normal(z, self.noise).to_event(1), obs=x)

    def evidence(self, x):
        return dist.Normal(1.0, (1 + self.sd**2 + self.noise**2) ** 0.5).log_prob(x).sum(-1)


class BatchMixed(Sandwich):
    """Deliberately wrong: one weight for the whole batch."""

    def lower_value(self, log_w):
        return (log_mean_exp(log_w.sum(-1)) / log_w.shape[-1]).expand(log_w.shape[-1])

    def upper_value(self, log_w):
        return (-log_mean_exp(-log_w.sum(-1)) / log_w.shape[-1]).expand(log_w.shape[-1])


class ForwardMean(Sandwich):
    """Deliberately wrong: the weights of chains back are averaged as those of chains forward are."""

    def upper_value(self, log_w):
        return log_mean_exp(log_w)


def assert_exact(sandwich, model, simulated, guide=None):
    """The weights have the means p(x) and 1/p(x), and the bounds lie on their sides.

    Of one chain each, a function of the weights that has no tail is compared as well: by Crooks' theorem,
    E_back[g(w)] = E_forward[g(w) w] / p(x), and g(w) = 1 / (1 + w / p(x)) makes both sides a sigmoid.
    """
    evidence = model.evidence(simulated.x)
    bracket = sandwich.bracket(model, simulated, guide)
    below, above = bracket.lower - evidence, bracket.upper - evidence
    if sandwich.chains == 1:
        z_test(below.sigmoid() - (-above).sigmoid(), 0.0)
    z_test(below.exp(), 1.0)
    z_test((-above).exp(), 1.0)
    assert below.mean() < 0 < above.mean()


def simulated(model, copies=COPIES):
    return Sandwich().simulate(model, copies)


def evidence_apart(sandwich, toy, pairs, guide=None):
    bracket = sandwich.bracket(toy, pairs, guide)
    return [(bound - toy.evidence(pairs.x)).abs().mean().item() for bound in (bracket.lower, bracket.upper)]


def lengthen(monkeypatch, factor):
    """Every step of a transition times a factor, which may look at z."""
    move = Hamiltonian.move
    monkeypatch.setattr(
        Hamiltonian, "move", lambda self, here, beta, step: move(self, here, beta, step * factor(here.z))
    )


# ---- exactness


@pytest.mark.parametrize("chains", [1, 3])
@pytest.mark.parametrize("schedule", ["sigmoid", "linear"])
def test_weights_have_the_evidence_for_their_mean_and_the_bounds_enclose_it(chains, schedule, gentle):
    assert_exact(Sandwich(**{**QUICK, "chains": chains, "schedule": schedule}), gentle, simulated(gentle))


@pytest.mark.parametrize("temperatures", [1, 2, 5])
def test_so_they_do_from_a_guide(temperatures, toy):
    assert_exact(Sandwich(**{**SINGLE, "temperatures": temperatures}), toy, simulated(toy), Beside(toy))


def test_so_they_do_with_several_dependent_sites():
    model = TwoLevels()
    pairs = simulated(model)
    assert {name: tuple(z.shape) for name, z in pairs.z.items()} == {"above": (COPIES, 2), "z": (COPIES, 2)}
    assert_exact(Sandwich(**{**SINGLE, "temperatures": 30}), model, pairs)


def test_so_they_do_with_steps_that_are_too_long(gentle, monkeypatch):
    lengthen(monkeypatch, lambda z: 1.3)
    assert_exact(Sandwich(**SINGLE), gentle, simulated(gentle))


def test_a_chain_back_that_starts_from_the_prior_is_rejected(gentle):
    from_prior = Simulated(simulated(gentle).z, simulated(gentle).x)
    with pytest.raises(AssertionError, match="standard errors"):
        assert_exact(Sandwich(**SINGLE), gentle, from_prior)


def test_steps_that_follow_where_the_chain_is_are_rejected(gentle, monkeypatch):
    """As if they adapted within the run: what a chain learns on the way there it does not know on the way back."""
    pairs, sandwich = simulated(gentle, 12_000), Sandwich(**{**SINGLE, "temperatures": 20})
    assert_exact(sandwich, gentle, pairs)
    lengthen(monkeypatch, lambda z: 0.02 + (z.square().mean(-1) > 0.7))
    with pytest.raises(AssertionError, match="standard errors"):
        assert_exact(sandwich, gentle, pairs)


def test_transitions_that_accept_everything_are_rejected(gentle, monkeypatch):
    monkeypatch.setattr(Hamiltonian, "accepts", lambda self, rise: torch.ones_like(rise, dtype=torch.bool))
    with pytest.raises(AssertionError, match="standard errors"):
        assert_exact(Sandwich(**SINGLE), gentle, simulated(gentle))


def test_transitions_at_another_temperature_are_rejected(gentle, monkeypatch):
    move = Hamiltonian.move
    monkeypatch.setattr(Hamiltonian, "move", lambda self, here, beta, step: move(self, here, 0.7 * beta, step))
    with pytest.raises(AssertionError, match="standard errors"):
        assert_exact(Sandwich(**SINGLE), gentle, simulated(gentle))


def test_weights_mixed_over_the_batch_are_rejected(gentle):
    pairs, numbers = simulated(gentle), {**QUICK, "temperatures": 40}
    assert_exact(Sandwich(**numbers), gentle, pairs)
    with pytest.raises(AssertionError, match="standard errors"):
        assert_exact(BatchMixed(**numbers), gentle, pairs)


def test_the_plain_mean_of_the_weights_of_several_chains_back_is_rejected(gentle):
    with pytest.raises(AssertionError, match="standard errors"):
        assert_exact(ForwardMean(**QUICK), gentle, simulated(gentle))


# ---- how narrow


def test_the_bracket_narrows_as_temperatures_grow_and_closes_on_the_evidence(toy):
    pairs = simulated(toy, 100)
    apart = [evidence_apart(Sandwich(size, 5, 4, tuning=12), toy, pairs) for size in (6, 30, 160)]
    for (low, high), (low_after, high_after) in pairwise(apart):
        assert low_after < 0.6 * low
        assert high_after < 0.6 * high
    assert max(apart[-1]) < 0.3


def test_more_chains_make_it_narrower(toy):
    pairs = simulated(toy, 500)
    one, many = (Sandwich(20, 4, chains, tuning=12).bracket(toy, pairs).width.mean() for chains in (1, 16))
    assert 0 < many < 0.5 * one


def test_a_guide_near_the_posterior_makes_it_narrower(toy):
    pairs = simulated(toy, 300)
    sandwich = Sandwich(5, 4, 2, tuning=15)
    far, near = (sandwich.bracket(toy, pairs, guide).width.mean() for guide in (None, Beside(toy)))
    assert 0 < near < 0.5 * far


def test_at_the_exact_posterior_it_is_closed(toy):
    bracket = Sandwich(3, 2, 2, tuning=3).bracket(toy, simulated(toy, 5), toy.exact_guide())
    torch.testing.assert_close(bracket.width, torch.zeros_like(bracket.width), atol=1e-9, rtol=0)
    torch.testing.assert_close(bracket.effective_sample_size, torch.full_like(bracket.width, 2.0))


def test_acceptance_is_in_range_and_missing_where_nothing_moves(toy):
    pairs = simulated(toy, 20)
    acceptance = Sandwich(60, 4, 8, tuning=60).bracket(toy, pairs).acceptance
    assert ((acceptance > 0.5) & (acceptance < 0.8)).all()
    assert Sandwich(1).bracket(toy, pairs).acceptance.isnan().all()


# ---- per sequence


def with_other_mates(pairs, others):
    """The same first pair, among others."""
    z, x = pairs.z["z"].clone(), pairs.x.clone()
    z[1:], x[1:] = others.z["z"][1:], others.x[1:]
    return Simulated({"z": z}, x)


def assert_alone(kind, toy):
    """The first sequence's bracket is the same, given its noise, whatever stands beside it."""
    pairs = simulated(toy, 4)
    brackets = []
    for batch in (pairs, with_other_mates(pairs, simulated(toy, 4))):
        torch.manual_seed(5)
        brackets.append(kind(**QUICK).bracket(toy, batch))
    for name in ("lower", "upper", "acceptance"):
        here, there = (getattr(bracket, name) for bracket in brackets)
        torch.testing.assert_close(here[0], there[0], atol=1e-8, rtol=0)
        assert (here[1:] != there[1:]).all()


def test_a_sequences_bracket_does_not_depend_on_its_batch_mates(toy):
    assert_alone(Sandwich, toy)


def test_one_that_does_is_rejected(toy, monkeypatch):
    with pytest.raises(AssertionError):
        assert_alone(BatchMixed, toy)
    tuned = Annealing._step
    monkeypatch.setattr(Annealing, "_step", lambda *args: tuned(*args).mean().expand(4))  # one step size for all
    with pytest.raises(AssertionError):
        assert_alone(Sandwich, toy)


def test_one_seed_gives_one_bracket(toy):
    brackets = []
    for _ in range(2):
        torch.manual_seed(3)
        brackets.append(Sandwich(**QUICK).bracket(toy, 3))
    assert torch.equal(brackets[0].lower, brackets[1].lower)
    assert torch.equal(brackets[0].upper, brackets[1].upper)


def test_the_lower_bound_alone_is_the_brackets(toy):
    pairs, sandwich = simulated(toy, 3), Sandwich(**QUICK)
    torch.manual_seed(3)
    bracket = sandwich.bracket(toy, pairs)
    torch.manual_seed(3)
    assert torch.equal(sandwich.lower(toy, x=pairs.x), bracket.lower)


# ---- texts


def test_a_latent_thought_model_is_enclosed_and_its_weights_left_alone(tiny):
    before = {name: weight.clone() for name, weight in tiny.model.named_parameters()}
    bracket = Sandwich(10, 3, 2, tuning=6).bracket(tiny.model, 6)
    assert bracket.lower.dtype == torch.float64
    assert 0 < bracket.width.mean() < 20
    assert bracket.acceptance.mean() > 0.4
    for name, weight in tiny.model.named_parameters():
        assert weight.grad is None
        assert weight.requires_grad
        assert torch.equal(weight, before[name])


def test_a_fitted_guide_is_where_chains_may_begin(tiny):
    previous, sandwich = torch.tensor([1, 4, 2, 7, 1, 0]), Sandwich(15, 3, 2, tuning=6)
    pairs = sandwich.simulate(tiny.model, 6, previous=previous)
    guide = MeanFieldGuide(tiny.decoder.z_shape)
    FastLoop(ELBO(4), steps=30).fit(tiny.model, guide, x=pairs.x, previous=previous)
    bracket = sandwich.bracket(tiny.model, pairs, guide, previous=previous)
    assert 0 < bracket.width.mean() < 20
    assert all(row.requires_grad and row.is_leaf for row in guide.local_parameters())
    assert sandwich.lower(tiny.model, guide, x=pairs.x, previous=previous).shape == (6,)


def test_tokens_left_out_at_the_end_change_nothing(tiny):
    pairs, sandwich = simulated(tiny.model, 3), Sandwich(5, 3, 2, tuning=3)
    mask = torch.arange(tiny.decoder.length).expand(3, -1) < torch.tensor([[20], [12], [3]])
    brackets = []
    for fill in (0, 9):
        torch.manual_seed(3)
        brackets.append(sandwich.bracket(tiny.model, (pairs.z, pairs.x.masked_fill(~mask, fill)), mask=mask))
    torch.testing.assert_close(brackets[0].lower, brackets[1].lower)
    torch.testing.assert_close(brackets[0].upper, brackets[1].upper)
    assert brackets[0].lower[2] > brackets[0].lower[0]


def test_a_mask_that_leaves_out_what_is_read_is_refused(tiny):
    mask = torch.ones(3, tiny.decoder.length, dtype=torch.bool)
    mask[1, 4] = False
    with pytest.raises(InputError, match="leaves out tokens before scored ones"):
        Sandwich(**QUICK).bracket(tiny.model, 3, mask=mask)
    assert Sandwich(2, 1, 1, tuning=1).lower(tiny.model, x=tiny.x, mask=mask).shape == (3,)


# ---- what cannot be enclosed


def test_discrete_thoughts_are_refused():
    with pytest.raises(InputError, match="continuous sites over all real numbers"):
        Sandwich(**QUICK).bracket(FiniteMixture(), 4)


def test_a_model_without_thoughts_is_refused():
    with pytest.raises(InputError, match="no latent site"):
        Sandwich(**QUICK).bracket(autoregressive_with(), 2)


def test_a_model_whose_data_have_another_name_is_refused():
    def model(batch_size=None, **_):
        with pyro.plate("sequences", batch_size, dim=-1):
            return pyro.sample("y", dist.Normal(0.0, 1.0))

    with pytest.raises(InputError, match="expected its data at a site named 'x'"):
        Sandwich(**QUICK).bracket(model, 2)


@pytest.mark.parametrize("z", [torch.zeros(3, 2), {"w": torch.zeros(3, 2, 1, 2)}, torch.zeros(2, 3, 2, 1, 2)])
def test_a_z_that_does_not_fit_is_refused(z, toy):
    with pytest.raises(InputError, match="give one z for every sequence"):
        Sandwich(**QUICK).bracket(toy, (z, toy.x[:3]))


def test_a_tensor_serves_a_single_site_alone(toy):
    pairs = simulated(toy, 3)
    assert Sandwich(**QUICK).bracket(toy, (pairs.z["z"], pairs.x)).lower.shape == (3,)
    model = TwoLevels()
    pairs = simulated(model, 3)
    with pytest.raises(InputError, match="give one z for every sequence"):
        Sandwich(**QUICK).bracket(model, (pairs.z["z"], pairs.x))


@pytest.mark.parametrize("name", ["temperatures", "leapfrog_steps", "chains", "tuning"])
def test_numbers_must_be_positive(name):
    with pytest.raises(InputError, match=f"{name}=0: expected 1 or more"):
        Sandwich(**{name: 0})


def test_an_empty_batch_is_refused(toy):
    with pytest.raises(InputError, match="batch_size=0: expected 1 or more"):
        Sandwich(**QUICK).bracket(toy, 0)


def test_an_unknown_schedule_is_refused():
    with pytest.raises(InputError, match="expected 'sigmoid' or 'linear'"):
        Sandwich(schedule="cosine")
