"""A normalizing flow of coupling layers over a flattened z, with or without a context."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from ltm_pyro.errors import InputError
from ltm_pyro.models.priors.gaussian_head import shrink
from ltm_pyro.optional import import_zuko


class Flow(nn.Module):
    r"""Normalizing flow: an invertible f of coupling layers from z to standard normal noise.

    .. math:: \log p(z) = \log \mathcal{N}(f(z); 0, I) + \log\left|\det \frac{\partial f}{\partial z}\right|

    Each layer keeps every second one of the L K D dimensions and transforms the others elementwise, by maps whose
    parameters a network computes from those kept; the next layer swaps the two halves. f starts close to the identity.
    A conditional flow's networks read a context c too, so that f and the density depend on it; at the start they do
    not, since the weights of c are zero.

    Args:
        z_shape: (L, K, D).
        layers: number of coupling layers.
        hidden: width of each network's two hidden layers.
        univariate: constructor of the map of one dimension from its parameters; zeros give the identity.
        shapes: the shapes of these parameters.
        context: C, the width of c; 0 for a flow without one.

    Raises:
        InputError: if there are no layers, or hidden is not positive.
    """

    def __init__(
        self,
        z_shape: tuple[int, int, int],
        layers: int,
        hidden: int,
        univariate: Callable[..., Any],
        shapes: Sequence[tuple[int, ...]],
        context: int = 0,
    ) -> None:
        super().__init__()
        if layers < 1 or hidden < 1:
            raise InputError(f"transforms={layers}, hidden={hidden}: expected positive sizes")
        zuko = import_zuko()
        self.z_shape, features = z_shape, math.prod(z_shape)
        sizes = {"univariate": univariate, "shapes": shapes, "hidden_features": (hidden, hidden), "activation": nn.SiLU}
        held = torch.arange(features) % 2 == 1
        couplings = [
            zuko.flows.coupling.GeneralCouplingTransform(features, context, held if layer % 2 else ~held, **sizes)
            for layer in range(layers)
        ]
        for coupling in couplings:  # one dimension without a context has no network, only the parameters of a map
            shrink(coupling.phi if features == 1 and not context else coupling.hyper[-1])
            if context:
                with torch.no_grad():
                    coupling.hyper[0].weight[:, -context:] = 0.0
        self.transform = zuko.lazy.LazyComposedTransform(*couplings)

    def log_density(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """log p(z), shape (...) from z of shape (..., L, K, D); with a context, shape (..., C), log p(z | c)."""
        noise, log_determinant = self.transform(context).call_and_ladj(z.flatten(-3))
        return Normal(0.0, 1.0).log_prob(noise).sum(-1) + log_determinant

    def draw(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:
        """Samples, shape (*shape, L, K, D); a context's leading dimensions are the last ones of `shape`."""
        like = next(self.parameters())
        noise = torch.randn(*shape, math.prod(self.z_shape), dtype=like.dtype, device=like.device)
        return self.transform(context).inv(noise).unflatten(-1, self.z_shape)

    def __repr__(self) -> str:  # zuko's own draws random numbers, which would change later samples
        return f"Flow({len(self.transform.transforms)} coupling layers)"
