"""Small models whose answers are known, and the test that compares an estimate with a known answer."""

import math
from itertools import product

import pyro
import pyro.distributions as dist
import torch
from torch import nn

from ltm_pyro import AutoregressiveModel, Decoder, GaussianPrior, LatentThoughtModel, MeanFieldGuide

SIZES = {"vocabulary": 30, "width": 16, "layers": 2, "heads": 2, "thoughts": 2, "window": 4, "length": 20, "begin": 1}


def large_weights(module, scale=0.4):
    """Weights far from their small initial values, so that nothing is nearly uniform or nearly zero."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=scale).add_(1.0 if parameter.dim() == 1 else 0.0)
    return module.double()


def decoder_with(**sizes):
    """A float64 decoder of tiny sizes, with large weights."""
    return large_weights(Decoder(**{**SIZES, **sizes}))


def autoregressive_with(**sizes):
    return AutoregressiveModel(decoder_with(thoughts=0, **sizes))


def every_text(vocabulary, length):
    """All token sequences of a length, shape (V^T, T)."""
    return torch.tensor(list(product(range(vocabulary), repeat=length)))


class TinyModel:
    """A float64 Latent Thought Model, texts for it, and a mean-field guide that has been moved off the prior."""

    def __init__(self, batch=3, **sizes):
        self.decoder = decoder_with(**sizes)
        self.model = LatentThoughtModel(GaussianPrior(self.decoder.z_shape).double(), self.decoder)
        self.guide = MeanFieldGuide(self.decoder.z_shape)
        self.x = self.texts(batch)
        self.z = torch.randn(batch, *self.decoder.z_shape, dtype=torch.float64)
        start(self.guide, self.model, self.x)

    def texts(self, batch, length=None):
        return torch.randint(self.decoder.vocabulary, (batch, length or self.decoder.length))


def start(guide, model, x, spread=0.5):
    """Start a guide on a batch, and move its rows to random places."""
    guide.start(x, prior=model.prior())
    with torch.no_grad():
        for row in guide.local_parameters():
            row.add_(spread * torch.randn_like(row))


class FixedGuide(nn.Module):
    """A diagonal Gaussian at the mu and sigma that it is given, which it does not learn.

    Given z, shape (S, B, L, K, D) or (B, L, K, D), that is what it "draws".
    """

    def __init__(self, mu, sigma, z=None):
        super().__init__()
        self.mu, self.sigma, self.z = mu, sigma, z

    def forward(self, x=None, mask=None, batch_size=None, previous=None):
        q = dist.Normal(self.mu, self.sigma) if self.z is None else Drawn(self.mu, self.sigma, self.z)
        with pyro.plate("sequences", self.mu.shape[-4], dim=-1):
            return pyro.sample("z", q.to_event(3))


class Drawn(dist.Normal):
    """A normal distribution whose draw is already made."""

    def __init__(self, mu, sigma, z):
        super().__init__(mu.expand_as(z), sigma.expand_as(z))
        self.z = z

    def expand(self, batch_shape, _instance=None):
        return Drawn(self.loc, self.scale, self.z.expand(batch_shape))

    def rsample(self, sample_shape=()):
        return self.z


def z_test(samples, expected, limit=4.0):
    """Assert that the mean of independent samples, over the first dimension, is the expected value.

    Every entry must be within `limit` standard errors; the seeds are fixed, so this does not flicker.
    """
    samples = samples.detach()
    expected = expected.detach() if isinstance(expected, torch.Tensor) else torch.tensor(expected)
    error = samples.std(0) / math.sqrt(len(samples))
    z = (samples.mean(0) - expected) / error
    worst = z.abs().max().item()
    assert worst < limit, f"the mean is {worst:.1f} standard errors from where it should be (z = {z.tolist()})"
