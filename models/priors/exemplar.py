"""An exemplar prior: a mixture of the posteriors of training texts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyro.distributions as dist
import torch
from pyro import poutine
from torch import Tensor, nn

from ltm_pyro.errors import InputError
from ltm_pyro.models.priors.abstract import AbstractPrior
from ltm_pyro.models.priors.code_usage import CodeUsage
from ltm_pyro.models.priors.mixture import gaussian_mixture, spread_out
from ltm_pyro.models.priors.slow_step_context import SlowStepContext, reset_optimizer_state
from ltm_pyro.ranges import NOT_NEGATIVE, bounded, whole


class ExemplarPrior(AbstractPrior):
    r"""Mixture of the posteriors of C training texts, the exemplars, which are chosen in training.

    .. math:: p(z) = \sum_{c=1}^{C} \pi_c\, \mathcal{N}(z; \mu_c, \mathrm{diag}(w^2 \sigma_c^2)), \qquad
              (\mu_c, \sigma_c) = \text{fast loop}(x_c)

    Tomczak and Welling (2018, arXiv 1705.07120, equation 9) learn pseudo-inputs by gradients through an encoder. Here
    there is no encoder, and text has no gradient: the pseudo-inputs are training texts. Every `every` slow steps the
    fast loop fits their posteriors again with the current decoder, and exemplars that are hardly used (their share of
    the responsibilities is below a tenth of 1/C) are exchanged for random other texts. Weights :math:`\pi` and widths
    w, of shape (L, K, D), are learned by gradient.

    **No text is scored by its own posterior while the prior learns.** Otherwise the KL of an exemplar could fall to log
    C, whatever its text, and w would learn to be narrow. In a slow step, p(z) of a text that is itself an exemplar is
    the mixture of the others (as in the Exemplar VAE: Norouzi et al., 2020, arXiv 2004.04795), so that training metrics
    are leave-one-out. Anywhere else p(z) is one fixed mixture, and bounds on held-out text are valid. An exemplar
    that is scored after training finds its own posterior among the components, as any model has seen its training text.

    Posteriors of exemplars are fitted under N(0, I), not under this prior: in many dimensions the components are far
    apart, so that each posterior would be drawn to its nearest component, and be narrower at every fit. The widths w
    correct for the other prior.

    Until the first fit, the components have no texts, and are initialised as in `VampPrior`.

    Args:
        z_shape: (L, K, D).
        components: C; a training set with fewer texts leaves components without texts.
        every: slow steps between two fits of all exemplars; a fit takes the fast loop of C texts.
        spread: standard deviation of the first means, between 0 and 1; the variances start at 1 - spread².

    Attributes:
        ids: indices of the exemplars among the training texts, shape (C,); -1 for none.

    Raises:
        InputError: for fewer than two components, steps that are not positive, or a spread that is not between 0 and 1.
    """

    ids: Tensor
    mu: Tensor
    log_sigma: Tensor

    @bounded(components=whole(2), every=whole(1), spread=NOT_NEGATIVE)
    def __init__(
        self, z_shape: tuple[int, int, int], components: int = 32, every: int = 50, spread: float = 0.2
    ) -> None:
        super().__init__(z_shape)
        if components < 2 or every < 1:
            raise InputError(
                f"components={components}, every={every}: expected 2 components or more, and 1 step or more"
            )
        self.components, self.every, self.spread = components, every, spread
        mu, log_sigma = spread_out(self.z_shape, components, units=0, spread=spread)
        self.register_buffer("mu", mu)  # (C, L, K, D)
        self.register_buffer("log_sigma", log_sigma)
        self.register_buffer("ids", torch.full((components,), -1))
        self.logits = nn.Parameter(torch.zeros(components))
        self.log_width = nn.Parameter(torch.zeros(self.z_shape))
        self.usage = CodeUsage(components)
        self._own: Tensor | None = None  # (B, C): which exemplar a text of the batch is
        self._standard = False

    def forward(self) -> dist.Distribution:
        if self._standard:
            return dist.Normal(torch.zeros_like(self.mu[0]), 1.0).to_event(3)
        mixture = gaussian_mixture(self.logits, self.mu, self.log_sigma + self.log_width)
        return mixture if self._own is None else _Others.of(mixture, self._own)

    @contextmanager
    def on_slow_step(self, context: SlowStepContext) -> Iterator[dict[str, Any]]:
        """Leave each text's own component out of the step; then count, exchange and fit exemplars. Logs their usage."""
        metrics: dict[str, Any] = {}
        own = context.ids[:, None] == self.ids  # (B, C)
        self._own = own if own.any() else None
        try:
            yield metrics
            self._count(context)
        finally:
            self._own = None
        dead = int(self.usage.dead().sum())
        metrics["exemplars"] = {"used": self.components - dead, "perplexity": self.usage.perplexity, "exchanged": 0}
        if context.step % self.every == 0:
            metrics["exemplars"]["exchanged"] = self._exchange(context)
            self._fit(context)

    @torch.no_grad()
    def _count(self, context: SlowStepContext) -> None:
        """Add the responsibilities of the components for the batch to their usage."""
        site = self._posteriors(context)
        _moments(site["fn"])  # so that a guide without moments is refused at the first step
        p, z = self(), site["value"]  # (B, L, K, D)
        log_each = p.mixture_distribution.logits + p.component_distribution.log_prob(z[:, None])  # (B, C)
        self.usage.add(log_each.softmax(-1))

    @torch.no_grad()
    def _exchange(self, context: SlowStepContext) -> int:
        """Give new texts to components that are hardly used or have none; return the number of these."""
        others = torch.randperm(len(context.texts)).to(self.ids.device)
        others = others[~torch.isin(others, self.ids)]
        idle = ((self.ids < 0) | self.usage.dead()).nonzero().squeeze(-1)[: len(others)]
        self.ids[idle] = others[: len(idle)]
        self.logits[idle] = self.logits.logsumexp(0) - math.log(self.components)  # an equal share
        reset_optimizer_state(context.optimizer, self.logits, 0, idle)
        return len(idle)

    @torch.no_grad()
    def _fit(self, context: SlowStepContext) -> None:
        """Fit the posteriors of all exemplars, a batch at a time."""
        self._standard = True
        try:
            for part in (self.ids >= 0).nonzero().squeeze(-1).split(len(context.ids)):
                texts = context.texts.batch(self.ids[part].tolist()).to(self.mu.device)
                context.fit(x=texts.x, mask=texts.mask, previous=texts.previous)
                site = self._posteriors(context)
                self.mu[part], self.log_sigma[part] = _moments(site["fn"])
        finally:
            self._standard = False

    def _posteriors(self, context: SlowStepContext) -> dict[str, Any]:
        """The guide's site `z` for its current batch."""
        return poutine.trace(context.guide).get_trace().nodes["z"]

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}, components={self.components}, every={self.every}, spread={self.spread:g}"


class _Others(dist.MixtureSameFamily):
    """Mixture without each text's own component, batch (B,); its moments are those of the whole mixture."""

    whole: dist.Distribution

    @classmethod
    def of(cls, whole: dist.MixtureSameFamily, own: Tensor) -> _Others:
        """The mixture `whole` of C components, without those that the mask `own`, shape (B, C), marks."""
        logits = whole.mixture_distribution.logits.masked_fill(own, -math.inf)
        others = cls(dist.Categorical(logits=logits), whole.component_distribution.expand(own.shape))
        others.whole = whole
        return others

    @property
    def mean(self) -> Tensor:
        return self.whole.mean  # (L, K, D), as of any prior

    @property
    def variance(self) -> Tensor:
        return self.whole.variance

    def expand(self, batch_shape: torch.Size, _instance: _Others | None = None) -> _Others:
        expanded = super().expand(batch_shape, _instance)
        expanded.whole = self.whole
        return expanded


def _moments(q: dist.Distribution) -> tuple[Tensor, Tensor]:
    """Mean and log standard deviation of posteriors, shape (B, L, K, D) each."""
    try:
        mean, log_sigma = q.mean, q.variance.sqrt().log()
    except NotImplementedError:
        log_sigma = torch.tensor(-math.inf)
    if not log_sigma.isfinite().all():
        raise InputError("ExemplarPrior needs posteriors with a mean and a variance: give --guide MeanFieldGuide")
    return mean, log_sigma
