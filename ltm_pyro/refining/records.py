"""Records of attempts, and the pairs and chains that a run learns from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from annotated_types import Ge
from typing_extensions import TypedDict

Count = Annotated[int, Ge(0)]


class Attempt(TypedDict):
    """One answer: its text, its tokens with the end token if that was written, and the checker's verdict.

    The tokens are those that were written: a text encoded anew may give others.
    """

    text: str
    tokens: list[Count]
    ended: bool
    right: bool


class AttemptRecord(TypedDict):
    """The attempts at one question in one round.

    `batch` is the place of the batch in the round, which with the seed and the round's weights determines the thoughts
    of all its attempts; `row` is the place of the first attempt in it.
    """

    round: Count
    batch: Count
    row: Count
    question: str
    prompt: str
    attempts: list[Attempt]


class Pair(TypedDict):
    """A right and a wrong answer to one question, with the tokens that were written."""

    round: Count
    prompt: str
    chosen: str
    chosen_tokens: list[Count]
    rejected: str
    rejected_tokens: list[Count]


class Chain(TypedDict):
    """A right answer that has ended, in the fields of a corpus of prompts and answers."""

    question: str
    answer: str


def chains_of(records: Iterable[AttemptRecord]) -> list[Chain]:
    """The different right answers that have ended, in order."""
    right = (
        (record["question"], attempt["text"])
        for record in records
        for attempt in record["attempts"]
        if attempt["right"] and attempt["ended"]
    )
    return [Chain(question=question, answer=answer) for question, answer in dict.fromkeys(right)]


def pairs_of(records: Iterable[AttemptRecord]) -> list[Pair]:
    """Pairs of a right and a wrong answer to one question, each different answer in one pair at most."""
    pairs = []
    for record in records:
        right = _different(record["attempts"], True)
        wrong = _different(record["attempts"], False)
        for chosen, rejected in zip(right, wrong, strict=False):
            pairs.append(
                Pair(
                    round=record["round"],
                    prompt=record["prompt"],
                    chosen=chosen["text"],
                    chosen_tokens=chosen["tokens"],
                    rejected=rejected["text"],
                    rejected_tokens=rejected["tokens"],
                )
            )
    return pairs


def _different(attempts: Iterable[Attempt], right: bool) -> list[Attempt]:
    """The attempts of one verdict that differ; right ones must have ended."""
    chosen = [attempt for attempt in attempts if attempt["right"] is right and (attempt["ended"] or not right)]
    return list({tuple(attempt["tokens"]): attempt for attempt in chosen}.values())
