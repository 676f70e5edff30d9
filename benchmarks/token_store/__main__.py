"""The token store of `ltm_pyro.data` against Arrow files of `datasets`: start, memory, reading, damage, size.

Both hold the same documents, of a real corpus and repeated until there are enough tokens, as windows of T tokens. They
are built and opened in processes of their own. Times are seconds of the processor, which other work on the machine
hardly lengthens.
"""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing.measures import Measure, quotients
from benchmarks.timing.options import parser_for, prepare
from benchmarks.timing.records import arguments_of, given, report, save
from benchmarks.token_store.child import TEXTS, asked, store_in
from benchmarks.token_store.damage import verdicts
from benchmarks.token_store.stores import STORES, ArrowStore
from ltm_pyro.data import array_writer, encoded, read_corpus, train_tokenizer
from ltm_pyro.data.cutting import tokenized

UNITS = {"opening": "s", "to_first_batch": "s", "batch": "ms", "own_megabytes": "MB"}


def write_texts(folder: Path, corpus: str | None, documents: int, vocabulary: int) -> None:
    """The first documents of a corpus as tokens, for all processes."""
    texts = [text for text, _ in zip(read_corpus(corpus), range(documents), strict=False)]
    tokenizer = train_tokenizer((text.text for text in texts), vocabulary)
    pieces = [piece for _, _, piece in tokenized(((text, False) for text in texts), tokenizer)]
    ends = np.cumsum([len(piece.ids) for piece in pieces])[[piece.last for piece in pieces]]
    np.savez(
        folder / TEXTS,
        ids=np.concatenate([piece.ids for piece in pieces]),
        byte_counts=np.concatenate([piece.byte_counts for piece in pieces]),
        bounds=np.append(0, ends),
        end=tokenizer.eos_id,
        vocabulary=tokenizer.vocabulary,
    )


def measures(built: dict[str, Any], opened: dict[str, list[Any]], sizes: dict[str, int], tokens: int) -> list[Measure]:
    """Of both stores, and of Arrow's start and batch against ours."""
    found = []
    for name in STORES:
        found += [
            Measure(f"{name}, size", (sizes[name] / tokens,), unit="bytes a token"),
            Measure(f"{name}, building", (built[name]["processor_seconds"],), unit="s"),
            Measure(f"{name}, building: own_megabytes", (built[name]["own_megabytes"],), unit="MB"),
        ]
        for what, unit in UNITS.items():
            factor = 1e3 if unit == "ms" else 1.0
            found += [Measure(f"{name}, {what}", tuple(factor * each[what] for each in opened[name]), unit=unit)]
    for what in ("to_first_batch", "batch"):
        arrow, ours = ([each[what] for each in opened[name]] for name in ("arrow", "ours"))
        found += [Measure(f"arrow / ours, {what}", quotients(arrow, ours))]
    return found


def lines_of_code() -> dict[str, int]:
    """Of what each store has alone, without empty lines; ours keeps its cache for tokenizers in any case."""
    return {
        "ours": sum(map(_lines, (array_writer, encoded))),
        "arrow": _lines(ArrowStore),
    }


def _lines(thing: Any) -> int:
    return sum(1 for line in inspect.getsource(thing).splitlines() if line.strip())


def size_of(paths: Iterable[Path]) -> int:
    """Bytes of all files."""
    return sum(path.stat().st_size for path in paths if path.is_file())


def main(arguments: Sequence[str] | None = None) -> None:
    """Write `token_store.json` and `token_store.png`."""
    parser = parser_for("token_store", __doc__, rounds=3)
    parser.add_argument("--corpus", help="as `ltm train` reads it; the built-in one by default")
    parser.add_argument("--documents", type=int, help="so many of its first documents; 64")
    parser.add_argument("--tokens", type=int, help="how many, by repetition; 256 million")
    parser.add_argument("--vocabulary", type=int, help="4,096")
    parser.add_argument("--length", type=int, default=256, help="T; 256")
    parser.add_argument("--batch", type=int, default=16, help="windows in a batch; 16")
    parser.add_argument("--batches", type=int, help="random batches that are read; 1,000")
    parser.add_argument("--work", type=Path, help="a folder for the stores; a temporary one by default")
    options = parser.parse_args(arguments)
    prepare(options)
    usual = {"documents": (64, 2), "tokens": (2**28, 20_000), "vocabulary": (4096, 300), "batches": (1000, 5)}
    for name, (many, few) in usual.items():
        if getattr(options, name) is None:
            setattr(options, name, few if options.quick else many)
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        write_texts(Path(folder), options.corpus, options.documents, options.vocabulary)
        told: dict[str, Any] = {"folder": folder, "length": options.length}
        built = {name: asked("built", name=name, tokens=options.tokens, **told) for name in STORES}
        reading = {"batch": options.batch, "batches": options.batches, "seed": options.seed}
        opened: dict[str, list[Any]] = {name: [] for name in STORES}
        for _ in range(options.rounds):
            for name, column in opened.items():
                column.append(asked("opened", name=name, **told, **reading))
        sizes = {name: size_of((Path(folder) / name).rglob("*")) for name in STORES}
        damage = {name: verdicts(store_in(folder, name, options.length)) for name in STORES}
    found = measures(built, opened, sizes, options.tokens)
    report(found)
    for name, noticed in damage.items():
        print(f"{name}: " + "; ".join(f"{kind}: noticed {when}" for kind, when in noticed.items()))
    lines = lines_of_code()
    print(f"lines of code: {lines}")
    record = {"options": given(options), "built": built, "opened": opened, "bytes": sizes, "damage": damage}
    save(options.out, "token_store", arguments_of(arguments), found, {**record, "lines": lines})


if __name__ == "__main__":
    main()
