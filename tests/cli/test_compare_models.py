"""`ltm compare models`: runs of several kinds and tokenizers."""

import json

import pytest
from runs import ltm, train, write_corpus

from ltm_pyro.cli import compare_models


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """Runs of three kinds on one corpus, one of them with a tokenizer of its own, and one on other text."""
    shelf = tmp_path_factory.mktemp("models")
    corpus = write_corpus(shelf / "corpus.jsonl", documents=24)
    assert train(corpus, shelf / "ltm") == 0
    assert train(corpus, shelf / "ar", model="autoregressive") == 0
    assert train(corpus, shelf / "mdlm", model="masked-diffusion", data__vocabulary=300) == 0
    assert train(write_corpus(shelf / "other.jsonl", seed=1), shelf / "other", model="autoregressive") == 0
    return shelf


def test_a_table_and_a_figure(shelf, tmp_path, capsys):
    words = ("--out", tmp_path / "out", "--limit", "3", "--draws", "2", "--device_name", "a lathe")
    assert ltm("compare", "models", shelf / "ar", shelf / "ltm", shelf / "mdlm", *words) == 0
    out = capsys.readouterr().out
    for part in ("At equal tokens seen", "At equal training FLOPs", "At equal hours of training, a lathe"):
        assert part in out
    assert "diffusion ELBO, 2 draws of what is masked" in out
    assert "(not paired)" in out  # another tokenizer
    assert " ± " in next(line for line in out.splitlines() if line.startswith("| ltm") and "draws from q" in line)
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made == {"budgets.png", "budgets.svg", "records.csv", "results.json", "settings.json", "table.md"}
    kept = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))["pieces"]
    assert set(kept) == {"ar", "ltm", "mdlm"}


def test_an_interrupt_leaves_what_there_is(shelf, tmp_path, monkeypatch, capsys):
    score, calls = compare_models.score_run, []

    def interrupted(*given, **named):
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return score(*given, **named)

    monkeypatch.setattr(compare_models, "score_run", interrupted)
    words = ("--out", tmp_path / "out", "--limit", "2", "--draws", "2")
    assert ltm("compare", "models", shelf / "ar", shelf / "ltm", *words) == 130
    assert "1 of 2 runs were scored" in capsys.readouterr().err
    assert "At equal tokens" in (tmp_path / "out" / "table.md").read_text(encoding="utf-8")


def test_a_run_without_a_density_is_named_and_the_others_compare_without_it(shelf, tmp_path, capsys):
    assert train(shelf / "corpus.jsonl", tmp_path / "map", guide="MAPGuide") == 0
    why = "map has no number to compare: q of a MAPGuide has no density"
    words = ("--out", tmp_path / "out", "--limit", "2", "--draws", "2")
    assert ltm("compare", "models", tmp_path / "map", shelf / "ar", shelf / "ltm", *words) == 0
    assert f"left out: {why}" in capsys.readouterr().err
    table = (tmp_path / "out" / "table.md").read_text(encoding="utf-8")
    assert f"## Left out\n\n- {why}" in table
    assert "less ar, bits/byte" in table  # the first that can be compared
    assert not any(line.startswith("| map") for line in table.splitlines())
    kept = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))["pieces"]
    assert set(kept) == {"ar", "ltm"}
    assert ltm("compare", "models", tmp_path / "map", "--out", tmp_path / "none") == 2
    told = capsys.readouterr().err
    assert why in told
    assert "Train it with a guide that has one" in told
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("names", "message"), [(("ar", "other"), "hold out different texts"), (("ar", "ar"), "a run is named twice")]
)
def test_what_cannot_be_compared_is_refused(shelf, tmp_path, names, message, capsys):
    assert ltm("compare", "models", *(shelf / name for name in names), "--out", tmp_path / "out") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
