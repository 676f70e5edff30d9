"""Sizes of the model and its batches, from the command line."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ltm_pyro.models import Decoder


class Sizes(NamedTuple):
    """Sizes of a decoder and its batches, and the number of fast steps."""

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
        """Decoder with initial weights."""
        return Decoder(**(self.shape | more))

    @property
    def shape(self) -> dict[str, Any]:
        """Arguments of the decoder."""
        return {name: size for name, size in self._asdict().items() if name not in ("batch", "fast_steps")}

    @property
    def tokens(self) -> int:
        """Number of tokens of a batch."""
        return self.batch * self.length

    def texts(self, batch: int | None = None) -> Tensor:
        """Random tokens, shape (B, T)."""
        return torch.randint(self.vocabulary, (batch or self.batch, self.length))


QUICK = Sizes(vocabulary=64, width=16, layers=2, heads=2, thoughts=2, window=8, length=32, batch=2, fast_steps=2)


def add_sizes(parser: argparse.ArgumentParser, usual: Sizes | None = None) -> None:
    """Add an option for each size; the defaults are the usual sizes, or tiny ones with `--quick`."""
    for name, size in (usual or Sizes())._asdict().items():
        parser.add_argument(f"--{name}", type=int, metavar="N", help=f"default {size}")


def sizes_from(
    options: argparse.Namespace, usual: Sizes | None = None, quick: Mapping[str, int] | None = None
) -> Sizes:
    """Sizes from the options.

    Args:
        options: parsed options.
        usual: default sizes.
        quick: sizes of `--quick` that differ from `QUICK`.
    """
    overrides = {name: getattr(options, name) for name in Sizes._fields if getattr(options, name) is not None}
    defaults = QUICK._replace(**(quick or {})) if options.quick else usual or Sizes()
    return defaults._replace(**overrides)
