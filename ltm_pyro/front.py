"""The Python API of runs: `ltm_pyro.load`, `train`, `recipe` and `merged`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ltm_pyro.runs.config import merged, recipe
from ltm_pyro.runs.train_objects import train
from ltm_pyro.runs.trained import Posteriors, TrainedRun
from ltm_pyro.training.run import CONFIG

if TYPE_CHECKING:
    import torch


__all__ = ["Posteriors", "TrainedRun", "load", "merged", "recipe", "train"]


def load(
    source: Path | str,
    checkpoint: str = "best",
    *,
    device: torch.device | str | None = None,
    trust_code: bool = False,
    folder: Path | str | None = None,
) -> TrainedRun:
    """Open a run with the weights of a checkpoint. A run is data: no code that it names is executed without consent.

    `TrainedRun.from_pretrained` takes a revision of a run on the hub.

    Args:
        source: a run's folder, or `hf:USER/NAME`, which is fetched from the hub unless it is there already.
        checkpoint: `best` (by validation ELBO), `latest`, or a step's number.
        device: of the weights; a GPU if there is one.
        trust_code: import the classes that the run names from packages other than ltm_pyro, torch and Pyro, which
            runs their code; the current folder is searched too.
        folder: where a run from the hub is put; runs/NAME if None.

    Raises:
        InputError: if there is no such run or checkpoint, if it is damaged, or if it names classes that need consent.
    """
    from ltm_pyro.data.hub import PREFIX

    if str(source).startswith(PREFIX):
        source = _fetched(str(source), folder)
    return TrainedRun.of_folder(source, checkpoint, device=device, trust_code=trust_code)


def _fetched(spec: str, folder: Path | str | None) -> Path:
    from ltm_pyro.runs.pull import pull
    from ltm_pyro.sharing import RepositoryName

    destination = Path(folder or Path("runs") / RepositoryName.parse(spec).name)
    if not (destination / CONFIG).is_file():
        pull(spec, run=str(destination))
    return destination
