"""`ltm evaluate`: the numbers of a run, or a suite on it."""

from __future__ import annotations

from collections.abc import Sequence

from ltm_pyro.cli.command import Command
from ltm_pyro.cli.suites import SUITES, named_suite, suite_command
from ltm_pyro.runs.console import say, show
from ltm_pyro.runs.evaluate import Evaluated, evaluate
from ltm_pyro.runs.keeping import keeping

SUITE = {"default": None, "help": f"run a suite instead: {', '.join(SUITES)}; each has its own --help"}


def main(argv: Sequence[str]) -> int:
    """Run `ltm evaluate`; returns the exit code."""
    if suite := named_suite(argv):
        return suite_command(suite)(argv)
    return command(argv)


def _show(evaluated: Evaluated) -> None:
    show(evaluated.text)
    with keeping():
        path = evaluated.save()
    rows = "" if evaluated.per_text is None else f", and the numbers of each text as {evaluated.per_text}"
    say(f"\nSaved as {path} and {path.with_suffix('.md').name}{rows}")


command = Command(evaluate, "ltm evaluate", _show, names={"field": "data.field"}, besides={"suite": SUITE})
