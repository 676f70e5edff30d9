"""The slow step: the schedule, what decays, what is clipped, what is restored, and what is refused."""

import math
from dataclasses import replace

import pyro
import pytest
import torch
from torch import nn
from toys import TinyModel, autoregressive_with

from ltm_pyro import ELBO, EmptyGuide, ImportanceWeighted, InputError, NonFiniteError, SlowStep


def prepared(model, **options):
    slow = SlowStep(**{"bound": ELBO(), "learning_rate": 1e-2, **options})
    slow.prepare(model.parameters())
    return slow


def copies(model):
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def assert_same(ones, others):
    assert ones.keys() == others.keys()
    assert all(torch.equal(ones[name], others[name]) for name in ones)


# ---- the rate


def test_the_rate_rises_linearly_and_falls_as_a_cosine():
    slow = SlowStep(ELBO(), learning_rate=1.0, steps=21, warmup=10, final_fraction=0.1)
    assert [slow.rate(step) for step in range(10)] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert slow.rate(10) == pytest.approx(1.0)
    assert slow.rate(15) == pytest.approx(0.55)
    assert slow.rate(20) == pytest.approx(0.1)
    assert slow.rate(1000) == pytest.approx(0.1)


def test_without_a_number_of_steps_the_rate_stays():
    slow = SlowStep(ELBO(), learning_rate=1.0, warmup=2)
    assert [slow.rate(step) for step in (0, 1, 2, 1000)] == [0.5, 1.0, 1.0, 1.0]


def test_the_rates_that_are_stated_are_those_that_run(tiny):
    used = []

    class Watched(torch.optim.AdamW):
        def step(self, closure=None):
            used.append({group["lr"] for group in self.param_groups})
            return super().step(closure)

    slow = prepared(tiny.model, steps=6, warmup=2, optimizer=Watched)
    for _ in range(6):
        slow.step(tiny.model, tiny.guide, tiny.x)
    assert used == [{slow.rate(step)} for step in range(6)]
    assert slow.taken == 6


# ---- what it moves


def test_it_raises_the_bound_and_moves_every_weight():
    model, x = autoregressive_with(), torch.randint(30, (3, 20))
    slow, before = prepared(model), copies(model)
    values = [slow.step(model, EmptyGuide(), x).bound.sum() for _ in range(5)]
    assert values[-1] > values[0] + 1
    assert all((parameter != before[name]).any() for name, parameter in model.named_parameters())


def test_the_gradient_is_that_of_the_loss_in_nats_a_scored_token():
    model, x = autoregressive_with(), torch.randint(30, (3, 20))
    mask = torch.rand(3, 20) < 0.5
    expected = torch.autograd.grad(
        ELBO().differentiable_loss(model, EmptyGuide(), x, mask) / mask.sum(), list(model.parameters())
    )
    prepared(model, clip=0.0).step(model, EmptyGuide(), x, mask)
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-12, rtol=0)


def test_nothing_of_an_earlier_gradient_is_left():
    model, x = autoregressive_with(), torch.randint(30, (3, 20))
    expected = torch.autograd.grad(ELBO().differentiable_loss(model, EmptyGuide(), x) / 60, list(model.parameters()))
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 100.0)
    prepared(model, clip=0.0).step(model, EmptyGuide(), x)
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-12, rtol=0)


def test_the_local_parameters_neither_move_nor_get_a_gradient(tiny):
    before = [row.detach().clone() for row in tiny.guide.local_parameters()]
    prepared(tiny.model).step(tiny.model, tiny.guide, tiny.x)
    for row, old in zip(tiny.guide.local_parameters(), before, strict=True):
        assert row.grad is None
        assert row.requires_grad
        assert torch.equal(row, old)


def test_weight_decay_acts_on_matrices_only(tiny):
    for rate, decays in ((0.0, False), (0.5, True)):
        model = TinyModel().model
        slow = prepared(model, weight_decay=rate, learning_rate=0.1)
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        before = copies(model)
        slow.optimizer.step()  # with no gradient, what moves is what decays
        moved = {name for name, parameter in model.named_parameters() if (parameter != before[name]).any()}
        assert moved == {name for name, p in model.named_parameters() if decays and p.dim() == 2}


@pytest.mark.parametrize("clip", [0.0, 1e-3])
def test_the_gradient_is_clipped_where_it_is_asked_for(clip, tiny):
    prepared(tiny.model, clip=clip).step(tiny.model, tiny.guide, tiny.x)
    norm = torch.stack([parameter.grad.norm() for parameter in tiny.model.parameters()]).norm().item()
    assert norm == pytest.approx(1e-3, rel=1e-2) if clip else norm > 1e-2


def test_a_parameter_that_is_shared_by_model_and_guide_moves_once():
    class Sharing(EmptyGuide):
        def __init__(self, decoder):
            super().__init__()
            self.decoder = decoder

    model, x = autoregressive_with(), torch.randint(30, (3, 20))
    guide = Sharing(model.decoder)
    slow = SlowStep(ELBO())
    slow.prepare([*model.parameters(), *guide.parameters()])
    assert len(slow.parameters) == len(list(model.parameters()))
    slow.step(model, guide, x)


def test_a_frozen_parameter_is_left_alone(tiny):
    tiny.decoder.embedding.weight.requires_grad_(False)
    slow, before = prepared(tiny.model), copies(tiny.model)
    slow.step(tiny.model, tiny.guide, tiny.x)
    assert torch.equal(tiny.decoder.embedding.weight, before["decoder.embedding.weight"])


def test_the_terms_are_those_before_the_step_and_hold_no_history(tiny):
    model, x = autoregressive_with(), torch.randint(30, (3, 20))
    expected = ELBO().terms(model, EmptyGuide(), x).bound
    terms = prepared(model).step(model, EmptyGuide(), x)
    torch.testing.assert_close(terms.bound, expected.detach(), atol=1e-12, rtol=0)
    assert not terms.bound.requires_grad


def test_any_optimizer_serves(tiny):
    def momentum(groups, lr, betas):
        return torch.optim.SGD(groups, lr=lr, momentum=betas[0])

    before = copies(tiny.model)
    prepared(tiny.model, optimizer=momentum).step(tiny.model, tiny.guide, tiny.x)
    assert (tiny.decoder.embedding.weight != before["decoder.embedding.weight"]).any()


# ---- state


def run(slow, tiny, steps):
    for step in range(steps):
        torch.manual_seed(slow.taken)
        slow.step(tiny.model, tiny.guide, tiny.x)
        assert slow.taken > step


def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit():
    schedule = {"steps": 8, "warmup": 3}
    torch.manual_seed(0)
    whole = TinyModel()
    torch.manual_seed(0)
    broken = TinyModel()
    slow = prepared(whole.model, **schedule)
    run(slow, whole, 6)

    first = prepared(broken.model, **schedule)
    run(first, broken, 3)
    state, weights = first.state_dict(), copies(broken.model)
    torch.manual_seed(0)
    resumed = TinyModel()
    resumed.model.load_state_dict(weights, strict=False)
    second = prepared(resumed.model, **schedule)
    second.load_state_dict(state)
    run(second, resumed, 3)
    assert_same(copies(resumed.model), copies(whole.model))

    forgetful = prepared(broken.model, **schedule)  # without the state the runs part
    run(forgetful, broken, 3)
    assert not torch.equal(broken.decoder.embedding.weight, whole.decoder.embedding.weight)


# ---- what is not finite


@pytest.fixture
def _as_in_training():
    """Pyro's checks off: they would warn of the NaN before it is refused."""
    with pyro.validation_enabled(False):
        yield


@pytest.mark.usefixtures("_as_in_training")
@pytest.mark.parametrize("bound", [ELBO(), ImportanceWeighted(2)])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_bound_that_is_not_finite_leaves_everything_as_it_was(bound, value, tiny):
    slow = prepared(tiny.model, bound=bound)
    slow.step(tiny.model, tiny.guide, tiny.x)
    with torch.no_grad():
        tiny.decoder.norm.weight[0] = value
    before, moments = copies(tiny.model), slow.optimizer.state_dict()["state"]
    moments = {key: {name: entry.clone() for name, entry in state.items()} for key, state in moments.items()}
    with pytest.raises(NonFiniteError, match="the objective is not finite") as caught:
        slow.step(tiny.model, tiny.guide, tiny.x)
    after = copies(tiny.model)
    assert all(torch.equal(before[name].nan_to_num(), after[name].nan_to_num()) for name in before)
    for key, state in slow.optimizer.state_dict()["state"].items():
        assert all(torch.equal(entry, moments[key][name]) for name, entry in state.items())
    assert slow.taken == 1
    assert not caught.value.terms.bound.isfinite().any()
    assert not caught.value.terms.bound.requires_grad


def test_a_gradient_that_is_not_finite_is_named_as_such(tiny):
    class Kinked(nn.Module):
        """Adds sqrt(0) to the objective: finite, with an infinite slope."""

        refusal_of_slow_step = None

        def __init__(self, inner):
            super().__init__()
            self.inner, self.at_zero = inner, nn.Parameter(torch.zeros(1, dtype=torch.float64))

        def terms(self, model, guide, *args, **kwargs):
            terms = ELBO().terms(self.inner, guide, *args, **kwargs)
            return replace(terms, objective=terms.objective + self.at_zero.sqrt())

    kinked = Kinked(tiny.model)
    slow = prepared(kinked, bound=kinked)
    before = copies(kinked)
    with pytest.raises(NonFiniteError, match="the gradient of the objective is not finite") as caught:
        slow.step(tiny.model, tiny.guide, tiny.x)
    assert_same(copies(kinked), before)
    assert caught.value.terms.objective.isfinite().all()


@pytest.mark.usefixtures("_as_in_training")
def test_a_good_batch_after_a_bad_one_is_learned_from(tiny):
    slow = prepared(tiny.model)
    with torch.no_grad():
        good = tiny.decoder.norm.weight.clone()
        tiny.decoder.norm.weight[0] = math.nan
    with pytest.raises(NonFiniteError):
        slow.step(tiny.model, tiny.guide, tiny.x)
    with torch.no_grad():
        tiny.decoder.norm.weight.copy_(good)
    slow.step(tiny.model, tiny.guide, tiny.x)
    assert all(parameter.isfinite().all() for parameter in tiny.model.parameters())


@pytest.mark.parametrize("learning_rate", [0.0, -1.0, float("nan")])
def test_a_learning_rate_that_is_not_positive_is_refused(learning_rate):
    with pytest.raises(InputError, match="learning_rate="):
        SlowStep(ELBO(), learning_rate=learning_rate)
