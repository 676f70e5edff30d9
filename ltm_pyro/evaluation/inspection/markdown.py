"""An inspection as text."""

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
    """In words, whether the thoughts carry anything."""
    told = found.probe[0].nats_per_token - found.probe[-1].nats_per_token
    if found.collapsed:
        return (
            f"**Collapsed.** The decoder ignores its thoughts: KL {found.kl_per_token:.4f} nats/token, "
            f"{int(found.active.sum())} of {found.active.numel()} dimensions active. What follows is noise. To try: a "
            "start from an autoregressive run (docs/thoughts.md), a rising KL weight or free bits (docs/bounds.md), or "
            "more fast steps."
        )
    return (
        f"The thoughts carry {found.kl_per_token:.4f} nats/token of KL in {int(found.active.sum())} of "
        f"{found.active.numel()} dimensions; with them the text costs {told:.4f} nats/token less than with thoughts "
        f"from the prior, so that after the KL is paid they {_balance(*_paid(found))}."
    )


def _paid(found: Inspection) -> tuple[float, float]:
    """Gain of all thoughts, their KL paid, nats per token, with its standard error over texts."""
    return found.probe_bound[0].minus(found.probe_bound[-1])


def _balance(gain: float, error: float) -> str:
    """In words, as far as two standard errors tell."""
    if not abs(gain) > 2 * error:
        return f"neither gain nor lose anything that could be told ({with_error(gain, error)} nats/token)"
    return f"{'gain' if gain > 0 else 'lose'} {with_error(abs(gain), error)} nats/token"


def inspection_markdown(found: Inspection, details: Details | None = None) -> str:
    """Tables of an inspection, with what each number is."""
    shown = [section(title, rows, [note]) for title, rows, note in tables(found, details)]
    fit = [] if found.fit is None else [found.fit.note]
    return "\n\n".join([f"# Thoughts of {len(found.ids)} texts", verdict(found), *fit, *shown])


def tables(found: Inspection, details: Details | None = None) -> list[Table]:
    """A title, rows with the header first, and a note, each."""
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
    for one in dial:
        scores = [
            with_error(score.nats_per_token, score.standard_error) for score in (one.elbo, one.importance_weighted)
        ]
        rows.append([str(one.steps), *scores, number(one.kl_per_token)])
    count = len(dial[0].elbo.nats)
    return "The bound by fast steps", rows, f"{count} texts, the same noise for each; lower is better. 0 is q's start."


def _aggregate(found: Aggregate) -> Table:
    rows = [["layer", "length of a thought, q", "p", "variance of a dimension, q", "p"]]
    for layer, cells in enumerate(
        zip(found.norms, found.prior_norms, found.variances, found.prior_variances, strict=True), 1
    ):
        rows.append([str(layer), *(number(cell, 3) for cell in cells)])
    note = (
        f"One z of each of {found.sequences} texts' own q against as many from the prior: MMD² "
        f"{found.mmd.squared:.2e}, 95 % of permutations below {found.mmd.null_95:.2e}, p {found.mmd.p_value:.3f}. log "
        f"p(z) {with_error(found.log_prior, found.log_prior_error, 1)} under q, "
        f"{with_error(found.own_log_prior, found.own_log_prior_error, 1)} under p, nats."
    )
    return "Aggregated posterior against prior", rows, note


def _checked(checks: Sequence[Check], texts: int) -> Table:
    note = (
        f"{texts} texts, 20 written for each, as long as it. The p-value is the share of written ones above the real "
        "one, 0.5 if they are alike; outside 90 %: the share of texts that fewer than one in twenty of their own "
        "reach, or exceed, of which 0.1 would be chance."
    )
    return "Texts written with a text's own thoughts", check_rows(checks), note


def _carried(found: Inspection) -> Table:
    rows = [["layer", "thought", "KL, nats/text", "largest dimension", "active", "of"]]
    for layer, thoughts in enumerate(found.kl, 1):
        for thought, kl in enumerate(thoughts, 1):
            active = int(found.active[layer - 1, thought - 1].sum())
            sizes = number(kl.sum().item()), number(kl.max().item())
            rows.append([f"{layer}", f"{thought}", *sizes, f"{active}", f"{len(kl)}"])
    note = "Active: the posterior mean's variance over texts is above 0.01 of the prior's variance."
    return "What each thought carries", rows, note


def _told(found: Inspection) -> Table:
    rows = [["layers from q", "reconstruction, nats/token", "with their KL paid (bound)"]]
    for told, (free, paid) in enumerate(zip(found.probe, found.probe_bound, strict=True)):
        cells = [with_error(score.nats_per_token, score.standard_error) for score in (free, paid)]
        rows.append([f"first {told}" if told else "none", *cells])
    note = "The thoughts of the other layers are drawn from the prior. ± is one standard error over texts."
    return "The text by the first layers' thoughts", rows, note


def _informed(found: Inspection) -> Table:
    info = found.information
    rows = [
        ["I(x; z), nats/text", "estimate"],
        ["lower bound", with_error(info.lower, info.lower_error)],
        ["upper bound", with_error(info.upper, info.upper_error)],
        ["log N", number(info.most)],
    ]
    note = "The lower bound cannot exceed log N: near it, it says only that texts are told apart."
    return "Mutual information of text and thoughts", rows, note


def _near(near: Neighbours) -> Table:
    rows = [
        ["nearest text by", "from the same document"],
        ["thoughts", number(near.same_by_thoughts, 3)],
        ["bag of tokens (baseline)", number(near.same_by_words, 3)],
        ["chance", number(near.same_by_chance, 3)],
    ]
    return "Nearest texts", rows, f"Both name the same text for {near.agreement:.1%} of texts."
