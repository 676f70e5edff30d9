"""Suite `gsm8k`: few-shot attempts of a run at arithmetic word problems."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import torch

from ltm_pyro.errors import InputError
from ltm_pyro.generation import Sampling, thoughts_from_prompts, write
from ltm_pyro.generation.rethinking import checked_request
from ltm_pyro.ranges import in_range, whole
from ltm_pyro.runs.arguments import (
    Argument,
    BatchSize,
    Call,
    Checkpoint,
    FastSteps,
    Keep,
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
from ltm_pyro.runs.rethinking import refuse_unused
from ltm_pyro.suites.gsm8k.answers import commonest_answer, final_number_written, spelled
from ltm_pyro.suites.gsm8k.attempts import Attempted, judged
from ltm_pyro.suites.gsm8k.problems import Problem, read_problems
from ltm_pyro.suites.gsm8k.prompts import MakePrompt, Prompt, few_shot_prompt, own_prompt
from ltm_pyro.suites.gsm8k.rethinking import FOLDER as RETHOUGHT
from ltm_pyro.suites.gsm8k.rethinking import answer_all
from ltm_pyro.suites.gsm8k.rethinking import finish as finish_rethinking
from ltm_pyro.suites.gsm8k.table import MEASURES, score_records, table
from ltm_pyro.suites.methods import Solver, alike
from ltm_pyro.suites.result import SuiteResult
from ltm_pyro.suites.settings import settings_of
from ltm_pyro.training.randomness import seed_torch
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from ltm_pyro.training.build import RunComponents


FOLDER = "evaluation/gsm8k"
ATTEMPTS = 5
HUB = {"train": "hf:openai/gsm8k:main:train", "test": "hf:openai/gsm8k:main:test"}
SHOTS = (0, 5, 10)
SECONDS = 20.0  # between two saves of the results
Found = dict[str, list[dict[str, Any]]]  # records of problems by `SHOTS/PLACE`


@in_range
def evaluate(
    run: RunFolder,
    *,
    shots: Annotated[Sequence[int] | None, whole(0)] = None,
    attempts: Annotated[int | None, whole(1)] = None,
    rethink: Annotated[Sequence[int], whole(0), Argument(metavar="R")] = (),
    keep: Keep = None,
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
        shots: numbers of demonstrations before a problem; 0, 5 and 10 if left out. A run of prompts and answers
            (`--data.prompt`) takes the question alone, as its own prompts are: 0.
        attempts: n, attempts at each problem, 5 if left out; pass@k is reported for k up to n.
        rethink: rounds of rethinking; accuracy is then reported beside votes, best attempts and the decoder without
            thoughts, at equal decoder passes.
        keep: the answer that rethinking keeps: last, elbo or predictive; the last if left out.
        files: train=PATH and test=PATH instead of the hub's: .jsonl with `question` and `answer`.
        limit: largest number of problems.
        tokens: largest number of generated tokens; the rest of the model's length is for the prompt.
        batch_size: attempts in one batch; with `rethink`, problems.
        seed: seed of the demonstrations and of all noise.
        resume: continue an interrupted evaluation.
        command: command that repeats the evaluation.
        run, temperature, top_k, top_p, fast_steps, checkpoint, trust_code: as `ltm_pyro.runs.arguments` describes them.

    Raises:
        InputError: for a run that cannot continue a prompt, problems in both the training and the test set, or, with
            `rethink`, a run without thoughts.
    """
    call = Call(evaluate, locals())
    rounds = sorted(set(rethink))
    refuse_unused(max(rounds, default=0), keep)
    if rounds and attempts is not None:
        raise InputError(
            f"--attempts {attempts}: with --rethink there are as many attempts as the decoder passes of rethinking "
            "allow; leave one of the two out"
        )
    sampling = Sampling(temperature, top_k, top_p)
    opened = open_run(run, trust_code)
    if opened.config.model == "masked-diffusion":
        raise InputError("masked diffusion does not continue a prompt from left to right: give another run")
    counts = _shots(opened, shots)
    train, test = _problems(files, limit)
    components = load(opened, checkpoint)[0].with_fast_steps(fast_steps)
    if rounds:
        checked_request(components.model, components.guide, rounds[-1], keep or "last", ())
    mode = {"rethink": rounds, "keep": keep or "last"} if rounds else {"attempts": attempts or ATTEMPTS}
    chosen = {**settings_of(opened, call, "rethink", "keep", "attempts"), "shots": counts, **mode}
    settings = {**chosen, "files": [f"{part}={path}" for part, path in files.items()]}
    folder = comparison_folder(opened.folder / (RETHOUGHT if rounds else FOLDER), call, settings, opened)
    records: Found = folder.done() if resume else {}
    folder.begin(command)
    order = random.Random(seed).sample(train, min(max(counts), len(train)))
    demonstrations = {number: order[:number] for number in counts}
    data = opened.config.data
    make_prompt = partial(own_prompt, separator=data.separator) if data.prompt else few_shot_prompt
    if rounds:
        objects = (components.model, components.guide, components.fast, opened.tokenizer)
        solver = Solver(*objects, tokens, final_number_written, sampling)
        answer = partial(answer_all, solver, demonstrations, test, make_prompt, rounds, keep or "last", seed)
        finish = partial(finish_rethinking, folder, records)
    else:
        attempting = Attempts(opened, components, attempts or ATTEMPTS, tokens, seed, sampling)
        answer = partial(attempting.attempt_all, demonstrations, test, make_prompt)
        finish = partial(_finish, folder, records, train, test, opened)
    try:
        answer(batch_size, records, folder)
    except KeyboardInterrupt:
        total = len(test) * len(counts)
        say(f"interrupted: {len(records)} of {total} are done; the same command with --resume continues")
        finish()
        raise
    return finish()


def _shots(run: Run, shots: Sequence[int] | None) -> list[int]:
    """Different numbers of demonstrations; raises InputError for any before the questions of a run with prompts."""
    own = bool(run.config.data.prompt)
    chosen = list(dict.fromkeys(((0,) if own else SHOTS) if shots is None else shots))
    if own and chosen != [0]:
        raise InputError(
            f"--shots {' '.join(map(str, chosen))}: {run.folder} was trained on prompts and answers, and takes a "
            "question alone: leave --shots out"
        )
    return chosen


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
        make_prompt: MakePrompt,
        batch_size: int,
        found: Found,
        folder: ComparisonFolder,
    ) -> None:
        """Attempt the remaining problems, prompts of equal length together; the records are saved now and then."""
        progress, saved = Progress(len(test) * len(demonstrations), len(found)), time.monotonic()
        try:
            for shots, examples in demonstrations.items():
                todo = [place for place in range(len(test)) if _key(shots, place) not in found]
                prompts = {p: make_prompt(examples, test[p], self.run.tokenizer.encode, self.room) for p in todo}
                lengths = {place: len(prompt.tokens) for place, prompt in prompts.items()}
                for places in alike(lengths, max(1, batch_size // self.count)):
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
