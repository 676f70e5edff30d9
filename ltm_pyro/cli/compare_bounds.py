"""`ltm compare bounds`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ltm_pyro.cli.class_arguments import names_own_code
from ltm_pyro.cli.command import Command
from ltm_pyro.studies.bounds.sizes import usual_sizes
from ltm_pyro.studies.bounds.study import study_bounds
from ltm_pyro.training.consent import look_in


def _own_code(arguments: dict[str, Any]) -> dict[str, Any]:
    """Let estimators that are named by import paths be imported from the current folder too."""
    if any(names_own_code(["--fast", name]) for name in arguments["estimators"] or []):
        look_in(os.getcwd())
    return arguments


def _sizes(argv: Sequence[str]) -> dict[str, Any]:
    toy = any(word == "--toy" or word.startswith("--toy=") for word in argv)
    return {f"sizes.{name}": size for name, size in usual_sizes(toy, "--quick" in argv).items()}


main = Command(study_bounds, "ltm compare bounds", prepare=_own_code, presets=_sizes)
