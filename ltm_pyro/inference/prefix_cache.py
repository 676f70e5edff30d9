"""What the passes over one batch have in common, computed once."""

from __future__ import annotations

import math
from typing import Any

import torch
from pyro.poutine.messenger import Messenger
from torch import Tensor


class PrefixCache(Messenger):
    """Hands every pass through a model what its likelihood computes before z matters, from the first pass.

    It serves observed sites whose distribution has `read` and `after`, as `TokenSequence` has, while data and weights
    stay as they are; passes in and out of mixed precision have readings of their own. Other sites are left alone.

    Args:
        share: of the positions of a text, to be scored in a pass, from 0 to 1. With less than all, each pass draws its
            own, one from each of as many equal stretches, so that every position is as likely as another.
        keep: whether the reading is kept. Where the weights are to learn from every pass, each reads for itself.
    """

    def __init__(self, share: float = 1.0, keep: bool = True) -> None:
        super().__init__()
        self.share, self.keep = share, keep
        self._readings: dict[tuple[str, bool], Any] = {}

    def _pyro_sample(self, msg: Any) -> None:
        fn, x = msg["fn"], msg["value"]
        if not msg["is_observed"] or not hasattr(fn, "read"):
            return
        key = msg["name"], torch.is_autocast_enabled(x.device.type)
        if self.keep and key not in self._readings:
            self._readings[key] = fn.read(x)
        msg["fn"] = fn.after(self._readings.get(key), self._places(x))

    def _places(self, x: Tensor) -> Tensor | None:
        length = x.shape[-1]
        count = math.ceil(self.share * length)
        if count >= length:
            return None
        stretches = torch.arange(count, device=x.device) + torch.rand(count, device=x.device)
        return (stretches * (length / count)).long().clamp_(max=length - 1)
