"""Places of pretrained models, written into the configuration of a run that was made elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ltm_pyro.errors import InputError
from ltm_pyro.files import write_text
from ltm_pyro.pretrained import find_source
from ltm_pyro.training.bases import parts_with_base
from ltm_pyro.training.consent import read_arguments

OPTION = "--base"


def write_places(config: Path, places: Sequence[str]) -> None:
    """Write into a run's configuration where its bases are; each place goes to the parts with the hash of its weights.

    No class that the configuration names is imported.

    Args:
        config: config.yaml of the run.
        places: a folder, a .gguf file or hf:NAME each.

    Raises:
        InputError: if a place has other weights than every base of the run, or the run has none.
    """
    values = read_arguments(config)
    parts = list(parts_with_base(values))
    for place in places:
        _write(parts, place)
    write_text(config, yaml.safe_dump(values, sort_keys=False, allow_unicode=True))


def _write(parts: Sequence[tuple[str, Any]], place: str) -> None:
    if not parts:
        raise InputError(f"{OPTION} {place}: this run needs no pretrained model: leave it out")
    source = find_source(place, argument=OPTION)
    fitting = [arguments for _, arguments in parts if arguments["sha256"] == source.sha256]
    if not fitting:
        needed = ", ".join(
            f"{name} {arguments['name']} (sha256 {arguments['sha256'][:12]}…)" for name, arguments in parts
        )
        raise InputError(
            f"{OPTION} {place} has other weights (sha256 {source.sha256[:12]}…) than the run was trained on: it needs "
            f"{needed}"
        )
    for arguments in fitting:
        arguments.update(name=source.place, revision=source.revision)
