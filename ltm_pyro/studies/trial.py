"""Trial of a study: a run, trained from its settings and scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import TypedDict

from ltm_pyro.errors import InputError
from ltm_pyro.runs.config import Settings

VALIDATION = "validation"  # name of the scoring in studies with a single one


class Scoring(TypedDict, total=False):
    """Settings by which a trained run is scored on held-out text.

    Attributes:
        draws: S, samples of z per sequence.
        limit: largest number of sequences.
        seed: seed of the noise, the same for all trials.
        fast_steps: fast steps of the fit; None takes the default of tables.
    """

    draws: int
    limit: int | None
    seed: int
    fast_steps: int | None


class Plan(TypedDict):
    """Plan of a trial, kept in `plan.json`: everything that its result depends on.

    Attributes:
        settings: settings of the run.
        start_from: key of the trial whose weights initialise the run, or None.
        checkpoint: checkpoint that is scored, `best` or `latest`.
        scorings: scorings by name.
        measures: further measures, names of `ltm_pyro.studies.job.MEASURES`.
        one_text: True if all trials of the study must have the same text.
    """

    settings: dict[str, Any]
    start_from: str | None
    checkpoint: str
    scorings: dict[str, Scoring]
    measures: list[str]
    one_text: bool


@dataclass(frozen=True)
class Trial:
    """Run of a study with a variant and a seed.

    Attributes:
        variant: name of the variant.
        seed: seed of weights, order and noise.
        key: name of the trial's folder.
        settings: settings of the run, without `train.start_from`.
        start_from: key of the trial whose weights initialise the run; None for random weights.
        about: further data of the particular study.
    """

    variant: str
    seed: int
    key: str
    settings: Settings
    start_from: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Number of slow steps."""
        return int(self.settings["train"]["steps"])

    def __str__(self) -> str:
        return f"{self.variant}, seed {self.seed}"


def check_seeds(seeds: Sequence[int]) -> None:
    """Check seeds; raises InputError unless they are different and in range."""
    if not seeds or len(set(seeds)) < len(seeds) or any(not 0 <= seed < 2**32 for seed in seeds):
        raise InputError(f"--seeds {' '.join(map(str, seeds))}: expected different whole numbers from 0 to 2³² - 1")
