"""Methods of inference-time computation: equal budgets, votes, choices, and the decoder without thoughts."""

import pytest
import torch
from toys import TinyModel, autoregressive_with

from ltm_pyro import ELBO, FastLoop, LangevinGuide, MeanFieldGuide
from ltm_pyro.errors import InputError
from ltm_pyro.generation import Sampling, write
from ltm_pyro.plots.captions import CAPTIONS
from ltm_pyro.suites.methods import (
    Solver,
    alike,
    best_of,
    compare,
    greedy,
    method_records,
    methods_table,
    one_fit,
    rethinking,
    vote,
)
from ltm_pyro.suites.methods.independent import Attempt, within
from ltm_pyro.suites.methods.vote import majority

END = 0


class Letters:
    """A tokenizer of single letters, whose token 0 ends a text."""

    eos_id = END

    def decode(self, ids):
        return "".join(chr(97 + int(token)) for token in ids)


def first_letter(text):
    return text[0] if text else None


def solver_of(tiny, guide=None, **changes):
    guide = MeanFieldGuide(tiny.decoder.z_shape) if guide is None else guide
    objects = (tiny.model, guide, FastLoop(ELBO(), steps=2), Letters())
    return Solver(*objects, **{"tokens": 5, "read": first_letter, "draws": 2, **changes})


@pytest.fixture(name="solver")
def _solver(tiny):
    return solver_of(tiny)


@pytest.fixture(name="prompts")
def _prompts(tiny):
    return tiny.x[:, :6]


def test_a_majority_is_of_results_and_the_earliest_of_equals():
    assert majority(["xa", "ya", "yb"], first_letter) == "ya"
    assert majority(["xa", "ya"], first_letter) == "xa"
    assert majority(["", "ya", "za", "zb", ""], first_letter) == "za"  # texts without a result have no vote
    assert majority(["", ""], first_letter) == ""


def test_attempts_are_begun_until_the_budget_is_spent():
    made = [Attempt(text, passes) for text, passes in (("a", 10), ("b", 30), ("c", 5))]
    for budget, expected in ((1, "a"), (10, "a"), (11, "ab"), (40, "ab"), (41, "abc"), (1000, "abc")):
        assert "".join(attempt.text for attempt in within(made, budget)) == expected


@pytest.mark.parametrize("method", [vote, best_of])
def test_a_budget_is_spent_and_exceeded_by_less_than_one_attempt(solver, prompts, method):
    most = 200 if method is vote else 500
    budgets = [torch.tensor([30, 60, 90]), torch.tensor([most // 2, most, most])]
    (small, large) = method(solver, prompts, budgets)
    one = 2 * 2 * 6 + 6 + 5  # of an attempt: a fit of two steps to six tokens, and the answer
    scored = one if method is vote else one + 2 * 2 * 11 + 2 * 11
    for found, budget in ((small, budgets[0]), (large, budgets[1])):
        for spent, attempts, allowed in zip(found.passes, found.attempts, budget.tolist(), strict=True):
            assert allowed <= spent < allowed + scored
            assert attempts * scored >= spent
    assert all(few <= many for few, many in zip(small.attempts, large.attempts, strict=True))
    assert large.attempts[0] < large.attempts[1]


def test_the_best_attempt_has_the_highest_score(solver, prompts):
    torch.manual_seed(4)
    (found,) = best_of(solver, prompts, [torch.tensor([300] * 3)])
    torch.manual_seed(4)
    traces = [solver.trace(prompts, keep="elbo") for _ in range(max(found.attempts))]
    for row, (text, count) in enumerate(zip(found.texts, found.attempts, strict=True)):
        scores = torch.stack([trace.scores("elbo")[0, row] for trace in traces[:count]])
        answers = [solver.texts(prompts, trace.rounds[0].answers)[row] for trace in traces[:count]]
        if found.attempts == [max(found.attempts)] * 3:  # else the batches of the last attempts differ
            assert text == answers[int(scores.argmax())]
            assert text != answers[int(scores.argmin())]
    assert min(found.attempts) > 1


def test_fewer_rounds_are_the_first_of_more(solver, prompts):
    torch.manual_seed(4)
    none, two = rethinking(solver, prompts, (0, 2))
    torch.manual_seed(4)
    (alone,) = rethinking(solver, prompts, (0,))
    assert (none.texts, none.passes) == (alone.texts, alone.passes)
    assert two.texts != none.texts
    assert (none.attempts, two.attempts) == ([1] * 3, [3] * 3)


def test_draws_from_one_fit_cost_no_further_fit_and_differ(solver, prompts):
    one, four = one_fit(solver, prompts, (1, 4))
    fit = 2 * 2 * 6
    assert all(fit + 6 < passes <= fit + 6 + 5 for passes in one.passes)
    assert all(fit + 4 * 7 <= passes <= fit + 4 * (6 + 5) for passes in four.passes)
    (ten,) = one_fit(solver_of(TinyModel(), read=lambda text: None, sampling=Sampling(0)), prompts, (10,))
    assert ten.attempts == [10] * 3


def test_the_decoder_at_zero_takes_no_inference(solver, tiny, prompts):
    found = greedy(solver, prompts)
    written = torch.stack(list(write(tiny.model, torch.zeros_like(tiny.z), prompts, 5, Sampling(0), END)), -1)
    texts = [solver.tokenizer.decode([token for token in row if token != END]) for row in written.tolist()]
    assert found.texts == texts
    assert all(7 <= passes <= 11 for passes in found.passes)


def test_all_methods_are_compared_on_each_prompt_and_repeat(solver, prompts):
    prompts = prompts[:2]
    found = compare(solver, prompts, (0, 1), "elbo", (7,))
    names = ["rethinking-elbo", "rethinking-elbo", "vote", "best-elbo", "one-fit", "greedy"]
    assert [[record["method"] for record in records] for records in found] == [names] * 2
    assert [record["rounds"] for record in found[0]] == [0, 1, 1, 1, 1, None]
    assert compare(solver, prompts, (0, 1), "elbo", (7,)) == found
    for records in found:
        rethought, votes, best = records[1:4]
        assert votes["passes"] >= rethought["passes"] <= best["passes"]
        assert votes["attempts"] > 1
    without_density = solver_of(TinyModel(), LangevinGuide(solver.guide.z_shape))
    assert "best-predictive" in {record["method"] for record in compare(without_density, prompts[:1], (1,))[0]}


def test_the_table_has_intervals_within_bounds_and_names_what_each_row_is():
    methods = (("rethinking-last", 0), ("rethinking-last", 2), ("vote", 2), ("greedy", None))
    counts = {"attempts": 3, "passes": 1234, "answered": 1}
    judged = [
        [{"method": name, "rounds": rounds, "right": int(row == 0), **counts} for name, rounds in methods]
        for row in range(3)
    ]
    records = method_records(judged, shots=2)
    assert {(round(record["percent"], 9), record["problems"], record["shots"]) for record in records} == {
        (33.333333333, 3, 2)
    }
    assert all(0 < record["low"] < record["percent"] < record["high"] < 100 for record in records)
    text = methods_table("Sums", records, ["A note."])
    assert "one attempt: a fit of q" in text
    assert "decoder at z = 0 (twin)" in text
    assert "33.33 [6.15, 79.23]" in text  # Wilson, 1 of 3
    assert "3 problems" in text
    assert "A note." in text
    assert "plot_accuracy_by_passes" in CAPTIONS


def test_prompts_of_equal_length_are_together():
    assert list(alike({0: 5, 1: 7, 2: 5, 3: 5}, 2)) == [[0, 2], [3], [1]]


def test_a_solver_needs_thoughts_and_room(tiny):
    with pytest.raises(InputError, match="this model has none"):
        Solver(autoregressive_with(), None, FastLoop(ELBO()), Letters(), 5, first_letter)
    with pytest.raises(InputError, match="--tokens 20: this run's texts hold 20"):
        solver_of(tiny, tokens=20)
