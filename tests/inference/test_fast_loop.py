"""The fast loop moves γ, and γ alone, to where the theory says."""

import math
from functools import partial

import pyro
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from toys import SIZES, TinyModel

from ltm_pyro import (
    ELBO,
    Decoder,
    FastLoop,
    GaussianPrior,
    ImportanceWeighted,
    InputError,
    Jackknife,
    LaplaceGuide,
    LatentThoughtModel,
    LowRankGuide,
    MeanFieldGuide,
    Thermodynamic,
)
from ltm_pyro.models.exact import LinearGaussian


class Spy:
    """A bound that looks around at every call, and may fail at one."""

    refusal_of_fast_loop = None

    def __init__(self, model, fail_at=None):
        self.bound, self.model, self.fail_at = ELBO(), model, fail_at
        self.noise, self.weights_need_gradients, self.bounds = [], [], []

    def terms(self, model, guide, *args, **kwargs):
        if len(self.bounds) == self.fail_at:
            raise RuntimeError("on purpose")
        trace = pyro.poutine.trace(guide)

        class Traced(nn.Module):
            def forward(_, *args, **kwargs):
                return trace(*args, **kwargs)

        terms = self.bound.terms(model, Traced(), *args, **kwargs)
        site = trace.trace.nodes["z"]
        self.noise.append(((site["value"] - site["fn"].mean) / site["fn"].stddev).detach())
        self.weights_need_gradients.append(any(p.requires_grad for p in self.model.parameters()))
        self.bounds.append(terms.bound.detach())
        return terms


def fit(toy, x=None, guide=None, **options):
    guide = guide or MeanFieldGuide(toy.z_shape)
    loop = FastLoop(**{"bound": ELBO(16), "steps": 100, "learning_rate": 0.1, **options})
    loop.fit(toy, guide, toy.x if x is None else x)
    return guide


def rows(guide):
    return torch.stack([row.detach() for row in guide.local_parameters()], 1)  # (B, 2, L, K, D)


# ---- where it arrives


@pytest.mark.parametrize(
    "options",
    [{}, {"optimizer": lambda local, lr: torch.optim.SGD(local, lr=lr, momentum=0.9), "learning_rate": 0.005}],
    ids=["Adam", "SGD with momentum"],
)
def test_it_arrives_at_the_best_mean_field_posterior(options, toy):
    """μ is the posterior's mean, and σ² the inverse of its precision's diagonal."""
    guide = fit(toy, steps=400, final_fraction=0.0, **options)
    scale = toy.precision().diag().rsqrt()
    off = (guide.mu.flatten(1) - toy.posterior_mean(toy.x)) / scale
    assert off.abs().max() < 0.1
    torch.testing.assert_close(guide.log_sigma.flatten(1), scale.log().expand(4, -1), atol=0.1, rtol=0)
    covariance = torch.linalg.inv(toy.precision()).diag().sqrt()
    assert (guide.log_sigma.flatten(1) - covariance.log()).abs().max() > 0.3  # not the marginals' deviations
    best = toy.elbo(toy.x, *(m.view(4, *toy.z_shape) for m in (toy.posterior_mean(toy.x), scale.expand(4, -1))))
    assert (best - toy.elbo(toy.x, guide.mu, guide.log_sigma.exp())).max() < 0.05


def test_few_steps_do_not_arrive(toy):
    guide = fit(toy, steps=3)
    off = (guide.mu.flatten(1) - toy.posterior_mean(toy.x)) * toy.precision().diag().sqrt()
    assert off.abs().max() > 0.5


def test_an_importance_weighted_loop_raises_its_bound(toy):
    bound = ImportanceWeighted(8)
    start, end = fit(toy, steps=0), fit(toy, bound=bound)
    assert bound.loss(toy, end, toy.x) < bound.loss(toy, start, toy.x) - 3


# ---- what it leaves alone


def test_the_weights_get_no_gradient_and_none_is_computed(tiny):
    spy = Spy(tiny.model)
    FastLoop(spy, steps=4).fit(tiny.model, tiny.guide, tiny.x)
    assert spy.weights_need_gradients == [False] * 4
    assert all(parameter.grad is None for parameter in tiny.model.parameters())
    assert all(parameter.requires_grad for parameter in tiny.model.parameters())


def test_a_plain_backward_would_have_left_gradients(tiny):
    ELBO().differentiable_loss(tiny.model, tiny.guide, tiny.x).backward()
    assert any(parameter.grad is not None for parameter in tiny.model.parameters())


def test_gradients_that_were_there_stay_as_they_were(tiny):
    for parameter in tiny.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    FastLoop(ELBO(), steps=3).fit(tiny.model, tiny.guide, tiny.x)
    assert all(torch.equal(p.grad, torch.ones_like(p)) for p in tiny.model.parameters())


def test_the_weights_learn_again_even_after_a_failure(tiny):
    held = next(tiny.model.parameters()).requires_grad_(False)
    with pytest.raises(RuntimeError, match="on purpose"):
        FastLoop(Spy(tiny.model, fail_at=2), steps=4).fit(tiny.model, tiny.guide, tiny.x)
    assert not held.requires_grad  # what the user holds stays held
    assert all(parameter.requires_grad for parameter in tiny.model.parameters() if parameter is not held)


def test_every_step_has_fresh_noise(tiny):
    spy = Spy(tiny.model)
    FastLoop(spy, steps=6).fit(tiny.model, tiny.guide, tiny.x)
    noise = torch.stack(spy.noise).squeeze(1).flatten(2)  # (steps, B, n)
    for row in range(3):
        distances = torch.cdist(noise[:, row], noise[:, row]) + torch.eye(6) * 99
        assert distances.min() > 1
    assert abs(noise.mean()) < 4 / math.sqrt(noise.numel())


def test_it_works_where_gradients_are_switched_off(toy):
    with torch.no_grad():
        guide = fit(toy, steps=20)
    assert guide.mu.abs().max() > 0.1


# ---- batches


def test_two_batches_do_not_depend_on_their_order(toy):
    other = toy.x + 1
    results = []
    for order in ((0, 1), (1, 0)):
        guide, fitted = MeanFieldGuide(toy.z_shape), {}
        for batch in order:
            pyro.set_rng_seed(batch)
            fitted[batch] = rows(fit(toy, (toy.x, other)[batch], guide, steps=10))
        results.append(fitted)
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    assert not torch.equal(results[0][0], results[0][1])


@pytest.mark.parametrize("tolerance", [None, 0.05])
def test_a_sequence_is_fitted_as_if_it_were_alone_whatever_stands_beside_it(tolerance, toy):
    fitted = []
    for offset in (0.0, 3.0):
        x = torch.cat((toy.x[:1], toy.x[1:] + offset))
        pyro.set_rng_seed(0)
        fitted.append(rows(fit(toy, x, tolerance=tolerance)))
    assert torch.equal(fitted[0][0], fitted[1][0])
    assert not torch.allclose(fitted[0][1:], fitted[1][1:])


def test_one_seed_gives_one_fit(toy):
    fitted = []
    for seed in (1, 1, 2):
        pyro.set_rng_seed(seed)
        fitted.append(rows(fit(toy, steps=5)))
    assert torch.equal(fitted[0], fitted[1])
    assert not torch.equal(fitted[0], fitted[2])


def test_no_steps_leave_the_start(toy):
    guide = fit(toy, steps=0)
    assert rows(guide).abs().max() == 0


# ---- the rate


def test_the_rate_falls_as_a_cosine_to_the_final_fraction():
    loop = FastLoop(ELBO(), steps=11, learning_rate=0.3, final_fraction=0.1)
    rates = [loop.rate(step) for step in range(11)]
    assert rates[0] == pytest.approx(0.3)
    assert rates[5] == pytest.approx(0.5 * (0.3 + 0.03))
    assert rates[10] == pytest.approx(0.03)
    assert rates == sorted(rates, reverse=True)
    assert FastLoop(ELBO(), steps=1, learning_rate=0.3).rate(0) == pytest.approx(0.3)
    constant = FastLoop(ELBO(), steps=5, learning_rate=0.3, final_fraction=1.0)
    assert {constant.rate(step) for step in range(5)} == {0.3}


def test_the_rates_that_are_stated_are_those_that_run(toy):
    used = []

    class Watched(torch.optim.SGD):
        def step(self, closure=None):
            used.extend(group["lr"] for group in self.param_groups)
            return super().step(closure)

    fit(toy, steps=7, optimizer=Watched)
    loop = FastLoop(ELBO(), steps=7, learning_rate=0.1)
    assert used == [loop.rate(step) for step in range(7)]


# ---- resting


class Scripted:
    """A bound whose values are written down: each row pulls on its own row of the guide's mu."""

    refusal_of_fast_loop = None

    def __init__(self, values):
        self.values, self.calls = values, 0

    def terms(self, model, guide, x, mask=None):
        pull = guide.mu.flatten(1).sum(-1)
        value = torch.tensor([row[self.calls] for row in self.values])
        self.calls += 1
        return ELBOTerms(value + pull - pull.detach())


class ELBOTerms:
    def __init__(self, objective):
        self.objective = objective


def scripted(values, patience=2):
    guide, bound = MeanFieldGuide((1, 1, 1)), Scripted(values)
    loop = FastLoop(
        bound,
        steps=len(values[0]),
        learning_rate=1.0,
        final_fraction=1.0,
        optimizer=torch.optim.SGD,
        tolerance=0.5,
        patience=patience,
    )
    loop.fit(nn.Module(), guide, torch.zeros(len(values), 1))
    return guide.mu.detach().flatten().tolist(), bound.calls


def test_a_sequence_rests_when_its_own_bound_no_longer_rises():
    flat, rising = [0.0] * 10, [float(step) for step in range(10)]
    # with patience 2, four values are needed to compare: the flat one has moved at the first three steps
    assert scripted([flat, rising]) == ([3.0, 10.0], 10)
    assert scripted([rising, flat]) == ([10.0, 3.0], 10)


def test_the_loop_ends_when_all_rest():
    late = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0]
    assert scripted([[0.0] * 12]) == ([3.0], 4)
    moved, calls = scripted([[0.0] * 12, late])
    assert moved == [3.0, calls - 1.0]
    assert 4 < calls < 12


def test_a_sequence_that_rests_does_not_start_again():
    assert scripted([[0.0] * 4 + [100.0 * step for step in range(6)], [float(s) for s in range(10)]])[0][0] == 3.0


def test_a_loop_that_ends_early_has_arrived_all_the_same(toy):
    spy = Spy(toy)
    spy.bound = ELBO(64)
    guide = fit(toy, bound=spy, steps=400, tolerance=0.02, patience=10)
    assert len(spy.bounds) < 400
    best = toy.posterior_mean(toy.x).view_as(guide.mu), toy.precision().diag().rsqrt().view(1, *toy.z_shape)
    gap = toy.elbo(toy.x, best[0], best[1].expand_as(guide.mu)) - toy.elbo(toy.x, guide.mu, guide.log_sigma.exp())
    assert gap.max() < 0.5


# ---- what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": -1}, "steps=-1"),
        ({"learning_rate": 0.0}, "learning_rate=0.0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
        ({"final_fraction": -0.1}, "final_fraction=-0.1"),
        ({"final_fraction": 1.1}, "final_fraction=1.1"),
        ({"patience": 0}, "patience=0"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(options, message):
    with pytest.raises(InputError, match=message):
        FastLoop(ELBO(), **options)


@pytest.mark.parametrize("bound", [Jackknife(3), Thermodynamic(side="right")])
def test_a_value_that_q_could_raise_or_lower_at_will_is_refused(bound):
    with pytest.raises(InputError, match="to measure"):
        FastLoop(bound)


def test_it_says_what_it_is():
    assert repr(FastLoop(ELBO(2), steps=4)) == "FastLoop(ELBO(particles=2), steps=4, learning_rate=0.3)"


@pytest.mark.cuda
def test_a_batch_on_the_device_is_fitted_on_the_device():
    decoder = Decoder(**SIZES)
    model, guide = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder).cuda(), MeanFieldGuide(decoder.z_shape)
    FastLoop(ELBO(2), steps=3, tolerance=0.1).fit(model, guide, torch.randint(30, (3, 20), device="cuda"))
    assert guide.mu.is_cuda
    assert guide.mu.isfinite().all()


def test_the_toys_are_reproducible():
    torch.manual_seed(5)
    one = LinearGaussian().evidence(torch.zeros(1, 3, dtype=torch.float64)), TinyModel().x
    torch.manual_seed(5)
    other = LinearGaussian().evidence(torch.zeros(1, 3, dtype=torch.float64)), TinyModel().x
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])


@pytest.mark.parametrize("guide", [MeanFieldGuide, LowRankGuide, LaplaceGuide])
def test_no_step_waits_for_the_device(guide, monkeypatch):
    """Fake tensors have no values: whatever asked for one, as a copy to the host does, would raise.

    Token ids are looked at where that waits for nothing, on a CPU, and fake tensors say that they are on one.
    """
    pyro.enable_validation(False)
    monkeypatch.setattr("ltm_pyro.models.abstract.check_range", lambda ids, vocabulary: None)
    with FakeTensorMode():
        tiny = LatentThoughtModel(GaussianPrior((2, 2, 16)), Decoder(**SIZES))
        x = torch.zeros(3, 20, dtype=torch.long)
        for tokens in (1.0, 0.5):
            FastLoop(ELBO(2), steps=3, tokens=tokens).fit(tiny, guide((2, 2, 16)), x)
        with pytest.raises(DataDependentOutputException):
            FastLoop(ELBO(2), steps=3, tolerance=0.1, patience=1).fit(tiny, guide((2, 2, 16)), x)


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, partial(torch.optim.SGD, momentum=0.9)])
def test_the_fused_kernel_is_taken_unless_another_is_asked_for(toy, optimizer):
    made = []

    def unfused(rows, lr):
        made.append(optimizer(rows, lr=lr, foreach=False))
        return made[-1]

    torch.manual_seed(0)
    plain = fit(toy, optimizer=unfused)
    assert made[0].param_groups[0]["fused"] is None
    torch.manual_seed(0)
    fused = fit(toy, optimizer=optimizer)
    torch.testing.assert_close(rows(fused), rows(plain))
