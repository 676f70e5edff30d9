"""A diffusion prior over thought vectors."""

from __future__ import annotations

from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.models.priors.abstract import AbstractPrior
from ltm_pyro.models.priors.causal_states import CausalStates
from ltm_pyro.models.priors.denoiser import JointDenoiser, VectorDenoiser
from ltm_pyro.models.priors.density import Density
from ltm_pyro.models.priors.distribution import ThoughtDistribution
from ltm_pyro.models.priors.noise_schedule import NoiseSchedule
from ltm_pyro.models.priors.reverse_chain import Estimate, ReverseChain, Sampler
from ltm_pyro.ranges import bounded, whole

Order = Literal["joint", "vector"]


class DiffusionPrior(AbstractPrior):
    r"""Denoising diffusion prior over thought vectors, in N discrete steps, with a lower bound on log p(z).

    .. math:: \log p(z) \ge \mathbb{E}_q[\log p(z \mid z_1)]
              - \sum_{t=2}^{N} \mathbb{E}_q\,\mathrm{KL}(q(z_{t-1} \mid z_t, z) \,\|\, p(z_{t-1} \mid z_t))
              - \mathrm{KL}(q(z_N \mid z) \,\|\, \mathcal{N}(0, I))

    (Ho et al., 2020, arXiv 2006.11239, equation 5; Kingma et al., 2021, arXiv 2107.00630.) `log_prob` is an
    estimate with fresh noise, whose mean is this bound, differentiable in z and θ. `estimate` chooses it:

    - `path`: the log-weight of one noising path through all N steps. The mean of the weight itself is p(z)
      (`Density.UNBIASED`): z_1 … z_N are latent variables like any other, so that *every* bound on log p(x) is valid.
    - `sum`: every step's KL in closed form, each with its own noise. `Density.BELOW_IN_THE_MEAN`: valid for the ELBO
      and other means, but a bound with a logarithm of a mean of weights would come out too high.
    - `step`: one step drawn at random, times N: the denoiser runs once instead of N times, and the estimate is far
      noisier. `Density.BELOW_IN_THE_MEAN` too.

    In `sum` and `step`, the chain of N(0, I) is a control variate with a known value, which removes most of the noise.

    With `order="vector"` the vectors are emitted one after the other, layer by layer, each by a short diffusion
    conditioned on the state of a causal Transformer over those before it (LatentLM: Sun et al., 2024, arXiv 2412.08635,
    section 2); the bound is the sum over vectors. A sample then takes L K times as many steps.

    The prior starts close to N(0, I), where its bound is tight. The density is that of the chain with all N steps,
    which is also the default sampler; fewer steps, or `ddim`, are faster and sample another distribution, close to it.

    Args:
        z_shape: (L, K, D).
        steps: N.
        order: all vectors of a z at once (`joint`), or one after the other (`vector`).
        estimate: of the density, as above.
        width: of the networks, a multiple of 2 x `heads`.
        blocks: layers of the networks.
        heads: of their attention.
        sampler: `ancestral`, or `ddim`, whose steps add no noise.
        sample_steps: of a sample, at most N; None takes all.

    Raises:
        InputError: for an unknown choice, or sizes that do not fit together.

    Example:
        >>> prior = DiffusionPrior((2, 4, 8), steps=8, order="vector")
        >>> prior().sample((5,)).shape, prior().density.value
        (torch.Size([5, 2, 4, 8]), 'unbiased estimate of p(z)')
    """

    denoiser: JointDenoiser | VectorDenoiser

    @bounded(steps=whole(1), width=whole(1), blocks=whole(1), heads=whole(1), sample_steps=whole(1))
    def __init__(
        self,
        z_shape: tuple[int, int, int],
        steps: int = 32,
        order: Order = "joint",
        estimate: Estimate = "path",
        width: int = 64,
        blocks: int = 2,
        heads: int = 4,
        sampler: Sampler = "ancestral",
        sample_steps: int | None = None,
    ) -> None:
        super().__init__(z_shape)
        for name, value, choices in (
            ("order", order, Order),
            ("estimate", estimate, Estimate),
            ("sampler", sampler, Sampler),
        ):
            if value not in get_args(choices):
                raise InputError(f"{name}={value!r}: expected one of {', '.join(get_args(choices))}")
        self.schedule = NoiseSchedule(steps)
        if sample_steps is not None and not 1 <= sample_steps <= steps:
            raise InputError(f"sample_steps={sample_steps}: expected 1 to steps={steps}, or None for all")
        self.order, self.estimate, self.sampler, self.sample_steps = order, estimate, sampler, sample_steps
        self.sizes = (width, blocks, heads)
        vectors, channels = self.z_shape[0] * self.z_shape[1], self.z_shape[2]
        if order == "joint":
            self.denoiser = JointDenoiser(vectors, channels, width, blocks, heads, steps)
        else:
            self.states = CausalStates(vectors, channels, width, blocks, heads)
            self.denoiser = VectorDenoiser(channels, width, blocks, steps)

    def forward(self) -> ThoughtDistribution:
        return ThoughtDistribution(self.z_shape, self._log_density, self._draw, self.density, has_rsample=False)

    @property
    def density(self) -> Density:
        """The relation of `log_prob` to log p(z)."""
        return Density.UNBIASED if self.estimate == "path" else Density.BELOW_IN_THE_MEAN

    def chain(self, past: Tensor | None = None) -> ReverseChain:
        """Reverse chain of all vectors, or, for `order="vector"`, of the vector after each prefix of `past`."""
        if self.order == "joint":
            return ReverseChain(self.schedule, self.denoiser)
        return self._chain_of(self.states(past))

    def _chain_of(self, states: Tensor) -> ReverseChain:
        return ReverseChain(self.schedule, partial(self.denoiser, states=states))

    def _log_density(self, z: Tensor) -> Tensor:
        vectors = z.flatten(-3, -2)  # (..., V, D)
        return self.chain(vectors[..., :-1, :]).log_density(vectors, self.estimate).sum((-2, -1))

    def _draw(self, shape: torch.Size) -> Tensor:
        like = self.denoiser.read.weight
        layers, thoughts, width = self.z_shape
        noise = torch.randn(*shape, layers * thoughts, width, dtype=like.dtype, device=like.device)
        steps = self.sample_steps or self.schedule.steps
        if self.order == "joint":
            return self.chain().draw(noise, steps, self.sampler).view(*shape, *self.z_shape)
        vectors = noise[..., :0, :]
        for start in noise.split(1, -2):
            chain = self._chain_of(self.states(vectors)[..., -1:, :])
            vectors = torch.cat((vectors, chain.draw(start, steps, self.sampler)), -2)
        return vectors.view(*shape, *self.z_shape)

    def extra_repr(self) -> str:
        width, blocks, heads = self.sizes
        return (
            f"z_shape={self.z_shape}, steps={self.schedule.steps}, order={self.order}, estimate={self.estimate}, "
            f"width={width}, blocks={blocks}, heads={heads}, sampler={self.sampler}, sample_steps={self.sample_steps}"
        )
