"""Counting decoder passes: how often the likelihood of a sequence is computed."""

from __future__ import annotations

from typing import Any

from pyro.poutine.messenger import Messenger


class CountPasses(Messenger):
    """Within, adds up the passes through the model for each sequence: S of them where S samples are scored at once.

    Passes that are run again in `backward` to save memory count too, where that is inside.
    """

    def __init__(self) -> None:
        super().__init__()
        self.passes = 0

    def _pyro_post_sample(self, msg: Any) -> None:
        if msg["is_observed"]:
            shape = msg["fn"].batch_shape
            self.passes += shape[:-1].numel() if shape else 1
