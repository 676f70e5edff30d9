"""The setting of all parts: the device, the sizes, and how training steps are taken and timed there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.timing.rounds import Seconds, alternate
from benchmarks.timing.sizes import Sizes
from benchmarks.training.__main__ import ours
from ltm_pyro import Decoder, DualRateSVI


class Setting(NamedTuple):
    """A device, sizes of a model and its batch, and how often to measure.

    Attributes:
        device: its name, as in `torch.device`.
        sizes: of the decoder and its batch.
        rounds: that count.
        seed: of weights, texts and noise.
    """

    device: str
    sizes: Sizes
    rounds: int = 3
    seed: int = 0

    @property
    def on_cuda(self) -> bool:
        return torch.device(self.device).type == "cuda"

    def synchronise(self) -> None:
        """Wait until the device has done all that it was asked."""
        if self.on_cuda:
            torch.cuda.synchronize(self.device)

    def decoder(self, **more: Any) -> Decoder:
        """A decoder with the same initial weights each time, on the CPU."""
        torch.manual_seed(self.seed)
        return self.sizes.decoder(**more)

    def texts(self) -> Tensor:
        """Random token ids, the same each time, shape (B, T), on the device."""
        torch.manual_seed(self.seed)
        return self.sizes.texts().to(self.device)

    def training(self, decoder: Decoder) -> DualRateSVI:
        """Dual-rate learning of a copy of a decoder, on the device."""
        return ours(deepcopy(decoder).to(self.device), self.sizes.fast_steps)

    def alternate(self, contestants: Mapping[str, Callable[[], Any]], warmup: int = 1) -> Seconds:
        """Seconds of every contestant in each round, the device's work included."""
        return alternate({name: self._waited(run) for name, run in contestants.items()}, self.rounds, warmup)

    def in_bf16(self) -> torch.autocast:
        """Products of matrices in bf16, within it or in a function that it decorates."""
        return torch.autocast(torch.device(self.device).type, dtype=torch.bfloat16)

    def _waited(self, run: Callable[[], Any]) -> Callable[[], None]:
        def call() -> None:
            run()
            self.synchronise()

        return call
