"""Evaluation as a Markdown table that is also readable in a terminal."""

from __future__ import annotations

import math

from ltm_pyro.evaluation.evaluator import Evaluation
from ltm_pyro.evaluation.score import Score
from ltm_pyro.evaluation.twins import HALF, TWIN
from ltm_pyro.tables import aligned, with_error

HEADER = ("", "nats/token", "bits/byte", "perplexity")


def markdown(evaluation: Evaluation, baseline: Evaluation | None = None) -> str:
    """Table of all scores with their standard errors over sequences, and notes below it.

    Args:
        evaluation: evaluation of the model.
        baseline: evaluation of another model on the same text; its rows follow.
    """
    rows = [_row(score) for score in evaluation.scores.values()]
    if baseline is not None:
        rows += [_row(score, "baseline: ") for score in baseline.scores.values()]
    return "\n".join([*aligned([HEADER, *rows]), "", *_notes(evaluation, baseline)])


def _row(score: Score, prefix: str = "") -> tuple[str, ...]:
    perplexity = _with_error(_short(score.perplexity), _short(score.perplexity_error))
    if not score.is_bound:
        perplexity = f"{_short(score.mean_sequence_perplexity)} (mean over sequences)"
    return (
        prefix + score.label,
        _with_error(f"{score.nats_per_token:.4f}", f"{score.standard_error:.4f}"),
        with_error(score.bits_per_byte, score.bits_per_byte_error),
        perplexity,
    )


def _with_error(value: str, error: str) -> str:
    return value if error == "nan" else f"{value} ± {error}"  # one sequence alone has no error


def _short(perplexity: float) -> str:
    if math.isinf(perplexity):
        return "over 1e304"  # more than a double holds
    return f"{perplexity:.2f}" if perplexity < 1e6 else f"{perplexity:.2e}"


def _notes(evaluation: Evaluation, baseline: Evaluation | None) -> list[str]:
    scores = evaluation.scores
    any_score = next(iter(scores.values()))
    count = len(any_score.nats)
    bytes_ = "" if evaluation.lost else f", {int(any_score.bytes.sum()):,} bytes"
    notes = [
        f"{count:,} sequence{'s' * (count != 1)}, {int(any_score.tokens.sum()):,} tokens{bytes_}; "
        "± one standard error over sequences."
    ]
    notes += [f"{name}{lost}" for name, lost in _lost(evaluation, baseline) if lost]
    if "elbo" in scores:
        layers = ", ".join(f"{kl:.4f}" for kl in evaluation.kl_per_layer) or "does not split"
        kind = "closed form" if evaluation.kl_closed_form else "Monte Carlo"
        gain, error = scores["prior"].minus(scores["elbo"])
        notes += [
            f"KL {evaluation.kl_per_token:.4f} nats/token ({kind}); by layer: {layers}.",
            f"prior - ELBO: {_with_error(f'{gain:+.4f}', f'{error:.4f}')} nats/token: {worth(gain, error)}.",
            f"Effective sample size of the importance weights: {evaluation.effective_sample_size:.1f} of "
            f"{evaluation.draws}.",
        ]
    elif "reconstruction" in scores:
        notes.append("No ELBO and no importance weights: q has no density, so that there is no bound on log p(x).")
    if evaluation.fit is not None:
        notes.append(evaluation.fit.note)
    notes += _gains_over_twins(evaluation)
    if baseline is not None:
        notes += _baseline_fit(baseline) + _differences(evaluation, baseline)
    return notes


def _gains_over_twins(evaluation: Evaluation) -> list[str]:
    """Paired differences to the decoder's twins, of the tightest bound and of the second halves."""
    scores, notes = evaluation.scores, []
    ours = {"": scores.get("importance_weighted"), HALF: scores.get("predictive")}
    for name, twin in ((name, score) for name, score in scores.items() if name.startswith(TWIN)):
        half = HALF if name.endswith(HALF) else ""
        if (score := ours[half]) is not None:
            gain, error = twin.minus(score)
            label = name.removeprefix(TWIN)
            notes.append(f"Gain over {label}: {_with_error(f'{gain:+.4f}', f'{error:.4f}')} nats/token (paired).")
    return notes


def _lost(evaluation: Evaluation, baseline: Evaluation | None) -> list[tuple[str, str]]:
    """Reasons for missing bits per byte, each with its prefix."""
    return [("", evaluation.lost), ("Baseline: ", baseline.lost if baseline else "")]


def worth(gain: float, error: float) -> str:
    """Verdict in words on the gain of fitting q to the scored text, by two standard errors."""
    if math.isnan(error):
        return "what fitting q to the scored text is worth, on one sequence, which has no error"
    if abs(gain) <= 2 * error:
        return "within two standard errors of zero; fitting q to the scored text is not shown to be worth anything"
    if gain < 0:
        return "below zero; q fitted to the scored text is worse than the prior, since its KL costs more than it gains"
    return "above zero; fitting q to the scored text is worth this much, its KL paid"


def _baseline_fit(baseline: Evaluation) -> list[str]:
    return [] if baseline.fit is None else [f"Baseline: {baseline.fit.note}"]


def _differences(evaluation: Evaluation, baseline: Evaluation) -> list[str]:
    """Paired differences of the best bounds on the whole text, and of the scores of the second halves or answers."""
    ours, theirs = evaluation.scores, baseline.scores
    bounds = [s[key] for s in (ours, theirs) for key in ("importance_weighted", "exact", "diffusion") if key in s]
    part = "answer" if "answer" in ours["predictive"].label else "second half"
    pairs = {"whole text": bounds, part: [ours["predictive"], theirs["predictive"]]}
    notes = []
    for name, (score, reference) in ((name, pair) for name, pair in pairs.items() if len(pair) == 2):
        if len(score.nats) == len(reference.nats) and (score.tokens == reference.tokens).all():
            difference, error = score.minus(reference)
            paired = _with_error(f"{difference:+.4f}", f"{error:.4f}")
            notes.append(f"This model - baseline, {name}: {paired} nats/token (paired).")
        else:
            notes.append(f"{name}: the baseline has another tokenization; compare bits/byte, not nats/token.")
    return notes
