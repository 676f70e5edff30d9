"""`ltm evaluate RUN --suite gsm8k`: arithmetic in words, behind a few answered problems."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ltm_pyro.cli.arguments import parse, refuse_below
from ltm_pyro.cli.comparison_folder import ComparisonFolder
from ltm_pyro.cli.loading import add_trust_code, load, open_run
from ltm_pyro.cli.progress import Progress
from ltm_pyro.cli.session import say
from ltm_pyro.cli.suites import folder_of, local_files, settings_of
from ltm_pyro.cli.text_of_tokens import whole_texts
from ltm_pyro.errors import InputError
from ltm_pyro.ranges import LARGEST
from ltm_pyro.training.randomness import seed_torch
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from ltm_pyro.evaluation.arithmetic import Problem, Prompt
    from ltm_pyro.generation import Sampling
    from ltm_pyro.training.blueprint import Blueprint

FOLDER = "evaluation/gsm8k"
PASS_AT_K = "Problems solved by at least one of k attempts. Bars: one standard error over problems."
HUB = {"train": "hf:openai/gsm8k:main:train", "test": "hf:openai/gsm8k:main:test"}
SECONDS = 20.0  # between two times that what is done is kept
Found = dict[str, list[dict[str, Any]]]  # problems by `SHOTS/PLACE`, a record each


def main(words: Sequence[str]) -> int:
    """Evaluate; returns the exit code."""
    from ltm_pyro.evaluation.arithmetic import read_problems
    from ltm_pyro.generation import Sampling

    options = parse(_parser(), words)
    refuse_below(options, attempts=1, tokens=1, batch_size=1, limit=1, fast_steps=0, seed=0, top_k=0)
    shots = _shots(options)
    sampling = Sampling(options.temperature, options.top_k, options.top_p)
    run = open_run(options.run, options.trust_code)
    if run.config.model == "masked-diffusion":
        raise InputError("masked diffusion does not continue a prompt from left to right: give another run")
    sources = HUB | local_files(options.files, HUB, "train=PATH or test=PATH")
    test, train = read_problems(sources["test"], options.limit), read_problems(sources["train"])
    _refuse_shared(train, test)
    folder = folder_of(run, FOLDER, options, _parser(), settings_of(run, options))
    found: Found = folder.done() if options.resume else {}
    folder.begin(["evaluate", *words])
    order = random.Random(options.seed).sample(train, min(max(shots), len(train)))
    demonstrations = {number: order[:number] for number in shots}
    try:
        _attempt_all(run, options, sampling, demonstrations, test, found, folder)
    except KeyboardInterrupt:
        say(f"interrupted: {len(found)} of {len(test) * len(shots)} are done; the same command with --resume goes on")
        _finish(folder, found, train, test, run)
        raise
    _finish(folder, found, train, test, run)
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
    return parser


def _shots(options: Namespace) -> list[int]:
    for number in options.shots:
        if not 0 <= number <= LARGEST:
            raise InputError(f"--shots {number}: expected 0 or more, and {LARGEST} or less")
    return list(dict.fromkeys(options.shots))


def _refuse_shared(train: Sequence[Problem], test: Sequence[Problem]) -> None:
    """Demonstrations must not tell what is asked."""
    if shared := {problem.question for problem in train} & {problem.question for problem in test}:
        raise InputError(
            f"{len(shared)} problems are in train and in test, {min(shared)[:60]!r} say: give two files that share none"
        )


def _attempt_all(
    run: Run,
    options: Namespace,
    sampling: Sampling,
    demonstrations: dict[int, list[Problem]],
    test: Sequence[Problem],
    found: Found,
    folder: ComparisonFolder,
) -> None:
    """Attempt what has not been, prompts of one length at once; what is done is kept now and then, and at the end."""
    from ltm_pyro.evaluation.arithmetic import Attempted, few_shot_prompt, judged

    blueprint, _ = load(run, options.checkpoint)
    blueprint = blueprint.with_fast_steps(options.fast_steps)
    room = blueprint.model.decoder.length - options.tokens
    if room < 1:
        raise InputError(
            f"--tokens {options.tokens}: this run's texts hold {blueprint.model.decoder.length}, the prompt "
            "included: write less"
        )
    progress, kept = Progress(len(test) * len(demonstrations), len(found)), time.monotonic()
    try:
        for shots, shown in demonstrations.items():
            todo = [place for place in range(len(test)) if _key(shots, place) not in found]
            prompts = {p: few_shot_prompt(shown, test[p], run.tokenizer.encode, room) for p in todo}
            for places in _alike(prompts, max(1, options.batch_size // options.attempts)):
                texts = _texts(
                    run, blueprint, [prompts[p] for p in places], (options.seed, shots, places[0]), options, sampling
                )
                for place, own in zip(places, texts, strict=True):
                    attempted = Attempted(prompts[place], test[place], _other(test, place), own)
                    found[_key(shots, place)] = [judged(attempted)]
                progress.update(len(found), f"{shots} shots")
                if time.monotonic() - kept > SECONDS:
                    folder.keep(found)
                    kept = time.monotonic()
    finally:
        progress.clear()
        folder.keep(found)


def _key(shots: int, place: int) -> str:
    return f"{shots}/{place}"


def _other(test: Sequence[Problem], place: int) -> Problem:
    """The next problem that has another answer; the problem itself if all have one."""
    following = (test[(place + step) % len(test)] for step in range(1, len(test)))
    return next((problem for problem in following if problem.number != test[place].number), test[place])


def _alike(prompts: dict[int, Prompt], most: int) -> Iterator[list[int]]:
    """Places of prompts of equal length, some at once."""
    lengths: dict[int, list[int]] = {}
    for place, prompt in prompts.items():
        lengths.setdefault(len(prompt.tokens), []).append(place)
    for places in lengths.values():
        yield from (places[begun : begun + most] for begun in range(0, len(places), most))


def _texts(
    run: Run,
    blueprint: Blueprint,
    prompts: Sequence[Prompt],
    place: tuple[int, ...],
    options: Namespace,
    sampling: Sampling,
) -> list[list[str]]:
    """All attempts at some problems, each with a posterior inference of its own."""
    import torch

    from ltm_pyro.generation import thoughts_from_prompts, write

    seed_torch(*place)
    model, guide, fast, _ = blueprint
    device = next(model.parameters()).device
    ids = torch.tensor([prompt.tokens for prompt in prompts], device=device).repeat_interleave(options.attempts, 0)
    z = thoughts_from_prompts(model, guide, fast, ids)
    written = write(model, z, ids, options.tokens, sampling, run.tokenizer.end)
    texts = list(whole_texts(run.tokenizer, ids, written))
    return [texts[begun : begun + options.attempts] for begun in range(0, len(texts), options.attempts)]


def _finish(
    folder: ComparisonFolder, found: Found, train: Sequence[Problem], test: Sequence[Problem], run: Run
) -> None:
    from ltm_pyro.evaluation.arithmetic import MEASURES, commonest_answer, score_records, spelled, table
    from ltm_pyro.plots import plot_pass_at_k, save_figure

    by_shots: dict[int, list[dict[str, Any]]] = {}
    for key, (record,) in found.items():
        by_shots.setdefault(int(key.partition("/")[0]), []).append(record)
    if not by_shots:
        return
    guess = commonest_answer(problem.number for problem in train)
    share = 100 * sum(problem.number == guess for problem in test) / len(test)
    records = score_records(by_shots)

    def draw() -> list[str]:
        panel = partial(plot_pass_at_k, records, names=MEASURES)
        return [path.name for path in save_figure(folder.path / "pass-at-k", [panel], PASS_AT_K)]

    shown = table(by_shots, (spelled(guess), share), run.config.model == "latent-thought")
    folder.finish(shown, records, draw)
