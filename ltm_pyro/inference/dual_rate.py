"""Dual-rate variational inference: fast on γ, slow on θ."""

from __future__ import annotations

from itertools import chain
from typing import Any

from torch import Tensor, nn

from ltm_pyro.bounds import Terms
from ltm_pyro.inference.fast_loop import FastLoop
from ltm_pyro.inference.slow_step import SlowStep


class DualRateSVI:
    """For each batch: fit every sequence's posterior, then take one step on the weights.

    (Kong et al., 2025, arXiv 2502.01567, algorithm 1.) Pyro's parameter store is not used and stays empty.

    Args:
        model: a Pyro model called as `model(x, mask, ...)`.
        guide: a guide with `start`, `local_parameters`, and the model's own call.
        fast: the loop on the local parameters.
        slow: the step on the global ones; None for inference alone.

    Example:
        >>> from ltm_pyro import ELBO, Decoder, GaussianPrior, LatentThoughtModel, MeanFieldGuide
        >>> decoder = Decoder(vocabulary=10, width=8, layers=1, heads=2, thoughts=2, length=6)
        >>> model = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder)
        >>> svi = DualRateSVI(model, MeanFieldGuide(decoder.z_shape), FastLoop(ELBO(), steps=4), SlowStep(ELBO()))
        >>> svi.step(model(batch_size=3).detach()).elbo.shape
        torch.Size([3])
    """

    def __init__(self, model: nn.Module, guide: Any, fast: FastLoop, slow: SlowStep | None = None) -> None:
        self.model, self.guide, self.fast, self.slow = model, guide, fast, slow
        if slow is not None:
            slow.prepare(chain(model.parameters(), guide.parameters()))

    def fit(self, x: Tensor, mask: Tensor | None = None, **kwargs: Any) -> None:
        """Fit the local posteriors of a batch; θ stays as it is and gets no gradient."""
        self.fast.fit(self.model, self.guide, x, mask, **kwargs)

    def step(self, x: Tensor, mask: Tensor | None = None, **kwargs: Any) -> Terms:
        """`fit`, then one slow step; the terms of the batch before that step, with fresh noise.

        Raises:
            NonFiniteError: if the bound or its gradient is not finite; the weights are as they were.
        """
        if self.slow is None:
            raise RuntimeError("this DualRateSVI has no slow step: it was made for inference alone")
        for bound in (self.fast.bound, self.slow.bound):
            bound.begin(self.slow.taken)
        self.fit(x, mask, **kwargs)
        return self.slow.step(self.model, self.guide, x, mask, **kwargs)
