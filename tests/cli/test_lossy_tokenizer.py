"""A tokenizer that loses text is told per token alone, in every table."""

import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from runs import ltm, metrics, train
from tokenizers import normalizers

from ltm_pyro.data import Tokenizer

FEW = ("--draws", "2", "--limit", "2")


@pytest.fixture(scope="module")
def lossy(shelf, corpus):
    """A run whose tokenizer lowers case, on text with capitals."""
    text = corpus.read_text().replace('"text": "', '"text": "The People ')
    (shelf / "capitals.jsonl").write_text(text)
    assert train(shelf / "capitals.jsonl", shelf / "keeps", train__steps=3) == 0
    tokenizer = Tokenizer.load(shelf / "keeps" / "tokenizer.json")
    tokenizer.backend.normalizer = normalizers.Lowercase()
    tokenizer.save(shelf / "lower.json")
    words = ("--data.tokenizer", str(shelf / "lower.json"))
    assert train(shelf / "capitals.jsonl", shelf / "lossy", *words, train__steps=3) == 0
    return shelf / "lossy"


def test_training_and_evaluation_say_what_is_lost(lossy, capsys):
    assert ltm("evaluate", lossy, *FEW) == 0
    out = capsys.readouterr().out
    assert "No bits/byte: the tokenizer loses " in out
    assert " % of the characters: case. That is so in 4 of 4 documents" in out
    assert all(line.split("|")[3].strip() == "–" for line in out.splitlines() if line.startswith("| ELBO"))
    assert "nan" not in out
    assert (lossy / "evaluation/validation.md").read_text().count("No bits/byte: the tokenizer loses") == 1
    told = [record["validation"]["bits_per_byte"] for record in metrics(lossy) if "validation" in record]
    assert told
    assert all(math.isnan(value) for bits in told for value in bits.values())


def test_the_same_text_whole_has_bits(lossy, shelf, capsys):
    assert ltm("evaluate", shelf / "keeps", *FEW) == 0
    out = capsys.readouterr().out
    assert "No bits/byte" not in out
    assert "bytes; ±" in out


def test_comparisons_leave_it_out_and_name_the_reason(lossy, shelf, tmp_path, capsys):
    keeps = shelf / "keeps"
    assert ltm("compare", "models", keeps, lossy, "--out", tmp_path / "out", *FEW) == 0
    assert "lossy has no validation in bits per byte to compare: its tokenizer loses text" in capsys.readouterr().err
    assert ltm("evaluate", keeps, "--baseline", lossy, *FEW) == 0
    assert "Baseline: No bits/byte: the tokenizer loses" in capsys.readouterr().out


def test_text_sets_are_told_likewise(lossy, tmp_path, capsys):
    copy = shutil.copytree(lossy, tmp_path / "run")
    for name, text in (("capitals", "The Peace"), ("small", "the peace")):
        (tmp_path / f"{name}.jsonl").write_text(
            "\n".join(json.dumps({"text": f"{text} of year {n}"}) for n in range(4))
        )
    files = (f"ag-news={tmp_path / 'capitals.jsonl'}", f"lm1b={tmp_path / 'small.jsonl'}")
    words = ("--suite", "zero-shot", "--sets", "ag-news", "lm1b", "--draws", "2")
    assert ltm("evaluate", copy, *words, "--files", *files) == 0
    out = capsys.readouterr().out
    assert "AG News: No bits/byte: the tokenizer loses" in out
    assert "LM1B: No bits/byte" not in out


def test_a_tokenizer_put_in_the_place_of_the_runs_own_is_noticed(lossy, shelf, tmp_path, capsys):
    copy = shutil.copytree(shelf / "keeps", tmp_path / "run")
    shutil.copy(lossy / "tokenizer.json", copy / "tokenizer.json")
    assert ltm("evaluate", copy, *FEW) == 2
    assert "is a checkpoint of another configuration" in capsys.readouterr().err
    assert Path(copy / "evaluation/validation.md").is_file()


def test_tasks_that_divide_by_bytes_are_told_nothing(lossy):
    pytest.importorskip("lm_eval")
    from ltm_pyro.suites.harness.model import HarnessModel

    model = HarnessModel.from_run(lossy, draws=2)
    requests = [SimpleNamespace(args=(text,), task_name="whole", doc_id=n) for n, text in enumerate(["A War", "a war"])]
    lost, kept = model.loglikelihood_rolling(requests)
    assert math.isnan(lost)
    assert math.isfinite(kept)
    assert "1 of 2 documents" in model.round_trip.remark()
