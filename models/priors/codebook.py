"""A codebook prior: discrete thoughts, each of which is one of C codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

import pyro.distributions as dist
import torch
from torch import Tensor, nn
from torch.distributions import constraints

from ltm_pyro.errors import InputError
from ltm_pyro.models.priors.abstract import AbstractPrior
from ltm_pyro.models.priors.causal_states import CausalStates
from ltm_pyro.models.priors.code_categorical import CodeCategorical
from ltm_pyro.models.priors.code_usage import CodeReset, CodeUsage, reset_dead_codes
from ltm_pyro.models.priors.distribution import ThoughtDistribution
from ltm_pyro.models.priors.gaussian_head import shrink
from ltm_pyro.models.priors.slow_step_context import SlowStepContext, reset_optimizer_state
from ltm_pyro.ranges import bounded, whole

CodeOrder = Literal["independent", "autoregressive"]


class CodebookPrior(AbstractPrior):
    r"""Prior over vector-quantised thoughts: z is one-hot codes, whose vectors are in the model's (C, D) projection.

    .. math:: p(z) = \prod_{n=1}^{LK} \mathrm{Categorical}(z_n; \pi_n)
              \qquad\text{or}\qquad \prod_{n=1}^{LK} \mathrm{Categorical}(z_n; \pi(z_{<n}))

    `independent` has learned probabilities for every layer and thought, and an exact KL with the categorical guides;
    `autoregressive` has a small causal Transformer over the codes, layer by layer. Initial probabilities are equal (for
    `autoregressive`, nearly so). The decoder attends to :math:`z_n W`, a row of the learned matrix W, so that the
    codebook is shared by all layers and thoughts. Guides: `StraightThroughGuide`, `GumbelSoftmaxGuide`, and
    `CategoricalGuide` with a gradient estimator that needs no reparameterisation. (Kaiser et al., 2018, arXiv
    1803.03382; Roy et al., 2018, arXiv 1805.11063: discrete latent variables with a learned prior over them.)

    `log_prob` is linear in z, :math:`\sum_n z_n^\top \log \pi_n`: at one-hot z it is log p(z), and straight-through
    estimators use its gradient with respect to z.

    In training, `usage` counts the codes of every batch's posteriors, and every `revive_every` slow steps rarely used
    codes are re-seeded from used ones: their rows of W and their probabilities. The slow optimizer's running means of
    both are reset.

    Args:
        z_shape: (L, K, D) of the decoder, or (L, K, anything): D is not used.
        codes: C; the prior's own `z_shape` is (L, K, C).
        order: as above.
        width, blocks, heads: of the Transformer, by `order="autoregressive"`.
        revive_every: slow steps between two re-seedings of dead codes; 0 never re-seeds.

    Attributes:
        usage: a `CodeUsage`, updated where the guide has `probabilities`.

    Raises:
        InputError: for fewer than two codes, another order, sizes that do not fit together, or negative steps.

    Example:
        >>> prior = CodebookPrior((2, 4, 8), codes=16)
        >>> prior.z_shape, prior().sample((5,)).sum(-1).unique()
        ((2, 4, 16), tensor([1.]))
    """

    discrete = True

    @bounded(codes=whole(2), width=whole(1), blocks=whole(1), heads=whole(1), revive_every=whole(0))
    def __init__(
        self,
        z_shape: tuple[int, int, int],
        codes: int = 64,
        order: CodeOrder = "independent",
        width: int = 64,
        blocks: int = 2,
        heads: int = 4,
        revive_every: int = 100,
    ) -> None:
        if codes < 2:
            raise InputError(f"codes={codes}: expected at least two codes")
        if order not in get_args(CodeOrder):
            raise InputError(f"order={order!r}: expected one of {', '.join(get_args(CodeOrder))}")
        if revive_every < 0:
            raise InputError(f"revive_every={revive_every}: expected a number of steps, or 0 for never")
        super().__init__((z_shape[0], z_shape[1], codes))
        self.codes, self.order, self.sizes = codes, order, (width, blocks, heads)
        self.revive_every, self.usage = revive_every, CodeUsage(codes)
        if order == "independent":
            self.logits = nn.Parameter(torch.zeros(self.z_shape))
        else:
            self.states = CausalStates(z_shape[0] * z_shape[1], codes, width, blocks, heads)
            self.head = nn.Linear(width, codes)
            shrink(self.head)

    @property
    def square_norm(self) -> float:
        """Squared norm of a one-hot vector, 1."""
        return 1.0

    def forward(self) -> dist.Distribution:
        if self.order == "independent":
            return CodeCategorical(logits=self.logits).to_event(2)
        return ThoughtDistribution(
            self.z_shape, self._log_density, self._draw, has_rsample=False, support=constraints.simplex
        )

    def conditionals(self, past: Tensor) -> Tensor:
        """Conditional log-probabilities of the first n + 1 codes, given the first n; for `order="autoregressive"`.

        Args:
            past: the first n codes, one-hot, shape (..., n, C), n < L K.

        Returns:
            Shape (..., n + 1, C).
        """
        return self.head(self.states(past)).log_softmax(-1)

    @torch.no_grad()
    def adopt(self, reset: CodeReset) -> None:
        """Divide the probability of each copied code equally between the code and its re-seeded copies."""
        dead, sources = reset
        counts = torch.bincount(sources, minlength=self.codes) + 1  # the number of a source and its copies
        tables = [self.logits] if self.order == "independent" else [self.head.bias, self.head.weight.T]
        for table in tables:  # (..., C)
            table[..., dead] = table[..., sources]
        tables[0].sub_(counts.log().to(tables[0].dtype))
        tables[0][..., dead] -= counts[sources].log().to(tables[0].dtype)
        if self.order == "autoregressive":
            read = self.states.read.weight  # (width, C)
            read[:, dead] = read[:, sources]

    @contextmanager
    def on_slow_step(self, context: SlowStepContext) -> Iterator[dict[str, Any]]:
        """Count codes and re-seed dead ones; log the numbers of used, dead and re-seeded codes, and the perplexity."""
        metrics: dict[str, Any] = {}
        yield metrics
        if not hasattr(context.guide, "probabilities"):
            return
        self.usage.add(context.guide.probabilities)
        dead, due = int(self.usage.dead().sum()), self.revive_every and context.step % self.revive_every == 0
        metrics["codes"] = {"used": self.codes - dead, "dead": dead, "perplexity": self.usage.perplexity}
        metrics["codes"]["revived"] = self._reset(context) if due else 0

    def _reset(self, context: SlowStepContext) -> int:
        """Re-seed dead codes, and return their number."""
        codebook = context.model.projection.weight  # (D, C)
        reset = reset_dead_codes(codebook.T, self.usage.frequencies)
        self.adopt(reset)
        for parameter, dim in ((codebook, 1), *self._tables()):
            reset_optimizer_state(context.optimizer, parameter, dim, reset.dead)
        return len(reset.dead)

    def _tables(self) -> list[tuple[Tensor, int]]:
        """Parameters with an entry for every code, each with the dimension of the codes."""
        if self.order == "independent":
            return [(self.logits, 2)]
        return [(self.head.bias, 0), (self.head.weight, 0), (self.states.read.weight, 1)]

    def _log_density(self, z: Tensor) -> Tensor:
        codes = z.flatten(-3, -2)  # (..., L K, C)
        return (codes * self.conditionals(codes[..., :-1, :])).sum((-2, -1))

    def _draw(self, shape: torch.Size) -> Tensor:
        layers, thoughts, codes = self.z_shape
        sampled = self.head.weight.new_empty(*shape, 0, codes)
        for _ in range(layers * thoughts):
            next_code = dist.OneHotCategorical(logits=self.conditionals(sampled)[..., -1:, :])
            sampled = torch.cat((sampled, next_code.sample()), -2)
        return sampled.view(*shape, *self.z_shape)

    def extra_repr(self) -> str:
        width, blocks, heads = self.sizes
        transformer = f", width={width}, blocks={blocks}, heads={heads}" if self.order == "autoregressive" else ""
        return (
            f"z_shape={self.z_shape}, codes={self.codes}, order={self.order}{transformer}, "
            f"revive_every={self.revive_every}"
        )
