"""Weights & Biases, online or offline as WANDB_MODE says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ltm_pyro.runs.trackers.adapter import Adapter, Place


class WandB(Adapter):
    """A run of Weights & Biases; its local files, links among them, are in `wandb/` of the current folder."""

    @classmethod
    def options(cls, place: Place, values: dict[str, Any]) -> dict[str, Any]:
        again = {} if place.identity is None else {"id": place.identity, "resume": "allow"}
        return {"name": place.name, **again}

    def identity(self) -> str | None:
        return str(self.tracker.run.id)

    def configure(self, values: dict[str, Any], text: str, resumed: bool) -> None:
        self.tracker.store_init_configuration(values)  # the service keeps earlier values

    def figure(self, name: str, path: Path, step: int) -> None:
        import wandb

        self.tracker.log({name: wandb.Image(str(path))}, step=step)

    def text(self, name: str, text: str, step: int) -> None:
        import wandb

        self.tracker.log({name: wandb.Table(columns=["step", name], data=[[step, text]])}, step=step)

    def finish(self, status: str) -> None:
        self.tracker.run.finish(exit_code=0 if status == "finished" else 1)
