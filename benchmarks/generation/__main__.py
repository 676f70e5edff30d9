"""Tokens per second of generation, compared with a plain decoder that recomputes the whole text for every token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.reference.decoder import PlainDecoder
from benchmarks.timing.measures import Measure, rate, times_as_fast
from benchmarks.timing.options import parser_for, prepare
from benchmarks.timing.records import arguments_of, given, report, save
from benchmarks.timing.rounds import alternate
from benchmarks.timing.sizes import Sizes, add_sizes, sizes_from
from ltm_pyro import GaussianPrior, LatentThoughtModel
from ltm_pyro.generation import Sampling, write

OURS, PLAIN = "ours", "recomputing"
USUAL = Sizes(length=512)


def written(model: LatentThoughtModel, z: Tensor, tokens: int) -> Tensor:
    """Generated texts without a prompt, shape (B, tokens)."""
    return torch.stack(list(write(model, z, z.new_empty(len(z), 0, dtype=torch.long), tokens)), 1)


def contestants(sizes: Sizes, batches: Sequence[int], device: str = "cpu") -> dict[str, Callable[[], Any]]:
    """Functions that generate texts of T tokens, for both decoders and each batch size."""
    decoder = sizes.decoder().to(device)
    model, plain = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder), PlainDecoder(decoder).to(device)
    sampling = Sampling()
    runs: dict[str, Callable[[], Any]] = {}
    for batch in batches:
        z = torch.randn(batch, *decoder.z_shape, device=device)
        runs[f"{PLAIN}, batch {batch}"] = partial(plain.write, z, sizes.length, sampling.draw)
        runs[f"{OURS}, batch {batch}"] = partial(written, model, z, sizes.length)
    return runs


def main(arguments: Sequence[str] | None = None) -> None:
    """Write `generation.json` and `generation.png`."""
    parser = parser_for("generation", __doc__, rounds=3)
    parser.add_argument("--batches", type=int, nargs="+", metavar="N", default=[1, 16], help="texts at once")
    add_sizes(parser, USUAL)
    options = parser.parse_args(arguments)
    prepare(options)
    sizes = sizes_from(options, USUAL)
    seconds = alternate(contestants(sizes, options.batches), options.rounds, warmup=1)
    speedups: list[Measure] = []
    rates: list[Measure] = []
    for batch in options.batches:
        theirs, mine = (seconds[f"{name}, batch {batch}"] for name in (PLAIN, OURS))
        speedups.append(times_as_fast(f"ours / recomputing, batch {batch}", theirs, mine, 10.0))
        for name, times in ((PLAIN, theirs), (OURS, mine)):
            rates.append(rate(f"{name}, batch {batch}", batch * sizes.length, times))
    report([*rates, *speedups])
    record = {"options": given(options), "sizes": sizes._asdict(), "seconds": seconds}
    save(options.out, "generation", arguments_of(arguments), [*speedups, *rates], record)


if __name__ == "__main__":
    main()
