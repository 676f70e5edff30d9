"""`ltm generate`: text from a trained run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ltm_pyro.cli.arguments import parse, refuse_below
from ltm_pyro.errors import InputError
from ltm_pyro.runs.draft import Draft, load_draft
from ltm_pyro.runs.loading import add_device, add_trust_code, load, open_run
from ltm_pyro.runs.writing import BATCH_SIZE, stream, texts

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

    from ltm_pyro.training.blueprint import Blueprint


def main(words: Sequence[str]) -> int:
    """Generate; returns the exit code."""
    from ltm_pyro.generation import Sampling
    from ltm_pyro.training.randomness import seed_everything

    options = parse(_parser(), words)
    refuse_below(options, samples=1, tokens=1, batch_size=1, ahead=1, seed=0, steps=1, top_k=0)
    sampling = Sampling(options.temperature, options.top_k, options.top_p)
    run = open_run(options.run, options.trust_code)
    blueprint, _ = load(run, options.checkpoint)
    draft = None if options.draft is None else load_draft(run, options.draft, options.ahead, options.trust_code)
    _refuse_unfit(blueprint, draft, options.steps)
    seed_everything(options.seed)  # after loading, so that z is the same with a draft and without
    what = (options.prompt, options.tokens, sampling, draft, options.steps)
    if options.samples == 1:
        for piece in stream(run, blueprint, *what):
            sys.stdout.write(piece)
            sys.stdout.flush()
        print()
    else:
        for number, text in enumerate(texts(run, blueprint, options.samples, *what, options.batch_size), 1):
            print(f"--- {number} ---\n{text}", flush=True)
    if draft is not None:
        print(draft.remark(), file=sys.stderr)
    return 0


def _refuse_unfit(blueprint: Blueprint, draft: Draft | None, steps: int | None) -> None:
    from ltm_pyro.models import MaskedDiffusionModel

    models = [blueprint.model] if draft is None else [blueprint.model, draft.blueprint.model]
    diffuses = [isinstance(model, MaskedDiffusionModel) for model in models]
    if draft is not None and any(diffuses):
        raise InputError("--draft: masked diffusion does not write from left to right; leave it out")
    if steps is not None and not diffuses[0]:
        raise InputError(f"--steps {steps}: only masked diffusion writes in steps; leave it out")
    if steps is not None and steps < 1:
        raise InputError(f"--steps {steps}: expected 1 or more; left out, each token has a step of its own")


def _parser() -> ArgumentParser:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="ltm generate", exit_on_error=False, description=__doc__)
    parser.add_argument("run", help="the run's folder")
    parser.add_argument("--prompt", default="", help="q is fitted on it and then held; z is from the prior if left out")
    parser.add_argument("--samples", type=int, default=1, help="how many texts, each with thoughts of its own")
    parser.add_argument(
        "--tokens", type=int | None, default=None, help="the most to write; all there is room for if left out"
    )
    parser.add_argument("--temperature", type=float, default=1.0, help="divides the logits; 0: the likeliest token")
    parser.add_argument("--top_k", type=int, default=0, help="draw from the k likeliest tokens; 0: from all")
    parser.add_argument("--top_p", type=float, default=1.0, help="draw from the likeliest tokens of total mass p")
    parser.add_argument("--seed", type=int, default=0, help="of thoughts and tokens")
    parser.add_argument("--checkpoint", default="best", help="best, latest, or a step")
    parser.add_argument("--batch_size", type=int, default=BATCH_SIZE, help="how many of several texts to write at once")
    parser.add_argument(
        "--draft",
        default=None,
        help="the folder of a smaller run with the same tokenizer, which proposes tokens: less time, and texts with "
        "exactly the probabilities that they have without it",
    )
    parser.add_argument(
        "--steps", type=int | None, default=None, help="of masked diffusion; one for each token if left out, exact"
    )
    parser.add_argument("--ahead", type=int, default=4, help="how many tokens the draft proposes at once")
    add_trust_code(parser, "the runs name")
    add_device(parser)
    return parser
