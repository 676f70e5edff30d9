"""`ltm evaluate RUN --suite gsm8k --rethink R ...` on local problems."""

import json
import shutil

import pytest
from runs import ltm

from ltm_pyro.plots.saving import KINDS
from ltm_pyro.suites.gsm8k import rethinking


def problems(path, first, count):
    """A file of problems, each answered by its own number."""
    rows = [{"question": f"war {n} peace?", "answer": f"the {n}.\n#### {n}"} for n in range(first, first + count)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


@pytest.fixture(name="copy")
def _copy(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture(name="files")
def _files(tmp_path):
    return (
        f"train={problems(tmp_path / 'train.jsonl', 0, 2)}",
        f"test={problems(tmp_path / 'test.jsonl', 10, 2)}",
    )


def evaluate(run, files, *words):
    given = ("--tokens", "5", "--shots", "0", "--batch_size", "1", "--fast_steps", "1", *words)
    return ltm("evaluate", run, "--suite", "gsm8k", *given, "--files", *files)


def pieces(run):
    path = run / "evaluation" / "gsm8k-rethinking-fast_steps-1" / "results.json"
    return json.loads(path.read_text(encoding="utf-8"))["pieces"]


def test_all_methods_are_in_one_table_and_an_interrupted_evaluation_goes_on(copy, files, tmp_path, monkeypatch, capsys):
    whole = shutil.copytree(copy, tmp_path / "whole")
    assert evaluate(whole, files, "--rethink", "1", "0") == 0
    out = capsys.readouterr().out
    for name in ("rethinking, the last answer", "majority vote", "best attempt by the ELBO", "decoder at z = 0 (twin)"):
        assert name in out
    made = {path.name for path in (whole / "evaluation" / "gsm8k-rethinking-fast_steps-1").iterdir()}
    tables = {"records.csv", "results.json", "settings.json", "table.md"}
    assert made == {*tables, *(f"accuracy-by-passes.{kind}" for kind in KINDS)}
    compare, calls = rethinking.compare, []

    def interrupted(*given):
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return compare(*given)

    monkeypatch.setattr(rethinking, "compare", interrupted)
    assert evaluate(copy, files, "--rethink", "0", "1") == 130
    assert "1 of 2 are done" in capsys.readouterr().err
    assert evaluate(copy, files, "--rethink", "0", "1", "--resume") == 0
    assert pieces(copy) == pieces(whole)
    assert evaluate(copy, files, "--rethink", "0", "1", "--keep", "elbo", "--resume") == 2


def test_right_answers_are_counted_by_method(copy, files, monkeypatch, capsys):
    """By the text of an answer, whatever the model: a vote is right where the others are wrong."""

    def answered(solver, prompts, rounds, keep, seed):
        asked = [10 + seed[-1]]  # the first problem of the batch, and the only one
        numbers = {"rounds": 1, "attempts": 2, "passes": 10}
        methods = (("rethinking-last", "#### 3"), ("vote", "#### {}"), ("greedy", "say {}"))
        return [[{"method": m, "answer": text.format(n), **numbers} for m, text in methods] for n in asked]

    monkeypatch.setattr(rethinking, "compare", answered)
    assert evaluate(copy, files, "--rethink", "1") == 0
    found = [record for records in pieces(copy).values() for record in records]
    right = {
        name: sum(r["right"] for r in found if r["method"] == name) for name in ("rethinking-last", "vote", "greedy")
    }
    assert right == {"rethinking-last": 0, "vote": 2, "greedy": 0}
    assert sum(record["answered"] for record in found) == 4
    assert "100.00 [34.24, 100.00]" in capsys.readouterr().out


def test_bad_input_gets_one_clear_error(copy, reference, files, capsys):
    for run, words, message in [
        (copy, ("--rethink", "1", "--attempts", "3"), "--attempts 3: with --rethink there are as many attempts as"),
        (copy, ("--keep", "elbo"), "--keep elbo: without rethinking there is one answer"),
        (copy, ("--rethink", "-1"), "--rethink -1: expected 0 or more"),
        (reference, ("--rethink", "1"), "this model has none"),
    ]:
        assert evaluate(run, files, *words) == 2
        assert message in capsys.readouterr().err
    assert not (reference / "evaluation" / "gsm8k-rethinking-fast_steps-1").exists()
