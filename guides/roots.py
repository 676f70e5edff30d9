"""Cholesky factors of covariances, from any root."""

from __future__ import annotations

import torch
from torch import Tensor


def lower_root(root: Tensor) -> Tensor:
    """Lower triangular C with C C' = root root', shape (..., n, n), from any square root of a covariance.

    Stable where a Cholesky factor of the product is not.
    """
    upper = torch.linalg.qr(root.mT).R
    return upper.mT * upper.diagonal(dim1=-2, dim2=-1).sign()[..., None, :]
