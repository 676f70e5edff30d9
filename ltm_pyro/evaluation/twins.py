"""Twins of a decoder with thoughts: decoders without, on the same text, beside it in every table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from ltm_pyro.data import Batch
from ltm_pyro.evaluation.evaluator import Evaluation, Evaluator
from ltm_pyro.guides import EmptyGuide
from ltm_pyro.inference import FastLoop
from ltm_pyro.models import AbstractModel, AutoregressiveModel

TWIN, HALF = "twin: ", ", second half"  # parts of the names of their scores, whatever part is predicted


def with_twins(
    evaluation: Evaluation, model: AbstractModel, fast: FastLoop, batches: Callable[[], Iterable[Batch]]
) -> Evaluation:
    """An evaluation with the exact scores of its decoder's twins, on whole texts and on second halves or answers.

    A gain over the frozen model alone may be style, which constant adapters give as well: thoughts gain something if
    they gain over the same adapters at z = 0.

    Args:
        evaluation: of the model.
        model: whose decoder has twins, or none.
        fast: its fast loop, which has nothing to fit in a twin.
        batches: a function that returns the batches that were scored, in their order.
    """
    if not model.decoder.z_shape[1]:
        return evaluation
    scores, per_text = dict(evaluation.scores), dict(evaluation.per_text)
    for label, decoder in model.decoder.twins().items():
        twin = AutoregressiveModel(decoder).eval()
        numbers = Evaluator(twin, EmptyGuide(decoder.z_shape), fast)
        scored = numbers.evaluate(batches())
        for name, half, part in (("exact", "", ""), ("predictive", HALF, f", {numbers.predicted_part}")):
            scores[f"{TWIN}{label}{half}"] = replace(scored.scores[name], label=f"{label}{part}: exact")
            per_text[f"{TWIN}{label}{half}"] = scored.per_text[name]
    return replace(evaluation, scores=scores, per_text=per_text)
