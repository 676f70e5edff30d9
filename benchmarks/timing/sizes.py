"""How large the model and its batches are, from the command line."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ltm_pyro.models import Decoder


class Sizes(NamedTuple):
    """Of a decoder, of its batches, and the number of fast steps on each."""

    vocabulary: int = 4096
    width: int = 128
    layers: int = 3
    heads: int = 4
    thoughts: int = 4
    window: int = 64
    length: int = 256
    batch: int = 8
    fast_steps: int = 16

    def decoder(self, **more: Any) -> Decoder:
        """With its initial weights."""
        return Decoder(**(self.shape | more))

    @property
    def shape(self) -> dict[str, Any]:
        """The arguments of the decoder."""
        return {name: size for name, size in self._asdict().items() if name not in ("batch", "fast_steps")}

    @property
    def tokens(self) -> int:
        """Of a batch."""
        return self.batch * self.length

    def texts(self, batch: int | None = None) -> Tensor:
        """Random tokens, shape (B, T): what they say does not matter to the clock."""
        return torch.randint(self.vocabulary, (batch or self.batch, self.length))


QUICK = Sizes(vocabulary=64, width=16, layers=2, heads=2, thoughts=2, window=8, length=32, batch=2, fast_steps=2)


def add_sizes(parser: argparse.ArgumentParser, usual: Sizes | None = None) -> None:
    """An option for each size; those that are not given are the usual ones, or tiny with `--quick`."""
    for name, size in (usual or Sizes())._asdict().items():
        parser.add_argument(f"--{name}", type=int, metavar="N", help=f"default {size}")


def sizes_from(
    options: argparse.Namespace, usual: Sizes | None = None, quick: Mapping[str, int] | None = None
) -> Sizes:
    """The sizes that the options ask for.

    Args:
        options: as parsed.
        usual: the sizes without options.
        quick: of `--quick`, where they are others than `QUICK`.
    """
    given = {name: getattr(options, name) for name in Sizes._fields if getattr(options, name) is not None}
    chosen = QUICK._replace(**(quick or {})) if options.quick else usual or Sizes()
    return chosen._replace(**given)
