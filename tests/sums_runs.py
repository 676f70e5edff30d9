"""Tiny runs on sums of one digit, and questions that they have not held out."""

import json
from itertools import product

from runs import train

from ltm_pyro.data.content import content_hash
from ltm_pyro.suites.sums import SumProblem
from ltm_pyro.training.held_out import RunText
from ltm_pyro.training.run import Run

SETTINGS = {
    "data.prompt": "question",
    "data.answer": "answer",
    "data.mode": "documents",
    "data.length": 24,
    "data.vocabulary": 258,
    "decoder.layers": 1,
    "train.steps": 1,
    "train.samples": 0,
    "train.final_sequences": 2,
    "fast.steps": 1,
}


def write_sums(path):
    """Every sum of two numbers from 1 to 4, with its chain."""
    problems = [SumProblem(terms) for terms in product(range(1, 5), repeat=2)]
    rows = [json.dumps({"question": problem.question, "answer": problem.chain}) for problem in problems]
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def sums_run(corpus, folder, *words):
    """A run of one step on sums."""
    settings = {name.replace(".", "__"): value for name, value in SETTINGS.items()}
    assert train(corpus, folder, *words, **settings) == 0
    return Run.open(folder)


def questions_of(run, held_out):
    """The sums of a run's corpus on one side of its split."""
    return [document.text[: document.prompt - 1] for document, side in RunText(run).sides() if side is held_out]


def write_questions(path, questions):
    path.write_text("\n".join(json.dumps({"question": question}) for question in questions), encoding="utf-8")
    return path


def scripted(question, answer, gold):
    """A checker that calls half of all answers right."""
    return content_hash(answer) % 2 == 0
