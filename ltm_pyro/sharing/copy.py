"""Copy of a run for sharing: everything needed to use it and to see its training, without traces of the machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.data.hub import PREFIX
from ltm_pyro.data.sources import sources_of
from ltm_pyro.files import open_regular, read_json
from ltm_pyro.files.cache_folder import NOWHERE
from ltm_pyro.sharing.numbers import copy_numbers
from ltm_pyro.training.bases import BASES, parts_with_base
from ltm_pyro.training.checkpoints import Checkpoints
from ltm_pyro.training.data_module import DataRecord
from ltm_pyro.training.held_out import CORPUS, DATA
from ltm_pyro.training.run import CONFIG, TOKENIZER, run_parser

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from ltm_pyro.training.run import Run

ALONGSIDE = ("data.json", BASES, "metrics.jsonl", "figures/*.png", "samples/*.txt", "evaluation/*.md")
NUMBERS = "evaluation/*.json"
CONTENTS = (
    NUMBERS,
    CONFIG,
    TOKENIZER,
    "README.md",
    "checkpoints/step-*/*.json",
    "checkpoints/step-*/*.safetensors",
    *ALONGSIDE,
)


def write_copy(run: Run, checkpoint: Path, folder: Path, resumable: bool = False) -> None:
    """Write a copy of a run's folder with one checkpoint, for sharing.

    Paths in the configuration are reduced to their last part, since they are useless elsewhere and reveal their owner.
    A pretrained model on this machine becomes `./NAME`, which is never looked for on the hub, and keeps its hash. It is
    not opened: the weights of such a run are checked against their own sums alone.

    Args:
        run: the run to copy.
        checkpoint: folder of the shared checkpoint.
        folder: folder of the copy, created if missing.
        resumable: include the optimizer's state and the position in the text, three times the size.

    Raises:
        InputError: if the checkpoint is damaged, or has another configuration than the run.
    """
    parameters = None if run.bases else run.build().named_parameters()
    saved = run.checkpoints.load(checkpoint, run.fingerprint, parameters)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(
        run_parser(run.config).dump(_without_paths(run.config), skip_unset=False), encoding="utf-8"
    )
    _copy(run.folder / TOKENIZER, folder / TOKENIZER)
    for path in (path for pattern in ALONGSIDE for path in sorted(run.folder.glob(pattern))):
        target = folder / path.relative_to(run.folder)
        target.parent.mkdir(exist_ok=True)
        _copy(path, target)
    for path in sorted(run.folder.glob(NUMBERS)):
        copy_numbers(path, folder / path.relative_to(run.folder))
    if (folder / DATA).is_file():
        _forget_place(folder / DATA)
    if run.bases:
        bases = [{**base, "name": _place_of_base(base["name"])} for base in run.bases]
        (folder / BASES).write_text(json.dumps(bases, indent=2) + "\n", encoding="utf-8")
    state = saved.state if resumable else {}
    Checkpoints(folder / "checkpoints").save(saved.step, saved.weights, state, saved.info["loss"], run.fingerprint)


def _copy(path: Path, place: Path) -> None:
    """Copy a regular file; raises InputError for links, folders and other kinds of file."""
    with open_regular(path) as source, place.open("wb") as copied:
        shutil.copyfileobj(source, copied)


def _without_paths(config: Namespace) -> Namespace:
    config = config.clone()
    if corpus := config.get("corpus"):
        config["corpus"] = ",".join(_last_part(part) for part in sources_of(corpus))
    if config.data.cache not in (None, *NOWHERE):
        config.data.cache = None
    tokenizer = config.data.tokenizer
    if tokenizer is not None and (Path(tokenizer).is_absolute() or Path(tokenizer).exists()):
        config.data.tokenizer = _last_part(config.data.tokenizer)
    if config.train.start_from is not None:
        config.train.start_from = _last_part(config.train.start_from)
    for part, arguments in parts_with_base(config):
        arguments["name"] = _place_of_base(arguments["name"])
        if part == "decoder":
            config.data.tokenizer = None  # by default it is that of the decoder, and a copy of it is in tokenizer.json
    return config


def _forget_place(path: Path) -> None:
    """Remove from a copied data.json the path of the text at the last resume."""
    content: dict[str, Any] = read_json(path, DataRecord)
    if content.pop(CORPUS, None) is not None:
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _place_of_base(name: str) -> str:
    return name if name.startswith(PREFIX) else f"./{Path(name).name}"


def _last_part(path: str) -> str:
    return path if path.startswith(PREFIX) else Path(path).name
