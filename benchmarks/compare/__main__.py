"""Comparison of two results of the same benchmark: all measures of both, and their quotients.

If the ranges over the rounds overlap, the difference is not significant.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ltm_pyro.errors import InputError
from ltm_pyro.tables import aligned

HEAD = ["measure", "A", "B", "B / A", ""]


def read(path: Path) -> dict[str, Any]:
    """Read the saved record of a benchmark.

    Raises:
        InputError: if the file is not such a record.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        [(measure["name"], measure["median"], measure["low"], measure["high"]) for measure in record["measures"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} cannot be read as the result of a benchmark ({type(error).__name__}: {error}): give a JSON file "
            "saved by `python -m benchmarks.NAME`"
        ) from error
    return record


def rows(a: dict[str, Any], b: dict[str, Any]) -> Iterator[list[str]]:
    """Rows of the common measures, then of the measures of one result alone."""
    remaining = {measure["name"]: measure for measure in b["measures"]}
    for first in a["measures"]:
        second = remaining.pop(first["name"], None)
        if second is None:
            yield [first["name"], _cell(first), "–", "–", "only in A"]
            continue
        quotient = f"{second['median'] / first['median']:.3g}" if first["median"] else "–"
        disjoint = first["high"] < second["low"] or second["high"] < first["low"]
        yield [first["name"], _cell(first), _cell(second), quotient, "" if disjoint else "ranges overlap"]
    for second in remaining.values():
        yield [second["name"], "–", _cell(second), "–", "only in B"]


def _cell(measure: dict[str, Any]) -> str:
    text = f"{measure['median']:.3g} ({measure['low']:.3g} to {measure['high']:.3g}) {measure.get('unit', '')}".rstrip()
    return text + {True: " ✓", False: " ✗", None: ""}[measure.get("reached")]


def differences(a: dict[str, Any], b: dict[str, Any]) -> Iterator[str]:
    """Differences in machine and arguments between two records, which affect their numbers."""
    for key in ("commit", "versions", "system", "threads", "sizes", "command"):
        if a.get(key) != b.get(key):
            yield f"{key}: A {_short(a.get(key))}, B {_short(b.get(key))}"
    for name, record in (("A", a), ("B", b)):
        if record.get("clean") is False:
            yield f"{name} was measured with uncommitted changes"


def _short(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("a", type=Path, metavar="A.json")
    parser.add_argument("b", type=Path, metavar="B.json")
    options = parser.parse_args(arguments)
    try:
        a, b = read(options.a), read(options.b)
        if a.get("benchmark") != b.get("benchmark"):
            raise InputError(
                f"A is of {a.get('benchmark')}, B of {b.get('benchmark')}: give two results of the same benchmark"
            )
    except InputError as error:
        parser.error(str(error))
    print("\n".join(aligned([HEAD, *rows(a, b)])))
    print("\n".join(["", *differences(a, b)]))


if __name__ == "__main__":
    main()
