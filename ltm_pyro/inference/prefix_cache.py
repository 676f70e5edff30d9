"""The prefix states of a batch, computed once for all passes over it."""

from __future__ import annotations

import math
from typing import Any

import torch
from pyro.poutine.messenger import Messenger
from torch import Tensor


class PrefixCache(Messenger):
    """Hands every pass through a model what its likelihood computes before z matters, from the first pass.

    It serves observed sites whose distribution has `prefix_states` and `after`, as `TokenSequence` has, while data and
    weights stay as they are; passes in and out of mixed precision have prefix states of their own. Other sites are left
    alone.

    Args:
        share: of the positions of a text, to be scored in a pass, from 0 to 1. With less than all, each pass draws its
            own, one from each of as many equal stretches, so that every position is as likely as another.
        keep: whether they are kept. Where the weights are to learn from every pass, each makes its own.
    """

    def __init__(self, share: float = 1.0, keep: bool = True) -> None:
        super().__init__()
        self.share, self.keep = share, keep
        self._prefixes: dict[tuple[str, bool], Any] = {}

    def _pyro_sample(self, msg: Any) -> None:
        fn, x = msg["fn"], msg["value"]
        if not msg["is_observed"] or not hasattr(fn, "prefix_states"):
            return
        key = msg["name"], torch.is_autocast_enabled(x.device.type)
        if self.keep and key not in self._prefixes:
            self._prefixes[key] = fn.prefix_states(x)
        msg["fn"] = fn.after(self._prefixes.get(key), self._positions(x))

    def _positions(self, x: Tensor) -> Tensor | None:
        length = x.shape[-1]
        count = math.ceil(self.share * length)
        if count >= length:
            return None
        stretches = torch.arange(count, device=x.device) + torch.rand(count, device=x.device)
        return (stretches * (length / count)).long().clamp_(max=length - 1)
