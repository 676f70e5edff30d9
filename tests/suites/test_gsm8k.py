"""Few-shot arithmetic: answers, prompts and pass@k against what is known."""

import itertools
import math
from decimal import Decimal

import numpy as np
import pytest

from ltm_pyro import InputError
from ltm_pyro.suites.gsm8k import (
    Attempted,
    Problem,
    Prompt,
    commonest_answer,
    few_shot_prompt,
    final_number,
    final_number_written,
    judged,
    mean_pass_at_k,
    occurs,
    pass_at_k,
    read_problems,
    score_records,
    table,
)


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("2 + 3 = 5\n#### 5", "5"),
        ("#### 1,250", "1250"),
        ("#### $18.50", "18.5"),
        ("####-3", "-3"),
        ("#### -$3", "-3"),
        ("#### 12.00 dollars", "12"),
        ("#### 7\n#### 8", "7"),
        ("the answer is 5", None),
        ("#### none", None),
        ("#### ", None),
        ("", None),
    ],
)
def test_the_number_behind_the_mark(answer, number):
    assert final_number(answer) == (None if number is None else Decimal(number))


def test_what_is_written_counts_up_to_the_next_problem():
    assert final_number_written("3 and\n#### 4\n\nQuestion: more?\nAnswer: #### 9") == 4
    assert final_number_written("I do not know\nQuestion: more?\nAnswer: #### 9") is None


@pytest.mark.parametrize(("attempts", "right"), [(5, 0), (5, 1), (5, 3), (5, 5), (1, 1), (7, 2)])
def test_pass_at_k_is_the_share_of_the_choices_of_k_that_hold_a_right_one(attempts, right):
    outcomes = [True] * right + [False] * (attempts - right)
    for k in range(1, attempts + 1):
        choices = list(itertools.combinations(outcomes, k))
        assert pass_at_k(attempts, right, k) == pytest.approx(sum(map(any, choices)) / len(choices), abs=1e-12)


def test_pass_at_k_has_its_closed_form_on_synthetic_answers_and_the_plug_in_has_not():
    """Attempts that are right with probability p: one of k is with 1 - (1 - p)^k."""
    p, n, problems = 0.2, 5, 20_000
    right = np.random.default_rng(0).binomial(n, p, problems).tolist()
    for k in range(1, n + 1):
        mean, error = mean_pass_at_k([n] * problems, right, k)
        truth = 1 - (1 - p) ** k
        assert abs(mean - truth) < 4 * error
        if 1 < k < n:
            wrong = np.mean([1 - (1 - c / n) ** k for c in right])
            assert abs(wrong - truth) > 4 * error


@pytest.mark.parametrize(("attempts", "right", "k"), [(3, 4, 1), (3, 1, 0), (3, 1, 4), (3, -1, 1)])
def test_what_cannot_be_is_refused(attempts, right, k):
    with pytest.raises(InputError):
        pass_at_k(attempts, right, k)


def problem(question="How many?", number="5"):
    return Problem(question, f"Some work.\n#### {number}", Decimal(number))


def test_the_lenient_score_is_not_the_same_and_chance_is_told():
    texts = ["#### 5", "15 apples", "#### 4", "nothing"]
    record = judged(Attempted(Prompt([1], 2, False), problem(number="5"), problem(number="4"), texts))
    assert {name: record[name] for name in ("attempts", "answered", "right", "occurs", "occurs_by_chance")} == {
        "attempts": 4,
        "answered": 2,
        "right": 1,
        "occurs": 2,
        "occurs_by_chance": 1,
    }
    assert occurs("5", "3.5")


def encode(text):
    return list(text.encode())


def test_a_prompt_holds_its_demonstrations_and_never_the_answer():
    shown, asked = [problem(f"Demo {n}?", str(n)) for n in range(3)], problem("Asked?", "77")
    whole = few_shot_prompt(shown, asked, encode, 10_000)
    text = bytes(whole.tokens).decode()
    assert text.startswith("Question: Demo 0?\nAnswer: Some work.\n#### 0\n\nQuestion: Demo 1?")
    assert text.endswith("Question: Asked?\nAnswer:")
    assert "77" not in text
    assert (whole.shown, whole.cut) == (3, False)
    less = few_shot_prompt(shown, asked, encode, len(whole.tokens) - 1)
    assert bytes(less.tokens).decode().startswith("Question: Demo 1?")
    assert (less.shown, less.cut) == (2, False)
    least = few_shot_prompt(shown, asked, encode, 10)
    assert (bytes(least.tokens).decode(), least.shown, least.cut) == ("d?\nAnswer:", 0, True)


def test_tables_say_what_there_was_no_room_for():
    one = judged(Attempted(Prompt([1], 2, False), problem(), problem(number="4"), ["#### 5", "x"]))
    two = judged(Attempted(Prompt([1], 1, True), problem(), problem(number="4"), ["x", "x"]))
    found = {0: [one, one], 5: [one, two]}
    text = table(found, ("10", 1.5), z=True)
    assert "5 shots: there was room for 1.5 demonstrations on average" in text
    assert "5 shots: 1 of 2 questions were too long" in text
    assert "guessing 10" in text
    (record,) = (r for r in score_records(found) if (r["shots"], r["measure"], r["k"]) == (5, "right", 1))
    assert record["percent"] == 25.0
    assert record["standard_error"] == pytest.approx(100 * math.sqrt(0.125 / 2))


def test_the_commonest_answer():
    assert commonest_answer([Decimal(n) for n in (3, 5, 5)]) == 5


def test_problems_without_a_number_are_refused(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"question": "How many?", "answer": "five"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="line 1: its answer has no number behind ####"):
        read_problems(str(path))
    path.write_text('{"question": "How many?"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="answer"):
        read_problems(str(path))
