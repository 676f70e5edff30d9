"""A run's attempts at problems, behind answered ones."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ltm_pyro.errors import InputError
from ltm_pyro.runs.detokenising import whole_texts
from ltm_pyro.runs.loading import load
from ltm_pyro.runs.progress import Progress
from ltm_pyro.runs.results_folder import ComparisonFolder
from ltm_pyro.training.randomness import seed_torch
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from ltm_pyro.generation import Sampling
    from ltm_pyro.suites.gsm8k import Problem, Prompt
    from ltm_pyro.training.blueprint import Blueprint


PASS_AT_K = "Problems solved by at least one of k attempts. Bars: one standard error over problems."


SECONDS = 20.0  # between two times that what is done is kept


Found = dict[str, list[dict[str, Any]]]  # problems by `SHOTS/PLACE`, a record each


def refuse_shared(train: Sequence[Problem], test: Sequence[Problem]) -> None:
    """Demonstrations must not tell what is asked."""
    if shared := {problem.question for problem in train} & {problem.question for problem in test}:
        raise InputError(
            f"{len(shared)} problems are in train and in test, {min(shared)[:60]!r} say: give two files that share none"
        )


def attempt_all(
    run: Run,
    options: Namespace,
    sampling: Sampling,
    demonstrations: dict[int, list[Problem]],
    test: Sequence[Problem],
    found: Found,
    folder: ComparisonFolder,
) -> None:
    """Attempt what has not been, prompts of one length at once; what is done is kept now and then, and at the end."""
    from ltm_pyro.suites.gsm8k import Attempted, few_shot_prompt, judged

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


def finish(folder: ComparisonFolder, found: Found, train: Sequence[Problem], test: Sequence[Problem], run: Run) -> None:
    from ltm_pyro.plots import plot_pass_at_k, save_figure
    from ltm_pyro.suites.gsm8k import MEASURES, commonest_answer, score_records, spelled, table

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
