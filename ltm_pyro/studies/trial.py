"""A trial of a study: one run, trained from its settings and scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import TypedDict

from ltm_pyro.errors import InputError
from ltm_pyro.runs.config import Settings

VALIDATION = "validation"  # the scoring of a study that has one alone


class Scoring(TypedDict, total=False):
    """How a trained run is scored on held-out text.

    Attributes:
        draws: S, samples of z per sequence.
        limit: the most sequences.
        seed: of the noise, one for all trials.
        fast_steps: of the fit; as many as usually suffice if None.
    """

    draws: int
    limit: int | None
    seed: int
    fast_steps: int | None


class Plan(TypedDict):
    """The plan of a trial: all that its result depends on, as `plan.json` keeps it.

    Attributes:
        settings: of its run.
        start_from: the key of the trial whose weights it begins with, or None.
        checkpoint: which one is scored, `best` or `latest`.
        scorings: by name, how it is scored.
        measures: what else is measured, names of `ltm_pyro.studies.job.MEASURES`.
        one_text: whether all trials of the study must be of the same text.
    """

    settings: dict[str, Any]
    start_from: str | None
    checkpoint: str
    scorings: dict[str, Scoring]
    measures: list[str]
    one_text: bool


@dataclass(frozen=True)
class Trial:
    """One run of a study.

    Attributes:
        variant: what it is a run of, as it is told of.
        seed: of weights, order and noise.
        key: the name of its folder.
        settings: of its run, but for what it starts from.
        start_from: the key of the trial whose weights it begins with; None to begin anew.
        about: what else its own study knows of it.
    """

    variant: str
    seed: int
    key: str
    settings: Settings
    start_from: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Slow steps."""
        return int(self.settings["train"]["steps"])

    def __str__(self) -> str:
        return f"{self.variant}, seed {self.seed}"


def check_seeds(seeds: Sequence[int]) -> None:
    """Raises InputError for seeds that make no sense."""
    if not seeds or len(set(seeds)) < len(seeds) or any(not 0 <= seed < 2**32 for seed in seeds):
        raise InputError(f"--seeds {' '.join(map(str, seeds))}: expected different whole numbers from 0 to 2³² - 1")
