"""`ltm evaluate RUN --suite NAME`: the suites, and how one is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from ltm_pyro.cli.result_folders import comparison_folder
from ltm_pyro.errors import InputError
from ltm_pyro.runs.names import did_you_mean
from ltm_pyro.runs.results_folder import ComparisonFolder

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from ltm_pyro.training.run import Run

SUITES = {
    "zero-shot": "perplexity on the field's text sets, nothing learned from them",
    "generation": "what the text that a run writes is like, beside real text",
    "gsm8k": "arithmetic in words, behind a few answered problems",
    "harness": "tasks of lm-evaluation-harness",
}


def named_suite(words: Sequence[str]) -> str | None:
    """The suite that a command line asks for; None if none.

    Raises:
        InputError: if there is none of that name.
    """
    name = None
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        if word == "--suite" or word.startswith("--suite="):
            name = word.partition("=")[2] or following
    if name is not None and name not in SUITES:
        raise InputError(f"--suite {name}: {did_you_mean(name, SUITES)}The suites are {', '.join(SUITES)}")
    return name


def folder_of(
    run: Run, stem: str, options: Namespace, parser: ArgumentParser, settings: dict[str, Any]
) -> ComparisonFolder:
    """Where a suite's results are: in the run's folder, by how much was scored and how well.

    Args:
        run, options, parser: of the suite.
        stem: its folder's name, with all at their defaults.
        settings: as `settings_of` gives them.
    """
    return comparison_folder(run.folder / stem, options, parser, settings, run)
