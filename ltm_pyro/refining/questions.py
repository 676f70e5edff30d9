"""Questions to attempt, none of which a run has held out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from ltm_pyro.data import joined_prompt
from ltm_pyro.data.content import content_hash
from ltm_pyro.data.rows import read_rows
from ltm_pyro.errors import InputError
from ltm_pyro.suites.gsm8k.answers import final_number

if TYPE_CHECKING:
    from ltm_pyro.training.held_out import RunText
    from ltm_pyro.training.run import Run

SHOWN = 60  # characters of a question that a message quotes


class Question(NamedTuple):
    """A question.

    Attributes:
        text: as in its file.
        prompt: the text with the run's separator at its end, as the run's prompts are.
        gold: the right answer; empty if the checker does not need one.
    """

    text: str
    prompt: str
    gold: str


def read_questions(source: str, run: Run, with_gold: bool, limit: int | None = None) -> list[Question]:
    """The different questions of a file, in its order.

    Args:
        source: a file or folder of rows, or `hf:NAME:CONFIG:SPLIT`; the fields have the names of the run's prompts and
            answers.
        run: the run that attempts them.
        with_gold: True to read right answers too, which must end in `#### NUMBER`.
        limit: the most questions.

    Raises:
        InputError: for a run without prompts, a file that cannot be read, or a row without a question or a number.
    """
    data = run.config.data
    if not data.prompt:
        raise InputError(
            f"{run.folder} was trained without prompts, so that it has no form of a question: give a run of prompts "
            "and answers (ltm train --data.prompt FIELD --data.answer FIELD)"
        )
    fields = (data.prompt, data.answer or "text") if with_gold else (data.prompt,)
    questions: dict[str, Question] = {}
    for where, (text, *rest) in read_rows(source, fields):
        if not text.strip():
            raise InputError(f"{where} has no {data.prompt}: add it, or remove the row")
        gold = rest[0] if rest else ""
        if with_gold and final_number(gold) is None:
            raise InputError(f"{where}: expected an answer that ends in `#### NUMBER`, for --checker number")
        prompt = joined_prompt(text, data.separator)
        questions.setdefault(prompt, Question(text, prompt, gold))
    if not questions:
        raise InputError(f"{source} holds no question")
    return list(questions.values())[:limit]


def refuse_held_out(text: RunText, questions: Iterable[Question]) -> None:
    """Refuse questions that a run has held out, by their content: its numbers would no longer be of unseen text.

    Raises:
        InputError: with the number of such questions, and the first of them.
    """
    held_out = {content_hash(document.text[: document.prompt]) for document, is_held_out in text.sides() if is_held_out}
    if common := [question.text for question in questions if content_hash(question.prompt) in held_out]:
        raise InputError(
            f"{len(common)} of the questions are held-out prompts of {text.run.folder}, such as "
            f"{common[0][:SHOWN]!r}: a run is not refined on the text that scores it; leave them out"
        )
