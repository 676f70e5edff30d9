"""Guides compared on one decoder and one text: every measurement, and the records it leaves."""

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
    """Every guide fitted to the same sequences, from its start, at equal decoder passes and at equal time.

    Args:
        model: a trained one; it is left as it is.
        candidates: the first is the one whose time all others get.
        batch: held-out sequences, on the model's device.
        sizes: how much is measured.
        seed: of all noise, the same for every guide.
        pieces: what an interrupted comparison has done; it is filled further.

    Raises:
        InputError: if there is nothing to compare.
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
            raise InputError("no guides: name one at least")
        if model.prior is None:
            raise InputError("this model has no thoughts, so that there is nothing to infer")
        self.model, self.candidates, self.batch = model, list(candidates), batch
        self.sizes, self.seed = sizes or Sizes(), seed
        self.pieces: Pieces = {} if pieces is None else pieces

    def carry_out(self, listener: Callable[[str, int, int], None] = lambda name, done, total: None) -> None:
        """Do every piece of work that is not done yet.

        Args:
            listener: told the name of the next piece, how many are done and how many there are; at the end "".
        """
        unknown = self._without_cost()
        if unknown:  # the plan depends on it
            self.pieces["cost"] = [*self.pieces.get("cost", []), *self._costs(unknown)]
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
        """All tables as Markdown that a terminal shows as well."""
        from ltm_pyro.studies.guides.tables import report

        return report(self.to_records(), self.sizes)

    def _plan(self) -> Iterator[Piece]:
        for one in self.candidates:
            for budget in ("passes", "time"):
                yield f"equal {budget}, {one.name}", partial(self._at_budget, one, budget)
            if one.guide.has_density and self._has_steps(one):
                yield f"long run, {one.name}", partial(self._long_run, one)
        for one in self.candidates:
            if one.guide.has_density:
                yield f"curve, {one.name}", partial(self._curve, one)
                if self.sizes.step_sizes and self._has_steps(one):
                    yield f"step sizes, {one.name}", partial(self._step_sizes, one)

    def _without_cost(self) -> list[Candidate]:
        known = {record["guide"] for record in self.pieces.get("cost", [])}
        return [one for one in self.candidates if one.name not in known]

    def _costs(self, candidates: list[Candidate]) -> list[Record]:
        guides = nn.ModuleList(one.guide for one in candidates)
        with evaluation_mode(self.model, guides, self.seed):
            few = _rows(self.batch, self.sizes.batch_size)
            costs = measure_costs(self.model, candidates, few, self.sizes.rounds)
        return [
            {"part": "cost", "guide": one.name, **costs[one.name]._asdict(), "training_passes": one.training_passes}
            for one in candidates
        ]

    def _cost(self, one: Candidate) -> Cost:
        (record,) = (record for record in self.pieces["cost"] if record["guide"] == one.name)
        return Cost(*(record[name] for name in Cost._fields))

    def _has_steps(self, one: Candidate) -> bool:
        return self._cost(one).passes_per_step > 0

    def _at_budget(self, one: Candidate, budget: str) -> list[Record]:
        cost, first = self._cost(one), self._cost(self.candidates[0])
        steps = cost.steps_within_passes(self.sizes.passes)
        if budget == "time":
            allowed = first.seconds + first.steps_within_passes(self.sizes.passes) * first.seconds_per_step
            steps = cost.steps_within_seconds(allowed)
        return [self._numbers(one, budget, steps)]

    def _long_run(self, one: Candidate) -> list[Record]:
        return [self._numbers(one, "long", self.sizes.long_steps, self.sizes.long_draws)]

    def _numbers(self, one: Candidate, budget: str, steps: int, draws: int | None = None) -> Record:
        cost = self._cost(one)
        evaluation = self._evaluation(one, steps, draws or self.sizes.draws, self.batch, halves=budget != "long")
        scores = {name: evaluation.scores[name] for name in NUMBERS if name in evaluation.scores}
        flat: Record = {}
        for name, score in scores.items():
            flat |= {name: score.nats_per_token, f"{name}_error": score.standard_error}
        return {
            "part": "numbers",
            "budget": budget,
            "guide": one.name,
            "family": one.guide.family,
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

    def _curve(self, one: Candidate) -> list[Record]:
        counts = sorted(set(self.sizes.curve)) if self._has_steps(one) else [0]
        return [self._point(one, steps) for steps in counts]

    def _step_sizes(self, one: Candidate) -> list[Record]:
        steps = self._cost(one).steps_within_passes(self.sizes.passes)
        records = []
        for factor in self.sizes.step_sizes:
            point = self._point(one.at_rate(factor), steps)
            records.append({**point, "part": "step size", "factor": factor, "default": one.guide.step_size})
        return records

    def _point(self, one: Candidate, steps: int) -> Record:
        cost = self._cost(one)
        few = _rows(self.batch, self.sizes.curve_sequences)
        score = self._evaluation(one, steps, self.sizes.draws, few).scores["elbo"]
        return {
            "part": "curve",
            "guide": one.name,
            "steps": steps,
            "passes": cost.passes + steps * cost.passes_per_step,
            "seconds_per_sequence": cost.seconds + steps * cost.seconds_per_step,
            "elbo": score.nats_per_token,
            "elbo_error": score.standard_error,
        }

    def _evaluation(self, one: Candidate, steps: int, draws: int, batch: Batch, halves: bool = False) -> Evaluation:
        fast = one.fast.lasting(steps)
        numbers = Evaluator(self.model, one.guide, fast, draws, self.seed, self.sizes.at_once, halves=halves)
        return numbers.evaluate(_split(batch, self.sizes.batch_size))


def _about_q(evaluation: Evaluation) -> Record:
    """Numbers of q itself; none without a density."""
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
        x, mask, previous, ids, bytes_ = (None if part is None else part[first : first + size] for part in batch)
        yield Batch(x, mask, previous, ids, bytes_)  # type: ignore[arg-type]
