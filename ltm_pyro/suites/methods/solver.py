"""Objects with which a run answers prompts."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.generation import Answers, Sampling, Trace, refuse_without_thoughts, rethink
from ltm_pyro.inference import FastLoop
from ltm_pyro.models import AbstractModel

if TYPE_CHECKING:
    from ltm_pyro.data import Tokenizer


@dataclass(frozen=True)
class Solver:
    """A run's trained objects, the settings of its answers, and the reader of an answer's result.

    Args:
        model, guide, fast: as for `rethink`.
        tokenizer: of the run.
        tokens: the most tokens of an answer.
        read: a function from an answer's text to its result, which is counted and compared; None if it has none.
        sampling: how tokens are drawn; from the model's own distribution if None.
        draws: S, draws of z in a score.

    Raises:
        InputError: for a model without thoughts, or answers that leave no room for a prompt.
    """

    model: AbstractModel
    guide: Any
    fast: FastLoop
    tokenizer: Tokenizer
    tokens: int
    read: Callable[[str], Hashable | None]
    sampling: Sampling | None = None
    draws: int = 16

    def __post_init__(self) -> None:
        refuse_without_thoughts(self.model)
        if self.room < 1:
            raise InputError(
                f"--tokens {self.tokens}: this run's texts hold {self.model.decoder.length}, the prompt included: give "
                "fewer"
            )

    @property
    def room(self) -> int:
        """The most tokens of a prompt."""
        return self.model.decoder.length - self.tokens

    def trace(self, prompts: Tensor, rounds: int = 0, keep: str = "last") -> Trace:
        """Answers to prompts, (N, P), by R rounds of rethinking; a single attempt at each with R = 0."""
        end = self.tokenizer.eos_id
        objects = (self.model, self.guide, self.fast)
        return rethink(*objects, prompts, rounds, self.tokens, self.sampling, end, keep, draws=self.draws)

    def texts(self, prompts: Tensor, answers: Answers) -> list[str]:
        """Texts of answers, without their prompts and end tokens."""
        from ltm_pyro.data import continuation

        texts = []
        for row, prompt in enumerate(prompts.tolist()):
            ids = answers.ids(row)
            kept = ids[:-1] if ids and ids[-1] == self.tokenizer.eos_id else ids
            texts.append(continuation(self.tokenizer, prompt, kept))
        return texts
