"""Counter of decoder passes, the number of likelihood evaluations per sequence."""

from __future__ import annotations

from typing import Any

from pyro.poutine.messenger import Messenger


class CountPasses(Messenger):
    """Context manager that counts passes through the model per sequence; S samples at once count as S passes.

    Passes that `backward` recomputes to save memory count too, if `backward` runs in the context.
    """

    def __init__(self) -> None:
        super().__init__()
        self.passes = 0

    def _pyro_post_sample(self, msg: Any) -> None:
        if msg["is_observed"]:
            shape = msg["fn"].batch_shape
            self.passes += shape[:-1].numel() if shape else 1
