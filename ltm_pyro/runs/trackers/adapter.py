"""A tracker of Accelerate, and the calls in which services differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, NamedTuple

PROJECT = "trackers"  # folder in that of the run, of trackers that write files


class Place(NamedTuple):
    """Place of a run at a tracker.

    Attributes:
        folder: of the run on this machine.
        project: name of the project.
        name: name of the run.
        identity: identifier of the tracker's run that is continued; None for a new one.
    """

    folder: Path
    project: str
    name: str
    identity: str | None


class Adapter:
    """Adapter of any tracker of Accelerate: configuration and metrics; figures and texts are left out.

    Args:
        tracker: Accelerate's tracker, once it has started; `options` is called before.

    Attributes:
        one_axis: True if the service draws metrics against steps or time alone, so that curves against tokens are
            metrics of their own.
    """

    one_axis: ClassVar[bool] = False

    def __init__(self, tracker: Any) -> None:
        self.tracker = tracker

    @classmethod
    def project(cls, place: Place) -> str:
        """Name of the project, as Accelerate takes it."""
        return place.project

    @classmethod
    def options(cls, place: Place, values: dict[str, Any]) -> dict[str, Any]:
        """Arguments of the tracker's constructor.

        Args:
            place: the run at the tracker.
            values: flat configuration.
        """
        return {}

    def identity(self) -> str | None:
        """Identifier by which the tracker's run can be continued; None if it cannot."""
        return None

    def configure(self, values: dict[str, Any], text: str, resumed: bool) -> None:
        """Log the configuration.

        Args:
            values: flat, of text, numbers and truth values.
            text: the same as YAML.
            resumed: True if the tracker's run is continued.
        """
        if not resumed:
            self.tracker.store_init_configuration(values)

    def metrics(self, values: dict[str, float], step: int) -> None:
        """Log numbers after a slow step."""
        self.tracker.log(values, step=step)

    def figure(self, name: str, path: Path, step: int) -> None:
        """Log a figure, a PNG file."""

    def text(self, name: str, text: str, step: int) -> None:
        """Log a text in Markdown."""

    def finish(self, status: str) -> None:
        """End the tracker's run.

        Args:
            status: `finished`, `failed` or `killed`.
        """
        self.tracker.finish()
