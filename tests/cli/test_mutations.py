"""A sample of damaged files and odd words: one line, no traceback, no hang, no exit code 0 with nonsense."""

import os
import shutil
import sys
import time

import pytest
from runs import ltm

from benchmarks.mutations import verdict as verdicts
from benchmarks.mutations.mutants import BOMB, KINDS, Mutant, mutant
from benchmarks.mutations.verdict import judge

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="every mutant has a forked process")


@pytest.fixture(scope="module")
def mutable(tmp_path_factory, trained, corpus):
    folder = tmp_path_factory.mktemp("shelf")
    shutil.copytree(trained, folder / "run")
    shutil.copy(corpus, folder / "corpus.jsonl")
    return folder


@pytest.mark.parametrize("tenth", range(10))
def test_mutants_are_answered_in_one_line(mutable, tmp_path, tenth):
    numbers = range(4 * tenth, 4 * tenth + 4)
    found = [judge(mutant(1234, number), mutable, tmp_path / "place") for number in numbers]
    assert [(verdict.name, verdict.words, verdict.fault, verdict.err) for verdict in found if verdict.fault] == []


def hang(words):
    time.sleep(60)


def grow(words):
    return bytearray(16 * 2**30)


def say(out="", err="", code=0):
    def main(words):
        print(out)
        print(err, file=sys.stderr)
        return code

    return main


def fail(words):
    raise ValueError("unforeseen")


@pytest.mark.parametrize(
    ("main", "says"),
    [
        (hang, "it hangs"),
        (grow, "a traceback"),
        (fail, "a traceback"),
        (say(), "exit code 0, although"),
        (say(err="two\nltm: lines\nmore", code=2), "below the line"),
        (say(err="nothing", code=2), "without one line"),
        (say(code=3), "exit code 3"),
        (lambda words: os.kill(os.getpid(), 9), "killed by signal 9"),
        (say(err="thread '<unnamed>' panicked at x\nltm: x", code=2), "a traceback"),
    ],
)
def test_wrong_answers_are_noticed(mutable, tmp_path, monkeypatch, main, says):
    monkeypatch.setattr("ltm_pyro.cli.main.main", main)
    monkeypatch.setattr(verdicts, "SECONDS", 1)
    damaged = Mutant("any", lambda folder: None, ["evaluate", "run"], bears=True)
    assert says in judge(damaged, mutable, tmp_path / "place").fault


def test_a_table_of_nan_is_noticed(mutable, tmp_path, monkeypatch):
    whole = Mutant("none", lambda folder: None, ["evaluate", "run"])
    for out, fault in (("| ELBO | nan |", "nan in a table"), ("| ELBO | 1.0 | finance", "")):
        monkeypatch.setattr("ltm_pyro.cli.main.main", say(out))
        assert judge(whole, mutable, tmp_path / "place").fault == fault


def test_every_kind_occurs_and_a_mutant_is_the_same_again():
    assert len({mutant(0, number).name.split(": ")[0] for number in range(300)}) >= len(set(KINDS))
    assert mutant(3, 5)._replace(damage=None) == mutant(3, 5)._replace(damage=None)
    assert BOMB.count("\n") == 9


def test_an_undamaged_run_is_no_fault(mutable, tmp_path):
    whole = Mutant("none", lambda folder: None, ["generate", "run", "--tokens", "2"])
    verdict = judge(whole, mutable, tmp_path / "place")
    assert (verdict.code, verdict.fault) == (0, ""), verdict.err
    assert ltm("--version") == 0
