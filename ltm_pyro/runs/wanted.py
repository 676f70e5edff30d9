"""Text with a wanted label: the label's value among those that a run has learned, and thoughts given it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ltm_pyro.errors import InputError
from ltm_pyro.runs.names import did_you_mean
from ltm_pyro.training.data_module import LABELS, DataRecord
from ltm_pyro.training.given_text import GIVEN, read_held_out
from ltm_pyro.training.held_out import DATA

if TYPE_CHECKING:
    from torch import Tensor

    from ltm_pyro.models import AbstractModel
    from ltm_pyro.runs.arguments import WantedBy
    from ltm_pyro.training.build import RunComponents
    from ltm_pyro.training.run import Run

Thoughts = Callable[["RunComponents", "Tensor", int], "Tensor | None"]  # of a prompt (P,), so many: (N, L, K, D)
CANDIDATES, SHOWN = 32, 8  # candidates if their number is left out; values that a message names
FROM_CANDIDATES = ("best", "weights")


def thoughts_for(
    run: Run, components: RunComponents, value: str | None, by: WantedBy, candidates: int | None
) -> Thoughts | None:
    """A source of thoughts for the prompts of texts with a wanted label; None without one.

    Args:
        run, components: a run and its trained objects.
        value: the label's value, as in the corpus.
        by: as `generate` describes it.
        candidates: number of candidates of z for each text, by `best` or `weights`; 32 if None.

    Raises:
        InputError: if the run has learned no labels, or not this value, or an argument is given that has no use.
    """
    if value is None:
        for name, given, default in (("by", by, "fit"), ("candidates", candidates, None)):
            if given != default:
                raise InputError(f"--{name} {given}: give the wanted label too, --reward VALUE, or leave --{name} out")
        return None
    r = label_of(run, components.model, value.strip())
    if candidates is not None and by not in FROM_CANDIDATES:
        raise InputError(f"--candidates {candidates}: --by {by} has no candidates; give --by best, or leave it out")

    def thoughts(components: RunComponents, prompt: Tensor, rows: int) -> Tensor:
        from ltm_pyro.generation.rewarded import candidate_thoughts, langevin_thoughts, tilted_thoughts

        model, guide, fast, _ = components
        prompts = prompt.expand(rows, -1)
        labels = _repeated(model, r, prompts)
        if by == "fit":
            return tilted_thoughts(model, guide, fast, prompts, labels)
        if by == "langevin":
            return langevin_thoughts(model, guide, fast, prompts, labels)
        return candidate_thoughts(model, guide, fast, prompts, labels, candidates or CANDIDATES, by)

    return thoughts


def values_of(run: Run) -> Sequence[str]:
    """The values of the labels that a run has learned, in the order of their indices; empty without labels."""
    saved = run.read_json(DATA, DataRecord) if (run.folder / DATA).is_file() else {}
    if saved.get(GIVEN):
        return read_held_out(run.folder).annotations.values
    return saved.get(LABELS, [])


def label_of(run: Run, model: AbstractModel, value: str) -> float:
    """The label r of a value as a user writes it: its index, or the number itself.

    Raises:
        InputError: if the run has learned no labels, or not this value.
    """
    if model.reward is None:
        raise InputError(
            f"--reward {value}: {run.folder} has learned no labels: train a run with them, `ltm train CORPUS "
            "--data.label FIELD --reward CategoricalReward`, or leave it out"
        )
    if model.reward.numeric:
        return _number(value)
    values = list(values_of(run))
    if value not in values:
        others = ", ".join([*values[:SHOWN], *["..."] * (len(values) > SHOWN)])
        raise InputError(
            f"--reward {value}: this value was never learned: {did_you_mean(value, values)}{run.folder} knows {others}"
        )
    return values.index(value)


def _number(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"--reward {value}: the labels of this run are numbers: give one")
    return number


def _repeated(model: AbstractModel, r: float, prompts: Tensor) -> Tensor:
    """The label for each of the prompts (N, P), in the head's type, shape (N,)."""
    import torch

    assert model.reward is not None
    dtype = next(model.reward.parameters()).dtype if model.reward.numeric else torch.long
    return torch.full((len(prompts),), r, dtype=dtype, device=prompts.device)
