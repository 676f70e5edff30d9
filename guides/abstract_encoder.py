"""The base class of encoders of amortised guides that read text or need a shape from their guide."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Protocol

from torch import Tensor, nn

from ltm_pyro.recorded import Recorded


class SupportsDecode(Protocol):
    """A tokenizer, as far as a guide uses it: from token ids to their text."""

    def decode(self, ids: Iterable[int]) -> str: ...


class AbstractEncoder(Recorded, nn.Module, ABC):
    r"""Encoder from a text to shifts of the mean and log-scale of q(z | x), relative to the prior.

    .. math:: x \mapsto (a, b), \qquad \mu = m + s \odot a, \quad \log \sigma = \log s + b

    where m and s are the prior's mean and standard deviation. Any `nn.Module` with this `forward` is an encoder; a
    subclass of this class also receives from its guide the shape of z and the run's tokenizer.
    """

    def prepare(self, z_shape: tuple[int, int, int]) -> None:
        """Hook called once by the guide's constructor, with (L, K, D)."""

    def attach_tokenizer(self, tokenizer: SupportsDecode) -> None:
        """Hook called with the run's tokenizer, before any batch."""

    @abstractmethod
    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Shifts of the mean and of the log-scale, shape (B, L, K, D) each, from x and its mask, (B, T)."""
