"""Numbers of single texts, as columns of a table."""

from __future__ import annotations

import numpy as np

from ltm_pyro.data import Sequences
from ltm_pyro.errors import InputError
from ltm_pyro.evaluation import Evaluation

COUNTS = ("tokens", "bytes", "predictive_tokens", "predictive_bytes")
BASELINE = "baseline: "


def text_columns(
    sequences: Sequences, evaluation: Evaluation, baseline: Evaluation | None = None
) -> dict[str, np.ndarray]:
    """Columns of the numbers of each text, a row per sequence.

    Args:
        sequences: that were scored, in their order; those after the last scored one are left out.
        evaluation: their evaluation.
        baseline: of another model on the same sequences; its columns begin with `baseline:`.

    Returns:
        By name, shape (N,) each: `text`, the index; `document`, in which the sequence starts, and `start`, the number
        of that document's tokens before it; `tokens` and `bytes`, and `predictive_tokens` and `predictive_bytes` of the
        second half (no bytes if the tokens do not hold all of the text); in nats, lower is better, every score of the
        table by its name in the JSON of `ltm evaluate`, those of the second half being `predictive` and
        `prior_predictive`; `kl`, and `kl_layer_0` and so on; `effective_sample_size` and `pareto_k` of the importance
        weights.
    """
    numbers = evaluation.per_text
    places = [sequences.place(number) for number in range(len(numbers["tokens"]))]
    columns = {
        "text": np.arange(len(places)),
        "document": np.array([printable(document) for document, _ in places], dtype=np.str_),
        "start": np.array([start for _, start in places], dtype=np.int64),
        **_flat(evaluation, drop_bytes=bool(evaluation.lost)),
    }
    others = {} if baseline is None else _flat(baseline)
    return columns | {f"{BASELINE}{name}": values for name, values in others.items() if name not in COUNTS}


def refuse_other_sequences(ours: Sequences, theirs: Sequences, count: int | None = None) -> None:
    """Refuse a table that pairs the texts of two runs whose sequences differ.

    Args:
        ours, theirs: the sequences of a run and of its baseline.
        count: the number of leading sequences to compare; all if None.

    Raises:
        InputError: if they differ.
    """
    stop = len(ours) if count is None else min(count, len(ours))
    as_many = len(theirs) == stop if count is None else len(theirs) >= stop
    if (
        as_many
        and np.array_equal(ours.bounds[: stop + 1], theirs.bounds[: stop + 1])
        and np.array_equal(ours.tokens[: ours.bounds[stop]], theirs.tokens[: ours.bounds[stop]])
    ):
        return
    raise InputError(
        "--per_text has one row a text, but the two runs cut or tokenize the text into different sequences: leave "
        "--baseline out, and evaluate the other run by itself"
    )


def printable(name: str) -> str:
    """A name that every format can hold: what is not UTF-8 is escaped, and a null character too."""
    return name.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")


def _flat(evaluation: Evaluation, drop_bytes: bool = False) -> dict[str, np.ndarray]:
    """Columns of counts as integers, then costs in the order of the table, then all others, with one for each layer."""
    numbers = evaluation.per_text
    columns = {
        name: numbers[name].astype(np.int64)
        for name in COUNTS
        if name in numbers and not (drop_bytes and name.endswith("bytes"))
    }
    for name in [*evaluation.scores, *(name for name in numbers if name not in evaluation.scores)]:
        if name == "kl_per_layer":
            columns |= {f"kl_layer_{layer}": column for layer, column in enumerate(numbers[name].T)}
        elif name not in COUNTS:
            columns[name] = numbers[name]
    return columns
