"""The way back through the fast loop is the derivative of the loop."""

from functools import partial

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import nn
from toys import TinyModel

from ltm_pyro import (
    ELBO,
    DoublyReparameterised,
    DualRateSVI,
    FastLoop,
    ImportanceWeighted,
    InputError,
    Reparameterised,
    SemiAmortisedGuide,
    SlowStep,
)
from ltm_pyro.inference import UnrolledLoop

SGD, Adam = torch.optim.SGD, torch.optim.Adam
OPTIMIZERS = {
    "SGD": (SGD, 0.02, {}),
    "momentum": (SGD, 0.02, {"momentum": 0.7}),
    "damped": (SGD, 0.02, {"momentum": 0.7, "dampening": 0.3, "weight_decay": 0.1}),
    "Nesterov": (SGD, 0.02, {"momentum": 0.7, "nesterov": True}),
    "Adam": (Adam, 0.2, {}),
    "Adam, short": (Adam, 0.2, {"betas": (0.3, 0.6), "eps": 1e-3, "weight_decay": 0.1}),
}
EXACT = {"rtol": 1e-6, "atol": 1e-7}


class LinearEncoder(nn.Module):
    """Shifts of mean and log-scale that are linear in what is observed."""

    def __init__(self, z_shape, observed=3):
        super().__init__()
        self.z_shape, self.map = z_shape, nn.Linear(observed, 2 * z_shape[0] * z_shape[1] * z_shape[2])
        with torch.no_grad():
            self.map.weight.normal_(std=0.1)
        self.double()

    def forward(self, x, mask=None):
        shift, log_scale = self.map(x).chunk(2, -1)
        return shift.view(-1, *self.z_shape), log_scale.view(-1, *self.z_shape)


def by_sgd(rows, slopes, state, number, rate, momentum=0.0, dampening=0.0, nesterov=False, weight_decay=0.0):
    moved, velocities = [], []
    for place, (row, slope) in enumerate(zip(rows, slopes, strict=True)):
        slope = slope + weight_decay * row
        velocity = slope if number == 0 else momentum * state[place] + (1 - dampening) * slope
        moved.append(row - rate * (slope + momentum * velocity if nesterov else velocity))
        velocities.append(velocity)
    return moved, velocities


def by_adam(rows, slopes, state, number, rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    moved, states = [], []
    for place, (row, slope) in enumerate(zip(rows, slopes, strict=True)):
        slope = slope + weight_decay * row
        m, v = state[place] if state else (0.0, 0.0)
        m, v = betas[0] * m + (1 - betas[0]) * slope, betas[1] * v + (1 - betas[1]) * slope**2
        step = (m / (1 - betas[0] ** (number + 1))) / ((v / (1 - betas[1] ** (number + 1))).sqrt() + eps)
        moved.append(row - rate * step)
        states.append((m, v))
    return moved, states


def unrolled(toy, encoder, fast, update, slow_bound, moves=None):
    """The encoder's gradient of the slow loss, by automatic differentiation through every step."""

    class Held(nn.Module):
        def forward(self, x=None, mask=None, batch_size=None, previous=None):
            q = dist.Normal(self.rows[0], self.rows[1].exp()).to_event(3)
            with pyro.plate("sequences", len(x), dim=-1):
                return pyro.sample("z", q)

    held, state = Held(), []
    shift, log_scale = encoder(toy.x)
    mean, sigma = toy.prior().mean, toy.prior().stddev
    held.rows = [mean + sigma * shift, sigma.log() + log_scale]
    for number in range(len(moves or range(fast.steps))):
        loss = -fast.bound.terms(toy, held, x=toy.x).objective.sum()
        slopes = torch.autograd.grad(loss, held.rows, create_graph=True)
        before = held.rows
        held.rows, state = update(held.rows, slopes, state, number, fast.rate(number))
        if moves:
            held.rows = [
                torch.where(moves[number].view(-1, 1, 1, 1), *pair) for pair in zip(held.rows, before, strict=True)
            ]
    loss = -slow_bound.terms(toy, held, x=toy.x).objective.sum() / toy.x.numel()
    return torch.autograd.grad(loss, list(encoder.parameters())), [row.detach() for row in held.rows]


def semi_amortised(toy, through="refinement"):
    return SemiAmortisedGuide(toy.z_shape, through=through, encoder=LinearEncoder(toy.z_shape))


def loop(name, bound=None, steps=5, **options):
    kind, rate, given = OPTIMIZERS[name]
    return FastLoop(bound or ELBO(2), steps, rate, optimizer=partial(kind, **given), **options)


def learned(toy, guide, fast, slow_bound=None, seed=3):
    """The encoder's gradient, and the model's, of one slow step."""
    slow = SlowStep(slow_bound or ELBO(), learning_rate=1e-30, clip=0.0)
    svi = DualRateSVI(toy, guide, fast, slow)
    pyro.set_rng_seed(seed)
    svi.step(toy.x)
    return [parameter.grad.clone() for parameter in guide.parameters()], [p.grad.clone() for p in toy.parameters()]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_encoder_follows_the_derivative_of_the_unrolled_loop(name, toy):
    guide, fast = semi_amortised(toy), loop(name)
    update = partial(by_sgd if OPTIMIZERS[name][0] is SGD else by_adam, **OPTIMIZERS[name][2])
    pyro.set_rng_seed(3)
    expected, rows = unrolled(toy, guide.reader.encoder, fast, update, ELBO())
    found, _ = learned(toy, guide, fast)
    for row, arrived in zip(guide.local_parameters(), rows, strict=True):
        torch.testing.assert_close(row.detach(), arrived, rtol=0, atol=1e-9)  # it is the same loop
    assert len(found) == len(expected) == 2
    for one, other in zip(found, expected, strict=True):
        assert other.abs().max() > 1e-3
        torch.testing.assert_close(one, other, **EXACT)


@pytest.mark.parametrize("bound", [ImportanceWeighted(3), ELBO(2, closed_form_kl=False, gradient=Reparameterised())])
def test_so_it_does_through_other_bounds(bound, toy):
    guide, fast = semi_amortised(toy), loop("momentum", bound)
    pyro.set_rng_seed(3)
    slow_bound = ImportanceWeighted(2)
    expected, _ = unrolled(toy, guide.reader.encoder, fast, partial(by_sgd, momentum=0.7), slow_bound)
    found, _ = learned(toy, guide, fast, slow_bound)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, **EXACT)


def test_neither_the_slope_at_the_end_alone_nor_the_start_is_that_derivative(toy):
    """Wrong ways back differ from the derivative: the loop taken for the identity, and nothing refined at all."""
    guide, fast = semi_amortised(toy), loop("momentum")
    right, _ = learned(toy, guide, fast)
    no_loop, _ = learned(toy, guide, fast.lasting(0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UnrolledLoop, "_curvature_along", lambda self, step, directions: [0 * v for v in directions])
        without_curvature, _ = learned(toy, guide, fast)
    for wrong in (no_loop, without_curvature):
        with pytest.raises(AssertionError):
            torch.testing.assert_close(wrong[0], right[0], rtol=0.1, atol=0)


def test_sequences_that_rest_are_followed_as_they_moved(toy):
    guide, moves = semi_amortised(toy), []
    fast = loop("momentum", ELBO(8), tolerance=1.0, patience=1, steps=6)
    pyro.set_rng_seed(3)
    fast.fit(toy, guide, toy.x)
    moves = [step.moves for step in guide._unrolled._steps]
    assert len({tuple(mask.tolist()) for mask in moves}) > 2  # some rest earlier than others
    pyro.set_rng_seed(3)
    update = partial(by_sgd, momentum=0.7)
    expected, _ = unrolled(toy, guide.reader.encoder, fast, update, ELBO(), moves)
    found, _ = learned(toy, guide, fast)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, **EXACT)


def test_the_way_back_takes_no_random_numbers_from_others(toy):
    after = []
    for through in ("refinement", None):
        guide = semi_amortised(toy)
        pyro.set_rng_seed(3)
        loop("SGD").fit(toy, guide, toy.x)
        if through:
            guide._unrolled.backward([torch.ones_like(row) for row in guide.local_parameters()])
        after.append(torch.rand(1))
    assert after[0] == after[1]


def test_the_models_weights_learn_at_the_refined_posterior_alone(toy):
    for through in ("own", "refinement"):
        guide, fast = semi_amortised(toy, through), loop("momentum")
        _, found = learned(toy, guide, fast)
        pyro.set_rng_seed(3)
        fast.fit(toy, guide, toy.x)
        loss = ELBO().differentiable_loss(toy, guide, toy.x) / toy.x.numel()
        expected = torch.autograd.grad(loss, list(toy.parameters()))
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_nothing_is_left_behind(toy):
    guide, fast = semi_amortised(toy), loop("Adam")
    learned(toy, guide, fast)
    assert all(row.grad is None and row.requires_grad and row.is_leaf for row in guide.local_parameters())
    assert guide._unrolled is None
    assert len(pyro.get_param_store()) == 0


def test_single_precision_comes_close(tiny):
    """The difference of gradients is coarser there; it points where the exact one does."""
    mask = torch.arange(20).expand(3, 20) < torch.tensor([[20], [7], [0]])  # the last says nothing: no gradient at all
    model, x, found = tiny.model, tiny.x, []
    guide = SemiAmortisedGuide(tiny.decoder.z_shape, vocabulary=30, through="refinement", width=16)
    with torch.no_grad():
        guide.reader.encoder.head.weight.normal_(std=0.1)
    for kind in (torch.float64, torch.float32):
        model.to(kind), guide.to(kind)
        svi = DualRateSVI(model, guide, FastLoop(FromOne(ELBO()), 4, 0.1), SlowStep(ELBO(), 1e-30, clip=0.0))
        pyro.set_rng_seed(0)
        svi.fit(x, mask)
        guide.zero_grad()
        ends = [torch.linspace(-1, 1, row.numel(), dtype=kind).view_as(row) for row in guide.local_parameters()]
        found.append(torch.cat([row.flatten().double() for row in guide._unrolled.backward(ends)]))
        assert found[-1].isfinite().all()
    off = (found[1] - found[0]).norm() / found[0].norm()
    assert off < 0.02


def test_half_precision_around_it_does_not_make_it_coarse():
    tiny = TinyModel()
    tiny.model.float()
    guide = SemiAmortisedGuide(tiny.decoder.z_shape, vocabulary=30, through="refinement", width=16)
    FastLoop(ELBO(), 3, 0.1).fit(tiny.model, guide, tiny.x)
    ends = [torch.ones_like(row) for row in guide.local_parameters()]
    plain = guide._unrolled.backward(ends)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = guide._unrolled.backward(ends)
    for one, other in zip(mixed, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


class FromOne(ELBO):
    """An ELBO whose noise is the same in every precision."""

    def __init__(self, inner):
        super().__init__(inner.particles)

    def terms(self, model, guide, *args, **kwargs):
        normal = torch.distributions.utils._standard_normal

        def drawn(shape, dtype, device):
            return normal(shape, torch.float64, device).to(dtype)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("torch.distributions.normal._standard_normal", drawn)
            return super().terms(model, guide, *args, **kwargs)


@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, torch.optim.RMSprop, partial(Adam, amsgrad=True)])
def test_an_optimizer_that_cannot_be_followed_is_refused(optimizer, toy):
    fast = FastLoop(ELBO(), 2, optimizer=optimizer)
    with pytest.raises(InputError, match=r"cannot be differentiated.*torch\.optim\.SGD or torch\.optim\.Adam"):
        fast.fit(toy, semi_amortised(toy), toy.x)
    fast.fit(toy, semi_amortised(toy, "own"), toy.x)
    fast.fit(toy, semi_amortised(toy).eval(), toy.x)


@pytest.mark.parametrize("bound", [ELBO(closed_form_kl=False), ImportanceWeighted(4, gradient=DoublyReparameterised())])
def test_a_gradient_that_is_none_of_a_function_is_refused(bound, toy):
    with pytest.raises(InputError, match=r"no derivative .* gradient=Reparameterised\(\); or .* through='own'"):
        FastLoop(bound, 2).fit(toy, semi_amortised(toy), toy.x)
    FastLoop(bound, 2).fit(toy, semi_amortised(toy).eval(), toy.x)
