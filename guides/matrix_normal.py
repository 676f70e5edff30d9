"""A posterior whose dependence between thoughts is the same at every place of their vectors."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from ltm_pyro.guides.full_covariance import triangular
from ltm_pyro.guides.gaussian import AbstractGaussian, AbstractGaussianGuide


class MatrixGaussian(AbstractGaussian):
    """Mean (*batch, L, K, D), unit s of that shape, and lower triangular roots (*batch, L K, L K), (*batch, D, D)."""

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
        of_thought, of_place = rows.square().sum(-1), columns.square().sum(-1)
        return unit**2 * (of_thought[..., None] * of_place[..., None, :]).unflatten(-2, self.event_shape[:2])

    @cached_property
    def log_determinants(self) -> Tensor:
        unit, rows, columns = self.parts
        of_rows, of_columns = (root.diagonal(dim1=-2, dim2=-1).log() for root in (rows, columns))
        each = of_rows.unflatten(-1, self.event_shape[:2])[..., None] + of_columns[..., None, None, :]
        return 2 * self.by_layer(unit.log() + each)


class MatrixNormalGuide(AbstractGaussianGuide):
    r"""Gaussian whose covariance is a Kronecker product of one over the L K thoughts and one over the width D.

    .. math:: z = \mu + s \odot (A\, \varepsilon\, B^\top), \qquad \mathrm{Cov}[z / s] = A A^\top \otimes B B^\top

    with ε of shape (L K, D), lower triangular A and B, and s the prior's standard deviations. Rows of
    L K D + (L K)² + D² numbers, and no matrix larger than these two. Every thought may depend on every other one, and
    every place of a vector on every other place, but each alike everywhere: `MeanFieldGuide` knows more about single
    coordinates. It starts at the prior. (Louizos and Welling, 2016, arXiv 1603.04733.) A natural gradient in closed
    form exists for A and B in turns only, not for both at once.

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
