"""Sums: chains are right by construction, the checker agrees with arithmetic, and no problem is in two sets."""

import json
import random

import pytest

from ltm_pyro.errors import InputError
from ltm_pyro.suites.gsm8k import read_problems
from ltm_pyro.suites.sums import SumProblem, draw_problems, is_right, read_question, right_steps, write_sums
from ltm_pyro.suites.sums.files import IN_DOMAIN, LONGER, MORE, QUESTIONS, TEACHER

SIZES = {"teacher": 12, "questions": 30, "test": 8}


@pytest.mark.parametrize(
    ("terms", "steps", "total"),
    [
        ((47, 85), ["7+5=12", "4+8+1=13"], 132),
        ((10, 20), ["0+0=0", "1+2=3"], 30),
        ((999, 1), ["9+1=10", "9+0+1=10", "9+0+1=10"], 1000),
        ((58, 67, 79), ["8+7+9=24", "5+6+7+2=20"], 204),
    ],
)
def test_a_chain_adds_column_by_column(terms, steps, total):
    problem = SumProblem(terms)
    assert problem.steps == steps
    assert problem.chain == "\n".join([*steps, f"#### {total}"])


def test_every_chain_is_right_and_every_step_is_arithmetic():
    rng = random.Random(0)
    for digits, terms in ((1, 2), (2, 2), (3, 2), (2, 3), (4, 9)):
        for problem in draw_problems(40, digits, terms, rng):
            assert read_question(problem.question) == problem
            assert is_right(problem.question, problem.chain)
            assert right_steps(problem.question, problem.chain) == len(problem.steps)
            for step in problem.steps:
                left, _, right = step.partition("=")
                assert sum(map(int, left.split("+"))) == int(right)
            last = "".join(step.partition("=")[2][-1] for step in reversed(problem.steps[:-1]))
            assert problem.steps[-1].partition("=")[2] + last == str(problem.total)


def test_the_checker_rejects_what_is_wrong():
    question, chain = "47+85=", SumProblem((47, 85)).chain
    assert not is_right(question, chain.replace("132", "122"))
    assert not is_right(question, "132")  # no mark: no answer
    assert not is_right("47*85=", chain)
    assert not is_right("47+86=", chain)
    assert right_steps(question, chain.replace("4+8+1=13", "4+8=12")) == 1
    assert right_steps(question, "12") == right_steps("no sum", chain) == 0
    assert is_right(question, "nonsense\n#### 132")  # the answer alone is judged
    assert right_steps(question, "nonsense\n#### 132") == 0


def test_no_problem_is_in_two_files_and_a_seed_gives_the_same_ones(tmp_path):
    paths = {path.name: path for path in write_sums(tmp_path / "a", **SIZES, seed=3)}
    rows = {name: [json.loads(line) for line in path.read_text().splitlines()] for name, path in paths.items()}
    assert {name: len(found) for name, found in rows.items()} == {
        TEACHER: 12,
        QUESTIONS: 30,
        IN_DOMAIN: 8,
        LONGER: 8,
        MORE: 8,
    }
    questions = [row["question"] for found in rows.values() for row in found]
    assert len(set(questions)) == len(questions)
    assert all(is_right(row["question"], row["answer"]) for name in (TEACHER, MORE) for row in rows[name])
    assert all(list(row) == ["question"] for row in rows[QUESTIONS])
    assert [problem.number for problem in read_problems(str(paths[LONGER]))] == [
        read_question(row["question"]).total for row in rows[LONGER]
    ]
    again = write_sums(tmp_path / "b", **SIZES, seed=3)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in paths.values()]
    assert write_sums(tmp_path / "c", **SIZES, seed=4)[0].read_bytes() != paths[TEACHER].read_bytes()


def test_impossible_sizes_are_refused(tmp_path):
    rng = random.Random(0)
    assert len(draw_problems(81, 1, 2, rng)) == 81
    with pytest.raises(InputError, match="there are 81"):
        draw_problems(82, 1, 2, rng)
    with pytest.raises(InputError, match="there are 80"):
        draw_problems(81, 1, 2, rng, known={(1, 1), (20, 3)})
    with pytest.raises(InputError, match="expected 2 to 9 numbers"):
        draw_problems(1, 0, 2, rng)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_sums(tmp_path / "file", **SIZES)
