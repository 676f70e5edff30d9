"""Trace of rethinking: the answers of all rounds, their scores, and the rule that keeps one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.generation.answers import Answers

RULES: dict[str, str] = {  # rule: the answer that it keeps
    "last": "the answer of the last round",
    "elbo": "the answer with the highest ELBO of prompt and answer",
    "predictive": "the answer with the highest log p(answer | prompt)",
}


def checked_rule(keep: str) -> str:
    """A rule's name; raises InputError if there is none of that name."""
    if keep not in RULES:
        raise InputError(f"--keep {keep}: expected one of {', '.join(RULES)}, the answer that rethinking keeps")
    return keep


@dataclass(frozen=True)
class Round:
    """One round of rethinking of N texts. All numbers are per text, shape (N,); scores in nats, higher is better.

    Attributes:
        answers: the answers of this round.
        elbo: evidence lower bound of prompt and answer, under the q that was fitted to both; None if it was not asked.
        predictive: log p(answer | prompt), estimated with z fitted to the prompt alone; None if it was not asked.
        passes: token-passes (see `TokenPasses`) of all fits and answers of this round and those before.
        elbo_passes, predictive_passes: further token-passes of this round's scores.
        fit_passes: token-passes of the fit of q to prompt and answer, which the next round needs, or the ELBO.
    """

    answers: Answers
    passes: Tensor
    elbo: Tensor | None = None
    predictive: Tensor | None = None
    elbo_passes: Tensor | None = None
    predictive_passes: Tensor | None = None
    fit_passes: Tensor | None = None


@dataclass(frozen=True)
class Trace:
    """Rounds of rethinking of N texts, and the rule that keeps one answer of each.

    Attributes:
        rounds: R + 1 rounds; the first is an ordinary answer.
        keep: the rule, one of `RULES`.
    """

    rounds: Sequence[Round]
    keep: str = "last"

    def until(self, rounds: int) -> Trace:
        """The trace after R of its rounds: the same answers as with fewer rounds from the same seed."""
        return replace(self, rounds=self.rounds[: rounds + 1])

    @property
    def kept(self) -> Tensor:
        """Round of the kept answer of each text, (N,): of equal scores the first."""
        if self.keep == "last":
            return torch.full_like(self.rounds[-1].answers.lengths, len(self.rounds) - 1)
        return self.scores(self.keep).argmax(0)

    def scores(self, name: str) -> Tensor:
        """Scores of the rounds, `elbo` or `predictive`, shape (R + 1, N).

        Raises:
            InputError: if they were not asked for.
        """
        scores = [getattr(part, name) for part in self.rounds]
        if any(score is None for score in scores):
            raise InputError(f"this trace has no {name}: call rethink with keep={name!r}, or with scores=({name!r},)")
        return torch.stack(scores)

    @property
    def passes(self) -> Tensor:
        """Token-passes of each text, (N,): of all fits and answers, and of the scores that the rule needs."""
        last = self.rounds[-1]
        if self.keep == "last":
            return last.passes
        scoring = torch.stack([getattr(part, f"{self.keep}_passes") for part in self.rounds]).sum(0)
        if self.keep == "elbo":  # the last answer's ELBO takes a fit that no further round needs
            scoring = scoring + _of(last.fit_passes)
        return last.passes + scoring

    def answer(self, row: int) -> list[int]:
        """Token ids of the kept answer of a text, its end token included."""
        return self.rounds[int(self.kept[row])].answers.ids(row)


def _of(passes: Tensor | None) -> Tensor:
    if passes is None:
        raise InputError("this trace has no ELBO of its last round: call rethink with keep='elbo'")
    return passes
