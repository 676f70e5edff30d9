"""A guide that reads the text, and fits nothing."""

from __future__ import annotations

import pyro.distributions as dist
from torch import Tensor, nn
from torch.distributions import Distribution

from ltm_pyro.guides.abstract import AbstractGuide
from ltm_pyro.guides.posterior_encoder import PosteriorEncoder
from ltm_pyro.ranges import bounded, whole


class AmortisedGuide(AbstractGuide):
    r"""An encoder gives every text its diagonal Gaussian at once.

    .. math:: q(z) = \mathcal{N}(\mu_\phi(x), \mathrm{diag}(\sigma_\phi^2(x)))

    (Kingma and Welling, 2014, arXiv 1312.6114.) Nothing is local: the fast loop has nothing to do, and the encoder's
    weights φ are learned by the slow step, with the model's. It starts at the prior. Kong et al. (2025, arXiv
    2502.01567) report that such a guide collapses: watch the KL.

    The text is read in `start`, and q stays that text's until the next one: other arguments of a call change nothing.

    Args:
        z_shape: (L, K, D).
        vocabulary: V, from which the encoder is made; with 0 it is made by `prepare`.
        width, blocks, heads: of the encoder.
        encoder: one of your own in its place, a module whose forward takes x and mask, (B, T) each, and returns the
            shifts of mean and log-scale, (B, L, K, D) each, in units of the prior's; see `TextEncoder`.

    Raises:
        InputError: for sizes that do not fit together.

    Example:
        >>> import torch
        >>> guide = AmortisedGuide((2, 4, 8), vocabulary=30, width=16)
        >>> x = torch.zeros(3, 16, dtype=torch.long)
        >>> guide.start(x)
        >>> guide(x).shape, guide.local_parameters()
        (torch.Size([3, 2, 4, 8]), [])
    """

    @bounded(vocabulary=whole(0), width=whole(1), blocks=whole(1), heads=whole(1))
    def __init__(
        self,
        z_shape: tuple[int, int, int],
        vocabulary: int = 0,
        width: int = 128,
        blocks: int = 2,
        heads: int = 4,
        encoder: nn.Module | None = None,
    ) -> None:
        super().__init__(z_shape)
        self.reader = PosteriorEncoder(self.z_shape, vocabulary, width, blocks, heads, encoder)

    @property
    def family(self) -> str:
        return "MeanFieldGuide"

    def prepare(self, vocabulary: int) -> None:
        self.reader.prepare(vocabulary)

    def start(self, x: Tensor, mask: Tensor | None = None, prior: Distribution | None = None) -> None:
        self.rows, self._reading = len(x), self.reader.open(x, mask, prior)

    def local_parameters(self) -> list[Tensor]:
        return []

    def posterior(self) -> Distribution:
        mu, log_sigma = self.reader(self._reading)  # read anew at every call: the slow step needs the way back to φ
        return dist.Normal(mu, log_sigma.exp()).to_event(3)
