"""`ltm evaluate RUN --suite NAME`: the suites and their commands."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from itertools import zip_longest

from ltm_pyro.cli.command import Command
from ltm_pyro.errors import InputError
from ltm_pyro.runs.names import did_you_mean

SUITES = ("zero-shot", "generation", "gsm8k", "harness", "labels")  # each `evaluate` of `ltm_pyro.suites.NAME.suite`


def named_suite(argv: Sequence[str]) -> str | None:
    """The suite that a command line names; None if it names none.

    Raises:
        InputError: if there is no suite of that name.
    """
    name = None
    for word, following in zip_longest(argv, argv[1:], fillvalue=""):
        if word == "--suite" or word.startswith("--suite="):
            name = word.partition("=")[2] or following
    if name is not None and name not in SUITES:
        raise InputError(f"--suite {name}: {did_you_mean(name, SUITES)}The suites are {', '.join(SUITES)}")
    return name


def suite_command(name: str) -> Command:
    """The command of a suite, whose words include `--suite NAME`."""
    suite = import_module(f"ltm_pyro.suites.{name.replace('-', '_')}.suite")
    besides = {"suite": {"default": name, "help": "this one"}}
    return Command(suite.evaluate, f"ltm evaluate RUN --suite {name}", besides=besides)
