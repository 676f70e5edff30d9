"""Observers of the fast loop: when each is called, what it is shown, and that one which only looks changes nothing."""

from contextlib import contextmanager

import pytest
import torch
from toys import TinyModel, autoregressive_with

from ltm_pyro import ELBO, DualRateSVI, EmptyGuide, FastLoop, SlowStep
from ltm_pyro.inference import StepObserver, WeightObserver


class Noted(StepObserver):
    """Notes its calls."""

    def __init__(self):
        self.calls = []

    @contextmanager
    def around(self, fit):
        self.fit = fit
        self.calls.append("begin")
        yield
        self.calls.append("end")

    def before(self, step):
        assert step.terms is None
        self.rows = [row.detach().clone() for row in self.fit.guide.local_parameters()]
        self.calls.append(("before", step.number))

    def after(self, step):
        assert step.terms.elbo.shape == (3,)
        rows = self.fit.guide.local_parameters()
        assert all((row != old).any() for row, old in zip(rows, self.rows, strict=True))
        assert all(row.grad.any() for row in rows)
        self.calls.append(("after", step.number))


def weights_after_a_step(observers):
    torch.manual_seed(0)
    tiny = TinyModel()
    svi = DualRateSVI(tiny.model, tiny.guide, FastLoop(ELBO(), 2), SlowStep(ELBO()), observers)
    svi.step(tiny.x)
    return [weight.detach() for weight in tiny.model.parameters()]


def test_it_is_called_around_each_step_and_changes_no_number():
    noted = Noted()
    with_it, without = weights_after_a_step([noted]), weights_after_a_step([])
    assert noted.calls == ["begin", ("before", 0), ("after", 0), ("before", 1), ("after", 1), "end"]
    assert all(torch.equal(one, other) for one, other in zip(with_it, without, strict=True))


def test_without_local_parameters_there_is_nothing_to_observe():
    noted = Noted()
    FastLoop(ELBO(), 2).fit(autoregressive_with(), EmptyGuide(), TinyModel().x, observers=[noted])
    assert noted.calls == []


def test_an_exception_of_its_own_ends_the_fit():
    class Stopping(Noted):
        def after(self, step):
            raise KeyboardInterrupt

    noted, tiny = Stopping(), TinyModel()
    with pytest.raises(KeyboardInterrupt):
        FastLoop(ELBO(), 4).fit(tiny.model, tiny.guide, tiny.x, observers=[noted])
    assert noted.calls == ["begin", ("before", 0)]
    assert all(weight.requires_grad for weight in tiny.model.parameters())


@pytest.mark.parametrize("learns", [False, True])
def test_the_weights_have_gradients_in_the_loop_for_an_observer_that_learns_alone(learns):
    class Looks(WeightObserver if learns else StepObserver):
        def after(self, step):
            found.append(any(weight.grad is not None for weight in tiny.model.parameters()))

        def learned(self, tokens):
            found.append("learned")

    found, tiny = [], TinyModel()
    DualRateSVI(tiny.model, tiny.guide, FastLoop(ELBO(), 2), SlowStep(ELBO()), [Looks()]).step(tiny.x)
    assert found == ([True, True, "learned"] if learns else [False, False])


def test_the_loop_ends_where_an_observer_says_that_no_sequence_moves():
    class Stops(Noted):
        def after(self, step):
            super().after(step)
            step.moves = torch.tensor([False, False, step.number < 1])

    noted, tiny = Stops(), TinyModel()
    FastLoop(ELBO(), 9).fit(tiny.model, tiny.guide, tiny.x, observers=[noted])
    assert noted.calls[-2:] == [("after", 1), "end"]
