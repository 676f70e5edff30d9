"""The table can be read, and says what is no bound."""

import pytest
import torch
from toys import TinyModel, autoregressive_with

from ltm_pyro import ELBO, EmptyGuide, FastLoop
from ltm_pyro.data import Batch
from ltm_pyro.evaluation import Evaluator, markdown
from ltm_pyro.tables import aligned


def evaluation(model, guide, x, **options):
    one = torch.ones(len(x), dtype=torch.long)
    batch = Batch(x, None, one, torch.arange(len(x)), torch.ones_like(x))
    return Evaluator(model, guide, FastLoop(ELBO(), steps=1), draws=2, **options).evaluate([batch])


@pytest.fixture
def ours():
    tiny = TinyModel()
    return evaluation(tiny.model, tiny.guide, tiny.x, fixed_noise=True)


def baseline(length=20):
    return evaluation(autoregressive_with(), EmptyGuide(), torch.randint(30, (3, length)))


def rows(text):
    return [line for line in text.splitlines() if line.startswith("|")]


def test_the_columns_stand_under_each_other(ours):
    lines = rows(markdown(ours, baseline()))
    assert len(lines) == 2 + 6 + 2
    assert len({len(line) for line in lines}) == 1
    assert len({tuple(i for i, letter in enumerate(line) if letter == "|") for line in lines}) == 1
    assert [cell.strip() for cell in lines[0].split("|")[2:5]] == ["nats/token", "bits/byte", "perplexity"]


def test_what_is_no_bound_says_so(ours):
    marked = [line for line in rows(markdown(ours)) if "NOT A BOUND" in line]
    assert len(marked) == 1
    assert "fixed noise" in marked[0]
    assert "mean over sequences" in marked[0]  # its perplexity is another definition


def test_the_numbers_are_those_of_the_scores(ours):
    (line,) = (line for line in rows(markdown(ours)) if line.startswith("| ELBO"))
    score = ours.scores["elbo"]
    assert f"{score.nats_per_token:.4f} ± {score.standard_error:.4f}" in line
    assert f"{score.bits_per_byte:.4f}" in line


def test_the_notes_tell_the_kl_and_what_the_thoughts_are_worth(ours):
    text = markdown(ours)
    assert "3 sequences, 60 tokens, 60 bytes" in text
    assert f"KL {ours.kl_per_token:.4f} nats/token (closed form); by layer: " in text
    assert "prior - ELBO: " in text
    assert "of 2." in text


@pytest.mark.parametrize(
    ("gain", "error", "words"),
    [
        (0.05, 0.01, "above zero; fitting q to the scored text is worth this much"),
        (-118.0, 40.0, "below zero; q fitted to the scored text is worse than the prior"),
        (0.003, 0.002, "within two standard errors of zero"),
        (-0.003, 0.002, "within two standard errors of zero"),
        (0.05, float("nan"), "on one sequence, which has no error"),
    ],
)
def test_the_words_follow_the_sign_and_two_standard_errors(gain, error, words):
    from ltm_pyro.evaluation.table import worth

    assert words in worth(gain, error)
    assert "worth having" not in worth(gain, error)


def test_the_table_has_these_words_and_not_others(ours):
    from ltm_pyro.evaluation.table import worth

    gain, error = ours.scores["prior"].minus(ours.scores["elbo"])
    assert f"nats/token: {worth(gain, error)}." in markdown(ours)
    assert worth(-gain, error) not in markdown(ours)


def test_a_model_without_latents_has_no_such_notes():
    text = markdown(baseline())
    assert "exact" in text
    assert "KL" not in text
    assert "prior" not in text


def test_models_are_compared_sequence_by_sequence(ours):
    theirs = baseline()
    text = markdown(ours, theirs)
    for name, mine, other in (("whole text", "importance_weighted", "exact"), ("second half", *2 * ["predictive"])):
        difference, error = ours.scores[mine].minus(theirs.scores[other])
        assert f"This model - baseline, {name}: {difference:+.4f} ± {error:.4f} nats/token (paired)." in text
    assert "| baseline: exact" in text


def test_other_tokens_are_not_compared_token_by_token(ours):
    text = markdown(ours, baseline(length=18))
    assert "whole text: the baseline has another tokenization; compare bits/byte" in text
    assert "This model - baseline" not in text


def test_huge_perplexities_stay_short():
    from ltm_pyro.evaluation.table import _short

    assert [_short(value) for value in (12.345, 1e9, float("inf"))] == ["12.35", "1.00e+09", "over 1e304"]


def test_a_bar_in_a_label_splits_no_row():
    lines = aligned([("", "cost"), ("log p(x|z)", "1.0")])
    assert lines[2].startswith(r"| log p(x\|z) |")
    assert len({len(line) for line in lines}) == 1
