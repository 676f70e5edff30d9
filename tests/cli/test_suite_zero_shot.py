"""`ltm evaluate RUN --suite zero-shot` on local files, with the hub out of reach."""

import json
import shutil

import numpy as np
import pytest
from runs import ltm

import ltm_pyro
from ltm_pyro.data import Document, cut
from ltm_pyro.data.batches import in_order
from ltm_pyro.errors import InputError
from ltm_pyro.evaluation import Evaluator
from ltm_pyro.plots.saving import KINDS
from ltm_pyro.suites import zero_shot
from ltm_pyro.suites.zero_shot import suite
from ltm_pyro.training.run import Run


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def files(tmp_path):
    """Two sets' texts, in their own spelling."""
    sentences = [{"n": n, "sentence": "the people do n't own N shares of the union 's war"} for n in range(3)]
    (tmp_path / "ptb.jsonl").write_text("\n".join(map(json.dumps, sentences)), encoding="utf-8")
    rows = [{"text": f"peace and the model of year {n} , they say ."} for n in range(9)]
    (tmp_path / "lm1b.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return f"ptb={tmp_path / 'ptb.jsonl'}", f"lm1b={tmp_path / 'lm1b.jsonl'}"


def evaluate(run, *words):
    return ltm("evaluate", run, "--suite", "zero-shot", "--draws", "2", *words)


def results(run):
    return json.loads((run / "evaluation/zero-shot-draws-2/results.json").read_text(encoding="utf-8"))["pieces"]


def test_local_files_are_scored_and_what_is_missing_is_named(run, files, capsys):
    assert evaluate(run, "--sets", "ptb", "lm1b", "ag-news", "--files", *files) == 0
    out = capsys.readouterr().out
    assert [line.split("|")[1].strip() for line in out.splitlines()[2:5]] == ["PTB", "LM1B", "AG News"]
    assert "AG News is missing: tried to load fancyzhx/ag_news (test split)" in out
    assert "as --files ag-news=PATH" in out
    numbers = {record["number"] for record in results(run)["PTB"]}
    assert numbers == {"elbo", "importance_weighted", "prior", "predictive", "prior_predictive"}
    made = {path.name for path in (run / "evaluation/zero-shot-draws-2").iterdir()}
    assert made == {*(f"sets.{kind}" for kind in KINDS), "records.csv", "results.json", "settings.json", "table.md"}


def test_a_total_is_the_sum_over_documents_whatever_the_batch(reference, files, tmp_path):
    """Of an autoregressive run, whose numbers have no noise."""
    totals = []
    for size in ("1", "4"):
        copy = shutil.copytree(reference, tmp_path / f"run-{size}")
        words = ("--sets", "lm1b", "--files", files[1], "--mode", "documents", "--batch_size", size)
        assert evaluate(copy, *words) == 0
        (record,) = (record for record in results(copy)["LM1B"] if record["number"] == "exact")
        assert record["sequences"] == 9
        totals.append(record["nats_per_token"] * record["tokens"])
    model, guide, fast, _ = Run.open(reference).load()
    tokenizer = Run.open(reference).tokenizer
    each = []
    for n in range(9):
        document = Document(f"peace and the model of year {n}, they say.", "", "")
        sequences = cut("documents", [document], tokenizer, model.decoder.length)
        found = Evaluator(model, guide, fast, draws=1).evaluate(in_order(sequences, 1, None))
        each.append(found.scores["exact"].nats.sum())
    np.testing.assert_allclose(totals, [sum(each)] * 2, rtol=1e-5)


def test_an_interrupted_evaluation_goes_on(run, files, monkeypatch, capsys):
    score, calls = suite.score_run, []

    def interrupted(*given, **named):
        calls.append(named)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return score(*given, **named)

    monkeypatch.setattr(suite, "score_run", interrupted)
    words = ("--sets", "ptb", "lm1b", "--files", *files)
    assert evaluate(run, *words) == 130
    assert "1 of 2 sets are scored; the same command with --resume continues" in capsys.readouterr().err
    assert set(results(run)) == {"PTB"}
    first = results(run)["PTB"]
    assert evaluate(run, *words, "--resume") == 0
    assert results(run)["PTB"] == first
    assert set(results(run)) == {"PTB", "LM1B"}
    assert len(calls) == 3
    assert evaluate(run, *words, "--resume", "--seed", "4") == 2


def test_what_was_measured_of_another_checkpoint_is_not_gone_on_with(run, files, capsys):
    words = ("--sets", "lm1b", "--files", files[1])
    first, *_, last = Run.open(run).checkpoints.steps()
    assert evaluate(run, *words, "--checkpoint", str(first)) == 0
    assert evaluate(run, *words, "--checkpoint", "latest", "--resume") == 2
    told = capsys.readouterr().err
    assert f"zero-shot-draws-2-step-{last} holds nothing to resume" in told
    assert evaluate(run, *words, "--checkpoint", str(first), "--resume") == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--sets", "ptbb"), "did you mean 'ptb'?"),
        (("--files", "nothing"), "expected SET=PATH"),
        (("--mode", "lines"), "expected windows or documents"),
        (("--sets", "ptb", "--files", "ptb=nowhere.txt"), "nowhere.txt"),
        (("--limit", "0"), "--limit 0: expected 1 or more"),
        (("--sets", "ag-news"), "no set could be loaded"),
    ],
)
def test_bad_input_gets_one_clear_error(run, words, message, capsys):
    assert evaluate(run, *words) == 2
    assert message in capsys.readouterr().err


def test_sets_are_added_and_one_of_another_file_is_refused(run, files, tmp_path, capsys):
    assert evaluate(run, "--sets", "ptb", "--files", files[0]) == 0
    first = results(run)["PTB"]
    assert evaluate(run, "--sets", "ptb", "lm1b", "--files", *files, "--resume") == 0
    assert results(run)["PTB"] == first
    assert set(results(run)) == {"PTB", "LM1B"}
    other = shutil.copy(tmp_path / "lm1b.jsonl", tmp_path / "other.jsonl")
    assert evaluate(run, "--sets", "lm1b", "--files", f"lm1b={other}", "--resume") == 2
    assert "LM1B was scored from" in capsys.readouterr().err


def test_a_file_without_the_field_is_refused_before_anything_is_scored(run, files, tmp_path, capsys):
    (tmp_path / "arxiv.jsonl").write_text('{"source": "we prove a bound", "title": "A bound"}\n', encoding="utf-8")
    words = ("--sets", "lm1b", "arxiv", "--files", files[1], f"arxiv={tmp_path / 'arxiv.jsonl'}")
    assert evaluate(run, *words) == 2
    said = capsys.readouterr().err
    assert "has no field 'text'. Its fields: source, title. Name the field to read 'article', as on the hub" in said
    assert "--data.field" not in said
    assert not (run / "evaluation/zero-shot-draws-2/results.json").exists()


def test_an_unknown_suite_is_refused(run, capsys):
    assert ltm("evaluate", run, "--suite", "zeroshot") == 2
    assert "did you mean 'zero-shot'?" in capsys.readouterr().err


def test_from_python_an_opened_run_is_scored_as_its_folder_is(run, files, capsys):
    named = {"sets": ["lm1b"], "files": {"lm1b": files[1].partition("=")[2]}, "draws": 2}
    found = zero_shot.evaluate(ltm_pyro.load(run), **named)
    assert found.folder == run / "evaluation/zero-shot-draws-2"
    assert found.table in capsys.readouterr().out
    assert evaluate(run, "--sets", "lm1b", "--files", files[1], "--resume") == 0  # the same settings
    assert [record["number"] for record in found.records] == [record["number"] for record in results(run)["LM1B"]]
    with pytest.raises(InputError, match=r"limit=0: expected 1 or more"):
        zero_shot.evaluate(run, limit=0)
