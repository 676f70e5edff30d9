"""Slow steps on a run's own answers: on right chains, or on preferences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import pyro
import torch

from ltm_pyro.bounds import Terms
from ltm_pyro.data import Batches, Sequences
from ltm_pyro.errors import InputError
from ltm_pyro.inference import (
    AnswerScores,
    FastLoop,
    NonFiniteError,
    Preference,
    SharedThoughts,
    SlowStep,
    reference_of,
)
from ltm_pyro.refining.pair_batches import EncodedPairs, PairBatch
from ltm_pyro.runs.progress import Progress
from ltm_pyro.training.randomness import seed_torch

if TYPE_CHECKING:
    from ltm_pyro.guides import AbstractGuide
    from ltm_pyro.models import AbstractModel
    from ltm_pyro.training.build import RunComponents

MOST_SCORED = 256  # pairs whose scores are reported


class PairScores(NamedTuple):
    """Mean scores over pairs of answers, in nats an answer.

    Attributes:
        chosen, rejected: mean log p(answer | prompt).
        accuracy: share of pairs whose margin is positive; 0 at the reference.
        margin: mean margin.
    """

    chosen: float
    rejected: float
    accuracy: float
    margin: float


class Preferences:
    """Preferences of a policy over pairs of answers, against the weights with which the object was made.

    The thoughts are drawn from the posterior that the guide has of a prompt under the reference, anew at each step.

    Args:
        components: model and guide, with the fast loop of tables.
        is_evidence: False if prompts are context alone; q is then the prior.
        beta, sft_weight: as `Preference` takes them.
        draws: S.
    """

    def __init__(
        self, components: RunComponents, is_evidence: bool, beta: float = 0.1, sft_weight: float = 0.0, draws: int = 16
    ) -> None:
        self.model: AbstractModel = components.model
        self.reference: AbstractModel = reference_of(components.model)
        self.guide: AbstractGuide = reference_of(components.guide)
        self.fast: FastLoop = components.fast
        self.is_evidence = is_evidence
        particles = 1 if self.model.prior is None else draws
        self.objective = Preference(self.reference, beta, sft_weight, particles)

    def thoughts(self, batch: PairBatch) -> SharedThoughts:
        """S draws of q(z | prompt) under the reference for each pair, for both of its answers."""
        prior, count = self.reference.prior, self.objective.particles
        if prior is None:
            return SharedThoughts(None, len(batch.x))
        if not self.is_evidence:
            with torch.no_grad():
                return SharedThoughts(prior().sample(torch.Size((count, len(batch.prompts)))))
        inputs = batch.prompt_inputs()
        self.fast.fit(self.reference, self.guide, **inputs)
        with torch.no_grad(), pyro.plate("particles", count, dim=-2):
            return SharedThoughts(self.guide(**inputs))

    @torch.no_grad()
    def scores(self, pairs: EncodedPairs, size: int, device: torch.device, seed: tuple[int, ...]) -> PairScores:
        """Mean scores of the pairs, at most `MOST_SCORED` of them; the same noise at every call with one seed."""
        seed_torch(*seed)
        parts = [self._scored(batch.to(device)) for batch in pairs.in_order(size, MOST_SCORED)]
        scores = AnswerScores(*(torch.cat(columns) for columns in zip(*parts, strict=True)))
        accuracy = (scores.margin > 0).double().mean()
        means = (scores.chosen.mean(), scores.rejected.mean(), accuracy, scores.margin.mean())
        return PairScores(*(float(mean) for mean in means))

    def _scored(self, batch: PairBatch) -> AnswerScores:
        return self.objective.scores(self.model, self.thoughts(batch), **batch.inputs)


class Steps(NamedTuple):
    """Number and size of the slow steps of a round.

    Attributes:
        slow: number of slow steps.
        size: sequences or pairs of a step.
        seed: seed of order and noise.
        number: the round, from 1.
        device: of the model.
    """

    slow: int
    size: int
    seed: int
    number: int
    device: torch.device


def learn_chains(components: RunComponents, sequences: Sequences, steps: Steps) -> list[dict[str, Any]]:
    """Ordinary dual-rate steps on chains: supervised fine-tuning.

    Returns:
        A record of each step: its number, and the objective in nats per token.

    Raises:
        InputError: at a NaN or an infinity; the weights are those before that step.
    """
    svi = components.svi()
    batches = Batches(sequences, steps.size, steps.seed)

    def step(number: int) -> Mapping[str, float]:
        batch = next(batches).to(steps.device)
        terms = svi.step(**batch.inputs)
        return {"objective": float(terms.objective.sum() / batch.tokens.sum())}

    components.model.train()
    try:
        return _taken(step, steps)
    finally:
        components.model.eval()


def learn_preferences(
    preferences: Preferences, pairs: EncodedPairs, slow: SlowStep, steps: Steps
) -> list[dict[str, Any]]:
    """Slow steps of the model on preferences; the guide's own weights stay.

    Args:
        preferences: the objective, made before the first step.
        pairs: the pairs.
        slow: a step on `preferences.objective`.
        steps: number and size.

    Returns:
        A record of each step: its number, the objective in nats a pair, and the chosen answer's score before the step.

    Raises:
        InputError: at a NaN or an infinity; the weights are those before that step.
    """
    model = preferences.model
    slow.prepare(model.parameters())
    batches = pairs.shuffled(steps.size, steps.seed, steps.number)

    def step(number: int) -> Mapping[str, float]:
        batch = next(batches).to(steps.device)
        thoughts = preferences.thoughts(batch)
        slow.begin()
        terms: Terms = slow.gradient(model, thoughts, tokens=len(batch.prompts), **batch.inputs)
        slow.apply(terms)
        return {"objective": float(terms.objective.mean()), "chosen": float(terms.log_likelihood.mean())}

    model.train()
    try:
        return _taken(step, steps)
    finally:
        model.eval()


def _taken(step: Any, steps: Steps) -> list[dict[str, Any]]:
    """The records of all steps, with a progress line."""
    seed_torch(steps.seed, steps.number, 0, 0)
    progress = Progress(steps.slow)
    records: list[dict[str, Any]] = []
    try:
        for number in range(1, steps.slow + 1):
            records.append({"round": steps.number, "step": number, **step(number)})
            progress.update(number, f"round {steps.number}: slow steps")
    except NonFiniteError as error:
        raise InputError(
            f"round {steps.number}, step {len(records) + 1}: {error.what} is not finite, and nothing is saved of this "
            "round's steps; its attempts are kept. Start anew with a lower --learning_rate"
        ) from error
    finally:
        progress.clear()
    return records


def mean_tokens(pairs: EncodedPairs) -> tuple[float, float]:
    """Mean number of tokens of the chosen and of the rejected answers, end tokens included."""
    counts: Iterable[tuple[int, int]] = [
        (len(chosen) - len(prompt), len(rejected) - len(prompt))
        for (chosen, rejected), prompt in zip(pairs.rows, pairs.prompts, strict=True)
    ]
    chosen, rejected = (sum(column) / len(pairs) for column in zip(*counts, strict=True))
    return chosen, rejected
