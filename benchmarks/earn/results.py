"""What the cells of a study come to: records, paired with their autoregressive rows, and means over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.earn.plan import Cell, key_of
from ltm_pyro.evaluation import Score
from ltm_pyro.studies.priors.records import error_over_seeds, mean_score

Record = dict[str, Any]
NUMBERS = ("exact", "elbo", "importance_weighted", "prior", "predictive", "prior_predictive")
PAIRED = {  # a number, and the autoregressive row's that it is compared with
    "elbo": "exact",
    "importance_weighted": "exact",
    "prior": "exact",
    "predictive": "predictive",
}
SUMMED = ("parameters", "parameters_guide", "tokens", "tokens_before", "train_seconds", "cpu_seconds", "kl_per_token")


class Results:
    """The results of cells, as they are there so far.

    Args:
        cells: of the study.
        found: their results, by key.
    """

    def __init__(self, cells: Sequence[Cell], found: Mapping[str, Record]) -> None:
        self.cells, self.found = cells, found

    def records(self) -> list[Record]:
        """A flat record of every cell that has ended."""
        return [self._record(cell) for cell in self.cells if cell.key in self.found]

    def summaries(self) -> list[Record]:
        """A flat record of every row on every corpus, means over its seeds.

        `..._standard_error` and `..._error` are over sequences, of the mean over seeds; `..._seed_error` over seeds.
        """
        rows = dict.fromkeys((cell.corpus, cell.row) for cell in self.cells)
        return [summary for corpus, row in rows if (summary := self._summary(corpus, row))]

    def curves(self) -> list[Record]:
        """Points of every learning curve, with corpus, row (as `prior`, which figures go by) and seed.

        A row that starts from another goes on where that one ends.
        """
        return [
            {
                "corpus": cell.corpus,
                "prior": cell.row,
                "seed": cell.seed,
                **_as_bounds(point),
                **self._place(cell, point),
            }
            for cell in self.cells
            for point in self._done(cell).get("curve", [])
        ]

    def failures(self) -> list[str]:
        """A line for each cell that has failed."""
        failed = [(cell, self.found[cell.key]) for cell in self.cells if cell.key in self.found]
        return [f"{cell}: {result['reason']}" for cell, result in failed if result["status"] == "failed"]

    def _record(self, cell: Cell) -> Record:
        result = self.found[cell.key]
        about = {"corpus": cell.corpus, "row": cell.row, "kind": cell.kind, "seed": cell.seed}
        about |= {"status": result["status"], "reason": result.get("reason", "")}
        if result["status"] != "done":
            return about
        cost = {"tokens_before": self._before(cell, "tokens"), "cpu_seconds": result["cpu_seconds"]}
        return {**about, **cost, **result["record"], **self._paired([cell])}

    def _before(self, cell: Cell, name: str) -> float:
        """What had been spent on the weights when the run began: `tokens`, or `train_seconds`."""
        before = next((other for other in self.cells if other.key == cell.start_from), None)
        return 0 if before is None else self._done(before)["record"][name] + self._before(before, name)

    def _place(self, cell: Cell, point: Record) -> Record:
        spent = {"tokens": self._before(cell, "tokens"), "seconds": self._before(cell, "train_seconds")}
        return {name: point[name] + before for name, before in spent.items()}

    def _summary(self, corpus: str, row: str) -> Record:
        cells = [cell for cell in self.cells if (cell.corpus, cell.row) == (corpus, row) and self._done(cell)]
        if not cells:
            return {}
        records = [self._record(cell) for cell in cells]
        first = records[0]
        summary: Record = {"corpus": corpus, "row": row, "prior": row, "kind": first["kind"], "seeds": len(cells)}
        summary |= {name: first[name] for name in ("sequences", "draws")}
        for name in [*SUMMED, *(name for name in first if name.startswith(("gate_", "kl_layer_")))]:
            if all(record.get(name) is not None for record in records):
                summary[name] = statistics.fmean(record[name] for record in records)
        for number in NUMBERS:
            if self._has(cells, number):
                summary |= self._told(cells, number)
        return summary | self._paired(cells)

    def _told(self, cells: Sequence[Cell], number: str) -> Record:
        key, score = f"{number}_nats_per_token", self._mean(cells, number)
        each = [self._mean([cell], number).nats_per_token for cell in cells]
        errors = {f"{number}_standard_error": score.standard_error, f"{key}_seed_error": error_over_seeds(each)}
        return {key: score.nats_per_token, **errors}

    def _paired(self, cells: Sequence[Cell]) -> Record:
        """What cells of one row cost more than their autoregressive rows, nats per token, mean over seeds."""
        found: Record = {}
        for name, reference in (("autoregressive", "twin"), ("full_context", "full")):
            pairs = list(self._pairs(cells, reference))
            for ours, theirs in PAIRED.items():
                if pairs and self._has([mine for mine, _ in pairs], ours):
                    found |= self._difference(pairs, ours, theirs, f"{ours}_minus_{name}")
        return found

    def _pairs(self, cells: Sequence[Cell], reference: str) -> Iterator[tuple[Cell, Cell]]:
        by_key = {cell.key: cell for cell in self.cells}
        for cell in cells:
            row = getattr(cell, reference)
            other = by_key.get(key_of(cell.corpus, row, cell.seed)) if row else None
            if other is not None and self._done(other):
                yield cell, other

    def _difference(self, pairs: Sequence[tuple[Cell, Cell]], ours: str, theirs: str, name: str) -> Record:
        mine, others = (list(side) for side in zip(*pairs, strict=True))
        gap, error = self._mean(mine, ours).minus(self._mean(others, theirs))
        each = [self._mean([a], ours).minus(self._mean([b], theirs))[0] for a, b in pairs]
        return {name: gap, f"{name}_error": error, f"{name}_seed_error": error_over_seeds(each)}

    def _has(self, cells: Sequence[Cell], number: str) -> bool:
        return all(any(r["number"] == number for r in self._done(cell)["sequences"]) for cell in cells)

    def _mean(self, cells: Sequence[Cell], number: str) -> Score:
        found = [next(r for r in self._done(c)["sequences"] if r["number"] == number) for c in cells]
        return mean_score(number, found)

    def _done(self, cell: Cell) -> Record:
        result = self.found.get(cell.key, {})
        return dict(result) if result.get("status") == "done" else {}


def _as_bounds(point: Record) -> Record:
    """An autoregressive model's log-likelihood is a bound of each kind, and its KL nothing."""
    exact = point.get("exact")
    return point if exact is None else {**point, "importance_weighted": exact, "from_prior": exact}
