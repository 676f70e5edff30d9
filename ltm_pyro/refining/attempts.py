"""Attempts at questions, each with its own posterior inference on the prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ltm_pyro.data import continuation
from ltm_pyro.errors import InputError
from ltm_pyro.generation import Sampling, thoughts_from_prior, thoughts_from_prompts, write
from ltm_pyro.refining.checkers import Checker
from ltm_pyro.refining.questions import SHOWN, Question
from ltm_pyro.refining.records import Attempt, AttemptRecord
from ltm_pyro.suites.methods.batches import alike
from ltm_pyro.training.data_module import scores_prompts
from ltm_pyro.training.randomness import seed_torch
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from ltm_pyro.training.build import RunComponents


class Attempts:
    """Attempts of a run at questions.

    Every attempt has its own posterior inference on the prompt alone; where the run's prompts are context and no
    evidence, z is drawn from the prior, which is then the posterior. The noise of a batch depends on the seed, the
    round and the batch's place, so that attempts which go on after an interrupt equal uninterrupted ones.

    Args:
        run, components: a run, and its trained objects with the fast loop of tables.
        count: number of attempts at each question.
        tokens: the most tokens of an answer; as many as the decoder's length allows if None.
        sampling: distribution that tokens are drawn from.
        checker: judge of the answers.
        seed: seed of all noise.
        batch_size: number of attempts written at once.
    """

    def __init__(
        self,
        run: Run,
        components: RunComponents,
        count: int,
        tokens: int | None,
        sampling: Sampling,
        checker: Checker,
        seed: int,
        batch_size: int,
    ) -> None:
        self.run, self.components, self.count, self.tokens = run, components, count, tokens
        self.sampling, self.checker, self.seed = sampling, checker, seed
        self.questions_at_once = max(1, batch_size // count)
        self.is_evidence = scores_prompts(run.config)

    def batches(self, questions: Sequence[Question]) -> list[list[tuple[Question, list[int]]]]:
        """Batches of questions with their token ids, prompts of equal length together.

        Raises:
            InputError: for a question that leaves no room for an answer.
        """
        rows = []
        for question in questions:
            ids = [int(token) for token in self.run.tokenizer.encode(question.prompt)]
            if len(ids) >= self.components.model.decoder.length:
                raise InputError(
                    f"the question {question.text[:SHOWN]!r} has {len(ids)} tokens, and texts of {self.run.folder} at "
                    f"most {self.components.model.decoder.length}: leave it out"
                )
            rows.append((question, ids))
        lengths = {place: len(ids) for place, (_, ids) in enumerate(rows)}
        return [[rows[place] for place in places] for places in alike(lengths, self.questions_at_once)]

    def thoughts(self, prompts: Tensor, number: int, place: int) -> Tensor | None:
        """Thoughts of one batch of attempts, shape (N, L, K, D), the same at every call; None without thoughts.

        Args:
            prompts: token ids of each attempt, shape (N, P).
            number: the round, from 1.
            place: the batch's place in the round.
        """
        model, guide, fast, _ = self.components
        seed_torch(self.seed, number, place)
        if self.is_evidence:
            return thoughts_from_prompts(model, guide, fast, prompts)
        return thoughts_from_prior(model, len(prompts))

    def attempt(self, batch: Sequence[tuple[Question, list[int]]], number: int, place: int) -> list[AttemptRecord]:
        """Write and judge the attempts at a batch of questions; `number` and `place` are those of `thoughts`."""
        model, tokenizer = self.components.model, self.run.tokenizer
        device = next(model.parameters()).device
        prompts = torch.tensor([ids for _, ids in batch], device=device).repeat_interleave(self.count, 0)
        z = self.thoughts(prompts, number, place)
        room = model.decoder.length - prompts.shape[1]
        tokens = room if self.tokens is None else min(self.tokens, room)
        columns = list(write(model, z, prompts, tokens, self.sampling, tokenizer.eos_id))
        answers = list(self._answers(prompts.tolist(), torch.stack(columns, 1).tolist()))
        return [
            AttemptRecord(
                round=number,
                batch=place,
                row=first * self.count,
                question=question.text,
                prompt=question.prompt,
                attempts=[
                    Attempt(
                        text=text,
                        tokens=written,
                        ended=ended,
                        right=self.checker.is_right(question.text, text, question.gold),
                    )
                    for text, written, ended in answers[first * self.count : (first + 1) * self.count]
                ],
            )
            for first, (question, _) in enumerate(batch)
        ]

    def _answers(self, prompts: list[list[int]], rows: list[list[int]]) -> Iterator[tuple[str, list[int], bool]]:
        """The text of each answer, its tokens, and whether it has ended."""
        tokenizer = self.run.tokenizer
        for prompt, row in zip(prompts, rows, strict=True):
            ids = list(takewhile(lambda token: token != tokenizer.eos_id, row))
            yield continuation(tokenizer, prompt, ids), row[: len(ids) + 1], len(ids) < len(row)
