"""A conditional normalizing flow of spline coupling layers: a density of thoughts for every context."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ltm_pyro.errors import InputError
from ltm_pyro.instances import checked_shape
from ltm_pyro.models.priors.distribution import ThoughtDistribution
from ltm_pyro.models.priors.gaussian_head import LOG_SIGMA_LIMIT
from ltm_pyro.models.priors.spline_flow import spline_layers
from ltm_pyro.ranges import POSITIVE, bounded, whole

LEAST_SCALE = 1e-4  # of a dimension that does not vary, relative to the mean scale of all


class ConditionalFlow(nn.Module):
    r"""Conditional spline flow p(z | c): the density of a text's thoughts given a context, a vector a text.

    .. math:: p(z \mid c) = \mathcal{N}(f_c(z); 0, I) \left|\det \frac{\partial f_c}{\partial z}\right|, \qquad
              f_c(z) = f_{M,c} \circ \dots \circ f_{1,c}\left(e^{-W c} \left(\frac{z - m}{s} - V c\right)\right)

    The layers f are those of `SplineFlowPrior`, whose networks read c beside the dimensions that a layer keeps. Before
    them an affine map moves each dimension linearly in c, which few texts suffice to fit. `m` and `s`, mean and scale
    of each dimension, are 0 and 1 until `standardise` sets them. V, W and the networks' weights of c are zero at the
    start, so that p(z | c) starts close to N(m, s²) and does not depend on c. The density is exact.

    The flow is fitted to posteriors after training (the invertible conditional VAE of Zhang et al., 2023, arXiv
    2312.13208); it is no prior to train with, since no model passes a context on. A context that is zero for every text
    makes the same flow one without a condition. `ConditionedPrior` is the prior at a single context.

    Args:
        z_shape: (L, K, D).
        context: C, the width of c.
        transforms: M, the number of coupling layers; two transform every dimension once.
        hidden: width of each network's two hidden layers.
        bins: number of pieces of a spline.
        bound: the splines are the identity outside of [-bound, bound], in units of s around m.

    Raises:
        InputError: if zuko is not installed (`pip install 'ltm-pyro[flows]'`), or a size is not positive.
    """

    mean: Tensor
    scale: Tensor

    @bounded(context=whole(1), transforms=whole(1), hidden=whole(1), bins=whole(2), bound=POSITIVE)
    def __init__(
        self,
        z_shape: tuple[int, int, int],
        context: int,
        transforms: int = 4,
        hidden: int = 64,
        bins: int = 8,
        bound: float = 5.0,
    ) -> None:
        super().__init__()
        if context < 1:
            raise InputError(f"context={context}: expected the width of a context, 1 or more")
        self.z_shape: tuple[int, int, int] = checked_shape(z_shape)
        self.context = context
        self.flow = spline_layers(self.z_shape, transforms, hidden, bins, bound, context)
        self.affine = nn.Linear(context, 2 * math.prod(self.z_shape), bias=False)
        nn.init.zeros_(self.affine.weight)
        self.register_buffer("mean", torch.zeros(self.z_shape))
        self.register_buffer("scale", torch.ones(self.z_shape))

    @torch.no_grad()
    def standardise(self, z: Tensor) -> None:
        """Set m and s to mean and standard deviation of thoughts, shape (N, L, K, D) with N of two or more.

        Raises:
            InputError: for fewer than two.
        """
        if len(z) < 2:
            raise InputError(f"{len(z)} z were given: their scale takes two or more")
        scale = z.std(0)
        self.mean.copy_(z.mean(0))
        self.scale.copy_(scale.clamp(min=LEAST_SCALE * scale.mean().clamp(min=LEAST_SCALE)))

    def forward(self, context: Tensor) -> ThoughtDistribution:
        """p(z | c), event (L, K, D) and batch (...), from c of shape (..., C).

        Raises:
            InputError: for a context of another width, or none.
        """
        if not isinstance(context, Tensor) or context.shape[-1:] != (self.context,):
            shape = tuple(context.shape) if isinstance(context, Tensor) else context
            raise InputError(
                f"the context is {shape}: expected a tensor of shape (..., {self.context}), a vector a text"
            )
        context = context.to(self.mean.dtype)
        shift, raw = self.affine(context).unflatten(-1, (2, *self.z_shape)).unbind(-4)
        mean = self.mean + self.scale * shift
        log_scale = self.scale.log() + LOG_SIGMA_LIMIT * torch.tanh(raw / LOG_SIGMA_LIMIT)

        def log_density(z: Tensor) -> Tensor:
            standard = (z - mean) * (-log_scale).exp()
            return self.flow.log_density(standard, context) - log_scale.sum((-3, -2, -1))

        def draw(shape: torch.Size) -> Tensor:
            return mean + log_scale.exp() * self.flow.draw(shape, context)

        return ThoughtDistribution(self.z_shape, log_density, draw, batch_shape=context.shape[:-1])

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}, context={self.context}, dimensions={math.prod(self.z_shape)}"
