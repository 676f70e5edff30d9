"""`ltm evaluate RUN --suite gsm8k` on local problems."""

import json
import re
import shutil

import pytest
from runs import ltm

import ltm_pyro
from ltm_pyro.plots.saving import KINDS
from ltm_pyro.suites.gsm8k import read_problems, suite
from ltm_pyro.suites.gsm8k.prompts import own_prompt
from ltm_pyro.suites.gsm8k.suite import _other


def write_problems(path, first, count):
    rows = [{"question": f"war {n} peace?", "answer": f"the {n}.\n#### {n}"} for n in range(first, first + count)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return str(path)


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def files(tmp_path):
    train, test = write_problems(tmp_path / "train.jsonl", 0, 4), write_problems(tmp_path / "test.jsonl", 10, 5)
    return f"train={train}", f"test={test}"


def evaluate(run, files, *words):
    given = ("--tokens", "6", "--attempts", "3", "--shots", "0", "2")
    return ltm("evaluate", run, "--suite", "gsm8k", *given, *words, *(("--files", *files) if files else ()))


def results(run):
    return json.loads((run / "evaluation/gsm8k/results.json").read_text(encoding="utf-8"))["pieces"]


def test_all_problems_are_attempted_and_told(run, files, capsys):
    assert evaluate(run, files) == 0
    out = capsys.readouterr().out
    assert "pass@3, %" in out
    assert "Every attempt has a separate posterior inference of z" in out
    found = results(run)
    assert set(found) == {f"{shots}/{place}" for shots in (0, 2) for place in range(5)}
    assert all(len(record["texts"]) == record["attempts"] == 3 for (record,) in found.values())
    assert any(len(set(record["texts"])) > 1 for (record,) in found.values())
    made = {path.name for path in (run / "evaluation/gsm8k").iterdir()}
    assert made == {
        *(f"pass-at-k.{kind}" for kind in KINDS),
        "records.csv",
        "results.json",
        "settings.json",
        "table.md",
    }


def test_a_model_that_knows_is_right_and_one_that_does_not_is_not(run, files, monkeypatch):
    """By what is written, whatever the model: the texts are put in its place."""

    def written(attempts, prompts, place):
        asked = [attempts.run.tokenizer.decode(prompt.tokens) for prompt in prompts]
        numbers = [text.rpartition("war ")[2].split(" ")[0] for text in asked]
        return [[f"#### {number}", f"say {number}", "#### 3"] for number in numbers]

    monkeypatch.setattr(suite.Attempts, "texts", written)
    words = ("--tokens", "2", "--shots", "0")
    assert evaluate(run, files, *words) == 0
    for (record,) in results(run).values():
        if not record["question_cut"]:
            assert (record["right"], record["occurs"], record["answered"]) == (1, 2, 2)


def test_an_interrupted_evaluation_goes_on_and_equals_an_uninterrupted_one(run, files, tmp_path, monkeypatch, capsys):
    whole = shutil.copytree(run, tmp_path / "whole")
    assert evaluate(whole, files, "--batch_size", "3") == 0
    write, calls = suite.Attempts.texts, []

    def interrupted(*given):
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return write(*given)

    monkeypatch.setattr(suite.Attempts, "texts", interrupted)
    assert evaluate(run, files, "--batch_size", "3") == 130
    assert "2 of 10 are done" in capsys.readouterr().err
    assert evaluate(run, files, "--batch_size", "3", "--resume") == 0
    assert results(run) == results(whole)
    assert evaluate(run, files, "--resume", "--seed", "4") == 2


def test_a_model_without_thoughts_and_the_likeliest_token(reference, files, tmp_path, capsys):
    copy = shutil.copytree(reference, tmp_path / "reference")
    assert evaluate(copy, files, "--temperature", "0") == 0
    assert "the model has no thoughts" in capsys.readouterr().out
    assert all(len(set(record["texts"])) == 1 for (record,) in results(copy).values())


def test_chance_is_another_problems_answer(files):
    test = read_problems(files[1].partition("=")[2])
    for place, problem in enumerate(test):
        assert _other(test, place).number != problem.number


def test_bad_input_gets_one_clear_error(run, files, tmp_path, capsys):
    shared = (files[0], f"test={files[0].partition('=')[2]}")
    for given, words, message in [
        (shared, (), "4 problems are both in train and in test"),
        (("tests=x",), (), "expected train=PATH or test=PATH"),
        (files, ("--shots", "-1"), "--shots -1: expected 0 or more"),
        (files, ("--tokens", "16"), "this run's texts hold 16"),
        ((), (), "openai/gsm8k"),
    ]:
        assert evaluate(run, given, *words) == 2
        assert message in capsys.readouterr().err


def test_a_run_of_prompts_and_answers_takes_the_question_as_its_own_prompts(run, files, capsys, monkeypatch):
    config = (run / "config.yaml").read_text(encoding="utf-8")
    for name, value in (("prompt", "question"), ("answer", "answer"), ("mode", "documents")):
        config, found = re.subn(rf"^  {name}: .*$", f"  {name}: {value}", config, flags=re.MULTILINE)
        assert found == 1
    (run / "config.yaml").write_text(config, encoding="utf-8")
    seen = []
    monkeypatch.setattr(suite, "own_prompt", lambda *given, **more: seen.append(own_prompt(*given, **more)) or seen[-1])
    words = ("evaluate", run, "--suite", "gsm8k", "--tokens", "6", "--attempts", "2", "--files", *files)
    assert ltm(*words) == 0
    tokenizer = ltm_pyro.load(run).tokenizer
    prompts = [tokenizer.decode(prompt.tokens) for prompt in seen]  # as much of the questions as there is room for
    assert [prompt[-len("10 peace?\n") :] for prompt in prompts] == [f"{n} peace?\n" for n in range(10, 15)]
    assert set(results(run)) == {f"0/{place}" for place in range(5)}
    capsys.readouterr()
    assert ltm(*words, "--shots", "2") == 2
    assert "--shots 2" in capsys.readouterr().err
