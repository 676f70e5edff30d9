r"""Natural gradients of Gaussians, and how they stay Gaussians.

With S the precision and :math:`\mathcal{L}` the objective, a step of size ρ along the natural gradient is

.. math:: S \leftarrow S - 2 \rho \nabla_\Sigma \mathcal{L}, \qquad
          \mu \leftarrow \mu + \rho\, S^{-1} \nabla_\mu \mathcal{L} \quad \text{(with the new S)}

(Khan and Rue, 2021, arXiv 2107.04562.) It moves the natural parameters in a straight line;
with ρ = 1 it lands on the optimum of a conjugate model. S may lose its definiteness on the way. The improved rule of
Lin, Schmidt and Khan (2020, arXiv 2002.10060) adds :math:`\tfrac{\rho^2}{2} G S^{-1} G` with
:math:`G = -2 \nabla_\Sigma \mathcal{L}`: no direction keeps less than half of its precision, at any rate, but no step
lands on the optimum any more. Here that term stands in the directions alone in which the precision falls, and the
straight line is kept where it grows, as it does from the prior to every posterior that is more certain. A large fall,
which is mostly noise, makes q more certain, so that noise dies out and does not feed itself.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ltm_pyro.guides.roots import lower_root


def growth(change: Tensor) -> Tensor:
    """Factor of the precisions in a step, at least a half, from their relative change along the straight line."""
    return 1 + change + 0.5 * change.clamp(max=0.0) ** 2


def precision_factor(slope: Tensor, rate: float) -> Tensor:
    """Factor of independent precisions in a step, from the loss's gradient by log sigma, of the same shape."""
    return growth(rate * slope)


def change_of_precision(root: Tensor, slope: Tensor) -> Tensor:
    r"""Change of the precision along the straight line at a rate of 1, in the coordinates that whiten the covariance.

    There, with the covariance :math:`C C^\top`, the gradient is that of the factor,
    :math:`2\, C^\top \nabla_\Sigma C = C^\top \nabla_C`, known below its diagonal and symmetric.

    Args:
        root: C, lower triangular, shape (..., n, n).
        slope: the loss's gradient by C, of that shape; what is above the diagonal does not count.
    """
    below = (root.mT @ slope.tril()).tril()
    return below + below.tril(-1).mT


def root_of_step(root: Tensor, slope: Tensor, rate: float) -> Tensor:
    """The Cholesky factor of the covariance after a step of size `rate`, as of `change_of_precision`."""
    values, vectors = torch.linalg.eigh(rate * change_of_precision(root, slope))
    inverse_root = vectors * growth(values).rsqrt()[..., None, :]  # of the inverse: a root, not triangular
    return root @ lower_root(inverse_root)
