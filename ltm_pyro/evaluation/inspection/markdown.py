"""Inspection as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ltm_pyro.evaluation.aggregate import Aggregate
from ltm_pyro.evaluation.inspection.checks import Check, check_rows
from ltm_pyro.evaluation.inspection.details import Details
from ltm_pyro.evaluation.inspection.dial import StepSweepPoint
from ltm_pyro.evaluation.inspection.inspector import Inspection
from ltm_pyro.evaluation.inspection.neighbours import Neighbours
from ltm_pyro.tables import number, section, with_error

Table = tuple[str, list[list[str]], str]


def verdict(found: Inspection) -> str:
    """Verdict in words: collapsed thoughts, or the nats that they save and cost."""
    saving = found.probe[0].nats_per_token - found.probe[-1].nats_per_token
    if found.collapsed:
        return (
            f"**Collapsed.** The decoder ignores its thoughts: KL {found.kl_per_token:.4f} nats/token, "
            f"{int(found.active.sum())} of {found.active.numel()} dimensions active. The tables below show noise. To "
            "try: a start from an autoregressive run (docs/thoughts.md), a rising KL weight or free bits "
            "(docs/bounds.md), or more fast steps."
        )
    return (
        f"The thoughts carry {found.kl_per_token:.4f} nats/token of KL in {int(found.active.sum())} of "
        f"{found.active.numel()} dimensions; with them the text costs {saving:.4f} nats/token less than with thoughts "
        f"from the prior; net of the KL they {_balance(*_net_gain(found))}."
    )


def _net_gain(inspection: Inspection) -> tuple[float, float]:
    """Gain of all thoughts net of their KL, nats per token, with its standard error over texts."""
    return inspection.probe_bound[0].minus(inspection.probe_bound[-1])


def _balance(gain: float, error: float) -> str:
    """Gain or loss in words, if it exceeds two standard errors."""
    if not abs(gain) > 2 * error:
        return f"neither gain nor lose beyond two standard errors ({with_error(gain, error)} nats/token)"
    return f"{'gain' if gain > 0 else 'lose'} {with_error(abs(gain), error)} nats/token"


def inspection_markdown(found: Inspection, details: Details | None = None) -> str:
    """Tables of an inspection, each with a note on its numbers."""
    sections = [section(title, rows, [note]) for title, rows, note in tables(found, details)]
    fit = [] if found.fit is None else [found.fit.note]
    return "\n\n".join([f"# Thoughts of {len(found.ids)} texts", verdict(found), *fit, *sections])


def tables(found: Inspection, details: Details | None = None) -> list[Table]:
    """Tables, each as a title, rows with the header first, and a note."""
    near = [] if found.neighbours is None else [_near(found.neighbours)]
    closer = [] if details is None else list(_closer(details))
    return [_carried(found), _told(found), _informed(found), *near, *closer]


def _closer(details: Details) -> Iterator[Table]:
    if details.dial:
        yield _dial(details.dial)
    if details.aggregate:
        yield _aggregate(details.aggregate)
    if details.checks:
        yield _checked(details.checks, len(details.texts))


def _dial(dial: Sequence[StepSweepPoint]) -> Table:
    rows = [["fast steps", "ELBO, nats/token", "importance-weighted", "KL"]]
    for point in dial:
        scores = [
            with_error(score.nats_per_token, score.standard_error) for score in (point.elbo, point.importance_weighted)
        ]
        rows.append([str(point.steps), *scores, number(point.kl_per_token)])
    count = len(dial[0].elbo.nats)
    return "The bound by fast steps", rows, f"{count} texts, the same noise for each; lower is better. 0 is q's start."


def _aggregate(aggregate: Aggregate) -> Table:
    rows = [["layer", "length of a thought, q", "p", "variance of a dimension, q", "p"]]
    for layer, cells in enumerate(
        zip(aggregate.norms, aggregate.prior_norms, aggregate.variances, aggregate.prior_variances, strict=True), 1
    ):
        rows.append([str(layer), *(number(cell, 3) for cell in cells)])
    note = (
        f"One z from the q of each of {aggregate.sequences} texts against as many from the prior: MMD² "
        f"{aggregate.mmd.squared:.2e}, 95 % of permutations below {aggregate.mmd.null_95:.2e}, "
        f"p {aggregate.mmd.p_value:.3f}. log p(z), nats: "
        f"{with_error(aggregate.log_prior, aggregate.log_prior_error, 1)} under q, "
        f"{with_error(aggregate.own_log_prior, aggregate.own_log_prior_error, 1)} under p."
    )
    return "Aggregated posterior against prior", rows, note


def _checked(checks: Sequence[Check], texts: int) -> Table:
    note = (
        f"{texts} texts, and 20 replicates of each with the same length. The p-value is the share of replicates above "
        "the real text, 0.5 if they are alike; outside 90 %: the share of texts outside the middle 90 % of their "
        "replicates, 0.1 by chance."
    )
    return "Texts written with a text's own thoughts", check_rows(checks), note


def _carried(inspection: Inspection) -> Table:
    rows = [["layer", "thought", "KL, nats/text", "largest dimension", "active", "of"]]
    for layer, thoughts in enumerate(inspection.kl, 1):
        for thought, kl in enumerate(thoughts, 1):
            active = int(inspection.active[layer - 1, thought - 1].sum())
            sizes = number(kl.sum().item()), number(kl.max().item())
            rows.append([f"{layer}", f"{thought}", *sizes, f"{active}", f"{len(kl)}"])
    note = "Active: the posterior mean's variance over texts is above 0.01 of the prior's variance."
    return "What each thought carries", rows, note


def _told(inspection: Inspection) -> Table:
    rows = [["layers from q", "reconstruction, nats/token", "with their KL paid (bound)"]]
    for count, (free, paid) in enumerate(zip(inspection.probe, inspection.probe_bound, strict=True)):
        cells = [with_error(score.nats_per_token, score.standard_error) for score in (free, paid)]
        rows.append([f"first {count}" if count else "none", *cells])
    note = "The thoughts of the other layers are drawn from the prior. ± is one standard error over texts."
    return "The text by the first layers' thoughts", rows, note


def _informed(inspection: Inspection) -> Table:
    info = inspection.information
    rows = [
        ["I(x; z), nats/text", "estimate"],
        ["lower bound", with_error(info.lower, info.lower_error)],
        ["upper bound", with_error(info.upper, info.upper_error)],
        ["log N", number(info.most)],
    ]
    note = "The lower bound cannot exceed log N; a value near log N shows only that z identifies its text."
    return "Mutual information of text and thoughts", rows, note


def _near(near: Neighbours) -> Table:
    rows = [
        ["nearest text by", "from the same document"],
        ["thoughts", number(near.same_by_thoughts, 3)],
        ["bag of tokens (baseline)", number(near.same_by_words, 3)],
        ["chance", number(near.same_by_chance, 3)],
    ]
    return "Nearest texts", rows, f"Thoughts and tokens give the same nearest text for {near.agreement:.1%} of texts."
