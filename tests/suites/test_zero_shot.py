"""The rules of spelling, and the table."""

import numpy as np
import pytest

from ltm_pyro.evaluation.evaluator import Evaluation
from ltm_pyro.evaluation.score import Score
from ltm_pyro.suites.zero_shot import SETS, lambada, lm1b, ptb, records_of, scientific, table, wikitext


@pytest.mark.parametrize(
    ("rule", "spelled", "text"),
    [
        (wikitext, " = = Early life = = \n", "== Early life ==\n"),
        (wikitext, "the 14 @-@ inch gun , built in 1 @,@ 914 .", "the 14-inch gun, built in 1,914."),
        (wikitext, "its length ( 2 @.@ 5 m ) was [ sic ] ; see", "its length (2.5 m) was [sic]; see"),
        (wikitext, 'he said " I do n\'t know " .', 'he said "I don\'t know".'),
        (wikitext, "the lobster 's claws and the boys ' hats", "the lobster's claws and the boys' hats"),
        (wikitext, "at 45 ° N", "at 45°N"),
        (ptb, "mr. <unk> does n't own N shares at $ N", "mr. ? doesn't own 1 shares at $1"),
        (ptb, "the firm 's 1\\/2 stake", "the firm's 1/2 stake"),
        (lm1b, "It was $ 20 , or 5 % , he said .", "It was $20, or 5%, he said."),
        (lm1b, 'They " won " ( again ) !', 'They "won" (again)!'),
        (lambada, "“ go , ” she said .", '"go," she said.'),
        (lambada, "`` i ca n't , '' he 'd said", "\"i can't,\" he'd said"),
        (scientific, "the cells @xmath0 are 3 @-@ dimensional .", "the cells @xmath0 are 3-dimensional."),
    ],
)
def test_a_set_is_spelled_as_text_is(rule, spelled, text):
    assert rule(spelled) == text


@pytest.mark.parametrize("rule", [wikitext, ptb, lm1b, lambada, scientific])
def test_ordinary_text_stays_as_it_is(rule):
    text = "He said: \"It isn't 3-dimensional, is it?\" (She laughed.)\nA new line; the boys' hats."
    assert rule(text) == text


def evaluation(perplexities):
    tokens = np.array([10, 30])
    scores = {name: Score(name, np.log(p) * tokens, tokens, 4 * tokens) for name, p in perplexities.items()}
    return Evaluation(scores, 0.1, [0.1], True, 1.0, 2)


def test_the_table_names_what_is_there_and_what_is_missing():
    found = {"PTB": records_of(evaluation({"elbo": 30.0, "importance_weighted": 20.0, "prior": 40.0}))}
    lines = table(found, {"LM1B": "no network; as --files lm1b=PATH"}).splitlines()
    assert [cell.strip() for cell in lines[0].strip("|").split("|")] == [
        "perplexity", "ELBO", "importance-weighted", "prior", "bits/byte", "tokens"
    ]  # fmt: skip
    row = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert row[0] == "PTB"
    assert row[1:4] == ["30.00 ± 0.00", "20.00 ± 0.00", "40.00 ± 0.00"]
    assert row[4].startswith(f"{np.log2(20) / 4:.4f}")
    assert row[5] == "40"
    assert "| LM1B" in lines[3]
    assert "missing" in lines[3]
    assert any("LM1B is missing: no network; as --files lm1b=PATH" in line for line in lines)


def test_every_set_says_where_it_is():
    from ltm_pyro.data.hub import parse_hub_name

    for chosen in SETS.values():
        assert parse_hub_name(chosen.hub).split in ("validation", "test")
        assert chosen.source
