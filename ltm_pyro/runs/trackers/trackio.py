"""trackio: a local database, or a Space of the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ltm_pyro.runs.trackers.adapter import Adapter, Place


class Trackio(Adapter):
    """A run of trackio, continued by its name."""

    @classmethod
    def options(cls, place: Place, values: dict[str, Any]) -> dict[str, Any]:
        quiet = {"embed": False, "auto_log_cpu": False, "auto_log_gpu": False}
        resume = "never" if place.identity is None else "allow"
        return {"name": place.identity or place.name, "resume": resume, "config": values, **quiet}

    def identity(self) -> str | None:
        return str(self.tracker.run.name)

    def configure(self, values: dict[str, Any], text: str, resumed: bool) -> None:
        """Nothing is left to log: the configuration is an argument of the constructor."""

    def figure(self, name: str, path: Path, step: int) -> None:
        import trackio

        self.tracker.log({name: trackio.Image(str(path))}, step=step)

    def text(self, name: str, text: str, step: int) -> None:
        import trackio

        self.tracker.log({name: trackio.Markdown(text)}, step=step)
