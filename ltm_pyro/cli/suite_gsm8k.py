"""`ltm evaluate RUN --suite gsm8k`: arithmetic in words, behind a few answered problems."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ltm_pyro.cli.arguments import parse, refuse_below
from ltm_pyro.cli.suites import folder_of
from ltm_pyro.errors import InputError
from ltm_pyro.ranges import LARGEST
from ltm_pyro.runs.console import say
from ltm_pyro.runs.loading import add_device, add_trust_code, open_run
from ltm_pyro.suites.gsm8k.suite import Found, attempt_all, finish, refuse_shared
from ltm_pyro.suites.settings import local_files, settings_of

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace


FOLDER = "evaluation/gsm8k"
HUB = {"train": "hf:openai/gsm8k:main:train", "test": "hf:openai/gsm8k:main:test"}


def main(words: Sequence[str]) -> int:
    """Evaluate; returns the exit code."""
    from ltm_pyro.generation import Sampling
    from ltm_pyro.suites.gsm8k import read_problems

    options = parse(_parser(), words)
    refuse_below(options, attempts=1, tokens=1, batch_size=1, limit=1, fast_steps=0, seed=0, top_k=0)
    shots = _shots(options)
    sampling = Sampling(options.temperature, options.top_k, options.top_p)
    run = open_run(options.run, options.trust_code)
    if run.config.model == "masked-diffusion":
        raise InputError("masked diffusion does not continue a prompt from left to right: give another run")
    sources = HUB | local_files(options.files, HUB, "train=PATH or test=PATH")
    test, train = read_problems(sources["test"], options.limit), read_problems(sources["train"])
    refuse_shared(train, test)
    folder = folder_of(run, FOLDER, options, _parser(), settings_of(run, options))
    found: Found = folder.done() if options.resume else {}
    folder.begin(["evaluate", *words])
    order = random.Random(options.seed).sample(train, min(max(shots), len(train)))
    demonstrations = {number: order[:number] for number in shots}
    try:
        attempt_all(run, options, sampling, demonstrations, test, found, folder)
    except KeyboardInterrupt:
        say(f"interrupted: {len(found)} of {len(test) * len(shots)} are done; the same command with --resume goes on")
        finish(folder, found, train, test, run)
        raise
    finish(folder, found, train, test, run)
    return 0


def _parser() -> ArgumentParser:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="ltm evaluate RUN --suite gsm8k", exit_on_error=False, description=__doc__)
    parser.add_argument("run", help="the run's folder")
    parser.add_argument("--suite", default="gsm8k", help="this one")
    parser.add_argument("--shots", type=int, nargs="+", default=[0, 5, 10], help="demonstrations before a problem")
    parser.add_argument("--attempts", type=int, default=5, help="n, at each problem; pass@k is told for k up to n")
    parser.add_argument(
        "--files",
        nargs="+",
        default=[],
        metavar="PART=PATH",
        help="train=PATH and test=PATH in the place of the hub's: .jsonl with `question` and `answer`",
    )
    parser.add_argument("--limit", type=int | None, default=None, help="the most problems")
    parser.add_argument("--tokens", type=int, default=160, help="the most to write; the rest is for the prompt")
    parser.add_argument("--temperature", type=float, default=1.0, help="divides the logits; 0: the likeliest token")
    parser.add_argument("--top_k", type=int, default=0, help="draw from the k likeliest tokens; 0: from all")
    parser.add_argument("--top_p", type=float, default=1.0, help="draw from the likeliest tokens of total mass p")
    parser.add_argument("--fast_steps", type=int | None, default=None, help="fast steps of the fit; enough if left out")
    parser.add_argument("--batch_size", type=int, default=32, help="attempts at once")
    parser.add_argument("--checkpoint", default="best", help="best, latest, or a step")
    parser.add_argument("--seed", type=int, default=0, help="of the demonstrations and all noise")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted evaluation")
    add_trust_code(parser)
    add_device(parser)
    return parser


def _shots(options: Namespace) -> list[int]:
    for number in options.shots:
        if not 0 <= number <= LARGEST:
            raise InputError(f"--shots {number}: expected 0 or more, and {LARGEST} or less")
    return list(dict.fromkeys(options.shots))
