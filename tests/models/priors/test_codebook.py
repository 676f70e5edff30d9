"""Codes: the prior is exact, the guides' values are a categorical's, and dead codes come back."""

import math
from itertools import product

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import nn
from torch.distributions import kl_divergence
from torch.nn.functional import one_hot
from toys import SIZES, z_test

from ltm_pyro import (
    ELBO,
    CategoricalGuide,
    Decoder,
    FastLoop,
    ImportanceWeighted,
    InputError,
    KLWeighted,
    ScoreFunction,
    SlowStep,
)
from ltm_pyro.guides.gumbel_categorical import GumbelCategorical
from ltm_pyro.guides.gumbel_softmax import GumbelSoftmaxGuide
from ltm_pyro.guides.straight_through import StraightThroughGuide
from ltm_pyro.inference import DualRateSVI
from ltm_pyro.models import LatentThoughtModel
from ltm_pyro.models.exact import FiniteMixture
from ltm_pyro.models.priors.code_usage import CodeUsage, dead_codes, reset_dead_codes
from ltm_pyro.models.priors.codebook import CodebookPrior
from ltm_pyro.models.priors.slow_step_context import SlowStepContext
from ltm_pyro.testing.priors import (
    assert_it_expands_over_particles_and_sequences,
    assert_it_moves_as_a_module_does,
    assert_it_repeats_under_a_seed,
    assert_it_says_what_it_is,
    assert_its_state_can_be_restored,
    scattered,
)

ORDERS = ("independent", "autoregressive")
SMALL = {"width": 16, "blocks": 1, "heads": 2}
every_order = pytest.mark.parametrize("order", ORDERS)


def small(order="independent", codes=3, z_shape=(1, 3, 8)):
    return CodebookPrior(z_shape, codes=codes, order=order, **SMALL)


def every_z(z_shape):
    layers, thoughts, codes = z_shape
    chosen = torch.tensor(list(product(range(codes), repeat=layers * thoughts)))
    return one_hot(chosen, codes).double().view(-1, *z_shape)


@every_order
def test_the_probabilities_of_all_codes_sum_to_one_and_samples_fall_accordingly(order):
    prior = scattered(small(order))
    states = every_z(prior.z_shape)
    p = prior().log_prob(states).exp().detach()
    assert p.sum() == pytest.approx(1.0)
    assert p.max() > 2 * p.min()
    drawn = prior().sample((20_000,))
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    which = (drawn.flatten(1) @ states.flatten(1).T).argmax(1)  # the state with which all codes agree
    z_test(one_hot(which, len(states)).double(), p)
    with pytest.raises(AssertionError, match="standard errors"):
        z_test(one_hot(which, len(states)).double(), p.flip(0))


def test_a_code_knows_those_before_it_alone():
    prior = scattered(small("autoregressive", z_shape=(2, 2, 8)))
    z = prior().sample((1,)).flatten(1, 2)
    other = z.clone()
    other[:, 2] = other[:, 2].roll(1, -1)
    same = (prior.conditionals(z[:, :-1]) - prior.conditionals(other[:, :-1])).abs().sum(-1) < 1e-9
    assert same[0].tolist() == [True, True, True, False]


@every_order
def test_it_starts_with_equal_probabilities(order):
    prior = small(order)
    z = prior().sample((5,))
    torch.testing.assert_close(prior().log_prob(z), torch.full((5,), -3 * math.log(3)), atol=0.1, rtol=0)


@every_order
def test_it_keeps_what_every_prior_keeps(order):
    assert small(order).z_shape == (1, 3, 3)
    assert small(order).square_norm == 1.0
    site = assert_it_expands_over_particles_and_sequences(scattered(small(order)))
    one_by_one = [site["fn"].log_prob(z)[0, 0] for z in site["value"].flatten(0, 1)]
    torch.testing.assert_close(site["log_prob"].flatten(), torch.stack(one_by_one))
    assert_it_repeats_under_a_seed(scattered(small(order)))
    assert_its_state_can_be_restored(scattered(small(order)).float(), small(order))
    assert_it_moves_as_a_module_does(small(order))
    assert_it_says_what_it_is(small(order), "z_shape=(1, 3, 3)", "codes=3", f"order={order}")


@every_order
def test_its_density_is_linear_in_z_for_a_gradient_along_it(order):
    prior = scattered(small(order))
    z = prior().sample((4,)).requires_grad_()
    slopes = torch.autograd.grad(prior().log_prob(z).sum(), [z, *prior.parameters()])
    assert all(slope.isfinite().all() and slope.abs().max() > 0 for slope in slopes)
    mixed = (0.5 * z[0] + 0.5 * z[1]).detach()
    assert prior().log_prob(mixed).isfinite()


@every_order
def test_what_holds_no_codes_is_refused(order):
    with pytest.raises(ValueError, match="not made of codes" if order == "independent" else "simplex|Independent"):
        small(order)().log_prob(torch.randn(1, 3, 3))


def test_what_holds_no_codes_is_refused_with_the_remedy():
    with pytest.raises(InputError, match="CategoricalGuide, StraightThroughGuide"):
        small()().log_prob(torch.randn(1, 3, 3))


@pytest.mark.parametrize(("wrong", "name"), [({"codes": 1}, "codes=1"), ({"order": "both"}, "order='both'")])
def test_what_does_not_fit_is_refused(wrong, name):
    with pytest.raises(InputError, match=name):
        CodebookPrior((1, 3, 8), **wrong)


# guides


def q_of(*shape, **arguments):
    return GumbelCategorical(torch.randn(*shape, dtype=torch.float64), **arguments)


def test_hard_samples_are_the_categoricals():
    q = q_of(4, temperature=0.7)
    drawn = q.rsample((40_000,))
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    z_test(drawn, q.probs)
    z_test(q.sample((40_000,)), q.probs)
    soft = GumbelCategorical(q.logits, 0.7, hard=False)
    with pytest.raises(AssertionError, match="standard errors"):
        z_test(soft.rsample((40_000,)), q.probs)  # a relaxation's mean is another
    assert (soft.relaxed, q.relaxed) == (True, False)
    torch.testing.assert_close(soft.rsample((5,)).sum(-1), torch.ones(5, dtype=torch.float64))


def test_the_gradient_of_hard_samples_is_that_of_the_soft_ones():
    logits = torch.randn(4, dtype=torch.float64, requires_grad=True)
    slopes = []
    for hard in (True, False):
        pyro.set_rng_seed(0)
        z = GumbelCategorical(logits, 0.7, hard=hard).rsample((10,))
        slopes.append(torch.autograd.grad((z @ torch.arange(4.0).double()).sum(), logits)[0])
    torch.testing.assert_close(*slopes)


def test_density_and_kl_are_the_categoricals():
    q, logits = q_of(2, 3, temperature=0.3), torch.randn(2, 3, dtype=torch.float64)
    z = q.sample((5,))
    torch.testing.assert_close(q.log_prob(z), dist.OneHotCategorical(logits=q.logits).log_prob(z))
    p = scattered(CodebookPrior((1, 2, 0), codes=3))
    with torch.no_grad():
        p.logits.copy_(logits[None])
    exact = kl_divergence(q, p().base_dist)
    by_hand = (q.probs * (q.logits - logits.log_softmax(-1))).sum(-1)
    torch.testing.assert_close(exact[0], by_hand)


class Toy(FiniteMixture):
    """A finite mixture with a codebook for its prior, and so an exact KL."""

    def __init__(self, z_shape=(1, 2, 3)):
        super().__init__(z_shape)
        self.codes = CodebookPrior(z_shape, codes=z_shape[-1]).double()
        self.codes.logits = self.prior_logits

    def prior(self):
        return self.codes() if hasattr(self, "codes") else super().prior()

    def exact_elbo(self, x, probabilities):
        """By enumeration, shape (B,)."""
        states = self.states()
        log_q = (states[:, None] * probabilities.log()).flatten(2).sum(-1)
        return (log_q.exp() * (self.log_joint(x) - log_q)).sum(0)


def started(guide, toy):
    guide.start(toy.x, prior=toy.prior())
    with torch.no_grad():
        guide.logits.add_(torch.randn_like(guide.logits))
    return guide


@pytest.mark.parametrize("closed_form", [True, False])
def test_straight_through_values_are_those_of_the_bound(closed_form):
    toy = Toy()
    guide = started(StraightThroughGuide(toy.z_shape, temperature=0.5), toy)
    exact = toy.exact_elbo(toy.x, guide.probabilities).detach()
    bound = ELBO(20_000, closed_form_kl=closed_form)
    with torch.no_grad():
        draws = bound.draw(toy, guide, toy.x)
        terms = bound.terms(toy, guide, toy.x)
    kl = draws.kl(closed_form)
    z_test(draws.log_likelihood - kl.total, exact)
    assert terms.kl_closed_form == closed_form
    assert (exact < toy.evidence(toy.x)).all()
    assert (ImportanceWeighted(512).terms(toy, guide, toy.x).bound < toy.evidence(toy.x) + 0.5).all()


def test_relaxed_values_are_not_and_say_so():
    toy = Toy()
    guide = started(GumbelSoftmaxGuide(toy.z_shape, temperature=1.0), toy)
    exact = toy.exact_elbo(toy.x, guide.probabilities).detach()
    with torch.no_grad():
        draws = KLWeighted(1.0, particles=20_000).draw(toy, guide, toy.x)
        with pytest.raises(AssertionError, match="standard errors"):
            z_test(draws.log_likelihood - draws.kl().total, exact)
        assert draws.guide_trace.nodes["z"]["fn"].base_dist.relaxed
        guide.eval()
        draws = ELBO(20_000).draw(toy, guide, toy.x)
        z_test(draws.log_likelihood - draws.kl().total, exact)
        assert not draws.guide_trace.nodes["z"]["fn"].base_dist.relaxed


def gradient_in_the_mean(toy, guide, particles=400, repeats=60):
    """A gradient of the ELBO by the guide's logits, one value a repeat."""
    bound = ELBO(particles)
    values = [
        torch.autograd.grad(bound.terms(toy, guide, toy.x).objective.sum(), guide.logits)[0] for _ in range(repeats)
    ]
    return torch.stack(values)


def test_straight_through_gradients_point_uphill_and_are_biased():
    """As their docstring says; those of the score function are unbiased."""
    toy = Toy()
    guide = started(StraightThroughGuide(toy.z_shape, temperature=0.5), toy)
    probabilities = guide.logits.softmax(-1)
    exact = torch.autograd.grad(toy.exact_elbo(toy.x, probabilities).sum(), guide.logits)[0]
    values = gradient_in_the_mean(toy, guide)
    assert nn.functional.cosine_similarity(values.mean(0).flatten(), exact.flatten(), dim=0) > 0.6
    with pytest.raises(AssertionError, match="standard errors"):
        z_test(values, exact)
    other = CategoricalGuide(toy.z_shape)
    other.logits, other.rows = guide.logits, guide.rows
    bound = ELBO(400, gradient=ScoreFunction(), closed_form_kl=False)
    unbiased = [torch.autograd.grad(bound.terms(toy, other, toy.x).objective.sum(), other.logits)[0] for _ in range(60)]
    z_test(torch.stack(unbiased), exact)


@pytest.mark.parametrize("guide", [StraightThroughGuide, GumbelSoftmaxGuide])
def test_the_fast_loop_fits_the_posterior(guide):
    toy = Toy()
    q = guide(toy.z_shape, temperature=0.5)
    FastLoop(KLWeighted(1.0), steps=0).fit(toy, q, toy.x)
    before = toy.exact_elbo(toy.x, q.probabilities)
    FastLoop(KLWeighted(1.0, particles=16), steps=100, learning_rate=0.1).fit(toy, q, toy.x)
    after = toy.exact_elbo(toy.x, q.probabilities)
    assert (after > before).all()
    assert (toy.evidence(toy.x) - after).mean() < 0.4 * (toy.evidence(toy.x) - before).mean()


@pytest.mark.parametrize("guide", [StraightThroughGuide, GumbelSoftmaxGuide])
def test_a_code_guide_starts_at_the_prior_and_keeps_its_rows_to_itself(guide):
    prior, x = scattered(small()), torch.zeros(2, 5, dtype=torch.long)
    q = guide(prior.z_shape)
    with pytest.raises(InputError, match=r"guide\.start"):
        q(x)
    q.start(x, prior=prior())
    torch.testing.assert_close(q.probabilities, prior.logits.softmax(-1).detach().expand(2, 1, 3, 3))
    assert q.local_parameters()[0].is_leaf
    assert q.local_parameters()[0].shape == (2, 1, 3, 3)
    assert list(q.parameters()) == list(q.state_dict()) == []
    with pyro.plate("particles", 5, dim=-2):
        z = q(x)
    assert z.shape == (5, 2, 1, 3, 3)
    assert len(z.unique(dim=0)) > 1  # particles are drawn each by itself
    q.start(x)
    assert (q.probabilities == 1 / 3).all()
    with pytest.raises(InputError, match="temperature="):
        guide((1, 2, 3), temperature=0.0)


@every_order
@pytest.mark.parametrize("guide", [StraightThroughGuide, GumbelSoftmaxGuide, CategoricalGuide])
def test_it_learns_with_the_model(order, guide):
    decoder = Decoder(**SIZES)
    prior = small(order, codes=5, z_shape=decoder.z_shape)
    model = LatentThoughtModel(prior, decoder)
    gradient = ScoreFunction() if guide is CategoricalGuide else None
    bound = KLWeighted(1.0, particles=2) if guide is GumbelSoftmaxGuide else ELBO(2, gradient=gradient)
    svi = DualRateSVI(model, guide(prior.z_shape), FastLoop(bound, steps=3), SlowStep(bound, learning_rate=1e-2))
    before = [parameter.detach().clone() for parameter in prior.parameters()]
    x = torch.randint(decoder.vocabulary, (3, decoder.length))
    for _ in range(2):
        terms = svi.step(x)
        assert terms.objective.isfinite().all()
        assert terms.kl_closed_form == (order == "independent")
    assert all(not torch.equal(old, new) for old, new in zip(before, prior.parameters(), strict=True))
    assert model(batch_size=2).shape == (2, decoder.length)
    assert len(pyro.get_param_store()) == 0


# used and dead codes


def test_usage_is_a_running_mean_of_probabilities():
    usage = CodeUsage(3, decay=0.5)
    with pytest.raises(InputError, match="no code has been counted"):
        usage.frequencies  # noqa: B018
    usage.add(torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]))
    torch.testing.assert_close(usage.frequencies, torch.tensor([0.5, 0.5, 0.0]))
    assert usage.perplexity == pytest.approx(2.0)
    assert usage.dead().tolist() == [False, False, True]
    usage.add(torch.tensor([[0.0, 0.0, 1.0]]))
    torch.testing.assert_close(usage.frequencies, torch.tensor([1 / 6, 1 / 6, 2 / 3]))
    assert usage.summary() == "3 of 3 codes used, 0 dead, perplexity 2.4"
    other = CodeUsage(3, decay=0.5)
    other.load_state_dict(usage.state_dict())
    assert torch.equal(other.frequencies, usage.frequencies)
    with pytest.raises(InputError, match="q has 4 codes in its last dimension: expected 3"):
        usage.add(torch.ones(2, 4))


FREQUENCIES = torch.tensor([0.6, 0.0, 0.39, 0.005, 0.005])


def revived(seed=0, **arguments):
    rows = torch.arange(5.0)[:, None] + torch.zeros(5, 2)
    return rows, reset_dead_codes(rows, FREQUENCIES, generator=torch.Generator().manual_seed(seed), **arguments)


def test_dead_codes_come_back_beside_used_ones():
    assert dead_codes(FREQUENCIES).tolist() == [False, True, False, True, True]
    rows, reset = revived()
    assert reset.dead.tolist() == [1, 3, 4]
    assert set(reset.sources.tolist()) <= {0, 2}
    assert (rows[[0, 2]] == torch.tensor([[0.0, 0.0], [2.0, 2.0]])).all()
    distance = rows[reset.dead] - rows[reset.sources]
    assert distance.abs().max() < 0.1 * 1.0 * 4  # the used ones' standard deviation is 1
    assert (distance != 0).all()
    again, _ = revived()
    assert torch.equal(rows, again)
    assert not torch.equal(rows, revived(seed=1)[0])
    exact, reset = revived(noise=0.0)
    assert torch.equal(exact[reset.dead], exact[reset.sources])


def test_nothing_happens_where_nothing_is_dead():
    rows = torch.randn(5, 2)
    state, before = torch.get_rng_state(), rows.clone()
    assert len(reset_dead_codes(rows, torch.full((5,), 0.2)).dead) == 0
    assert torch.equal(rows, before)
    assert torch.equal(torch.get_rng_state(), state)


def test_revival_is_refused_where_it_makes_no_sense():
    with pytest.raises(InputError, match="4 rows, 5 frequencies"):
        reset_dead_codes(torch.zeros(4, 2), FREQUENCIES)
    with pytest.raises(InputError, match="usage reaches threshold"):
        reset_dead_codes(torch.zeros(5, 2), FREQUENCIES, threshold=10.0)


def test_revival_reaches_the_models_projection():
    decoder = Decoder(**SIZES)
    model = LatentThoughtModel(small(codes=5, z_shape=decoder.z_shape), decoder)
    before = model.projection.weight.detach().clone()
    dead, _ = reset_dead_codes(model.projection.weight.T, FREQUENCIES)
    assert (model.projection.weight != before).any(0).nonzero().flatten().tolist() == dead.tolist()


@every_order
def test_the_prior_adopts_revived_codes(order):
    """A source and its copies share its chances alike; the order among the others stays."""
    prior = scattered(small(order, codes=5))
    _, reset = revived()
    z = prior().sample((1,))
    prior.adopt(reset)
    logits = prior.logits if order == "independent" else prior.conditionals(z.flatten(1, 2)[:, :-1])
    torch.testing.assert_close(logits[..., reset.dead], logits[..., reset.sources])


def test_adoption_keeps_the_chances_of_used_codes_together():
    prior = small(codes=5).double()
    with torch.no_grad():
        prior.logits.copy_(FREQUENCIES.double().clamp_min(1e-12).log().expand(1, 3, 5))
    _, reset = revived()
    prior.adopt(reset)
    p = prior.logits.softmax(-1)[0, 0]
    for source in (0, 2):
        family = [source, *reset.dead[reset.sources == source].tolist()]
        assert p[family].sum().item() == pytest.approx(FREQUENCIES[source].item() / 0.99, abs=1e-6)


class Training:
    """A model over codes of which only the first and third are ever used, and its slow optimizer."""

    def __init__(self, order="independent", **arguments):
        decoder = Decoder(**SIZES)
        self.prior = CodebookPrior(decoder.z_shape, codes=5, order=order, **SMALL, **arguments)
        self.model, self.guide = LatentThoughtModel(self.prior, decoder), StraightThroughGuide(self.prior.z_shape)
        self.svi = DualRateSVI(self.model, self.guide, FastLoop(ELBO(), steps=1), SlowStep(ELBO()))
        self.x = torch.randint(decoder.vocabulary, (4, decoder.length))

    def step(self, number):
        """One step of learning; what is logged of the codes."""
        optimizer = self.svi.slow.optimizer
        context = SlowStepContext(number, torch.arange(4), None, self.model, self.guide, self.svi.fit, optimizer)
        with self.prior.on_slow_step(context) as noted:
            self.svi.step(self.x)
            self.guide.logits = FREQUENCIES.log().clamp_min(-30).expand_as(self.guide.logits)
        return noted["codes"]

    def moments(self):
        """Adam's running means, by parameter: those that have entries for every code, and where these are counted."""
        prior = self.prior
        if prior.order == "independent":
            tables = [(prior.logits, 2)]
        else:
            tables = [(prior.head.bias, 0), (prior.head.weight, 0), (prior.states.read.weight, 1)]
        state = self.svi.slow.optimizer.state
        for parameter, dim in ((self.model.projection.weight, 1), *tables):
            for name in ("exp_avg", "exp_avg_sq"):
                yield state[parameter][name].movedim(dim, 0).reshape(self.prior.codes, -1)


@pytest.fixture(params=ORDERS)
def training(request):
    if request.param == "independent":
        return Training(revive_every=2)
    training = Training(request.param, revive_every=2)
    scattered(training.prior).float()  # so that every entry has a gradient
    return training


def test_training_counts_codes_and_revives_dead_ones(training):
    rows = training.model.projection.weight
    counted = training.step(1)
    assert counted == {"used": 2, "dead": 3, "revived": 0, "perplexity": training.prior.usage.perplexity}
    torch.testing.assert_close(training.prior.usage.frequencies, FREQUENCIES)
    assert training.step(2)["revived"] == 3
    apart = torch.cdist(rows.T[[1, 3, 4]], rows.T[[0, 2]])
    spread = rows.T[[0, 2]].std(0, correction=0).norm()
    assert (apart.min(1).values < 0.5 * spread).all()  # beside a used one


def test_revived_codes_have_no_past_in_the_optimizer(training):
    training.step(1)
    assert all((moment[[1, 3, 4]] != 0).any() for moment in training.moments())
    training.step(2)
    for moment in training.moments():
        assert (moment[[1, 3, 4]] == 0).all()
        assert (moment[[0, 2]] != 0).any()


def test_training_without_revival_counts_all_the_same():
    training = Training(revive_every=0)
    before = training.prior.logits.detach().clone()
    assert [training.step(number)["revived"] for number in (1, 100, 200)] == [0, 0, 0]
    assert training.prior.usage.weight > 0
    assert (training.prior.logits - before).abs().max() < 0.01  # three small steps, and nothing else
    with pytest.raises(InputError, match="revive_every=-1"):
        CodebookPrior((1, 3, 8), revive_every=-1)


def test_the_usage_is_part_of_the_priors_state(training):
    training.step(1)
    other = Training(training.prior.order)
    other.model.load_state_dict(training.model.state_dict())
    assert torch.equal(other.prior.usage.frequencies, training.prior.usage.frequencies)


def test_a_guide_without_probabilities_is_not_counted():
    prior = small()
    with prior.on_slow_step(SlowStepContext(1, torch.arange(1), None, None, object(), None, None)) as noted:
        pass
    assert noted == {}
    assert prior.usage.weight == 0


def diverges(*batch, **others):
    raise ArithmeticError


def test_a_step_that_failed_is_not_counted():
    training = Training()
    training.svi.slow.apply = diverges
    with pytest.raises(ArithmeticError):
        training.step(1)
    assert training.prior.usage.weight == 0
