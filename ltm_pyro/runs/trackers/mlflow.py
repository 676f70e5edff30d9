"""MLflow: a run of an experiment, at the tracking server or in the store that MLFLOW_TRACKING_URI names."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ltm_pyro.runs.trackers.adapter import Adapter, Place

STATUS = {"finished": "FINISHED", "failed": "FAILED", "killed": "KILLED"}


class MLflow(Adapter):
    """A run of MLflow; the project is its experiment. Figures and texts are artifacts of the run."""

    one_axis: ClassVar[bool] = True

    @classmethod
    def options(cls, place: Place, values: dict[str, Any]) -> dict[str, Any]:
        return {"run_name": place.name} if place.identity is None else {"run_id": place.identity}

    def identity(self) -> str | None:
        return str(self.tracker.active_run.info.run_id)

    def configure(self, values: dict[str, Any], text: str, resumed: bool) -> None:
        super().configure(values, text, resumed)  # parameters of MLflow cannot change
        self._artifact(text, "config.yaml")

    def figure(self, name: str, path: Path, step: int) -> None:
        import mlflow

        mlflow.log_artifact(str(path), f"{name}/step-{step:08d}")

    def text(self, name: str, text: str, step: int) -> None:
        self._artifact(text + "\n", f"{name}/step-{step:08d}.md")

    def finish(self, status: str) -> None:
        import mlflow

        mlflow.end_run(STATUS[status])

    def _artifact(self, text: str, path: str) -> None:
        import mlflow

        mlflow.log_text(text, path)
