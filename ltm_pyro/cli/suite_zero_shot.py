"""`ltm evaluate RUN --suite zero-shot`: perplexity on the field's text sets, nothing learned from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ltm_pyro.cli.arguments import parse, refuse_below
from ltm_pyro.cli.suites import folder_of
from ltm_pyro.errors import InputError
from ltm_pyro.runs.console import say
from ltm_pyro.runs.loading import add_device, add_trust_code, open_run
from ltm_pyro.runs.names import did_you_mean
from ltm_pyro.suites.settings import local_files, settings_of
from ltm_pyro.suites.zero_shot.suite import field_of, finish, score

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace


FOLDER = "evaluation/zero-shot"


def main(words: Sequence[str]) -> int:
    """Evaluate; returns the exit code."""
    from ltm_pyro.suites.zero_shot import SETS

    options = parse(_parser(), words)
    refuse_below(options, draws=1, batch_size=1, limit=1, documents=1, fast_steps=0, seed=0)
    sets = _chosen(options)
    run = open_run(options.run, options.trust_code)
    files = local_files(options.files, options.sets, f"SET=PATH, with one of {', '.join(options.sets)}")
    settings = settings_of(run, options, "sets", "files")
    folder = folder_of(run, FOLDER, options, _parser(), settings)
    found = folder.done() if options.resume else folder.others(SETS[name].title for name in sets)
    folder.begin(["evaluate", *words])
    missing: dict[str, str] = {}
    for name, file in files.items():
        field_of(SETS[name], file)  # before anything is scored
    try:
        for name in sets:
            score(run, options, name, files.get(name), found, missing)
            folder.keep(found)
    except KeyboardInterrupt:
        say(f"interrupted: {len(found)} of {len(sets)} sets are scored; go on with the same command and --resume")
        finish(folder, found, missing)
        raise
    finish(folder, found, missing)
    return 0


def _parser() -> ArgumentParser:
    from jsonargparse import ArgumentParser

    from ltm_pyro.suites.zero_shot import SETS

    parser = ArgumentParser(prog="ltm evaluate RUN --suite zero-shot", exit_on_error=False, description=__doc__)
    parser.add_argument("run", help="the run's folder")
    parser.add_argument("--suite", default="zero-shot", help="this one")
    parser.add_argument("--sets", nargs="+", default=list(SETS), help=f"which: {', '.join(SETS)}")
    parser.add_argument(
        "--files",
        nargs="+",
        default=[],
        metavar="SET=PATH",
        help="a local file or folder in the place of a set's data on the hub, spelled as that is",
    )
    parser.add_argument("--mode", default=None, help="windows or documents; the run's own if left out")
    parser.add_argument("--documents", type=int | None, default=None, help="the most documents to read of each set")
    parser.add_argument("--limit", type=int | None, default=None, help="the most sequences to score of each set")
    parser.add_argument("--draws", type=int, default=16, help="S, samples of z per sequence")
    parser.add_argument("--fast_steps", type=int | None, default=None, help="fast steps of the fit; enough if left out")
    parser.add_argument("--batch_size", type=int, default=32, help="sequences at once")
    parser.add_argument("--checkpoint", default="best", help="best, latest, or a step")
    parser.add_argument("--seed", type=int, default=0, help="of all noise")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted evaluation, or add sets")
    add_trust_code(parser)
    add_device(parser)
    return parser


def _chosen(options: Namespace) -> list[str]:
    from ltm_pyro.suites.zero_shot import SETS

    if options.mode not in (None, "windows", "documents"):
        raise InputError(f"--mode {options.mode}: expected windows or documents")
    for name in options.sets:
        if name not in SETS:
            raise InputError(f"--sets {name}: {did_you_mean(name, SETS)}The sets are {', '.join(SETS)}")
    return list(dict.fromkeys(options.sets))
