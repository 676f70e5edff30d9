"""A Langevin guide: short-run MCMC towards the posterior."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.optim import Optimizer

from ltm_pyro.errors import InputError
from ltm_pyro.guides.langevin_dynamics import LangevinDynamics, adjusted_langevin
from ltm_pyro.guides.point_guide import AbstractPointGuide
from ltm_pyro.ranges import NOT_NEGATIVE, bounded, whole


class LangevinGuide(AbstractPointGuide):
    r"""Short-run Langevin dynamics: N chains a sequence, from the prior, with a Langevin step for every fast step.

    .. math:: z \leftarrow z + \eta_s \nabla \log p(x, z) + \sqrt{2 \eta_s T}\, \xi, \qquad z_0 \sim p(z)

    (Short-run inference: Nijkamp et al., 2020, arXiv 1912.01909.) The fast loop's learning rates are the step
    sizes, which fall during the loop; its `optimizer` is not used. With the few steps of a fast loop, the chains do not
    sample the posterior: after too few steps they are still close to the prior; with large steps they spread too wide,
    and diverge from η = 2 / (the largest curvature of log p(x, z)) on. Both errors vanish with many steps of a small
    size. `adjusted_steps` remove the error of the step size, but few are accepted if the size is large.

    There is no density: nothing is bounded. S samples are the chains in turn (see `Points`).

    Args:
        z_shape: (L, K, D).
        particles: N.
        temperature: T, of the noise; 1 samples the posterior.
        preconditioned: whether every coordinate has a step size of its own, from its gradients: the rate is then the
            step size of a coordinate whose gradients are about 1.
        adjusted_steps: the number of Metropolis-adjusted steps after the fast loop, of its last step size, each with
            one more gradient of log p(x, z), without `kl_weight`.

    Raises:
        InputError: for fewer than one chain, a negative temperature or number of steps, or adjusted steps at
        temperature 0.
    """

    is_sampler = True

    @bounded(particles=whole(1), temperature=NOT_NEGATIVE, adjusted_steps=whole(0))
    def __init__(
        self,
        z_shape: tuple[int, int, int],
        particles: int = 4,
        temperature: float = 1.0,
        preconditioned: bool = False,
        adjusted_steps: int = 0,
    ) -> None:
        super().__init__(z_shape, particles)
        if adjusted_steps < 0 or temperature < 0 or (adjusted_steps and not temperature):
            raise InputError(
                f"adjusted_steps={adjusted_steps}, temperature={temperature}: expected 0 or more of each, and a "
                "positive temperature for adjusted steps"
            )
        self.temperature, self.preconditioned, self.adjusted_steps = temperature, preconditioned, adjusted_steps
        self._last_size: Callable[[], float] | None = None

    def begin(self, batch: int, prior: Distribution | None, device: torch.device) -> Tensor:
        self._last_size = None
        return self.from_the_prior(batch, prior, device)

    def fast_optimizer(self, given: Callable[..., Optimizer]) -> Callable[..., Optimizer]:
        def make(params: Any, lr: float) -> Optimizer:
            dynamics = LangevinDynamics(params, lr, self.temperature, self.preconditioned)
            self._last_size = lambda: dynamics.param_groups[0]["lr"]
            return dynamics

        return make

    def after_fit(self, log_joint: Callable[[Tensor], Tensor]) -> None:
        if not self.adjusted_steps or self._last_size is None:
            return

        def tempered(z: Tensor) -> Tensor:
            return log_joint(z) / self.temperature

        chains = self.z.detach().transpose(0, 1)  # (N, B, L, K, D)
        size = self._last_size() * self.temperature
        moved = adjusted_langevin(chains, tempered, self.adjusted_steps, size)
        with torch.no_grad():
            self.z.copy_(moved.transpose(0, 1))

    def extra_repr(self) -> str:
        own = f"temperature={self.temperature}, preconditioned={self.preconditioned}"
        return f"{super().extra_repr()}, {own}, adjusted_steps={self.adjusted_steps}"
