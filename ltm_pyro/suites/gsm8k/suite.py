"""Suite `gsm8k`: few-shot attempts of a run at arithmetic word problems."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import torch

from ltm_pyro.errors import InputError
from ltm_pyro.generation import Sampling, thoughts_from_prompts, write
from ltm_pyro.ranges import in_range, whole
from ltm_pyro.runs.arguments import (
    Argument,
    BatchSize,
    Call,
    Checkpoint,
    FastSteps,
    Limit,
    Resume,
    RunFolder,
    Seed,
    Temperature,
    TopK,
    TopP,
    TrustCode,
)
from ltm_pyro.runs.console import say
from ltm_pyro.runs.detokenising import whole_texts
from ltm_pyro.runs.loading import load, open_run
from ltm_pyro.runs.progress import Progress
from ltm_pyro.runs.result_folders import comparison_folder
from ltm_pyro.runs.results_folder import ComparisonFolder
from ltm_pyro.suites.gsm8k.answers import commonest_answer, spelled
from ltm_pyro.suites.gsm8k.attempts import Attempted, judged
from ltm_pyro.suites.gsm8k.problems import Problem, read_problems
from ltm_pyro.suites.gsm8k.prompts import Prompt, few_shot_prompt
from ltm_pyro.suites.gsm8k.table import MEASURES, score_records, table
from ltm_pyro.suites.result import SuiteResult
from ltm_pyro.suites.settings import settings_of
from ltm_pyro.training.randomness import seed_torch
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from ltm_pyro.training.build import RunComponents


FOLDER = "evaluation/gsm8k"
HUB = {"train": "hf:openai/gsm8k:main:train", "test": "hf:openai/gsm8k:main:test"}
SECONDS = 20.0  # between two saves of the results
Found = dict[str, list[dict[str, Any]]]  # records of problems by `SHOTS/PLACE`


@in_range
def evaluate(
    run: RunFolder,
    *,
    shots: Annotated[Sequence[int], whole(0)] = (0, 5, 10),
    attempts: Annotated[int, whole(1)] = 5,
    files: Annotated[Mapping[str, str], Argument(metavar="PART=PATH")] = {},  # never modified
    limit: Limit = None,
    tokens: Annotated[int, whole(1)] = 160,
    temperature: Temperature = 1.0,
    top_k: TopK = 0,
    top_p: TopP = 1.0,
    fast_steps: FastSteps = None,
    batch_size: BatchSize = 32,
    checkpoint: Checkpoint = "best",
    seed: Seed = 0,
    resume: Resume = False,
    trust_code: TrustCode = False,
    command: Sequence[str] = (),
) -> SuiteResult:
    """Measure few-shot accuracy on arithmetic word problems.

    After an interrupt, the results so far are shown and kept in the run's folder.

    Args:
        shots: numbers of demonstrations before a problem.
        attempts: n, attempts at each problem; pass@k is reported for k up to n.
        files: train=PATH and test=PATH instead of the hub's: .jsonl with `question` and `answer`.
        limit: largest number of problems.
        tokens: largest number of generated tokens; the rest of the model's length is for the prompt.
        batch_size: attempts in one batch.
        seed: seed of the demonstrations and of all noise.
        resume: continue an interrupted evaluation.
        command: command that repeats the evaluation.
        run, temperature, top_k, top_p, fast_steps, checkpoint, trust_code: as `ltm_pyro.runs.arguments` describes them.

    Raises:
        InputError: for a run that cannot continue a prompt, or problems in both the training and the test set.
    """
    call = Call(evaluate, locals())
    sampling = Sampling(temperature, top_k, top_p)
    opened = open_run(run, trust_code)
    if opened.config.model == "masked-diffusion":
        raise InputError("masked diffusion does not continue a prompt from left to right: give another run")
    train, test = _problems(files, limit)
    settings = {**settings_of(opened, call), "files": [f"{part}={path}" for part, path in files.items()]}
    folder = comparison_folder(opened.folder / FOLDER, call, settings, opened)
    records: Found = folder.done() if resume else {}
    folder.begin(command)
    counts = list(dict.fromkeys(shots))
    order = random.Random(seed).sample(train, min(max(counts), len(train)))
    components, _ = load(opened, checkpoint)
    suite = Attempts(opened, components.with_fast_steps(fast_steps), attempts, tokens, seed, sampling)
    try:
        suite.attempt_all({number: order[:number] for number in counts}, test, batch_size, records, folder)
    except KeyboardInterrupt:
        total = len(test) * len(counts)
        say(f"interrupted: {len(records)} of {total} are done; the same command with --resume continues")
        _finish(folder, records, train, test, opened)
        raise
    return _finish(folder, records, train, test, opened)


def _problems(files: Mapping[str, str], limit: int | None) -> tuple[list[Problem], list[Problem]]:
    """Training problems for demonstrations and test problems to solve, which must be disjoint."""
    for part, path in files.items():
        if part not in HUB:
            raise InputError(f"--files {part}={path}: expected train=PATH or test=PATH")
    sources = HUB | dict(files)
    test, train = read_problems(sources["test"], limit), read_problems(sources["train"])
    if shared := {problem.question for problem in train} & {problem.question for problem in test}:
        raise InputError(
            f"{len(shared)} problems are both in train and in test, such as {min(shared)[:60]!r}: give disjoint files"
        )
    return train, test


class Attempts:
    """Attempts of a run at problems.

    Args:
        run, components: a run and its trained objects.
        count: number of attempts at each problem.
        tokens: largest number of generated tokens.
        seed: seed of all noise.
        sampling: sampling of tokens.
    """

    def __init__(
        self, run: Run, components: RunComponents, count: int, tokens: int, seed: int, sampling: Sampling
    ) -> None:
        self.run, self.components, self.count = run, components, count
        self.tokens, self.seed, self.sampling = tokens, seed, sampling
        self.room = components.model.decoder.length - tokens
        if self.room < 1:
            raise InputError(
                f"--tokens {tokens}: this run's texts hold {components.model.decoder.length}, the prompt "
                "included: give fewer"
            )

    def attempt_all(
        self,
        demonstrations: Mapping[int, Sequence[Problem]],
        test: Sequence[Problem],
        batch_size: int,
        found: Found,
        folder: ComparisonFolder,
    ) -> None:
        """Attempt the remaining problems, prompts of equal length together; the records are saved now and then."""
        progress, saved = Progress(len(test) * len(demonstrations), len(found)), time.monotonic()
        try:
            for shots, examples in demonstrations.items():
                todo = [place for place in range(len(test)) if _key(shots, place) not in found]
                prompts = {p: few_shot_prompt(examples, test[p], self.run.tokenizer.encode, self.room) for p in todo}
                for places in _alike(prompts, max(1, batch_size // self.count)):
                    texts = self.texts([prompts[place] for place in places], (shots, places[0]))
                    for place, attempts in zip(places, texts, strict=True):
                        attempted = Attempted(prompts[place], test[place], _other(test, place), attempts)
                        found[_key(shots, place)] = [judged(attempted)]
                    progress.update(len(found), f"{shots} shots")
                    if time.monotonic() - saved > SECONDS:
                        folder.keep(found)
                        saved = time.monotonic()
        finally:
            progress.clear()
            folder.keep(found)

    def texts(self, prompts: Sequence[Prompt], place: tuple[int, ...]) -> list[list[str]]:
        """Texts of all attempts at some problems, each attempt with a separate posterior inference."""
        seed_torch(self.seed, *place)
        model, guide, fast, _ = self.components
        device = next(model.parameters()).device
        ids = torch.tensor([prompt.tokens for prompt in prompts], device=device).repeat_interleave(self.count, 0)
        z = thoughts_from_prompts(model, guide, fast, ids)
        generated = write(model, z, ids, self.tokens, self.sampling, self.run.tokenizer.eos_id)
        texts = list(whole_texts(self.run.tokenizer, ids, generated))
        return [texts[start : start + self.count] for start in range(0, len(texts), self.count)]


def _key(shots: int, place: int) -> str:
    return f"{shots}/{place}"


def _other(test: Sequence[Problem], place: int) -> Problem:
    """Next problem with a different answer; the problem itself if all answers are equal."""
    following = (test[(place + step) % len(test)] for step in range(1, len(test)))
    return next((problem for problem in following if problem.number != test[place].number), test[place])


def _alike(prompts: dict[int, Prompt], batch_size: int) -> Iterator[list[int]]:
    """Batches of indices of prompts of equal length."""
    lengths: dict[int, list[int]] = {}
    for place, prompt in prompts.items():
        lengths.setdefault(len(prompt.tokens), []).append(place)
    for places in lengths.values():
        yield from (places[start : start + batch_size] for start in range(0, len(places), batch_size))


def _finish(
    folder: ComparisonFolder, records_by_key: Found, train: Sequence[Problem], test: Sequence[Problem], run: Run
) -> SuiteResult:
    from ltm_pyro.plots import CAPTIONS, plot_pass_at_k, save_figure

    by_shots: dict[int, list[dict[str, Any]]] = {}
    for key, (record,) in records_by_key.items():
        by_shots.setdefault(int(key.partition("/")[0]), []).append(record)
    if not by_shots:
        return SuiteResult("", [], folder.path)
    guess = commonest_answer(problem.number for problem in train)
    share = 100 * sum(problem.number == guess for problem in test) / len(test)
    records = score_records(by_shots)

    def draw() -> list[str]:
        panel = partial(plot_pass_at_k, records, names=MEASURES)
        paths = save_figure(folder.path / "pass-at-k", [panel], CAPTIONS["plot_pass_at_k"], width="single")
        return [path.name for path in paths]

    text = table(by_shots, (spelled(guess), share), run.config.model == "latent-thought")
    folder.finish(text, records, draw)
    return SuiteResult(text, records, folder.path)
