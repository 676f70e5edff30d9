"""What is done with runs from Python: `ltm_pyro.load`, `ltm_pyro.recipe` and `ltm_pyro.studies`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.device import chosen_device, device_named
from ltm_pyro.runs.config import merged, recipe
from ltm_pyro.runs.trained import Posteriors, TrainedRun
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from ltm_pyro.data import Tokenizer
    from ltm_pyro.guides import AbstractGuide
    from ltm_pyro.inference import FastLoop, SlowStep
    from ltm_pyro.models import AbstractModel

__all__ = ["Posteriors", "TrainedRun", "load", "merged", "recipe", "train"]


def load(
    source: Path | str,
    checkpoint: str = "best",
    *,
    device: torch.device | str | None = None,
    trust_code: bool = False,
    folder: Path | str | None = None,
) -> TrainedRun:
    """Open a run with the weights of a checkpoint. A run is data: this executes nothing that it names.

    Args:
        source: a run's folder, or `hf:USER/NAME`, which is fetched from the hub unless it is there already.
        checkpoint: `best` (by validation ELBO), `latest`, or a step's number.
        device: where it is to be; a GPU if there is one.
        trust_code: import the classes of other packages than ltm_pyro, torch and Pyro that the run names, which runs
            their code.
        folder: of a run from the hub; runs/NAME if None.

    Raises:
        InputError: if there is no such run or checkpoint, if it is damaged, or if it names classes that need consent.
    """
    from ltm_pyro.data.hub import PREFIX

    if str(source).startswith(PREFIX):
        source = _fetched(str(source), folder)
    run, place = Run.open(source, trust_code), chosen_device() if device is None else device_named(device)
    return TrainedRun(run, run.load(checkpoint).to(place), place)


def train(
    model: AbstractModel,
    guide: AbstractGuide,
    fast: FastLoop,
    slow: SlowStep,
    batches: Any,
    *,
    folder: Path | str,
    validation: Any = None,
    tokenizer: Tokenizer | None = None,
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
) -> TrainedRun:
    """Train objects of one's own and keep them as a run: checkpoints, log, table, figures; every command opens it.

    The run's `config.yaml` says what the objects were made with, so that it can be opened again: classes of one's own
    must stand in a module that can be imported, and constructors must be given all that shapes weights. The weights
    start as they are.

    Args:
        model, guide, fast, slow: as for `DualRateSVI`.
        batches: what to learn from: `ltm_pyro.data.Batches` or `Sequences`, a torch Dataset or DataLoader of token ids,
            or lists of them; `ltm_pyro.data.id_sequences` says which forms. It is read once, and batches are drawn from
            it in an order of their own.
        folder: of the run.
        validation: the same, of what is held out; a share of the sequences (`data.validation`) if None.
        tokenizer: of the ids; if None, they are their own names.
        settings: of training: `train.steps`, `train.batch_size`, `train.evaluate_every` and so on, as
            `ltm_pyro.recipe` nests them.
        resume: go on with the run in the folder, which must be of the same objects and sequences.

    Returns:
        The run, with the weights of its best checkpoint.

    Raises:
        InputError: for what cannot be written down, what does not go together, or a folder that is taken.
        DivergedError: at a NaN or an infinity; the checkpoints before it stay.
        KeyboardInterrupt: after Ctrl-C, with all that was done saved.
    """
    from ltm_pyro.runs.train_objects import train_objects

    run = train_objects(model, guide, fast, slow, batches, folder, validation, tokenizer, settings, resume)
    place = next(model.parameters()).device
    return TrainedRun(run, run.load("best").to(place), place)


def _fetched(spec: str, folder: Path | str | None) -> Path:
    from ltm_pyro.sharing import RepositoryName, pull

    place = Path(folder or Path("runs") / RepositoryName.parse(spec).name)
    if not (place / "config.yaml").is_file():
        pull(spec, place)
    return place
