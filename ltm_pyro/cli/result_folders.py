"""Which folder a comparison's or a suite's results go to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.runs.result_names import result_name
from ltm_pyro.runs.results_folder import ComparisonFolder

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from ltm_pyro.training.run import Run

NAMED = ("limit", "documents", "sequences", "draws", "fast_steps", "checkpoint", "seed", "quick")


def comparison_folder(
    path: Path, options: Namespace, parser: ArgumentParser, settings: Mapping[str, Any], run: Run | None = None
) -> ComparisonFolder:
    """The folder that `--out` names; else one by how much was compared and how well.

    Two that would have one name and differ in anything else are told apart by a hash of their settings. One that
    `--resume` goes on with may lie where an earlier version kept it, which is `path`.

    Args:
        path: with all options at their defaults.
        options, parser: of the command.
        settings: what the results depend on.
        run: whose checkpoint it is, if there is one.
    """
    if options.get("out"):
        return ComparisonFolder(Path(options.out), settings)
    others = [key for key in options.keys() if key not in NAMED]  # noqa: SIM118  # a Namespace is no dict
    name = result_name(path.name, options, parser, run, others)
    before = path if options.get("resume") else None
    return ComparisonFolder.named(path.with_name(name), settings, before, chosen="out" in options)
