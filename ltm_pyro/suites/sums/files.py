"""Files of sums: a few chains of a teacher, questions without answers, and test sets in and out of the domain."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from ltm_pyro.errors import InputError
from ltm_pyro.files.writing import write_text
from ltm_pyro.ranges import in_range, whole
from ltm_pyro.runs.arguments import Seed
from ltm_pyro.suites.sums.problem import SumProblem, draw_problems

TEACHER, QUESTIONS, IN_DOMAIN = "teacher.jsonl", "questions.jsonl", "test-in-domain.jsonl"
LONGER, MORE = "test-longer-numbers.jsonl", "test-more-terms.jsonl"


@in_range
def write_sums(
    folder: str,
    *,
    teacher: Annotated[int, whole(1)] = 200,
    questions: Annotated[int, whole(1)] = 2000,
    test: Annotated[int, whole(1)] = 200,
    digits: Annotated[int, whole(1)] = 2,
    seed: Seed = 0,
) -> list[Path]:
    """Write the files of a task of sums into a folder; no problem is in two of them.

    `teacher.jsonl`, `questions.jsonl` and `test-in-domain.jsonl` have sums of two numbers; in
    `test-longer-numbers.jsonl` the numbers have one digit more, in `test-more-terms.jsonl` there are three. Rows have
    `question` and, but for `questions.jsonl`, `answer`, a chain that ends in `#### TOTAL`: they are what `ltm train
    --data.prompt question --data.answer answer` and the suite `gsm8k` read.

    Args:
        folder: made if missing.
        teacher: number of chains to learn from.
        questions: number of questions without an answer.
        test: number of problems of each test set.
        digits: digits of a number in the domain.
        seed: another seed draws other problems.

    Returns:
        The files.

    Raises:
        InputError: if there are too few different problems, or a file cannot be written.
    """
    rng = random.Random(seed)
    inside = draw_problems(teacher + questions + test, digits, 2, rng)
    shown, rest = inside[:teacher], inside[teacher:]
    parts = {
        TEACHER: _answered(shown),
        QUESTIONS: ({"question": problem.question} for problem in rest[:questions]),
        IN_DOMAIN: _answered(rest[questions:]),
        LONGER: _answered(draw_problems(test, digits + 1, 2, rng)),
        MORE: _answered(draw_problems(test, digits, 3, rng)),
    }
    paths = [Path(folder) / name for name in parts]
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for path, rows in zip(paths, parts.values(), strict=True):
            write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
    except OSError as error:
        raise InputError(f"the sums cannot be written to {folder}: {error.strerror or error}") from error
    return paths


def _answered(problems: Iterable[SumProblem]) -> Iterable[dict[str, str]]:
    return ({"question": problem.question, "answer": problem.chain} for problem in problems)
