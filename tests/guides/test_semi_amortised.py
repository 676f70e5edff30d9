"""The guide that an encoder starts and the fast loop refines."""

import pyro
import pytest
import torch
from pyro import poutine
from toys import TinyModel, large_weights

from ltm_pyro import (
    ELBO,
    AmortisedGuide,
    DualRateSVI,
    FastLoop,
    ImportanceWeighted,
    InputError,
    MeanFieldGuide,
    SemiAmortisedGuide,
    SlowStep,
)
from ltm_pyro.inference import NaturalGradient

VOCABULARY, SIZES = 30, {"width": 16, "heads": 2}
TIGHT = {"atol": 1e-9, "rtol": 0}
both = pytest.mark.parametrize("through", ["own", "refinement"])


def guide_of(tiny, through="own", learned=True):
    guide = SemiAmortisedGuide(tiny.decoder.z_shape, VOCABULARY, through, **SIZES).double()
    return large_weights(guide, 0.1) if learned else guide


def rows_of(guide):
    return [row.detach().clone() for row in guide.local_parameters()]


def test_it_starts_where_its_encoder_says(tiny):
    guide, amortised = guide_of(tiny), AmortisedGuide(tiny.decoder.z_shape, VOCABULARY, **SIZES).double()
    amortised.load_state_dict(guide.state_dict())
    for each in (guide, amortised):
        FastLoop(ELBO(), steps=0).fit(tiny.model, each, tiny.x)
    sites = [poutine.trace(each).get_trace(tiny.x).nodes["z"]["fn"] for each in (guide, amortised)]
    torch.testing.assert_close(sites[0].mean, sites[1].mean)
    torch.testing.assert_close(sites[0].stddev, sites[1].stddev)
    assert sites[0].mean.abs().max() > 0.1
    plain = guide_of(tiny, learned=False)
    FastLoop(ELBO(), steps=0).fit(tiny.model, plain, tiny.x)
    assert ELBO().terms(tiny.model, plain, tiny.x).kl.abs().max() < 1e-9


def test_its_rows_are_leaves_apart_from_its_weights(tiny):
    guide = guide_of(tiny)
    names = set(guide.state_dict())
    guide.start(tiny.x, prior=tiny.model.prior())
    assert all(len(row) == 3 and row.is_leaf and row.requires_grad for row in guide.local_parameters())
    assert set(guide.state_dict()) == names
    assert not {id(p) for p in guide.parameters()} & {id(row) for row in guide.local_parameters()}
    with pyro.plate("particles", 5, dim=-2):
        assert guide(tiny.x).shape == (5, 3, *tiny.decoder.z_shape)
    with pytest.raises(InputError, match=r"guide\.start"):
        guide(tiny.x[:2])


def test_the_fast_loop_refines_it_as_it_does_a_mean_field_guide(tiny):
    """From the same start they arrive at the same place."""
    guide, plain = guide_of(tiny, learned=False), MeanFieldGuide(tiny.decoder.z_shape)
    for each in (guide, plain):
        pyro.set_rng_seed(0)
        FastLoop(ELBO(2), steps=5).fit(tiny.model, each, tiny.x)
    for one, other in zip(rows_of(guide), rows_of(plain), strict=True):
        torch.testing.assert_close(one, other, **TIGHT)
    assert all(parameter.grad is None for parameter in guide.parameters())


@both
def test_a_posterior_depends_on_nothing_but_its_text(through, tiny):
    guide = guide_of(tiny, through)
    mask = torch.arange(20).expand(3, 20) < 12
    other = torch.cat((tiny.x[:1], tiny.texts(2)))
    found = []
    for x, seen in ((tiny.x, mask), (other, mask), (tiny.x[:, :12], None), (tiny.x, None)):
        pyro.set_rng_seed(0)
        FastLoop(ELBO(2), steps=4).fit(tiny.model, guide, x, seen)
        found.append(rows_of(guide))
    for row in range(2):
        torch.testing.assert_close(found[0][row][0], found[1][row][0], **TIGHT)
        torch.testing.assert_close(found[0][row], found[2][row], **TIGHT)
        assert (found[0][row] - found[3][row]).abs().max() > 1e-3


def test_by_its_own_bound_the_encoder_learns_as_an_amortised_one_does(tiny):
    """Of the same noise, its gradient is that of the bound at its own q."""
    guide = guide_of(tiny)
    svi = DualRateSVI(tiny.model, guide, FastLoop(ELBO(), steps=3), SlowStep(ELBO(2), 1e-30, clip=0.0))
    svi.fit(tiny.x)
    state = []
    backward_guide = guide.backward_guide
    guide.backward_guide = lambda loss: (state.append(torch.get_rng_state()), backward_guide(loss))
    svi.slow.step(svi.model, guide, tiny.x)
    found = [parameter.grad.clone() for parameter in guide.parameters()]
    amortised = AmortisedGuide(tiny.decoder.z_shape, VOCABULARY, **SIZES).double()
    amortised.load_state_dict(guide.state_dict())
    amortised.start(tiny.x, prior=tiny.model.prior())
    torch.set_rng_state(state[0])
    (ELBO(2).differentiable_loss(tiny.model, amortised, tiny.x) / tiny.x.numel()).backward()
    for one, parameter in zip(found, amortised.parameters(), strict=True):
        torch.testing.assert_close(one, parameter.grad, **TIGHT)
    assert sum(one.abs().sum() for one in found) > 1e-3


@both
def test_the_models_weights_take_nothing_from_the_encoders_lesson(through, tiny):
    """They get what they would get from a mean-field guide with the same rows."""
    guide, plain = guide_of(tiny, through), MeanFieldGuide(tiny.decoder.z_shape)
    svi = DualRateSVI(tiny.model, guide, FastLoop(ELBO(), steps=3), SlowStep(ELBO(2), 1e-30, clip=0.0))
    pyro.set_rng_seed(0)
    svi.step(tiny.x)
    found = {name: parameter.grad.clone() for name, parameter in tiny.model.named_parameters()}
    pyro.set_rng_seed(0)
    svi.fit(tiny.x)
    plain.start(tiny.x)
    plain.mu, plain.log_sigma = (row.detach() for row in guide.local_parameters())
    SlowStep.prepare(slow := SlowStep(ELBO(2), 1e-30, clip=0.0), tiny.model.parameters())
    slow.step(tiny.model, plain, tiny.x)
    for name, parameter in tiny.model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, **TIGHT)


@both
def test_every_weight_of_the_encoder_learns_and_the_rows_are_left_clean(through, tiny):
    guide = guide_of(tiny, through)
    svi = DualRateSVI(tiny.model, guide, FastLoop(ELBO(), steps=2), SlowStep(ELBO(), 1e-2))
    before = {name: value.clone() for name, value in guide.named_parameters()}
    mask = torch.arange(20).expand(3, 20) < torch.tensor([[20], [12], [0]])
    svi.step(tiny.x, mask)
    moved = {name for name, value in guide.named_parameters() if (value != before[name]).any()}
    assert moved == set(before)
    assert all(parameter.isfinite().all() for parameter in guide.parameters())
    assert all(row.grad is None and row.requires_grad for row in guide.local_parameters()) or through == "own"
    assert all(parameter.requires_grad for parameter in tiny.model.parameters())


@both
def test_what_the_encoder_learns_makes_a_short_refinement_end_higher(through):
    torch.manual_seed(3)
    tiny = TinyModel(batch=4)
    tiny.model.requires_grad_(False)
    guide = guide_of(tiny, through, learned=False)
    fast = FastLoop(ELBO(4), steps=3, learning_rate=0.1)
    svi = DualRateSVI(tiny.model, guide, fast, SlowStep(ELBO(4), 1e-2, weight_decay=0.0))

    def at_the_end(steps):
        fast.lasting(steps).fit(tiny.model, guide, tiny.x)
        return ELBO(300).terms(tiny.model, guide, tiny.x).bound.mean().item()

    before = at_the_end(0), at_the_end(3)
    for _ in range(30):
        svi.step(tiny.x)
    assert at_the_end(3) > before[1] + 1.5
    assert at_the_end(0) > before[0] + 1.5


@both
def test_without_its_lesson_the_encoder_learns_nothing(through, tiny):
    guide = guide_of(tiny, through)
    guide.backward_guide = lambda loss: None
    DualRateSVI(tiny.model, guide, FastLoop(ELBO(), steps=2), SlowStep(ELBO(), 1e-2)).step(tiny.x)
    assert all(parameter.grad is None for parameter in guide.parameters())


def test_other_bounds_and_optimizers_teach_too(tiny):
    guide = guide_of(tiny)
    natural = FastLoop(ELBO(), steps=2, learning_rate=0.1, optimizer=NaturalGradient)
    DualRateSVI(tiny.model, guide, natural, SlowStep(ImportanceWeighted(3), 1e-2)).step(tiny.x)
    assert all(parameter.grad is not None for parameter in guide.parameters())


def test_to_learn_through_what_was_not_noted_is_refused(tiny):
    guide = guide_of(tiny, "refinement").eval()
    svi = DualRateSVI(tiny.model, guide, FastLoop(ELBO(), steps=2), SlowStep(ELBO(), 1e-2))
    with pytest.raises(InputError, match=r"guide\.train\(\)"):
        svi.step(tiny.x)


def test_another_way_to_learn_is_refused():
    with pytest.raises(InputError, match="through='both': expected 'own' or 'refinement'"):
        SemiAmortisedGuide((1, 2, 2), VOCABULARY, through="both")


def test_it_is_of_the_mean_field_family(tiny):
    assert guide_of(tiny).family == MeanFieldGuide(tiny.decoder.z_shape).family
