"""Our estimators agree with Pyro's on the same draws, where Pyro has the same and is right.

Its importance weights are right where nothing is subsampled, its wake phase for a single sequence.
"""

import pyro
import pytest
import torch
from pyro.infer import RenyiELBO, Trace_ELBO, TraceMeanField_ELBO
from pyro.infer import ReweightedWakeSleep as PyroReweightedWakeSleep
from toys import Drawn, FixedGuide

from ltm_pyro import ELBO, ImportanceWeighted, Renyi, Reparameterised, ReweightedWakeSleep
from ltm_pyro.models.exact import LinearGaussian

S = 5


def pair(batch=1):
    """A model, and a guide with S draws already made."""
    toy = LinearGaussian(batch=batch)
    mu = torch.randn(batch, *toy.z_shape, dtype=torch.float64, requires_grad=True)
    log_sigma = (0.3 * torch.randn(batch, *toy.z_shape, dtype=torch.float64)).requires_grad_()
    noise = torch.randn(S, batch, *toy.z_shape, dtype=torch.float64)
    return toy, mu, log_sigma, FixedGuide(mu, log_sigma.exp(), mu + log_sigma.exp() * noise)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (Trace_ELBO, ELBO(S, closed_form_kl=False, gradient=Reparameterised())),
        (TraceMeanField_ELBO, ELBO(S)),
        (lambda **options: RenyiELBO(alpha=0, **options), ImportanceWeighted(S)),
        (lambda **options: RenyiELBO(alpha=0.5, **options), Renyi(0.5, S)),
        (lambda **options: RenyiELBO(alpha=-1.0, **options), Renyi(-1.0, S)),
    ],
    ids=["elbo", "mean-field elbo", "importance weighted", "renyi 0.5", "renyi -1"],
)
def test_values_and_gradients_are_pyros(theirs, ours):
    toy, mu, log_sigma, guide = pair(batch=3)
    learned = [mu, log_sigma, *toy.parameters()]
    expected = theirs(num_particles=S, vectorize_particles=True, max_plate_nesting=1)
    loss = expected.loss(toy, guide, toy.x)
    assert ours.loss(toy, guide, toy.x) == pytest.approx(loss, rel=1e-12)
    if hasattr(expected, "differentiable_loss"):
        theirs_by = torch.autograd.grad(expected.differentiable_loss(toy, guide, toy.x), learned, retain_graph=True)
        ours_by = torch.autograd.grad(ours.differentiable_loss(toy, guide, toy.x), learned)
        for a, b in zip(ours_by, theirs_by, strict=True):
            torch.testing.assert_close(a, b)


class Learned(torch.nn.Module):
    """A guide whose mean is a parameter that Pyro knows, with draws already made."""

    def __init__(self, toy, z):
        super().__init__()
        self.mu, self.z = torch.nn.Parameter(torch.zeros(1, *toy.z_shape, dtype=torch.float64)), z

    def forward(self, x=None, mask=None, batch_size=None, previous=None):
        mu = pyro.param("mu", self.mu)
        with pyro.plate("sequences", 1, dim=-1):
            return pyro.sample("z", Drawn(mu, torch.ones_like(mu), self.z).to_event(3))


def test_the_wake_phase_is_pyros():
    toy, _, _, _ = pair()
    guide = Learned(toy, torch.randn(S, 1, *toy.z_shape, dtype=torch.float64))
    theirs = PyroReweightedWakeSleep(
        num_particles=S, insomnia=1.0, model_has_params=False, vectorize_particles=True, max_plate_nesting=1
    )
    theirs.loss_and_grads(toy, guide, toy.x)
    expected = pyro.get_param_store()["mu"].unconstrained().grad
    guide.mu.grad = None
    ImportanceWeighted(S, gradient=ReweightedWakeSleep()).loss_and_grads(toy, guide, toy.x)
    assert expected.abs().max() > 0
    torch.testing.assert_close(guide.mu.grad, expected)
