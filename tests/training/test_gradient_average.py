"""The slow gradient along the fast loop is the mean of its passes' gradients, written out by hand."""

import pytest
import torch
from toys import TinyModel, autoregressive_with

from ltm_pyro import (
    ELBO,
    ChiUpper,
    DualRateSVI,
    EmptyGuide,
    FastLoop,
    InputError,
    KLWeighted,
    LearnedGaussianPrior,
    MAPGuide,
    SemiAmortisedGuide,
    SlowStep,
    SVGDGuide,
)
from ltm_pyro.training.observers import GradientAverage

RATE = 0.1


def tiny_with(guide=None):
    """A tiny model whose prior learns too."""
    torch.manual_seed(0)
    tiny = TinyModel()
    tiny.model.prior = LearnedGaussianPrior(tiny.decoder.z_shape).double()
    if guide is not None:
        tiny.guide = guide(tiny.decoder.z_shape).double()
    return tiny


def svi_of(tiny, fast, steps, slow=None, averages=True, **options):
    optimizer = torch.optim.SGD
    loop = FastLoop(fast, steps, learning_rate=RATE, final_fraction=1.0, optimizer=optimizer, **options)
    observers = [GradientAverage()] if averages else []
    return DualRateSVI(tiny.model, tiny.guide, loop, SlowStep(slow or fast, clip=0.0), observers)


def by_hand(tiny, fast, slow, steps, mask):
    """The mean over all passes, of the weights' gradients in nats a scored token."""
    weights, guide = list(tiny.model.parameters()), tiny.guide
    with torch.no_grad():
        guide.start(tiny.x, mask, prior=tiny.model.prior())
    total = [torch.zeros_like(weight) for weight in weights]
    for step in range(steps + 1):
        rows = guide.local_parameters()
        loss = -(slow if step == steps else fast).terms(tiny.model, guide, tiny.x, mask).objective.sum()
        slopes = torch.autograd.grad(loss, [*weights, *rows], allow_unused=True)
        for place, slope in enumerate(slopes[: len(weights)]):
            total[place] += 0 if slope is None else slope
        if step < steps:
            with torch.no_grad():
                for row, slope in zip(rows, slopes[len(weights) :], strict=True):
                    row.sub_(RATE * slope)
    return [each / mask.sum() / (steps + 1) for each in total]


@pytest.mark.parametrize("steps", [0, 1, 4])
@pytest.mark.parametrize("fast", [ELBO(2), KLWeighted(0.1)])
def test_it_is_the_mean_over_all_passes(steps, fast):
    tiny, slow = tiny_with(), ELBO()
    mask = torch.arange(20) < torch.tensor([[20], [7], [13]])
    torch.manual_seed(1)
    expected = by_hand(tiny, fast, slow, steps, mask)
    ended = [row.detach().clone() for row in tiny.guide.local_parameters()]
    svi = svi_of(tiny, fast, steps, slow)
    torch.manual_seed(1)
    svi.step(tiny.x, mask)
    for weight, gradient in zip(tiny.model.parameters(), expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient, rtol=1e-8, atol=1e-11)
    for row, end in zip(tiny.guide.local_parameters(), ended, strict=True):
        torch.testing.assert_close(row, end, rtol=1e-8, atol=1e-11)


def gradients(tiny, svi, slices, **inputs):
    svi.step_in_slices([{"x": tiny.x[rows]} for rows in slices], tokens=tiny.x.numel(), **inputs)
    return [weight.grad.clone() for weight in tiny.model.parameters() if weight.grad is not None]


def test_slices_give_the_gradient_of_the_whole_batch():
    """Points have no noise, so that slices draw what the batch draws: nothing."""
    found = []
    for slices in ([slice(0, 3)], [slice(0, 1), slice(1, 2), slice(2, 3)]):
        tiny = tiny_with(MAPGuide)
        found.append(gradients(tiny, svi_of(tiny, ELBO(), 3), slices))
    torch.testing.assert_close(found[1], found[0], rtol=1e-8, atol=1e-11)


def test_particles_that_move_each_for_themselves_weigh_as_a_mean():
    """A loop that stands still has, as its mean, the gradient at its end."""
    found = []
    for averages in (True, False):
        tiny = tiny_with(lambda shape: SVGDGuide(shape, particles=4))
        svi = svi_of(tiny, ELBO(), 3, ELBO(4), averages)
        svi.fast.learning_rate = 1e-12
        torch.manual_seed(1)
        found.append(gradients(tiny, svi, [slice(0, 3)]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-6, atol=1e-9)


def test_a_part_of_the_positions_is_an_unbiased_part_of_the_gradient():
    """On average over the positions drawn; at a fast rate of nearly zero, so that all else stays."""
    samples = []
    tiny = tiny_with(MAPGuide)
    state = {name: value.clone() for name, value in tiny.model.state_dict().items()}
    for tokens in (1.0, *[0.5] * 100):
        tiny.model.load_state_dict(state)
        svi = svi_of(tiny, ELBO(), 1, tokens=tokens)
        svi.fast.learning_rate = 1e-12
        samples.append(torch.cat([g.flatten() for g in gradients(tiny, svi, [slice(0, 3)])]))
    exact, drawn = samples[0], torch.stack(samples[1:])
    along = torch.randn(len(exact), 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    error = (drawn @ along).std(0) / 100**0.5
    assert (((drawn @ along).mean(0) - exact @ along) / error).abs().max() < 4


def test_without_local_parameters_it_is_the_gradient_at_the_end():
    tiny = tiny_with()
    found = []
    for averages in (True, False):
        tiny = tiny_with(EmptyGuide)
        tiny.model = autoregressive_with()
        torch.manual_seed(1)
        found.append(gradients(tiny, svi_of(tiny, ELBO(), 3, averages=averages), [slice(0, 3)]))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_what_it_does_not_go_with_is_refused():
    tiny = tiny_with()
    with pytest.raises(
        InputError, match=r"GradientAverage trains the weights with the fast loop's bound too: ChiUpper"
    ):
        svi_of(tiny, ChiUpper(2), 1, ELBO()).step(tiny.x)
    tiny.guide = SemiAmortisedGuide(tiny.decoder.z_shape, 30, through="refinement").double()
    with pytest.raises(InputError, match=r"GradientAverage does not work with SemiAmortisedGuide, .*through='own'"):
        svi_of(tiny, ELBO(), 1).step(tiny.x)
    assert all(weight.grad is None for weight in tiny.model.parameters())


def test_a_slow_step_that_names_it_is_the_same():
    found = []
    for named in (True, False):
        tiny = tiny_with()
        fast, average = FastLoop(ELBO(), 3), GradientAverage()
        slow = SlowStep(ELBO(), observer=average if named else None)
        svi = DualRateSVI(tiny.model, tiny.guide, fast, slow, [] if named else [average])
        torch.manual_seed(1)
        found.append(gradients(tiny, svi, [slice(0, 3)]))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
