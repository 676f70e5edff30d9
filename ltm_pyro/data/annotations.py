"""Prompts and labels of sequences."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

NO_LABEL = -1


class Annotations(NamedTuple):
    """Prompts and labels of N sequences.

    Args:
        prompts: number of leading tokens of each sequence that are its prompt, (N,); None if no sequence has one.
        labels: index of each sequence's label in `values`, -1 without one, (N,); None if no sequence has one.
        values: the labels.
        score_prompts: True if the tokens of prompts are scored, so that they are evidence for z; False if they are
            context alone.
    """

    prompts: np.ndarray | None = None
    labels: np.ndarray | None = None
    values: tuple[str, ...] = ()
    score_prompts: bool = True

    def of(self, ids: np.ndarray) -> Annotations:
        """Those of the sequences with these indices."""
        prompts = None if self.prompts is None else np.asarray(self.prompts[ids])
        labels = None if self.labels is None else np.asarray(self.labels[ids])
        return self._replace(prompts=prompts, labels=labels)

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """The arrays that there are, by name."""
        return {name: column for name in ("prompts", "labels") if (column := getattr(self, name)) is not None}

    @property
    def context(self) -> np.ndarray | None:
        """Number of leading tokens of each sequence that are not scored, (N,); None if all tokens are."""
        return None if self.score_prompts else self.prompts
