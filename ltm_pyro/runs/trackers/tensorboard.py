"""TensorBoard: event files in the folder of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ltm_pyro.runs.trackers.adapter import PROJECT, Adapter, Place

HEADLINE = ("validation/elbo", "validation/predictive")  # metrics in the table of hyperparameters


class TensorBoard(Adapter):
    """Event files in `trackers/` of the run's folder; a resumed run appends to them."""

    one_axis: ClassVar[bool] = True

    @classmethod
    def project(cls, place: Place) -> str:
        return PROJECT  # a folder in that of the run, whatever the project is called

    def identity(self) -> str | None:
        return PROJECT

    def configure(self, values: dict[str, Any], text: str, resumed: bool) -> None:
        from torch.utils.tensorboard.summary import hparams

        # not by Accelerate, which makes two further folders of runs for it
        for summary in () if resumed else hparams(values, dict.fromkeys(HEADLINE, 0.0)):
            self.tracker.writer.file_writer.add_summary(summary)
        self.tracker.writer.add_text("configuration", _preformatted(text))

    def figure(self, name: str, path: Path, step: int) -> None:
        from matplotlib.image import imread

        self.tracker.writer.add_image(name, imread(path), step, dataformats="HWC")

    def text(self, name: str, text: str, step: int) -> None:
        self.tracker.writer.add_text(name, text, step)


def _preformatted(text: str) -> str:
    return f"```\n{text}\n```"
