"""The Python front door: a run is opened, scored, asked for posteriors and written with; priors are compared."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from runs import TINY, ltm, train, write_corpus

import ltm_pyro
from ltm_pyro.errors import InputError
from ltm_pyro.runs.config import as_dict, complete, merged, value_of, without

TEXTS = ["the people of the union and the war of the year " * 3, "a thought", "peace and congress of the people"]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("front")
    corpus = write_corpus(folder / "corpus.jsonl", documents=20)
    assert train(corpus, folder / "windows") == 0
    assert train(corpus, folder / "documents", "--data.mode", "documents") == 0
    assert train(corpus, folder / "exact", model="autoregressive") == 0
    return folder


@pytest.fixture
def run(shelf):
    return ltm_pyro.load(shelf / "windows")


def test_the_held_out_text_costs_what_ltm_evaluate_says(shelf, run, capsys):
    assert ltm("evaluate", shelf / "windows", "--draws", "2", "--limit", "3", "--fixed_noise", "false") == 0
    table = run.table(draws=2, limit=3)
    rows = 7  # below them stands how the fit was checked, which is of fewer steps in tests
    assert capsys.readouterr().out.splitlines()[:rows] == table.splitlines()[:rows]
    records = run.score(draws=2, limit=3)
    scores = run.evaluate(draws=2, limit=3).scores
    assert [record["elbo"] for record in records] == scores["elbo"].nats.tolist()
    assert all("corpus.jsonl" in record["text"] for record in records)


@pytest.mark.parametrize("name", ["windows", "documents"])
def test_a_record_for_each_text(shelf, name):
    run = ltm_pyro.load(shelf / name)
    records = run.score(TEXTS, draws=2)
    assert [record["text"] for record in records] == [0, 1, 2]
    whole = [len(run.tokenizer.encode(text)) + 1 for text in TEXTS]
    longest = run.settings["data"]["length"]
    assert [record["tokens"] for record in records] == [min(n, longest) if name == "documents" else n for n in whole]
    if name == "windows":
        assert [record["bytes"] for record in records] == [len(text.encode()) for text in TEXTS]
    for record in records:
        assert record["importance_weighted"] <= record["elbo"] + 1e-4 or record["elbo"] > 0
        assert 0 < record["predictive_tokens"] <= record["tokens"]
        assert all(isinstance(value, int | float) for value in record.values())


def test_texts_are_scored_each_for_itself(run):
    """Beside other texts a text costs the same, but for the noise of its draws: sums over its own windows alone."""
    alone = run.score([TEXTS[0]], draws=64)[0]
    beside = run.score(TEXTS, draws=64)[0]
    assert {name: alone[name] for name in ("tokens", "bytes")} == {name: beside[name] for name in ("tokens", "bytes")}
    assert alone["elbo"] == pytest.approx(beside["elbo"], rel=0.02)
    assert alone["elbo"] != pytest.approx(run.score(TEXTS, draws=64)[2]["elbo"], rel=0.2)


def test_windows_are_conditioned_on_the_token_before_and_on_no_other_text(run):
    from ltm_pyro.data import text_sequences

    tokenizer, length = run.tokenizer, run.settings["data"]["length"]
    cut = text_sequences("windows", TEXTS, tokenizer, length)
    ids = [[*tokenizer.encode(text), tokenizer.eos_id] for text in TEXTS]
    for number, whole in enumerate(ids):
        own = [cut.sequences.batch([i]) for i in np.flatnonzero(cut.texts == number)]
        scored = [batch.x[0] if batch.mask is None else batch.x[0][batch.mask[0]] for batch in own]
        assert torch.cat(scored).tolist() == whole
        before = [tokenizer.eos_id, *(whole[i - 1] for i in range(length, len(whole), length))]
        assert [int(batch.previous) for batch in own] == before


def test_posteriors_are_those_of_the_fit(run):
    found = run.posterior(TEXTS)
    count = len(found.texts)
    assert found.texts.tolist() == sorted(found.texts.tolist())
    assert found.mean.shape == found.standard_deviation.shape == (count, *run.guide.z_shape)
    assert torch.equal(found.mean, run.posterior(TEXTS).mean)
    torch.manual_seed(0)
    draws = found.draws(2000)
    assert draws.shape == (2000, count, *run.guide.z_shape)
    error = (draws.mean(0) - found.mean).abs() / (found.standard_deviation / 2000**0.5)
    assert error.max() < 6
    assert not torch.allclose(found.mean[0], found.mean[-1])


def test_texts_are_written_and_the_global_noise_is_left_alone(run):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    two = run.write("the people", samples=2, tokens=5, seed=1)
    ltm_pyro.load(run.folder)
    run.score(["the people"], draws=1)
    run.posterior(["the people"])
    assert torch.equal(torch.rand(1), expected)
    assert len(two) == 2
    assert all(text.startswith("the people") for text in two)
    assert two == run.write("the people", samples=2, tokens=5, seed=1)
    assert two != run.write("the people", samples=2, tokens=5, seed=2)


def test_a_run_without_latents(shelf):
    run = ltm_pyro.load(shelf / "exact")
    (record,) = run.score(["the people of the union"])
    assert set(record) == {"text", "tokens", "bytes", "predictive_tokens", "exact", "predictive"}
    with pytest.raises(InputError, match="without latents"):
        run.posterior(["the people"])
    assert "no latents" in repr(run)


def test_what_it_has_learned_is_drawn(run):
    assert len(run.learning_figure().axes) == 3


def test_its_figures_have_names(run, shelf):
    texts = ["the people of the union", "the state of the nation", "the people"]
    found = run.figures(texts, draws=2, fast_steps=2)
    assert list(found) == ["learning", "thoughts", "probe", "map"]
    assert len(found["map"].axes[0].collections[0].get_offsets()) == len(run.posterior(texts).mean)
    assert list(ltm_pyro.load(shelf / "exact").figures()) == ["learning"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda run: run.score("one text"), "expected a list of texts, not one"),
        (lambda run: run.score(["fine", ""]), "text 1 is empty"),
        (lambda run: run.score(["fine", 7]), "text 1 is no text but a int"),
        (lambda run: run.score([]), "there is no text"),
        (lambda run: run.score(["fine"], draws=0), "draws"),
        (lambda run: run.write(samples=0), "samples"),
        (lambda run: run.write(temperature=-1), "temperature"),
        (lambda run: ltm_pyro.load(run.folder, "step-7"), "no checkpoint"),
        (lambda run: ltm_pyro.load(run.folder, device="gpu"), "device gpu"),
        (lambda run: ltm_pyro.load("nowhere"), "not a run"),
        (lambda run: ltm_pyro.recipe("tinny"), "did you mean 'tiny'"),
    ],
)
def test_bad_input_gets_one_line(run, call, message):
    with pytest.raises(InputError, match=message):
        call(run)


def test_settings_are_equal_however_they_were_given():
    assert merged({"train": {"draws": 8}}) == merged({}, {"train.draws": 8})
    config = complete(merged(ltm_pyro.recipe(), {"train.draws": 8}))
    assert as_dict(complete(as_dict(config))) == as_dict(config)
    assert value_of(as_dict(config), "train.draws") == 8
    assert value_of(without(as_dict(config), "train.draws"), "train.draws") is None
    assert value_of(as_dict(config), "train.draws.nothing") is None


def test_nothing_that_is_merged_is_altered():
    base = {"train": {"steps": 1}, "prior": {"class_path": "LaplacePrior", "init_args": {"scale": 2.0}}}
    before = json.dumps(base)
    changed = merged(base, {"train": {"steps": 2}, "prior.init_args.scale": 3.0})
    assert json.dumps(base) == before
    assert changed == {"train": {"steps": 2}, "prior": {"class_path": "LaplacePrior", "init_args": {"scale": 3.0}}}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train": {"stepz": 1}}, "stepz"),
        ({"train": {"steps": "many"}}, "steps"),
        ({"prior": {"class_path": "ltm_pyro.ELBO"}}, "prior"),
        (
            {"slow": {"optimizer": {"class_path": "subprocess.getoutput", "init_args": {"cmd": "touch PWNED"}}}},
            "getoutput",
        ),
        ({"train": {"steps": None}}, "train.steps is None"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        complete(merged(ltm_pyro.recipe(), settings))
    assert not Path("PWNED").exists()


def test_priors_are_compared_as_by_the_command(tmp_path, monkeypatch, shelf, capsys):
    from runs import arguments

    monkeypatch.chdir(tmp_path)
    base = merged(ltm_pyro.recipe(), TINY, {"corpus": str(shelf / "corpus.jsonl")})
    mixture = {"prior": {"class_path": "MixturePrior", "init_args": {"components": 2}}}
    study = ltm_pyro.studies.compare_priors(base, {"GaussianPrior": {}, "MixturePrior(components=2)": mixture}, out="a")
    words = ("--priors", "GaussianPrior", "MixturePrior(components=2)", "--out", "b")
    capsys.readouterr()
    assert ltm("compare", "priors", shelf / "corpus.jsonl", *arguments(TINY), *words) == 0
    four, *_ = study.table().split("## KL")
    assert four in capsys.readouterr().out
    pieces = [json.loads(Path(name, "results.json").read_text())["pieces"] for name in "ab"]
    for name in pieces[0]:
        if name.endswith("sequences"):
            assert pieces[0][name] == pieces[1][name]
    with pytest.raises(InputError, match="a holds another GaussianPrior"):
        ltm_pyro.studies.compare_priors(base, {"GaussianPrior": mixture}, out="a", resume=True)
    with pytest.raises(InputError, match="begun with another base"):
        ltm_pyro.studies.compare_priors(merged(base, {"train.steps": 5}), {"GaussianPrior": {}}, out="a", resume=True)
    again = ltm_pyro.studies.compare_priors(base, {"GaussianPrior": {}}, out="a", resume=True)
    assert [record["status"] for record in again.to_records()] == ["done"]


FEW = {"passes": 4, "long_steps": 6, "draws": 4, "long_draws": 4, "curve": (0, 2), "curve_sequences": 2, "rounds": 1}


def test_guides_are_compared_as_by_the_command(run, shelf, tmp_path, monkeypatch, capsys):
    from ltm_pyro.studies.guides import Sizes

    narrow = {"guide": {"class_path": "MeanFieldGuide", "init_args": {"sigma": 0.1}}}
    named = {"MeanFieldGuide": {}, "MeanFieldGuide(sigma=0.1)": narrow}
    found = ltm_pyro.studies.compare_guides(run, named, limit=3, sizes=Sizes(**FEW)).to_records()
    words = [f"--sizes.{name}={list(value) if isinstance(value, tuple) else value}" for name, value in FEW.items()]
    command = ("compare", "guides", shelf / "windows", "--guides", *named, "--limit", "3", "--out", tmp_path / "g")
    assert ltm(*command, *words) == 0
    pieces = json.loads((tmp_path / "g" / "results.json").read_text())["pieces"]
    everything = [record for piece in pieces.values() for record in piece]
    ours, theirs = ([r for r in records if r.get("budget") == "passes"] for records in (found, everything))
    assert [record["guide"] for record in ours] == [record["guide"] for record in theirs] != []
    for mine, other in zip(ours, theirs, strict=True):
        same = [name for name, value in other.items() if isinstance(value, float) and "second" not in name]
        assert len(same) > 3
        assert {name: mine[name] for name in same} == {name: other[name] for name in same}
    with pytest.raises(InputError, match="no thoughts"):
        ltm_pyro.studies.compare_guides(ltm_pyro.load(shelf / "exact"))


def test_models_are_compared_as_by_the_command(run, shelf, tmp_path, capsys):
    runs = {"windows": run, "exact": ltm_pyro.load(shelf / "exact")}
    study = ltm_pyro.studies.compare_models(runs, budgets=2, draws=2, limit=3)
    words = ("--budgets", "2", "--draws", "2", "--limit", "3", "--out", tmp_path / "m")
    capsys.readouterr()
    assert ltm("compare", "models", shelf / "windows", shelf / "exact", *words) == 0
    table, _ = study.table().split("A longer fit of q")  # which is of fewer steps where a test gives the command
    assert table in capsys.readouterr().out
    assert set(study.evaluations) == set(runs)
    with pytest.raises(InputError, match="budgets=0"):
        ltm_pyro.studies.compare_models(runs, budgets=0)
