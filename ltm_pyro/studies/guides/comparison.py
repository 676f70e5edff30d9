"""Comparison of guides on one decoder and one text: measurements and their records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from torch import nn

from ltm_pyro.data import Batch
from ltm_pyro.errors import InputError
from ltm_pyro.evaluation.evaluation_mode import evaluation_mode
from ltm_pyro.evaluation.evaluator import Evaluation, Evaluator
from ltm_pyro.models import AbstractModel
from ltm_pyro.studies.guides.candidate import Candidate, Cost, measure_costs
from ltm_pyro.studies.guides.gaps import NUMBERS, gaps
from ltm_pyro.studies.guides.sizes import Sizes

Record = dict[str, Any]
Pieces = dict[str, list[Record]]
Piece = tuple[str, Callable[[], list[Record]]]


class GuideComparison:
    """Comparison of guides fitted to the same sequences, at equal decoder passes and at equal time.

    Args:
        model: a trained model; it is not modified.
        candidates: guides to compare; the time of the first is the time budget of all.
        batch: held-out sequences, on the model's device.
        sizes: sizes of the measurements.
        seed: seed of all noise, the same for every guide.
        pieces: results of an interrupted comparison; further results are added.

    Raises:
        InputError: if there are no candidates, or the model has no thoughts.
    """

    def __init__(
        self,
        model: AbstractModel,
        candidates: Sequence[Candidate],
        batch: Batch,
        sizes: Sizes | None = None,
        seed: int = 0,
        pieces: Pieces | None = None,
    ) -> None:
        if not candidates:
            raise InputError("no guides: name at least one")
        if model.prior is None:
            raise InputError("this model has no thoughts, and so no posterior to compare")
        self.model, self.candidates, self.batch = model, list(candidates), batch
        self.sizes, self.seed = sizes or Sizes(), seed
        self.pieces: Pieces = {} if pieces is None else pieces

    def carry_out(self, listener: Callable[[str, int, int], None] = lambda name, done, total: None) -> None:
        """Carry out every measurement that is still missing.

        Args:
            listener: called with the name of the next measurement ("" at the end), the number of finished ones, and
                their total number.
        """
        unmeasured = self._without_cost()
        if unmeasured:  # the plan depends on the costs
            self.pieces["cost"] = [*self.pieces.get("cost", []), *self._costs(unmeasured)]
        plan = list(self._plan())
        for number, (name, work) in enumerate(plan):
            if name not in self.pieces:
                listener(name, number, len(plan))
                self.pieces[name] = work()
        listener("", len(plan), len(plan))

    def to_records(self, part: str | None = None) -> list[Record]:
        """Flat dictionaries of plain numbers and text, ready for a data frame.

        Args:
            part: `cost`, `numbers`, `curve`, `step size` or `gap`; all of them if None.
        """
        measured = [record for piece in self.pieces.values() for record in piece]
        flat = [{key: value for key, value in record.items() if key != "sequences"} for record in measured]
        return [record for record in [*flat, *gaps(measured)] if part in (None, record["part"])]

    def table(self) -> str:
        """Tables in Markdown, also readable in a terminal."""
        from ltm_pyro.studies.guides.tables import report

        return report(self.to_records(), self.sizes)

    def _plan(self) -> Iterator[Piece]:
        for candidate in self.candidates:
            for budget in ("passes", "time"):
                yield f"equal {budget}, {candidate.name}", partial(self._at_budget, candidate, budget)
            if candidate.guide.has_density and self._has_steps(candidate):
                yield f"long run, {candidate.name}", partial(self._long_run, candidate)
        for candidate in self.candidates:
            if candidate.guide.has_density:
                yield f"curve, {candidate.name}", partial(self._curve, candidate)
                if self.sizes.step_sizes and self._has_steps(candidate):
                    yield f"step sizes, {candidate.name}", partial(self._step_sizes, candidate)

    def _without_cost(self) -> list[Candidate]:
        measured = {record["guide"] for record in self.pieces.get("cost", [])}
        return [candidate for candidate in self.candidates if candidate.name not in measured]

    def _costs(self, candidates: list[Candidate]) -> list[Record]:
        guides = nn.ModuleList(candidate.guide for candidate in candidates)
        with evaluation_mode(self.model, guides, self.seed):
            few = _rows(self.batch, self.sizes.batch_size)
            costs = measure_costs(self.model, candidates, few, self.sizes.rounds)
        return [
            {
                "part": "cost",
                "guide": candidate.name,
                **costs[candidate.name]._asdict(),
                "training_passes": candidate.training_passes,
            }
            for candidate in candidates
        ]

    def _cost(self, candidate: Candidate) -> Cost:
        (record,) = (record for record in self.pieces["cost"] if record["guide"] == candidate.name)
        return Cost(*(record[name] for name in Cost._fields))

    def _has_steps(self, candidate: Candidate) -> bool:
        return self._cost(candidate).passes_per_step > 0

    def _at_budget(self, candidate: Candidate, budget: str) -> list[Record]:
        cost, first = self._cost(candidate), self._cost(self.candidates[0])
        steps = cost.steps_within_passes(self.sizes.passes)
        if budget == "time":
            allowed = first.seconds + first.steps_within_passes(self.sizes.passes) * first.seconds_per_step
            steps = cost.steps_within_seconds(allowed)
        return [self._numbers(candidate, budget, steps)]

    def _long_run(self, candidate: Candidate) -> list[Record]:
        return [self._numbers(candidate, "long", self.sizes.long_steps, self.sizes.long_draws)]

    def _numbers(self, candidate: Candidate, budget: str, steps: int, draws: int | None = None) -> Record:
        cost = self._cost(candidate)
        evaluation = self._evaluation(candidate, steps, draws or self.sizes.draws, self.batch, halves=budget != "long")
        scores = {name: evaluation.scores[name] for name in NUMBERS if name in evaluation.scores}
        flat: Record = {}
        for name, score in scores.items():
            flat |= {name: score.nats_per_token, f"{name}_error": score.standard_error}
        return {
            "part": "numbers",
            "budget": budget,
            "guide": candidate.name,
            "family": candidate.guide.family,
            "has_density": "elbo" in scores,
            "steps": steps,
            "passes": cost.passes + steps * cost.passes_per_step,
            "seconds_per_sequence": cost.seconds + steps * cost.seconds_per_step,
            **flat,
            **_about_q(evaluation),
            "sequences": {
                "tokens": next(iter(scores.values())).tokens.tolist(),
                **{
                    name: score.nats.tolist()
                    for name, score in scores.items()
                    if name in ("elbo", "importance_weighted")
                },
            },
        }

    def _curve(self, candidate: Candidate) -> list[Record]:
        counts = sorted(set(self.sizes.curve)) if self._has_steps(candidate) else [0]
        return [self._point(candidate, steps) for steps in counts]

    def _step_sizes(self, candidate: Candidate) -> list[Record]:
        steps = self._cost(candidate).steps_within_passes(self.sizes.passes)
        records = []
        for factor in self.sizes.step_sizes:
            point = self._point(candidate.at_rate(factor), steps)
            records.append({**point, "part": "step size", "factor": factor, "default": candidate.guide.step_size})
        return records

    def _point(self, candidate: Candidate, steps: int) -> Record:
        cost = self._cost(candidate)
        few = _rows(self.batch, self.sizes.curve_sequences)
        score = self._evaluation(candidate, steps, self.sizes.draws, few).scores["elbo"]
        return {
            "part": "curve",
            "guide": candidate.name,
            "steps": steps,
            "passes": cost.passes + steps * cost.passes_per_step,
            "seconds_per_sequence": cost.seconds + steps * cost.seconds_per_step,
            "elbo": score.nats_per_token,
            "elbo_error": score.standard_error,
        }

    def _evaluation(
        self, candidate: Candidate, steps: int, draws: int, batch: Batch, halves: bool = False
    ) -> Evaluation:
        fast = candidate.fast.lasting(steps)
        numbers = Evaluator(self.model, candidate.guide, fast, draws, self.seed, self.sizes.at_once, halves=halves)
        return numbers.evaluate(_split(batch, self.sizes.batch_size))


def _about_q(evaluation: Evaluation) -> Record:
    """Numbers of q itself; only `draws` without a density."""
    if "elbo" not in evaluation.scores:
        return {"draws": evaluation.draws}
    return {
        "draws": evaluation.draws,
        "kl": evaluation.kl_per_token,
        "kl_kind": "closed form" if evaluation.kl_closed_form else "Monte Carlo",
        **{f"kl_layer_{layer}": kl for layer, kl in enumerate(evaluation.kl_per_layer, 1)},
        "effective_sample_size": evaluation.effective_sample_size,
        "pareto_k": evaluation.pareto_k,
    }


def _rows(batch: Batch, count: int) -> Batch:
    return next(_split(batch, count))


def _split(batch: Batch, size: int) -> Iterator[Batch]:
    for first in range(0, len(batch.x), size):
        parts = (None if part is None else part[first : first + size] for part in batch)
        yield Batch(*parts)  # type: ignore[arg-type]
