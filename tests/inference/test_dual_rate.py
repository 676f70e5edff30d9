"""Both rates together: the store stays empty, batches start fresh, and training learns."""

import pyro
import pytest
import torch
from toys import SIZES, TinyModel

from ltm_pyro import (
    ELBO,
    AbstractGuide,
    AmortisedGuide,
    Decoder,
    DoublyReparameterised,
    DualRateSVI,
    FastLoop,
    GaussianPrior,
    ImportanceWeighted,
    LatentThoughtModel,
    LearnedGaussianPrior,
    MeanFieldGuide,
    SlowStep,
)
from ltm_pyro.models.exact import LinearGaussian


def dual_rate(model, guide, steps=4, **slow):
    return DualRateSVI(model, guide, FastLoop(ELBO(), steps), SlowStep(ELBO(), **{"learning_rate": 1e-2, **slow}))


def test_pyros_parameter_store_stays_empty(tiny):
    svi = dual_rate(tiny.model, tiny.guide)
    for _ in range(3):
        svi.step(tiny.texts(3))
    assert len(pyro.get_param_store()) == 0


def test_the_optimizer_holds_nothing_of_the_batches_that_have_passed(tiny):
    svi = dual_rate(tiny.model, tiny.guide)
    svi.step(tiny.x)
    entries = len(svi.slow.optimizer.state)
    svi.step(tiny.texts(5))
    assert len(svi.slow.optimizer.state) == entries == len(list(tiny.model.parameters()))


def test_every_batch_starts_fresh_whatever_came_before(tiny):
    svi = DualRateSVI(tiny.model, tiny.guide, FastLoop(ELBO(), 5))
    results = []
    for before in (None, tiny.texts(3), tiny.texts(7)):
        if before is not None:
            svi.fit(before)
        pyro.set_rng_seed(0)
        svi.fit(tiny.x)
        results.append(tiny.guide.mu.detach().clone())
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize(("amortised", "same"), [(False, True), (True, False)])
def test_double_reparameterisation_is_of_the_guides_own_parameters_and_leaves_the_models_alone(amortised, same):
    """The gradient by θ is that of the bound; a guide without global parameters leaves no other."""
    moved = []
    for options in ({}, {"gradient": DoublyReparameterised()}):
        pyro.set_rng_seed(0)
        decoder = Decoder(**SIZES)
        model = LatentThoughtModel(LearnedGaussianPrior(decoder.z_shape), decoder)
        guide = AmortisedGuide(decoder.z_shape, width=8) if amortised else MeanFieldGuide(decoder.z_shape)
        guide.prepare(SIZES["vocabulary"])
        svi = DualRateSVI(model, guide, FastLoop(ELBO(), 3), SlowStep(ImportanceWeighted(4, **options), 1e-2))
        svi.step(torch.randint(SIZES["vocabulary"], (3, SIZES["length"])))
        svi.step(torch.randint(SIZES["vocabulary"], (3, SIZES["length"])))
        moved.append([p.detach().clone() for p in (guide if amortised else model).parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*moved, strict=True)) is same


def test_a_step_is_fit_and_then_slow_step(tiny):
    torch.manual_seed(0)
    other = TinyModel()
    other.model.load_state_dict(tiny.model.state_dict())
    one, two = dual_rate(tiny.model, tiny.guide), dual_rate(other.model, other.guide)
    pyro.set_rng_seed(0)
    terms = one.step(tiny.x)
    pyro.set_rng_seed(0)
    two.fit(tiny.x)
    assert torch.equal(two.slow.step(other.model, other.guide, tiny.x).bound, terms.bound)
    assert torch.equal(tiny.decoder.embedding.weight, other.decoder.embedding.weight)


def test_fitting_leaves_the_weights_alone(tiny):
    svi = dual_rate(tiny.model, tiny.guide)
    before = [parameter.detach().clone() for parameter in tiny.model.parameters()]
    svi.fit(tiny.x)
    assert all(torch.equal(p, old) for p, old in zip(tiny.model.parameters(), before, strict=True))


def test_inference_alone_has_no_slow_step(tiny):
    svi = DualRateSVI(tiny.model, tiny.guide, FastLoop(ELBO(), 1))
    with pytest.raises(RuntimeError, match="inference alone"):
        svi.step(tiny.x)


def test_mask_and_the_token_before_reach_model_and_guide(tiny):
    mask, previous = torch.arange(20).expand(3, 20) < 15, torch.tensor([3, 4, 5])
    svi = dual_rate(tiny.model, tiny.guide)
    assert svi.step(tiny.x, mask, previous=previous).bound.isfinite().all()


def test_learning_the_weights_brings_the_evidence_up():
    """Data of one linear-Gaussian model, the weights of another: log p(x) must rise to near the true model's."""
    truth, learner = LinearGaussian(), LinearGaussian()
    data = truth(batch_size=64).detach()
    svi = DualRateSVI(
        learner,
        MeanFieldGuide(learner.z_shape),
        FastLoop(ELBO(4), steps=15, learning_rate=0.2),
        SlowStep(ELBO(4), learning_rate=0.05, weight_decay=0.0),
    )
    start = learner.evidence(data).mean()
    for _ in range(60):
        svi.step(data)
    end, best = learner.evidence(data).mean(), truth.evidence(data).mean()
    assert start < best - 0.5
    assert end > start + 0.7 * (best - start)


def test_a_guides_own_parameters_are_learned_at_the_slow_rate():
    class SharedScale(AbstractGuide):
        """Its means are local, its one log-scale is everybody's."""

        def __init__(self, z_shape):
            super().__init__(z_shape)
            self.log_sigma = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))

        def start(self, x, mask=None, prior=None):
            self.mu = torch.zeros(len(x), *self.z_shape, dtype=torch.float64, requires_grad=True)

        def local_parameters(self):
            return [self.mu]

        def forward(self, x=None, mask=None, batch_size=None, previous=None):
            q = pyro.distributions.Normal(self.mu, self.log_sigma.exp()).to_event(3)
            with pyro.plate("sequences", len(self.mu), dim=-1):
                return pyro.sample("z", q)

    toy = LinearGaussian()
    guide = SharedScale(toy.z_shape)
    svi = dual_rate(toy, guide)
    svi.fit(toy.x)
    assert guide.log_sigma.item() == 0.0
    assert guide.log_sigma.grad is None
    assert guide.mu.abs().max() > 0
    svi.step(toy.x)
    assert guide.log_sigma.item() != 0.0


@pytest.mark.parametrize("bound", [ELBO(2), ImportanceWeighted(2)])
def test_a_step_in_bfloat16_is_finite_and_leaves_float32_weights(bound):
    decoder = Decoder(**SIZES, initial_scale=0.02)  # so small that the noise of z is worth less than two nats a text
    model = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder)
    svi = DualRateSVI(model, MeanFieldGuide(decoder.z_shape), FastLoop(bound, 3), SlowStep(bound))
    x = torch.randint(30, (3, 20))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = svi.step(x)
        assert model(batch_size=2).shape == (2, 20)
    assert terms.bound.dtype == torch.float32  # a sum over tokens in bfloat16 would have three digits
    assert terms.bound.isfinite().all()
    assert all(parameter.dtype == torch.float32 and parameter.isfinite().all() for parameter in model.parameters())
    exact = bound.terms(model, svi.guide, x).log_likelihood
    torch.testing.assert_close(terms.log_likelihood, exact, atol=2.0, rtol=0)


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_step_on_a_cuda_device(dtype):
    decoder = Decoder(**SIZES)
    model = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder).cuda()
    svi = DualRateSVI(model, MeanFieldGuide(decoder.z_shape), FastLoop(ELBO(2), 3), SlowStep(ELBO(2)))
    with torch.autocast("cuda", dtype=dtype, enabled=dtype != torch.float32):
        terms = svi.step(torch.randint(30, (3, 20), device="cuda"))
        text = model(batch_size=2)
    assert terms.bound.is_cuda
    assert terms.bound.isfinite().all()
    assert text.is_cuda
