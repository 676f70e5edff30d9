"""log p(x, z) as a function of z."""

import pyro
import pyro.distributions as dist
import torch

from ltm_pyro import ELBO, FastLoop, MeanFieldGuide
from ltm_pyro.inference import LogJoint


def test_it_is_the_models_joint_density_and_keeps_particles_apart(toy):
    z = torch.randn(5, len(toy.x), *toy.z_shape, dtype=torch.float64)
    log_joint = LogJoint(toy, toy.x)
    mean = z.flatten(-3) @ toy.weight.T + toy.bias
    by_hand = dist.Normal(mean, toy.noise).log_prob(toy.x).sum(-1) + dist.Normal(0.0, 1.0).log_prob(z).sum((-3, -2, -1))
    torch.testing.assert_close(log_joint(z), by_hand)
    torch.testing.assert_close(log_joint(z[0]), by_hand[0])


def test_its_slope_vanishes_at_the_posteriors_mean(toy):
    z = toy.posterior_mean(toy.x).view(-1, *toy.z_shape).detach().requires_grad_()
    (slope,) = torch.autograd.grad(LogJoint(toy, toy.x)(z).sum(), z)
    torch.testing.assert_close(slope, torch.zeros_like(slope))


def test_a_text_counts_where_its_mask_says(tiny):
    z = torch.randn(3, *tiny.decoder.z_shape, dtype=torch.float64)
    mask = torch.arange(20).expand(3, 20) < 12
    torch.testing.assert_close(LogJoint(tiny.model, tiny.x, mask)(z), LogJoint(tiny.model, tiny.x[:, :12])(z))


class Witness(MeanFieldGuide):
    def after_fit(self, log_joint):
        self.seen = log_joint(self.mu.detach())


def test_a_guide_is_told_when_the_fast_loop_is_done(toy):
    guide = Witness(toy.z_shape)
    FastLoop(ELBO(), steps=3).fit(toy, guide, toy.x)
    torch.testing.assert_close(guide.seen, LogJoint(toy, toy.x)(guide.mu.detach()))
    assert len(pyro.get_param_store()) == 0


def test_a_text_is_read_once_for_all_values_of_z(tiny, monkeypatch):
    prefix_states, calls = tiny.decoder.prefix_states, []

    def count(tokens):
        calls.append(1)
        return prefix_states(tokens)

    log_joint = LogJoint(tiny.model, tiny.x)
    values = torch.randn(3, *tiny.z.shape, dtype=torch.float64)
    expected = [LogJoint(tiny.model, tiny.x)(z) for z in values]
    monkeypatch.setattr(tiny.decoder, "prefix_states", count)
    torch.testing.assert_close([log_joint(z) for z in values], expected)
    assert len(calls) == 1
