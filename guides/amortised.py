"""An amortised guide: an encoder gives q(z | x), and nothing is fitted."""

from __future__ import annotations

import pyro.distributions as dist
from torch import Tensor, nn
from torch.distributions import Distribution

from ltm_pyro.guides.abstract import AbstractGuide
from ltm_pyro.guides.abstract_encoder import SupportsDecode
from ltm_pyro.guides.posterior_encoder import PosteriorEncoder
from ltm_pyro.ranges import bounded, whole


class AmortisedGuide(AbstractGuide):
    r"""Amortised inference: an encoder maps a text to the mean and scale of a diagonal Gaussian.

    .. math:: q(z) = \mathcal{N}(\mu_\phi(x), \mathrm{diag}(\sigma_\phi^2(x)))

    (Kingma and Welling, 2014, arXiv 1312.6114.) There are no local parameters: the fast loop does nothing, and the
    encoder's weights φ are learned by the slow step, with the model's. q starts at the prior. Kong et al. (2025, arXiv
    2502.01567) report that such a guide collapses: watch the KL.

    `start` sets the texts, and q is theirs until the next `start`: the arguments of a call change nothing.

    Args:
        z_shape: (L, K, D).
        vocabulary: V, for the encoder; with 0, `prepare` makes the encoder.
        width, blocks, heads: of the encoder.
        encoder: another encoder instead: a `PretrainedEncoder`, or a module of your own whose forward takes x and mask,
            (B, T) each, and returns the shifts of mean and log-scale, (B, L, K, D) each, relative to the prior.

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

    def attach_tokenizer(self, tokenizer: SupportsDecode) -> None:
        self.reader.attach_tokenizer(tokenizer)

    def prepare(self, vocabulary: int) -> None:
        self.reader.prepare(vocabulary)

    def start(self, x: Tensor, mask: Tensor | None = None, prior: Distribution | None = None) -> None:
        self.rows, self._reading = len(x), self.reader.open(x, mask, prior)

    def local_parameters(self) -> list[Tensor]:
        return []

    def posterior(self) -> Distribution:
        mu, log_sigma = self.reader(self._reading)  # encoded again at every call: the slow step needs the gradient of φ
        return dist.Normal(mu, log_sigma.exp()).to_event(3)
