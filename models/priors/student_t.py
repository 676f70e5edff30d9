"""A Student's t prior, which has heavy tails."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.models.priors.abstract import AbstractPrior
from ltm_pyro.ranges import POSITIVE, bounded


class StudentTPrior(AbstractPrior):
    r"""Independent Student's t prior, :math:`p(z) = \prod_i t_\nu(z_i; 0, s)`, fixed.

    A thought far from zero costs :math:`(\nu + 1) \log|z_i|` nats where a Gaussian costs :math:`z_i^2 / 2`. The
    KL has no closed form. The variance is :math:`s^2 \nu / (\nu - 2)`, infinite up to :math:`\nu = 2`.

    Args:
        z_shape: (L, K, D).
        df: degrees of freedom, nu; 1 is the Cauchy prior, and the limit at infinity the Gaussian one.
        scale: s.

    Raises:
        InputError: if df or scale is not positive.
    """

    mu: Tensor
    df: Tensor
    scale: Tensor

    @bounded(df=POSITIVE, scale=POSITIVE)
    def __init__(self, z_shape: tuple[int, int, int], df: float = 5.0, scale: float = 1.0) -> None:
        super().__init__(z_shape)
        if not df > 0 or not scale > 0:
            raise InputError(f"df={df}, scale={scale}: the prior's degrees of freedom and scale must be positive")
        for name, value in (("mu", 0.0), ("df", df), ("scale", scale)):
            self.register_buffer(name, torch.tensor(float(value)), persistent=False)

    def forward(self) -> dist.Distribution:
        return dist.StudentT(self.df, self.mu, self.scale).expand(self.z_shape).to_event(3)  # event (L, K, D)

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}, df={self.df.item():g}, scale={self.scale.item():g}"
