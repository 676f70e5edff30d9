"""The likelihood of masked diffusion as a Pyro distribution: `log_prob` estimates a bound, `sample` unmasks."""

from __future__ import annotations

from typing import Literal

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from ltm_pyro.models.masked_network import MaskedNetwork
from ltm_pyro.models.priors.density import Density
from ltm_pyro.models.token_sequence import check_text
from ltm_pyro.models.unmasking import first_hitting
from ltm_pyro.token_ids import token_ids

Loss = Literal["masked", "score-entropy"]
AT_ONCE = 64  # texts in a pass without gradients


class MaskedSequence(TorchDistribution):
    r"""Distribution of texts by masked diffusion: all tokens start masked, and are unmasked in a random order.

    `log_prob` is **no log-likelihood, but an unbiased estimate of a lower bound on it**, fresh at every call. In
    continuous time, and for any schedule, the negative ELBO of masked diffusion (Sahoo et al., 2024, arXiv 2406.07524,
    equation 11) equals an expectation over the orders in which n tokens are revealed. With the log-linear schedule's
    weight 1/t, and t integrated out given the number k of masked tokens, the bound is

    .. math:: \log p(x) \ge \mathbb{E}_{k \sim U\{1..n\}}\, \mathbb{E}_{|M| = k}
              \Big[\frac{n}{k} \sum_{i \in M} \log p_\theta(x_i \mid x_{\setminus M})\Big]

    with M a uniform set of k positions (Hoogeboom et al., 2022, arXiv 2110.02037, equation 6). The estimate has the
    same mean as one that samples t, and less variance. The values of k are stratified over the draws of a text and over
    the batch; each is still uniform by itself.

    With the loss `score-entropy` (Lou et al., 2024, arXiv 2310.16834, equation 5, absorbing state) the network's
    outputs are not normalised: g = exp(f) / V is the intensity of each token, and every masked position pays
    :math:`\sum_v g_v - 1 - \log g_{x_i}` in place of :math:`-\log p_\theta`, a bound for the process whose jumps
    have these intensities. Where the intensities add up to 1 the two losses are the same.

    Batch shape (B,), or (S, B), each entry with a draw of its own; event shape (T,).

    Args:
        model: the masked-diffusion network.
        mask: True where a token is scored, shape (B, T); None scores all. A token that is not scored is context and
            never masked. After a text's last scored token comes padding, which belongs to the text: the model learns
            and writes texts of its full length, padding included.
        previous: the token before each text, shape (B,); context too; the decoder's `bos_id` if None.
        length: T of the texts that `sample` writes.
        batch_shape: B.
    """

    arg_constraints: dict = {}  # noqa: RUF012  (the base class's own declaration)
    support = constraints.independent(constraints.nonnegative_integer, 1)
    has_rsample = False
    density = Density.BELOW_IN_THE_MEAN

    def __init__(
        self,
        model: MaskedNetwork,
        mask: Tensor | None = None,
        previous: Tensor | None = None,
        length: int | None = None,
        batch_shape: torch.Size | tuple[int, ...] = (),
        validate_args: bool | None = None,
    ) -> None:
        self.model, self.mask, self.previous = model, mask, previous
        event_shape = torch.Size((length or model.decoder.length,))
        super().__init__(torch.Size(batch_shape), event_shape, validate_args=validate_args)

    def expand(self, batch_shape: torch.Size, _instance: MaskedSequence | None = None) -> MaskedSequence:
        """The same distribution with a larger batch shape."""
        length = self.event_shape[0]
        return MaskedSequence(self.model, self.mask, self.previous, length, batch_shape, self._validate_args)

    def log_prob(self, x: Tensor) -> Tensor:
        """An unbiased estimate of a lower bound on each text's log-probability, in nats, shape (B,) or (S, B)."""
        x = token_ids(x)
        if self._validate_args:
            check_text(x, self.mask, self.model.decoder.vocabulary)
        text, free = self.model.filled(x, self.mask)
        text, free = (rows.expand(*self.batch_shape, -1).flatten(0, -2) for rows in (text, free))
        hidden, weight = hide(free, draws=self.batch_shape[:-1].numel())
        rows = text, hidden, self._before(len(text))
        size = len(text) if torch.is_grad_enabled() else AT_ONCE
        parts = zip(*(row.split(size) for row in rows), strict=True)
        nats = torch.cat([self.model.token_nats(*part) for part in parts])
        return (weight * nats).view(self.batch_shape)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:  # noqa: B008  (the base class's signature)
        """Write texts, one token of each a pass, shape (*sample_shape, *batch_shape, T)."""
        shape = torch.Size(sample_shape) + self.batch_shape
        prompt = torch.zeros(shape.numel(), 0, dtype=torch.long, device=self.model.absorbed.device)
        texts = first_hitting(self.model, prompt, self._before(shape.numel()))
        return texts[:, : self.event_shape[0]].view(*shape, -1)

    def _before(self, rows: int) -> Tensor:
        """The token before each text, shape (rows,)."""
        if self.previous is None:
            return torch.full((rows,), self.model.decoder.bos_id, device=self.model.absorbed.device)
        return self.previous.expand(rows // len(self.previous), -1).flatten()


def hide(free: Tensor, draws: int = 1) -> tuple[Tensor, Tensor]:
    """Sample the masked positions of each text: a uniform number of the free ones, then a uniform set of that size.

    Args:
        free: True where a token may be masked, shape (N, T): the first draws of all texts, then the second ones, ...
        draws: number of draws of each text.

    Returns:
        A mask of the hidden tokens, shape (N, T), and n / k of each text, shape (N,); zero where nothing is free.
    """
    count, free_count = len(free), free.sum(-1)
    texts = max(1, count // draws)
    offset = torch.rand((), dtype=torch.float64, device=free.device)
    index = torch.arange(count, dtype=torch.float64, device=free.device)
    # stratified: the draws of one text lie 1 / draws apart, and the texts are spread evenly within that interval
    time = (offset + index % texts / count + index // texts / draws) % 1
    hidden_count = (time * free_count).long().clamp_max(free_count - 1) + 1
    order = torch.rand(free.shape, device=free.device).masked_fill(~free, 2.0).argsort(-1).argsort(-1)
    return (order < hidden_count[:, None]) & free, free_count / hidden_count.clamp_min(1)
