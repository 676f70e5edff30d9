"""A matrix-normal guide: a Gaussian with a Kronecker-factored covariance."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from ltm_pyro.guides.full_covariance import triangular
from ltm_pyro.guides.gaussian import AbstractGaussian, AbstractGaussianGuide


class MatrixGaussian(AbstractGaussian):
    """Matrix normal: mean and scale s (*batch, L, K, D), Cholesky factors (*batch, L K, L K) and (*batch, D, D)."""

    def draw(self, shape: torch.Size) -> Tensor:
        unit, rows, columns = self.parts
        noise = self.noise(shape, rows.shape[-1], columns.shape[-1])
        return unit * (rows @ noise @ columns.mT).unflatten(-2, self.event_shape[:2])

    def squared_distance(self, deviation: Tensor) -> Tensor:
        unit, rows, columns = self.parts
        half = torch.linalg.solve_triangular(rows, (deviation / unit).flatten(-3, -2), upper=False)
        white = torch.linalg.solve_triangular(columns, half.mT, upper=False)
        return white.square().flatten(-2).sum(-1)

    @property
    def variance(self) -> Tensor:
        unit, rows, columns = self.parts
        of_thought, of_dimension = rows.square().sum(-1), columns.square().sum(-1)
        return unit**2 * (of_thought[..., None] * of_dimension[..., None, :]).unflatten(-2, self.event_shape[:2])

    @cached_property
    def log_determinants(self) -> Tensor:
        unit, rows, columns = self.parts
        of_rows, of_columns = (root.diagonal(dim1=-2, dim2=-1).log() for root in (rows, columns))
        each = of_rows.unflatten(-1, self.event_shape[:2])[..., None] + of_columns[..., None, None, :]
        return 2 * self.by_layer(unit.log() + each)


class MatrixNormalGuide(AbstractGaussianGuide):
    r"""Matrix-normal guide: its covariance is a Kronecker product of one over the L K thoughts and one over the width.

    .. math:: z = \mu + s \odot (A\, \varepsilon\, B^\top), \qquad \mathrm{Cov}[z / s] = A A^\top \otimes B B^\top

    with ε of shape (L K, D), lower triangular A and B, and s the prior's standard deviations. A sequence has L K D + (L
    K)² + D² local parameters, and no larger matrix than A and B is formed. All thoughts may be dependent, and all
    dimensions of a vector, but with the same correlations throughout: the variances of single coordinates are freer in
    `MeanFieldGuide`. The guide starts at the prior. (Louizos and Welling, 2016, arXiv 1603.04733.) A natural gradient
    in closed form exists for A and for B in turn, not for both at once.

    Args:
        z_shape: (L, K, D).
    """

    thoughts: Tensor
    places: Tensor
    log_thoughts: Tensor
    log_places: Tensor

    def begin(self, sigma: Tensor) -> None:
        self.unit = sigma
        batch, rows, columns = len(sigma), math.prod(self.z_shape[:2]), self.z_shape[2]
        self.log_thoughts = sigma.new_zeros(batch, rows).requires_grad_()
        self.log_places = sigma.new_zeros(batch, columns).requires_grad_()
        self.thoughts = sigma.new_zeros(batch, rows, rows).requires_grad_()
        self.places = sigma.new_zeros(batch, columns, columns).requires_grad_()

    def posterior(self) -> MatrixGaussian:
        rows, columns = triangular(self.log_thoughts, self.thoughts), triangular(self.log_places, self.places)
        return MatrixGaussian(self.mu, self.unit, rows, columns)

    def local_parameters(self) -> list[Tensor]:
        return [self.mu, self.log_thoughts, self.thoughts, self.log_places, self.places]
