"""Report of the rounds of a refinement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from annotated_types import Ge
from typing_extensions import TypedDict

Count = Annotated[int, Ge(0)]


class Round(TypedDict):
    """Numbers of one round; those of pairs are None without any, and lengths are in tokens.

    Log-likelihoods are means of log p(answer | prompt) over pairs, in nats an answer; `margin_accuracy` is the share of
    training pairs whose margin is positive after the round.
    """

    round: Count
    questions: Count
    solved: Count
    right: Count
    wrong: Count
    chains: Count
    pairs: Count
    chosen_tokens: float | None
    rejected_tokens: float | None
    chosen_before: float | None
    chosen_after: float | None
    rejected_before: float | None
    rejected_after: float | None
    margin_accuracy: float | None


ROWS = {
    "questions": "questions",
    "solved": "questions with a right attempt",
    "right": "right attempts",
    "wrong": "wrong attempts",
    "chains": "different right chains",
    "pairs": "pairs (right, wrong)",
    "chosen_tokens": "mean tokens, chosen",
    "rejected_tokens": "mean tokens, rejected",
    "chosen_before": "log p(chosen), before",
    "chosen_after": "log p(chosen), after",
    "rejected_before": "log p(rejected), before",
    "rejected_after": "log p(rejected), after",
    "margin_accuracy": "share of pairs with a positive margin, after",
}


def table(rounds: Sequence[Round], has_thoughts: bool) -> str:
    """The rounds' numbers as a Markdown table, one column a round."""
    header = ["| | " + " | ".join(f"round {record['round']}" for record in rounds) + " |"]
    header.append("| --- |" + " ---: |" * len(rounds))
    body = [
        f"| {label} | " + " | ".join(_shown(record[name]) for record in rounds) + " |"  # type: ignore[literal-required]
        for name, label in ROWS.items()
    ]
    kind = "estimates from draws of q(z | prompt), not bounds" if has_thoughts else "exact"
    note = f"Log-likelihoods are nats an answer, on training pairs: {kind}."
    return "\n".join([*header, *body, "", note])


def _shown(value: float | int | None) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
