"""`ltm generate RUN --rethink R`, and the same in Python."""

import json

import pytest
from runs import ltm

import ltm_pyro
from ltm_pyro import InputError


def text(capsys, *words):
    capsys.readouterr()
    assert ltm("generate", *words) == 0
    return capsys.readouterr().out


@pytest.fixture(scope="module", name="run")
def _run(trained):
    return ltm_pyro.load(trained)


def test_no_round_is_the_ordinary_text_with_its_trace_and_without(trained, run, capsys):
    words = [trained, "--prompt", "the people of", "--seed", "3", "--samples", "2"]
    plain = text(capsys, *words)
    assert text(capsys, *words, "--rethink", "0") == plain
    traced = text(capsys, *words, "--trace")
    (first, second) = run.write("the people of", seed=3, samples=2)
    for answer in (first, second):
        assert f"token-passes ---\n{answer.removeprefix('the people of')}\n" in traced
    records = run.rethink("the people of", rounds=0, seed=3, samples=2)
    assert [record["text"] for record in records] == [first, second]


def test_every_round_is_shown_and_the_kept_one_is_written(trained, run, capsys):
    words = [trained, "--prompt", "the people", "--rethink", "2", "--seed", "1"]
    traced, kept = text(capsys, *words, "--keep", "elbo", "--trace"), text(capsys, *words, "--keep", "elbo")
    assert [f"--- round {number}" in traced for number in range(4)] == [True, True, True, False]
    assert traced.count("(kept)") == 1
    (record,) = json.loads(json.dumps(run.rethink("the people", rounds=2, keep="elbo", seed=1)))
    assert kept == record["text"] + "\n" == run.write("the people", rethink=2, keep="elbo", seed=1)[0] + "\n"
    best = max(record["rounds"], key=lambda part: part["elbo"])
    assert (record["kept"], record["text"]) == (best["round"], "the people" + best["answer"])
    assert [part["passes"] for part in record["rounds"]] == sorted(part["passes"] for part in record["rounds"])
    assert record["passes"] > record["rounds"][-1]["passes"]  # the ELBOs take passes too
    (last,) = run.rethink("the people", rounds=2, seed=1, scores=())
    assert (last["kept"], last["passes"]) == (2, last["rounds"][-1]["passes"])
    assert "elbo" not in last["rounds"][0]
    assert [part["answer"] for part in last["rounds"]] == [part["answer"] for part in record["rounds"]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--keep", "elbo"], "--keep elbo: without rethinking there is one answer; give --rethink R"),
        (["--rethink", "1", "--keep", "best"], "--keep best: expected one of last, elbo, predictive"),
        (["--rethink", "-1"], "--rethink -1: expected 0 or more"),
        (["--rethink", "1", "--tokens", "16", "--prompt", "the"], "Shorten the prompt, or write less"),
    ],
)
def test_an_option_that_cannot_be_met_is_refused(trained, words, message, capsys):
    assert ltm("generate", trained, *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_draft_and_a_run_without_thoughts_are_refused(trained, reference, capsys):
    assert ltm("generate", trained, "--rethink", "1", "--draft", trained) == 2
    assert "--draft: rethinking writes its answers without a draft" in capsys.readouterr().err
    for words in (["--rethink", "1"], ["--trace"]):
        assert ltm("generate", reference, *words) == 2
        assert "this model has none: give a run with thoughts, or leave out --rethink" in capsys.readouterr().err
    with pytest.raises(InputError, match="this model has none"):
        ltm_pyro.load(reference).write(rethink=1)
