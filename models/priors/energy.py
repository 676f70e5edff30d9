"""An energy-based prior: a Gaussian tilted by a learned energy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Normal

from ltm_pyro.errors import InputError
from ltm_pyro.models.priors.abstract import AbstractPrior
from ltm_pyro.models.priors.density import Density
from ltm_pyro.models.priors.distribution import ThoughtDistribution
from ltm_pyro.models.priors.gaussian_head import shrink
from ltm_pyro.models.priors.langevin import NormaliserBounds, annealed, normaliser_bounds
from ltm_pyro.models.priors.unnormalised_distribution import UnnormalisedDistribution
from ltm_pyro.ranges import POSITIVE, Range, bounded, whole


class EnergyPrior(AbstractPrior):
    r"""Energy-based prior: N(0, I) tilted by a learned energy, with a bounded normaliser.

    .. math:: p(z) = \frac{1}{Z} e^{-E_\theta(z)}\, \mathcal{N}(z; 0, I), \qquad
              Z = \mathbb{E}_{\mathcal{N}(0, I)}[e^{-E_\theta(z)}]

    (Pang et al., 2020, arXiv 2006.08205, equation 2.) A lower bound on log p(z) needs an *upper* bound on log Z;
    annealed importance sampling by itself gives a lower one. Two are offered:

    - by construction: the energy is :math:`c \tanh(f(z) / c)`, never beyond the limit c, so that log Z ≤ c and

      .. math:: \log p(z) \ge -E_\theta(z) + \log \mathcal{N}(z; 0, I) - c.

      This is `log_prob`: never above log p(z) (`Density.BELOW`), and below it by 0 to 2c nats a sequence;
    - within `normaliser_held()`, an unbiased estimate of Z put into :math:`\log Z \le Z/a - 1 + \log a` takes the place
      of c: a bound in the mean over that estimate, much tighter.

    With `limit=None` neither E nor Z is bounded, and the distribution is an `UnnormalisedDistribution`, which refuses
    `log_prob` by name outside of `normaliser_held()`.

    The *gradient* of `log_prob` is not that of these bounds, under which E would learn to be flat, but that of log
    p(z):

    .. math:: \nabla_\theta \log p(z) = -\nabla_\theta E_\theta(z) + \mathbb{E}_{p(z')}[\nabla_\theta E_\theta(z')]

    with weighted samples z' of annealed Langevin dynamics from N(0, I): consistent as `negatives` grows. (Unweighted
    short runs, as in the paper, learn densities that are far from their samples.) A sample is drawn in the same way, as
    one of a few `candidates` by their weights: approximately from p(z). The value of `log_prob` depends on none of
    them.

    Args:
        z_shape: (L, K, D).
        hidden: width of the energy's network: layers on every vector, a mean over the vectors, layers on the mean.
        limit: c, in nats; None leaves the energy unbounded.
        langevin_steps: Langevin steps for a sample.
        step_size: the size of these steps, between 0 and 1.
        candidates: chains for one sample; with 1, a sample is the end of a single short run.
        negatives: samples z' for one gradient.

    Raises:
        InputError: for sizes or a limit that are not positive, or a step size that is not between 0 and 1.

    Example:
        >>> EnergyPrior((2, 4, 8))().sample((5,)).shape
        torch.Size([5, 2, 4, 8])
    """

    approximate_sampler = "short-run Langevin, approximate"

    @bounded(
        hidden=whole(1),
        limit=POSITIVE,
        langevin_steps=whole(0),
        step_size=Range(0, 1, True, True),
        candidates=whole(1),
        negatives=whole(1),
    )
    def __init__(
        self,
        z_shape: tuple[int, int, int],
        hidden: int = 64,
        limit: float | None = 10.0,
        langevin_steps: int = 20,
        step_size: float = 0.5,
        candidates: int = 8,
        negatives: int = 128,
    ) -> None:
        super().__init__(z_shape)
        sizes = {"hidden": hidden, "langevin_steps": langevin_steps, "candidates": candidates, "negatives": negatives}
        for name, size in sizes.items():
            if size < 1:
                raise InputError(f"{name}={size}: expected a positive whole number")
        if not 0 < step_size < 1 or not (limit is None or limit > 0):
            raise InputError(
                f"step_size={step_size}, limit={limit}: expected a step below 1, and a limit above 0 or None"
            )
        self.hidden, self.limit, self.negatives = hidden, limit, negatives
        self.langevin_steps, self.step_size, self.candidates = langevin_steps, step_size, candidates
        layers, thoughts, width = self.z_shape
        self.read = nn.Linear(width, hidden)
        self.place = nn.Parameter(0.1 * torch.randn(layers, thoughts, hidden))
        self.each, self.pooled = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.height = nn.Linear(hidden, 1)
        shrink(self.height)
        self._held: tuple[float, list[int]] | None = None  # an upper bound on log Z, and the weights it belongs to

    def forward(self) -> ThoughtDistribution | UnnormalisedDistribution:
        if self.density is Density.UNNORMALISED:
            functions = (self.log_density, self._log_density_for_learning, self._draw)
            return UnnormalisedDistribution(self.z_shape, *functions, name=type(self).__name__)
        return ThoughtDistribution(self.z_shape, self._log_lower, self._draw, self.density, has_rsample=False)

    @property
    def density(self) -> Density:
        """The relation of `log_prob` to log p(z)."""
        return Density.UNNORMALISED if self.limit is None and self._held is None else Density.BELOW

    def energy(self, z: Tensor) -> Tensor:
        """E(z), in nats, shape (...) from z of shape (..., L, K, D)."""
        silu = nn.functional.silu
        each = silu(self.each(silu(self.read(z) + self.place)))  # (..., L, K, hidden)
        height = self.height(silu(self.pooled(each.mean((-3, -2))))).squeeze(-1)  # (...)
        return height if self.limit is None else self.limit * torch.tanh(height / self.limit)

    def log_density(self, z: Tensor) -> Tensor:
        """-E(z) + log N(z; 0, I), which is log p(z) + log Z, shape (...)."""
        return Normal(0.0, 1.0).log_prob(z).sum((-3, -2, -1)) - self.energy(z)

    def log_normaliser(self, samples: int = 2048, temperatures: int = 16) -> NormaliserBounds:
        """Bounds on log Z in the mean, by annealed importance sampling, in nats.

        The weights lie between exp(-limit) and exp(limit), so that their mean is not ruled by rare large ones; with
        `limit=None` it can be.

        Args:
            samples: number of weights, even and at least 4.
            temperatures: number of temperatures of the annealing.

        Returns:
            Two random numbers whose means enclose log Z, and the upper one's standard error.
        """
        if samples < 4 or samples % 2 or temperatures < 1:
            raise InputError(
                f"samples={samples}, temperatures={temperatures}: expected an even number of samples from 4 on, "
                "and at least one temperature"
            )
        z = self._noise(torch.Size((samples,)))
        return normaliser_bounds(annealed(z, self.energy, temperatures, self.step_size)[1])

    @contextmanager
    def normaliser_held(self, samples: int = 2048, temperatures: int = 16) -> Iterator[NormaliserBounds]:
        """Context that fixes one estimate of Z, under which `log_prob` is in the mean below log p(z).

        The estimate is a constant within the context, so that every lower bound on log p(x) is valid in the mean over
        estimates. The weights must not change within it.
        """
        bounds = self.log_normaliser(samples, temperatures)
        before, self._held = self._held, (bounds.upper, self._versions())
        try:
            yield bounds
        finally:
            self._held = before

    def _ceiling(self) -> float:
        """An upper bound on log Z, in the mean."""
        if self._held is None:
            return math.inf if self.limit is None else self.limit
        if self._held[1] != self._versions():
            raise InputError("the energy has changed since its normaliser was estimated: enter normaliser_held() anew")
        return self._held[0]

    def _versions(self) -> list[int]:
        return [parameter._version for parameter in self.parameters()]

    def _log_lower(self, z: Tensor) -> Tensor:
        return self._log_density_for_learning(z) - self._ceiling()

    def _log_density_for_learning(self, z: Tensor) -> Tensor:
        """Value of `log_density`, with the gradient of log p(z)."""
        if not torch.is_grad_enabled() or not any(parameter.requires_grad for parameter in self.parameters()):
            return self.log_density(z)
        negatives, log_w = self._chains(torch.Size((self.negatives,)))
        log_z = -(log_w.softmax(0) * self.energy(negatives)).sum()  # in its gradient alone
        return self.log_density(z) - (log_z - log_z.detach())

    def _noise(self, shape: torch.Size) -> Tensor:
        return torch.randn(*shape, *self.z_shape, dtype=self.place.dtype, device=self.place.device)

    def _chains(self, shape: torch.Size) -> tuple[Tensor, Tensor]:
        """Last states of chains, shape (*shape, L, K, D), and their log-weights, shape (*shape)."""
        return annealed(self._noise(shape), self.energy, self.langevin_steps, self.step_size)

    def _draw(self, shape: torch.Size) -> Tensor:
        z, log_w = self._chains(torch.Size((self.candidates, *shape)))
        chosen = Categorical(logits=log_w.movedim(0, -1)).sample()  # shape
        return z.take_along_dim(chosen[None, ..., None, None, None], 0).squeeze(0)

    def extra_repr(self) -> str:
        return (
            f"z_shape={self.z_shape}, hidden={self.hidden}, limit={self.limit}, langevin_steps={self.langevin_steps}, "
            f"step_size={self.step_size}, candidates={self.candidates}, negatives={self.negatives}"
        )
