"""Bytes that each of several processes sends in a slow step and holds after it, with whole weights and with shards.

`--against CHECKOUT` measures the library in another checkout beside this one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.timing.measures import Measure
from benchmarks.timing.options import parser_for, prepare
from benchmarks.timing.process import answer_of
from benchmarks.timing.records import arguments_of, commit_of, given, report, save
from benchmarks.timing.sizes import Sizes, add_sizes, sizes_from

ROOT = Path(__file__).parents[2]
USUAL = Sizes(length=64, fast_steps=2)
Counts = dict[str, list[int]]


def counts_of(tree: Path, sizes: Sizes, count: int, shard: bool, **process: int) -> Counts:
    """Bytes of each process, of so many that train together."""
    what = json.dumps({"tree": str(tree), "sizes": sizes._asdict(), "shard": shard, **process})
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(count)]
    counts: Counts = answer_of([*launch, "-m", "--", "benchmarks.sharding.worker", what], f"{count} processes")
    return counts


def measures(name: str, counts: Counts, share: float) -> list[Measure]:
    """The measures of one library, number of processes and kind.

    Args:
        name: of the three.
        counts: bytes by rank.
        share: the bytes that each process should hold.
    """
    return [
        Measure(f"{name}, sent in a step", tuple(number / 1e6 for number in counts["sent"]), unit="MB"),
        Measure(f"{name}, sent in its fast loop", tuple(counts["sent within the fast loop"]), 0, False, "bytes"),
        Measure(f"{name}, held / its share", tuple(number / share for number in counts["held"]), 1.1, False),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write `sharding.json` and `sharding.png`."""
    parser = parser_for("sharding", __doc__, rounds=1)
    parser.add_argument("--processes", type=int, nargs="+", metavar="N", default=[2, 4], help="default 2 4")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="of another commit of this project")
    add_sizes(parser, USUAL)
    options = parser.parse_args(arguments)
    prepare(options)
    sizes = sizes_from(options, USUAL, quick={"batch": 4})
    trees = {"this": ROOT} if options.against is None else {"the other": options.against.resolve(), "this": ROOT}
    process: dict[str, Any] = {"threads": torch.get_num_threads(), "seed": options.seed}
    bytes_by_name: dict[str, Counts] = {}
    found: list[Measure] = []
    for count in options.processes:
        for shard in (False, True):
            for title, tree in trees.items():
                name = f"{title}, {count} processes, {'shards' if shard else 'whole'}"
                counts = bytes_by_name[name] = counts_of(tree, sizes, count, shard, **process)
                whole = counts["held"] if not shard else bytes_by_name[name.replace("shards", "whole")]["held"]
                found += measures(name, counts, whole[0] / (count if shard else 1))
                report(found[-3:])
    record = {"options": given(options), "sizes": sizes._asdict(), "bytes": bytes_by_name}
    record["the other"] = None if options.against is None else commit_of(options.against)
    save(options.out, "sharding", arguments_of(arguments), found, record)


if __name__ == "__main__":
    main()
