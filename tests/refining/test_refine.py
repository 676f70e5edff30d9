"""Refinement of runs from end to end: a new run that every command opens, from attempts that are made once."""

import json

import pytest
import torch
from runs import ltm
from sums_runs import questions_of, scripted, sums_run, write_questions, write_sums

import ltm_pyro
from ltm_pyro import InputError
from ltm_pyro.refining import refine
from ltm_pyro.refining.attempts import Attempts
from ltm_pyro.refining.checkers import CHECKERS, Checker
from ltm_pyro.training.run import Run

KINDS = {"autoregressive": ["--model", "autoregressive"], "thoughts": []}
SMALL = {"checker": "sums", "attempts": 4, "steps": 2, "draws": 2, "tokens": 3, "learning_rate": 0.01, "batch_size": 8}


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory):
    return tmp_path_factory.mktemp("refining")


@pytest.fixture(scope="module", name="runs")
def _runs(folder):
    corpus = write_sums(folder / "sums.jsonl")
    return {kind: sums_run(corpus, folder / kind, *words) for kind, words in KINDS.items()}


@pytest.fixture(name="ends")
def _ends(monkeypatch):
    """Half of all answers are right, and all are taken to have ended: a run of one step hardly ever ends one."""
    monkeypatch.setitem(CHECKERS, "sums", Checker(scripted, False))
    answers = Attempts._answers
    monkeypatch.setattr(Attempts, "_answers", lambda *args: ((text, ids, True) for text, ids, _ in answers(*args)))


def questions(folder, run, count=6):
    return str(write_questions(folder / f"questions-{count}.jsonl", questions_of(run, False)[:count]))


def weights(run):
    return run.checkpoints.load_weights(run.find("latest"))


@pytest.mark.parametrize("method", ["sft", "dpo"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_refined_run_is_a_run(kind, method, runs, folder, tmp_path, ends, capsys):
    source, before = runs[kind], (runs[kind].folder / "config.yaml").read_text()
    out = tmp_path / "refined"
    refined = refine(source.folder, questions=questions(folder, source), method=method, run=str(out), **SMALL)
    (numbers,) = refined.rounds
    assert numbers["right"] + numbers["wrong"] == 24
    assert numbers["questions"] == 6
    assert numbers["pairs"] > 0 < numbers["chains"]
    assert numbers["chosen_tokens"] <= 4
    assert numbers["chosen_after"] != numbers["chosen_before"]
    opened = Run.open(out)
    assert opened.config.train.start_from == str(source.folder)
    assert opened.find("best") == opened.find("latest")
    assert "step-00000002" in str(opened.find("best"))
    old, new = weights(source), weights(opened)
    assert any(not torch.equal(old[name], new[name]) for name in old)
    assert (source.folder / "config.yaml").read_text() == before
    assert ltm("evaluate", out, "--baseline", source.folder, "--limit", 2, "--draws", 2) == 0  # one held-out text
    assert "answer" in capsys.readouterr().out
    assert ltm("generate", out, "--prompt", "1+2=", "--tokens", 2) == 0
    assert ltm("train", "--resume", out) == 2
    assert "was refined from" in capsys.readouterr().err


def test_margins_rise_on_the_pairs_and_not_without_steps(runs, folder, tmp_path, ends):
    asked = questions(folder, runs["thoughts"])
    chosen = {**SMALL, "method": "dpo", "steps": 12, "beta": 1.0, "rounds": 2}
    refined = refine(runs["thoughts"].folder, questions=asked, run=str(tmp_path / "out"), **chosen)
    first, second = refined.rounds
    assert first["margin_accuracy"] > 0.9
    assert second["questions"] == first["questions"]
    assert second["round"] == 2
    lines = [json.loads(line) for line in (tmp_path / "out/steps.jsonl").read_text().splitlines()]
    assert [line["round"] for line in lines] == [1] * 12 + [2] * 12
    assert lines[0]["objective"] == pytest.approx(-0.6931, abs=1e-3)  # at the reference
    assert lines[12]["objective"] == pytest.approx(-0.6931, abs=1e-3)  # which each round sets anew
    assert lines[11]["objective"] > -0.6


def test_interrupted_attempts_go_on_and_none_is_made_twice(runs, folder, tmp_path, ends, monkeypatch):
    run, out, asked = runs["thoughts"], str(tmp_path / "out"), questions(folder, runs["thoughts"])
    whole = refine(run.folder, questions=asked, run=str(tmp_path / "whole"), **SMALL)
    attempt, made = Attempts.attempt, []

    def once(self, batch, number, place):
        if len(made) == 1:
            raise KeyboardInterrupt
        made.append(place)
        return attempt(self, batch, number, place)

    monkeypatch.setattr(Attempts, "attempt", once)
    with pytest.raises(KeyboardInterrupt):
        refine(run.folder, questions=asked, run=out, **SMALL)
    path = tmp_path / "out/attempts.jsonl"
    path.write_bytes(path.read_bytes() + b'{"round": 1, "ques')  # as a kill leaves it
    with pytest.raises(InputError, match="has finished no round: the command that began it goes on with --resume"):
        refine(run.folder, questions=asked, run=out, **{**SMALL, "temperature": 0.5})
    with pytest.raises(InputError, match="another steps: give the settings"):
        refine(run.folder, questions=asked, run=out, resume=True, **{**SMALL, "steps": 3})
    monkeypatch.setattr(Attempts, "attempt", lambda self, *args: made.append(args[-1]) or attempt(self, *args))
    refined = refine(run.folder, questions=asked, run=out, resume=True, **SMALL)
    assert sorted(set(made)) == sorted(made)
    assert path.read_text() == (tmp_path / "whole/attempts.jsonl").read_text()
    assert refined.rounds == whole.rounds
    for name, weight in weights(whole.run).items():
        assert torch.equal(weight, weights(refined.run)[name])


def test_thoughts_of_attempts_are_fitted_again_from_their_records(runs, folder, tmp_path, ends, monkeypatch):
    seen, thoughts = {}, Attempts.thoughts

    def kept(self, prompts, number, place):
        seen[number, place] = self, prompts, thoughts(self, prompts, number, place)
        return seen[number, place][2]

    monkeypatch.setattr(Attempts, "thoughts", kept)
    asked = questions(folder, runs["thoughts"])
    refine(runs["thoughts"].folder, questions=asked, method="sft", run=str(tmp_path / "out"), **SMALL)
    record = json.loads((tmp_path / "out/attempts.jsonl").read_text().splitlines()[-1])
    attempts, prompts, z = seen[record["round"], record["batch"]]
    start = ltm_pyro.load(runs["thoughts"].folder)
    attempts.components = attempts.components._replace(model=start.model, guide=start.guide)
    again = thoughts(attempts, prompts, record["round"], record["batch"])
    rows = slice(record["row"], record["row"] + 4)
    assert torch.equal(again[rows], z[rows])
    assert not torch.equal(z[rows][0], z[rows][1])
    assert not torch.equal(thoughts(attempts, prompts, 2, record["batch"])[rows], z[rows])


def test_the_corpus_can_be_added_to_the_chains(runs, folder, tmp_path, ends, monkeypatch):
    import importlib

    module = importlib.import_module("ltm_pyro.refining.refine")
    seen, learn = [], module.learn_chains
    monkeypatch.setattr(
        module, "learn_chains", lambda c, sequences, s: seen.append(sequences) or learn(c, sequences, s)
    )
    run, asked = runs["autoregressive"], questions(folder, runs["autoregressive"])
    for name, added in (("alone", False), ("both", True)):
        refine(run.folder, questions=asked, method="sft", with_corpus=added, run=str(tmp_path / name), **SMALL)
    assert len(seen[1]) - len(seen[0]) == len(questions_of(run, False))
    chains = (tmp_path / "alone/chains.jsonl").read_text().splitlines()
    assert len(seen[0]) == len(chains)


NOTHING = {
    "no right attempt": (lambda *_: False, "dpo", "none of the 8 attempts is right"),
    "no wrong attempt": (lambda *_: True, "dpo", "none of the 8 attempts is wrong"),
    "no end": (lambda *_: True, "sft", "no right attempt ends"),
}


@pytest.mark.parametrize("name", NOTHING)
def test_nothing_to_learn_from_is_refused_by_name(name, runs, folder, tmp_path, monkeypatch):
    verdict, method, message = NOTHING[name]
    monkeypatch.setitem(CHECKERS, "sums", Checker(verdict, False))
    run = runs["autoregressive"]
    with pytest.raises(InputError, match=message):
        refine(run.folder, questions=questions(folder, run, 2), method=method, run=str(tmp_path / "out"), **SMALL)
    assert len((tmp_path / "out/attempts.jsonl").read_text().splitlines()) == 2  # which are kept


def test_questions_that_are_held_out_are_refused(runs, folder, tmp_path):
    run = runs["autoregressive"]
    held_out = questions_of(run, True)[0]
    asked = write_questions(tmp_path / "asked.jsonl", [*questions_of(run, False)[:2], held_out])
    with pytest.raises(InputError, match=f"1 of the questions are held-out prompts of .*{held_out[:2]}"):
        refine(run.folder, questions=str(asked), run=str(tmp_path / "out"), **SMALL)
    assert not (tmp_path / "out").exists()


def test_bad_input_is_one_line(runs, folder, tmp_path, capsys):
    run = runs["autoregressive"].folder
    asked = questions(folder, runs["autoregressive"])
    usual = ["refine", run, "--questions", asked, "--run", tmp_path / "out", "--checker"]
    for words, message in (
        (["sums", "--beta", 1], "--beta belongs to --method dpo"),
        (["sums", "--method", "dpo", "--with_corpus"], "--with_corpus belongs to --method sft"),
        (["number"], "answer"),
        (["else"], "sums"),
        (["sums", "--resume"], "holds no refinement"),
    ):
        assert ltm(*usual, *words) == 2
        error = capsys.readouterr().err
        assert message in error
        assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_run_without_prompts_is_refused(runs, folder, tmp_path):
    run = Run.open(runs["autoregressive"].folder)
    run.config.data.prompt = ""
    from ltm_pyro.refining.questions import read_questions

    with pytest.raises(InputError, match="was trained without prompts"):
        read_questions(questions(folder, runs["autoregressive"]), run, False)
