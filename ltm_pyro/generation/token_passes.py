"""Decoder passes of inference and generation, counted for each text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from pyro.poutine.messenger import Messenger
from torch import Tensor


class TokenPasses:
    """Number of token-passes of each text: one token that goes through the decoder once, forward or backward.

    - A fit of S particles takes 2 S n token-passes a fast step on a text of n tokens, S n of them backward.
    - A score under S draws of z takes S n.
    - T new tokens after a prompt of P take P + T: with a cache every token is read once, and the last one, which is not
      read, stands for the token before the text.

    Positions after the end of a text are not counted, though a batch computes them, so that the number of a text does
    not depend on its batch. A decoder without a cache reads more than is counted; passes of a guide's encoder and the
    optimizer's work are left out; prefix states that a fit computes once count in every pass.

    Args:
        rows: N, the number of texts.
        device: the device of their tokens.

    Attributes:
        spent: token-passes of each text so far, int64, shape (N,).
    """

    def __init__(self, rows: int, device: torch.device | str | None = None) -> None:
        self.spent = torch.zeros(rows, dtype=torch.long, device=device)

    @contextmanager
    def reading(self, lengths: Tensor) -> Iterator[None]:
        """Context that counts the model's passes over the batch.

        Args:
            lengths: number of tokens of each text, (N,).
        """
        counter = _Passes()
        with counter:
            yield
        self.spent = self.spent + counter.passes * lengths

    def add_written(self, prompt: int, lengths: Tensor) -> None:
        """Count generated answers.

        Args:
            prompt: P, number of tokens before each answer.
            lengths: T of each answer, (N,).
        """
        self.spent = self.spent + prompt + lengths


class _Passes(Messenger):
    """Counter of passes through the site `x`, backward ones where gradients are on; S particles count S times."""

    def __init__(self) -> None:
        super().__init__()
        self.passes = 0

    def _pyro_post_sample(self, msg: Any) -> None:
        if msg["name"] == "x" and msg["is_observed"]:
            particles = msg["fn"].batch_shape[:-1].numel()
            self.passes += particles * (2 if torch.is_grad_enabled() else 1)
