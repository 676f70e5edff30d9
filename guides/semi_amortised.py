"""A semi-amortised guide: an encoder initialises the posteriors, and the fast loop refines them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ltm_pyro.errors import InputError
from ltm_pyro.guides.abstract import AbstractGuide
from ltm_pyro.guides.abstract_encoder import SupportsDecode
from ltm_pyro.guides.mean_field import MeanFieldGuide
from ltm_pyro.guides.posterior_encoder import PosteriorEncoder
from ltm_pyro.ranges import bounded, whole


class SemiAmortisedGuide(AbstractGuide):
    r"""Semi-amortised inference: an encoder initialises a diagonal Gaussian, and the fast loop refines it.

    .. math:: \gamma_0 = \mathrm{enc}_\phi(x), \qquad \gamma_T = \text{the fast loop, from } \gamma_0

    The model's weights learn at the refined :math:`\gamma_T`. The encoder learns, in the same slow step, from

    - `own`: the slow step's bound at :math:`\gamma_0`, with noise of its own, as in `AmortisedGuide`. It costs one more
      pass through the model, whose gradients do not go to the model's weights.
    - `refinement`: the slow step's bound at :math:`\gamma_T`, differentiated through every step of the fast loop, so
      that the encoder learns initial values from which refinement ends well (Kim et al., 2018, arXiv 1802.02550,
      algorithm 2). It costs two passes for each fast step. These gradients go to the encoder alone; the model's weights
      learn at a fixed :math:`\gamma_T`. See `UnrolledLoop` for the optimizers and bounds that it supports.

    Args:
        z_shape: (L, K, D).
        vocabulary: V, for the encoder; with 0, `prepare` makes the encoder.
        through: the gradient of the encoder, `own` or `refinement`.
        width, blocks, heads, encoder: as in `AmortisedGuide`.

    Raises:
        InputError: for another `through`, or sizes that do not fit together.
    """

    @bounded(vocabulary=whole(0), width=whole(1), blocks=whole(1), heads=whole(1))
    def __init__(
        self,
        z_shape: tuple[int, int, int],
        vocabulary: int = 0,
        through: Literal["own", "refinement"] = "own",
        width: int = 128,
        blocks: int = 2,
        heads: int = 4,
        encoder: nn.Module | None = None,
    ) -> None:
        super().__init__(z_shape)
        if through not in ("own", "refinement"):
            raise InputError(f"through={through!r}: expected 'own' or 'refinement'")
        self.through = through
        self.reader = PosteriorEncoder(self.z_shape, vocabulary, width, blocks, heads, encoder)
        self.gaussian = MeanFieldGuide(self.z_shape)
        self._unrolled: Any = None

    @property
    def family(self) -> str:
        return self.gaussian.family

    @property
    def needs_unrolled(self) -> bool:
        return self.training and self.through == "refinement"

    def set_unrolled(self, unrolled: Any) -> None:
        self._unrolled = unrolled

    def attach_tokenizer(self, tokenizer: SupportsDecode) -> None:
        self.reader.attach_tokenizer(tokenizer)

    def prepare(self, vocabulary: int) -> None:
        self.reader.prepare(vocabulary)

    def start(self, x: Tensor, mask: Tensor | None = None, prior: Distribution | None = None) -> None:
        self._unrolled, self.rows = None, len(x)
        self._reading = self.reader.open(x, mask, prior)
        with torch.no_grad():
            mu, log_sigma = self.reader(self._reading)
        self.gaussian.mu, self.gaussian.log_sigma = mu.clone().requires_grad_(), log_sigma.clone().requires_grad_()

    def local_parameters(self) -> list[Tensor]:
        return self.gaussian.local_parameters()

    def natural_step(self, rate: float) -> None:
        self.gaussian.natural_step(rate)

    def natural_norm(self) -> Tensor:
        return self.gaussian.natural_norm()

    def backward_guide(self, loss: Callable[[], Tensor]) -> None:
        if self.through == "own":
            with self._at_the_start():
                loss().backward()
            return
        if self._unrolled is None:
            raise InputError("the fast loop's steps were not recorded: call guide.train() before the fit")
        slopes = [row.grad for row in self.local_parameters()]
        for row in self.local_parameters():
            row.grad = None
        torch.autograd.backward(list(self.reader(self._reading)), self._unrolled.backward(slopes))
        self._unrolled = None

    def posterior(self) -> Distribution:
        return self.gaussian.posterior()

    @contextmanager
    def _at_the_start(self) -> Iterator[None]:
        """Context in which q is the encoder's, differentiable in its weights."""
        refined = self.gaussian.mu, self.gaussian.log_sigma
        try:
            self.gaussian.mu, self.gaussian.log_sigma = self.reader(self._reading)
            yield
        finally:
            self.gaussian.mu, self.gaussian.log_sigma = refined

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}, through={self.through!r}"
