"""Langevin dynamics: unadjusted steps as an optimizer, and Metropolis-adjusted steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from ltm_pyro.errors import InputError
from ltm_pyro.ranges import NOT_NEGATIVE, POSITIVE, SHARE_BELOW_ONE, bounded

Z_DIMS = 3  # L, K and D


class LangevinDynamics(Optimizer):
    r"""Unadjusted Langevin algorithm as an optimizer: steps of size `lr` on the gradient of minus a log-density.

    .. math:: z \leftarrow z + \eta\, G\, \nabla \log p(z) + \sqrt{2 \eta\, T\, G}\, \xi, \qquad
              \xi \sim \mathcal{N}(0, I)

    with G = 1, or, `preconditioned`, :math:`G = 1 / (\epsilon + \sqrt{\bar v})` from the running mean of squared
    gradients, over steps and chains (Li et al., 2016, arXiv 1512.07666, without the term in the derivative of G, which
    falls with the number of chains that share a G). The noise comes from torch's global generator. Without Metropolis
    correction, the stationary distribution differs from p by an error that vanishes with the step size.

    Args:
        params: z, shape (B, N, ...), with N chains a sequence.
        lr: η.
        temperature: T; 0 is gradient ascent.
        preconditioned: whether every coordinate has a step size of its own, by G.
        decay: of the running mean in G.
        epsilon: ε of G, the least scale of a gradient.

    Raises:
        InputError: for a negative temperature or a rate that is not positive.
    """

    @bounded(lr=POSITIVE, temperature=NOT_NEGATIVE, decay=SHARE_BELOW_ONE, epsilon=POSITIVE)
    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 0.01,
        temperature: float = 1.0,
        preconditioned: bool = False,
        decay: float = 0.9,
        epsilon: float = 1e-3,
    ) -> None:
        if not lr > 0 or temperature < 0:
            raise InputError(
                f"lr={lr}, temperature={temperature}: expected a positive rate, and a temperature of 0 or more"
            )
        self.temperature, self.preconditioned = temperature, preconditioned
        self.decay, self.epsilon = decay, epsilon
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Take one step on every parameter with a gradient."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for z in group["params"]:
                if z.grad is not None:
                    size = group["lr"] * self._metric(z, z.grad)
                    z.add_(-size * z.grad + (2 * self.temperature * size) ** 0.5 * torch.randn_like(z))
        return loss

    def _metric(self, z: Tensor, slope: Tensor) -> Tensor | float:
        """Preconditioner G, broadcastable to z."""
        if not self.preconditioned:
            return 1.0
        state, square = self.state[z], slope.square().mean(1, keepdim=True)
        state["steps"] = state.get("steps", 0) + 1
        state["square"] = self.decay * state.get("square", 0.0) + (1 - self.decay) * square
        return 1 / (self.epsilon + (state["square"] / (1 - self.decay ** state["steps"])).sqrt())


class Height(NamedTuple):
    """Value of a log-density at the chains' states, shape (N, B), and its gradient, of z's shape."""

    value: Tensor
    slope: Tensor

    @classmethod
    def of(cls, log_density: Callable[[Tensor], Tensor], z: Tensor) -> Height:
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            value = log_density(z)
            (slope,) = torch.autograd.grad(value.sum(), z)
        return cls(value.detach(), slope)


@torch.no_grad()
def adjusted_langevin(z: Tensor, log_density: Callable[[Tensor], Tensor], steps: int, size: float) -> Tensor:
    r"""Metropolis-adjusted Langevin steps, which leave the density invariant at any step size.

    A proposal :math:`z' = z + \eta \nabla \log p(z) + \sqrt{2 \eta}\, \xi` is accepted with probability :math:`\min(1,
    p(z')\,q(z \mid z') / p(z)\,q(z' \mid z))`, independently for each chain. (Roberts and Tweedie, 1996.)

    Args:
        z: the chains' states, shape (N, B, L, K, D).
        log_density: log p up to a constant, (N, B, L, K, D) -> (N, B), differentiable.
        steps: number of steps.
        size: η.

    Returns:
        The last states, of z's shape, without history.
    """
    here = Height.of(log_density, z)
    for _ in range(steps):
        mean = z + size * here.slope
        proposal = mean + math.sqrt(2 * size) * torch.randn_like(z)
        there = Height.of(log_density, proposal)
        forward, backward = _square(proposal - mean), _square(z - proposal - size * there.slope)
        log_ratio = there.value - here.value + (forward - backward) / (4 * size)
        accepted = torch.rand_like(log_ratio).log() < log_ratio  # (N, B); never where it is NaN
        accepted_z = accepted[..., None, None, None]
        z = torch.where(accepted_z, proposal, z)
        here = Height(
            torch.where(accepted, there.value, here.value),
            torch.where(accepted_z, there.slope, here.slope),
        )
    return z


def _square(z: Tensor) -> Tensor:
    return z.square().flatten(-Z_DIMS).sum(-1)
