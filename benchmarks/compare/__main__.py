"""Two results of the same benchmark side by side: every measure of both, and their quotient.

Where the ranges over the rounds overlap, the two cannot be told apart.
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
    """The saved record of a benchmark.

    Raises:
        InputError: if the file is something else.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        [(measure["name"], measure["median"], measure["low"], measure["high"]) for measure in record["measures"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} cannot be read as the result of a benchmark ({type(error).__name__}: {error}): give a JSON file "
            "that one of `python -m benchmarks.NAME` has saved"
        ) from error
    return record


def rows(a: dict[str, Any], b: dict[str, Any]) -> Iterator[list[str]]:
    """A row for each measure that both have, then one for those that one of them has."""
    others = {measure["name"]: measure for measure in b["measures"]}
    for mine in a["measures"]:
        other = others.pop(mine["name"], None)
        if other is None:
            yield [mine["name"], _told(mine), "–", "–", "only in A"]
            continue
        quotient = f"{other['median'] / mine['median']:.3g}" if mine["median"] else "–"
        apart = mine["high"] < other["low"] or other["high"] < mine["low"]
        yield [mine["name"], _told(mine), _told(other), quotient, "" if apart else "ranges overlap"]
    for other in others.values():
        yield [other["name"], "–", _told(other), "–", "only in B"]


def _told(measure: dict[str, Any]) -> str:
    text = f"{measure['median']:.3g} ({measure['low']:.3g} to {measure['high']:.3g}) {measure.get('unit', '')}".rstrip()
    return text + {True: " ✓", False: " ✗", None: ""}[measure.get("reached")]


def differences(a: dict[str, Any], b: dict[str, Any]) -> Iterator[str]:
    """Differences of machine and arguments between two records, which bear on their numbers."""
    for key in ("commit", "versions", "system", "threads", "sizes", "command"):
        if a.get(key) != b.get(key):
            yield f"{key}: A {_short(a.get(key))}, B {_short(b.get(key))}"
    for name, record in (("A", a), ("B", b)):
        if record.get("clean") is False:
            yield f"{name} was measured with changes that are in no commit"


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
                f"A is of {a.get('benchmark')}, B of {b.get('benchmark')}: give two results of one benchmark"
            )
    except InputError as error:
        parser.error(str(error))
    print("\n".join(aligned([HEAD, *rows(a, b)])))
    print("\n".join(["", *differences(a, b)]))


if __name__ == "__main__":
    main()
