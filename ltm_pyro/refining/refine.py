"""Refinement of a run on its own attempts at questions."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import torch

from ltm_pyro.data import answered, cut
from ltm_pyro.device import chosen_device
from ltm_pyro.errors import InputError
from ltm_pyro.generation import Sampling
from ltm_pyro.inference import SlowStep
from ltm_pyro.ranges import NOT_NEGATIVE, POSITIVE, in_range, whole
from ltm_pyro.refining.attempts import Attempts
from ltm_pyro.refining.checkers import CHECKERS, CheckerName
from ltm_pyro.refining.folder import ATTEMPTS, RefinedFolder
from ltm_pyro.refining.learning import Preferences, Steps, learn_chains, learn_preferences, mean_tokens
from ltm_pyro.refining.pair_batches import EncodedPairs
from ltm_pyro.refining.questions import Question, read_questions, refuse_held_out
from ltm_pyro.refining.records import AttemptRecord, Chain, Pair
from ltm_pyro.refining.report import Round, table
from ltm_pyro.runs.arguments import (
    Argument,
    BatchSize,
    Call,
    Checkpoint,
    CorpusAt,
    Draws,
    Resume,
    RunFolder,
    Seed,
    Temperature,
    TopK,
    TopP,
    TrustCode,
)
from ltm_pyro.runs.console import say
from ltm_pyro.runs.loading import open_run, say_bases
from ltm_pyro.runs.progress import Progress
from ltm_pyro.training.checkpoints import step_of
from ltm_pyro.training.data_module import LABELS, scores_prompts
from ltm_pyro.training.held_out import RunText
from ltm_pyro.training.run import Run
from ltm_pyro.training.run_lock import RunLock

if TYPE_CHECKING:
    from ltm_pyro.data import Sequences
    from ltm_pyro.training.build import RunComponents

Method = Literal["sft", "dpo"]
OF_DPO = ("beta", "sft_weight")


class Refined(NamedTuple):
    """A refined run, with the numbers of its rounds.

    Attributes:
        run: the new run.
        rounds: the numbers of each round, as `refine.json` holds them.
    """

    run: Run
    rounds: list[Round]

    def table(self) -> str:
        """The numbers as a Markdown table."""
        return table(self.rounds, self.run.config.model == "latent-thought")


@in_range
def refine(
    source: RunFolder,
    *,
    questions: str,
    checker: CheckerName,
    method: Method = "sft",
    run: str | None = None,
    attempts: Annotated[int, whole(2)] = 8,
    rounds: Annotated[int, whole(1)] = 1,
    steps: Annotated[int, whole(1)] = 100,
    learning_rate: Annotated[float, POSITIVE] = 1e-4,
    beta: Annotated[float, POSITIVE] = 0.1,
    sft_weight: Annotated[float, NOT_NEGATIVE] = 0.0,
    with_corpus: Annotated[bool, Argument(alone=True)] = False,
    limit: Annotated[int | None, whole(1)] = None,
    tokens: Annotated[int | None, whole(1)] = None,
    temperature: Temperature = 1.0,
    top_k: TopK = 0,
    top_p: TopP = 1.0,
    draws: Draws = 16,
    batch_size: BatchSize = 16,
    checkpoint: Checkpoint = "best",
    corpus_at: CorpusAt = None,
    seed: Seed = 0,
    resume: Resume = False,
    trust_code: TrustCode = False,
) -> Refined:
    """Refine a run on its own attempts at questions, as a new run; the run itself is not changed.

    In each round the run attempts every question several times, a checker judges the attempts, and slow steps follow:
    on the run's own right chains (`sft`), or on pairs of a right and a wrong answer (`dpo`). After an interrupt
    --resume goes on; questions that have been attempted are not attempted again.

    Args:
        source: the run, of prompts and answers.
        questions: rows with the field of the run's prompts; for the checker `number` with that of its answers too.
        checker: `sums` computes the sum that the question asks for; `number` compares the number after `####` with
            that of the right answer in the questions' file.
        method: `sft`, ordinary training on the different right chains; or `dpo`, direct preference optimisation.
        run: the new run's folder; the run's with the method appended if left out.
        attempts: number of attempts at each question.
        rounds: number of rounds, each with attempts of the weights that the one before left.
        steps: slow steps of a round.
        learning_rate: of the slow steps, constant.
        beta: of dpo, strength of the pull to the weights at the start of the round.
        sft_weight: of dpo, weight of the chosen answer's log-likelihood per token, which is added.
        with_corpus: of sft, train on the run's own training text too.
        limit: the most questions.
        tokens: the most tokens of an answer; as many as the run's length allows if left out.
        draws: S, samples of z per prompt that estimate the score of an answer.
        batch_size: attempts written at once, and chains or pairs of a slow step.
        temperature, top_k, top_p, checkpoint, corpus_at, seed, resume, trust_code: as `ltm_pyro.runs.arguments`
            describes them.

    Raises:
        InputError: for a run without prompts or of masked diffusion, questions that the run has held out, an option of
            the other method, attempts from which nothing can be learned, or a folder that exists.
    """
    call = Call(refine, locals())
    sampling = Sampling(temperature, top_k, top_p)
    _refuse_others(call, method)
    opened = open_run(source, trust_code)
    if opened.config.model == "masked-diffusion":
        raise InputError("masked diffusion does not continue a prompt from left to right: give another run")
    asked = read_questions(questions, opened, CHECKERS[checker].needs_gold, limit)
    refuse_held_out(text := RunText(opened, corpus_at), asked)
    path = Path(run or f"{os.path.normpath(opened.folder)}-{method}")
    settings = _settings(opened, call, asked)
    changes = {"train.steps": rounds * steps, "train.schedule_steps": None, "slow.learning_rate": learning_rate}
    changes |= {"slow.warmup": 0, "slow.final_fraction": 1.0}
    with RunLock(path) as lock, torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        if resume:
            folder = RefinedFolder.open(path, settings, trust_code)
        else:
            folder = RefinedFolder.create(path, opened, changes, settings, corpus_at)
        lock.take()
        say_bases(opened)
        refinement = Refinement(opened, folder, text, asked, sampling, call.given)
        refinement.carry_out()
    return Refined(folder.run, folder.rounds)


class Refinement:
    """The rounds of a refinement.

    Args:
        source: the run that is refined.
        folder: of the refined run.
        text: of the source.
        questions: the questions.
        sampling: distribution that tokens are drawn from.
        given: the arguments of `refine`.
    """

    def __init__(
        self,
        source: Run,
        folder: RefinedFolder,
        text: RunText,
        questions: list[Question],
        sampling: Sampling,
        given: dict[str, Any],
    ) -> None:
        self.source, self.folder, self.text, self.questions = source, folder, text, questions
        self.sampling, self.given, self.run = sampling, given, folder.run
        self.device = chosen_device()
        self.records = folder.attempts()

    def carry_out(self) -> None:
        """Carry out the rounds that are left.

        Raises:
            InputError: if the first round's attempts have nothing to learn from.
        """
        for number in range(len(self.folder.rounds) + 1, self.given["rounds"] + 1):
            try:
                reason = self._round(number)
            except KeyboardInterrupt:
                say(f"interrupted in round {number}: the attempts are kept; the same command with --resume continues")
                raise
            if reason and number == 1:
                raise InputError(f"{reason}. The attempts are in {self.run.folder / ATTEMPTS}")
            if reason:
                say(f"Round {number} ends the refinement: {reason}")
                return

    def _round(self, number: int) -> str:
        """Carry out one round; returns the reason if there is nothing to learn from."""
        components = self._components(number)
        tables = components.for_tables(self.run.config.train.evaluate_fast_steps)
        is_evidence = scores_prompts(self.run.config)
        weights = (self.given[name] for name in ("beta", "sft_weight", "draws"))
        preferences = Preferences(tables, is_evidence, *weights)  # before a step moves the weights
        records = self._attempted(tables, number)
        all_pairs, chains = self.folder.derive(self.records)
        pairs = [pair for pair in all_pairs if pair["round"] == number]
        if reason := _nothing_to_learn(records, pairs, chains, self.given["method"]):
            return reason
        encoded = EncodedPairs(pairs, self.run.tokenizer, components.model.decoder.length)
        size, seed = self.given["batch_size"], self.given["seed"]
        scored = (encoded, size, self.device, (seed, number, 0))
        before = preferences.scores(*scored) if pairs else None
        taken = self._learned(components, preferences, encoded, chains, number)
        after = preferences.scores(*scored) if pairs else None
        self.run.checkpoints.save(
            number * self.given["steps"], components.state_dict(), {}, fingerprint=self.run.fingerprint
        )
        lengths = mean_tokens(encoded) if pairs else (None, None)
        verdicts = [attempt["right"] for record in records for attempt in record["attempts"]]
        report = Round(
            round=number,
            questions=len(records),
            solved=sum(any(attempt["right"] for attempt in record["attempts"]) for record in records),
            right=sum(verdicts),
            wrong=len(verdicts) - sum(verdicts),
            chains=len(chains),
            pairs=len(pairs),
            chosen_tokens=lengths[0],
            rejected_tokens=lengths[1],
            chosen_before=before and before.chosen,
            chosen_after=after and after.chosen,
            rejected_before=before and before.rejected,
            rejected_after=after and after.rejected,
            margin_accuracy=after and after.accuracy,
        )
        self.folder.finish_round(report, taken, components.model.prior is not None)
        return ""

    def _components(self, number: int) -> RunComponents:
        """The run's objects with the weights at the start of a round, in evaluation mode."""
        first = number == 1
        run, which = (self.source, self.given["checkpoint"]) if first else (self.run, str(self._step(number - 1)))
        path = run.find(which)
        components = self.run.build()
        weights = run.checkpoints.load_weights(path, run.fingerprint, components.named_parameters())
        components.load_state_dict(weights)
        components.model.eval()
        components.guide.eval()
        return components.to(self.device)

    def _step(self, number: int) -> int:
        """Number of slow steps after a round."""
        return number * int(self.given["steps"])

    def _attempted(self, tables: RunComponents, number: int) -> list[AttemptRecord]:
        """The attempts of a round at all questions, in their order; those already kept are not made again."""
        given = self.given
        checker, count = CHECKERS[given["checker"]], given["attempts"]
        attempts = Attempts(
            self.run, tables, count, given["tokens"], self.sampling, checker, given["seed"], given["batch_size"]
        )
        done = {record["prompt"]: record for record in self.records if record["round"] == number}
        progress = Progress(len(self.questions), len(done))
        try:
            for place, batch in enumerate(attempts.batches(self.questions)):
                if all(question.prompt in done for question, _ in batch):
                    continue
                made = [r for r in attempts.attempt(batch, number, place) if r["prompt"] not in done]
                self.folder.keep_attempts(made)
                self.records += made
                done |= {record["prompt"]: record for record in made}
                progress.update(len(done), f"round {number}: attempts")
        finally:
            progress.clear()
        return [done[question.prompt] for question in self.questions]

    def _learned(
        self,
        components: RunComponents,
        preferences: Preferences,
        pairs: EncodedPairs,
        chains: list[Chain],
        number: int,
    ) -> list[dict[str, Any]]:
        """Take the slow steps of a round; returns their records."""
        given = self.given
        steps = Steps(given["steps"], given["batch_size"], given["seed"], number, self.device)
        if given["method"] == "sft":
            return learn_chains(components, self._sequences(chains), steps)
        usual = components.slow
        slow = SlowStep(
            preferences.objective,
            usual.learning_rate,
            weight_decay=usual.weight_decay,
            betas=usual.betas,
            clip=usual.clip,
            optimizer=usual.make_optimizer,
        )
        return learn_preferences(preferences, pairs, slow, steps)

    def _sequences(self, chains: list[Chain]) -> Sequences:
        """The chains as sequences, with the run's own training text if that is asked for."""
        data = self.run.config.data
        documents = [
            answered(chain["question"], chain["answer"], data.separator, f"chain {number}")
            for number, chain in enumerate(chains)
        ]
        if self.given["with_corpus"]:
            documents += [document for document, is_held_out in self.text.sides() if not is_held_out]
        values = self.text.saved.get(LABELS) or ()
        return cut(data.mode, documents, self.run.tokenizer, data.length, values, scores_prompts(self.run.config))


def _refuse_others(call: Call, method: str) -> None:
    """Refuse options of the other method, which would do nothing."""
    others = ("with_corpus",) if method == "dpo" else OF_DPO
    for name in others:
        if call.given[name] != call.defaults[name]:
            other = "sft" if method == "dpo" else "dpo"
            raise InputError(f"--{name} belongs to --method {other}: leave it out, or give that method")


def _settings(run: Run, call: Call, questions: list[Question]) -> dict[str, Any]:
    """Everything that the refined weights depend on."""
    chosen = call.without("source", "questions", "run", "checkpoint", "corpus_at", "resume", "trust_code")
    content = json.dumps(questions).encode("utf-8", "surrogatepass")
    return {
        "source": os.path.abspath(run.folder),
        "step": step_of(run.find(call.given["checkpoint"])),
        "questions": hashlib.sha256(content).hexdigest(),
        **chosen,
    }


def _nothing_to_learn(records: list[AttemptRecord], pairs: list[Pair], chains: list[Chain], method: str) -> str:
    """The reason why nothing can be learned from attempts; empty if something can."""
    verdicts = [attempt["right"] for record in records for attempt in record["attempts"]]
    if not any(verdicts):
        return (
            f"none of the {len(verdicts)} attempts is right, so that there is nothing to learn from: train the run "
            "further, or give easier questions or more --attempts"
        )
    if method == "sft":
        return "" if chains else "no right attempt ends within its --tokens: give more, or train the run further"
    if all(verdicts):
        return (
            f"none of the {len(verdicts)} attempts is wrong, so that there is nothing to prefer: give harder questions "
            "or a higher --temperature, or --method sft"
        )
    if not pairs:
        return "no question has both a right attempt that has ended and a wrong one: give more --attempts"
    return ""
