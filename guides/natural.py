r"""Natural-gradient steps of Gaussians that keep the precision positive definite.

With S the precision and :math:`\mathcal{L}` the objective, a step of size ρ along the natural gradient is

.. math:: S \leftarrow S - 2 \rho \nabla_\Sigma \mathcal{L}, \qquad
          \mu \leftarrow \mu + \rho\, S^{-1} \nabla_\mu \mathcal{L} \quad \text{(with the new S)}

(Khan and Rue, 2021, arXiv 2107.04562.) The step is linear in the natural parameters; with ρ = 1 it reaches the optimum
of a conjugate model at once, but S may become indefinite. The improved rule of Lin, Schmidt and Khan (2020, arXiv
2002.10060) adds :math:`\tfrac{\rho^2}{2} G S^{-1} G` with :math:`G = -2 \nabla_\Sigma \mathcal{L}`: every direction
keeps at least half of its precision, at any rate, but no step reaches the optimum exactly. Here the term is added only
in directions in which the precision falls; where it grows, as from the prior to a more certain posterior, the step
stays linear. A large fall, which is mostly noise, then makes q more certain, so that noise does not grow from step to
step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ltm_pyro.guides.roots import lower_root


def growth(change: Tensor) -> Tensor:
    """Factor on the precisions in a step, at least 1/2, from their relative change in the linear step."""
    return 1 + change + 0.5 * change.clamp(max=0.0) ** 2


def precision_factor(slope: Tensor, rate: float) -> Tensor:
    """Factor on independent precisions in a step, from the gradient of the loss with respect to log sigma."""
    return growth(rate * slope)


def change_of_precision(root: Tensor, slope: Tensor) -> Tensor:
    r"""Change of the precision in the linear step of rate 1, in the coordinates that whiten the covariance.

    For the covariance :math:`C C^\top` it follows from the gradient of the factor,
    :math:`2\, C^\top \nabla_\Sigma C = C^\top \nabla_C`, which is known on and below the diagonal, and symmetric.

    Args:
        root: C, lower triangular, shape (..., n, n).
        slope: the gradient of the loss with respect to C, of that shape; entries above the diagonal are ignored.
    """
    below = (root.mT @ slope.tril()).tril()
    return below + below.tril(-1).mT


def root_of_step(root: Tensor, slope: Tensor, rate: float) -> Tensor:
    """Cholesky factor of the covariance after a step of size `rate`; arguments as of `change_of_precision`."""
    values, vectors = torch.linalg.eigh(rate * change_of_precision(root, slope))
    inverse_root = vectors * growth(values).rsqrt()[..., None, :]  # of the whitened covariance, not triangular
    return root @ lower_root(inverse_root)
