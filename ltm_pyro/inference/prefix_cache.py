"""The prefix states of a batch, computed once for all passes over it."""

from __future__ import annotations

import math
from typing import Any

import torch
from pyro.poutine.messenger import Messenger
from torch import Tensor


class PrefixCache(Messenger):
    """Cache of the prefix states of a batch: effect handler for many passes with the same data and weights.

    Prefix states are the part of the likelihood's computation that does not depend on z. The cache applies to observed
    sites whose distribution has `prefix_states` and `after`, such as `TokenSequence`; other sites are unchanged. Passes
    in mixed precision have prefix states of their own.

    Args:
        share: the share of a text's positions that a pass scores, from 0 to 1. Below 1, each pass draws positions
            anew, one from each of as many equal intervals, so that all are equally likely.
        keep: whether to store prefix states; False where the weights learn from every pass.
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
        offsets = torch.arange(count, device=x.device) + torch.rand(count, device=x.device)
        return (offsets * (length / count)).long().clamp_(max=length - 1)
