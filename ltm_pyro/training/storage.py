"""Storage of a training: where its checkpoints and its metrics log are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ltm_pyro.training.checkpoints import Checkpoints
    from ltm_pyro.training.metrics_log import MetricsLog


class TrainingStorage(Protocol):
    """Storage that a `Trainer` saves to and resumes from; a `Run` is one.

    Its members are read when they are needed: of several processes only the first makes the folder.
    """

    @property
    def folder(self) -> Path:
        """The folder, for messages."""

    @property
    def checkpoints(self) -> Checkpoints:
        """The saved checkpoints."""

    @property
    def metrics(self) -> MetricsLog:
        """The log that every record is appended to."""

    @property
    def fingerprint(self) -> str:
        """Identifies the classes and sizes that the weights belong to."""

    def find(self, which: str) -> Path:
        """The folder of a checkpoint: `best`, `latest` or a step's number.

        Raises:
            InputError: if there is none.
        """
