"""Coupling layers over a flattened z."""

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
    r"""An invertible f, made of coupling layers, that carries z to standard normal noise.

    .. math:: \log p(z) = \log \mathcal{N}(f(z); 0, I) + \log\left|\det \frac{\partial f}{\partial z}\right|

    Each layer holds every second one of the L K D dimensions and moves the others, one by one, by maps whose
    parameters a network reads off those held; the next layer holds the others. It starts close to the identity.

    Args:
        z_shape: (L, K, D).
        layers: how many coupling layers.
        hidden: width of each network's two hidden layers.
        univariate: makes the map of one dimension from its parameters; zeros give the identity.
        shapes: of these parameters.

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
    ) -> None:
        super().__init__()
        if layers < 1 or hidden < 1:
            raise InputError(f"transforms={layers}, hidden={hidden}: expected positive sizes")
        zuko = import_zuko()
        self.z_shape, features = z_shape, math.prod(z_shape)
        sizes = {"univariate": univariate, "shapes": shapes, "hidden_features": (hidden, hidden), "activation": nn.SiLU}
        held = torch.arange(features) % 2 == 1
        couplings = [
            zuko.flows.coupling.GeneralCouplingTransform(features, mask=held if layer % 2 else ~held, **sizes)
            for layer in range(layers)
        ]
        for coupling in couplings:  # a single dimension has a map of its own, without a network
            shrink(coupling.phi if features == 1 else coupling.hyper[-1])
        self.transform = zuko.lazy.LazyComposedTransform(*couplings)

    def log_density(self, z: Tensor) -> Tensor:
        """log p(z), shape (...) from z of shape (..., L, K, D)."""
        noise, log_determinant = self.transform().call_and_ladj(z.flatten(-3))
        return Normal(0.0, 1.0).log_prob(noise).sum(-1) + log_determinant

    def draw(self, shape: torch.Size) -> Tensor:
        """Samples, shape (*shape, L, K, D)."""
        like = next(self.parameters())
        noise = torch.randn(*shape, math.prod(self.z_shape), dtype=like.dtype, device=like.device)
        return self.transform().inv(noise).unflatten(-1, self.z_shape)

    def __repr__(self) -> str:  # zuko's own draws random numbers, and so would change what is sampled next
        return f"Flow({len(self.transform.transforms)} coupling layers)"
