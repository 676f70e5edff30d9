"""Small models whose answers are known, and the test that compares an estimate with a known answer."""

from itertools import product

import torch

from ltm_pyro import AutoregressiveModel, Decoder, GaussianPrior, LatentThoughtModel, MeanFieldGuide
from ltm_pyro.testing.fixed import Drawn, FixedGuide
from ltm_pyro.testing.means import z_test

__all__ = ["Drawn", "FixedGuide", "z_test"]

SIZES = {"vocabulary": 30, "width": 16, "layers": 2, "heads": 2, "thoughts": 2, "window": 4, "length": 20, "bos_id": 1}


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
