"""The study of latents: tables are read, sizes matched, cells found again, and costs paired as by hand."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from runs import write_corpus

from benchmarks.latent_value import records
from benchmarks.latent_value.__main__ import QUICK, main
from benchmarks.latent_value.matching import matched_inner, parameters_of, with_inner
from benchmarks.latent_value.records import FULL, THOUGHTS, TWIN, key_of
from benchmarks.latent_value.study import Corpus, LatentValueStudy, Measurement
from benchmarks.latent_value.table import TABLES, read_table
from benchmarks.latent_value.twins import FULL_NAME
from ltm_pyro.errors import InputError
from ltm_pyro.evaluation import Score
from ltm_pyro.runs.config import complete, merged, recipe
from ltm_pyro.studies.runner import TrialRunner
from ltm_pyro.studies.trial import Trial

OURS = sorted(path.stem for path in TABLES.glob("*.yaml"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = write_corpus(tmp_path_factory.mktemp("earn") / "stories.jsonl", documents=20)
    return f"{path} --data.validation 0.2"


def table_of(folder, **rows):
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({"about": "Mine", "rows": rows}, sort_keys=False), encoding="utf-8")
    return str(path)


# ---- tables


def planned(folder, table, corpus, seeds=(0,), tokens=256):
    """The trials of a study."""
    return LatentValueStudy(
        read_table(table, QUICK), [Corpus.named(corpus)], seeds, tokens, Measurement(8, 2, 2), out=folder / "study"
    ).trials


@pytest.mark.parametrize("name", OURS)
def test_every_table_of_ours_is_made_of_settings(name, corpus, tmp_path):
    found = [trial.about for trial in planned(tmp_path, name, corpus)]
    assert {about["kind"] for about in found} == {THOUGHTS, TWIN, FULL}
    assert all(about["twin"] in [other["row"] for other in found] for about in found if about["kind"] == THOUGHTS)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ({"a": {"train.seed": 1}}, "train.seed is not for a table: give the seeds by --seeds"),
        ({"a": {"data.length": 8}}, "all rows are scored on the same texts"),
        ({"a": {"start_from": "b"}, "b": {}}, "start_from='b': expected the name of a row above it"),
        ({"a": {"tokens": 2}}, "tokens=2: expected a share"),
        (
            {"a": {"decoder.windows": 4}},
            "there is no argument --decoder.windows. Did you mean --decoder.window",
        ),
        ({"a b": {}, "a-b": {"fast.steps": 3}}, "the name differs from another by punctuation alone"),
        ({}, "expected `rows`"),
    ],
)
def test_what_a_table_may_not_say_is_refused(rows, reason, tmp_path, corpus):
    with pytest.raises(InputError, match=reason):
        planned(tmp_path, table_of(tmp_path, **rows), corpus)


def test_an_unknown_table_is_refused_with_those_that_come_near():
    with pytest.raises(InputError, match="there is no table windows: did you mean 'window'"):
        read_table("windows")


def test_some_rows_of_a_table_bring_what_they_start_from():
    table = read_table("later")
    assert [row.name for row in table.only([table.rows[2].name]).rows] == [row.name for row in table.rows[1:3]]
    with pytest.raises(InputError, match="--rows 'thought from the start': did you mean 'thoughts from the start'"):
        table.only(["thought from the start"])


# ---- sizes


@pytest.mark.parametrize(
    "settings",
    [
        recipe(),
        merged(recipe(), {"prior": "MixturePrior", "prior.components": 8}),
        recipe("large"),
    ],
)
def test_the_twin_has_as_many_parameters(settings):
    ours, twin = (complete(merged(settings, {"model": model})) for model in ("latent-thought", "autoregressive"))
    count = parameters_of(ours, 2048)
    inner = matched_inner(twin, count, 2048)
    assert parameters_of(with_inner(twin, inner), 2048) == pytest.approx(count, rel=0.02)
    assert parameters_of(with_inner(twin, inner + 8), 2048) - count > 0  # the next one has more
    assert inner % 8 == 0


def test_where_none_comes_near_that_is_said():
    config = complete(merged(recipe(), {"model": "autoregressive", "decoder.width": 16, "decoder.layers": 1}))
    with pytest.raises(InputError, match="no autoregressive decoder of width 16 and 1 layers has within 2 %"):
        matched_inner(config, 1000, 2048)


def test_rows_share_a_twin_where_one_serves(tmp_path, corpus):
    rows = {"a": {}, "b": {"fast.steps": 3}, "c": {"decoder.window": 8}, "d": {"model": "autoregressive"}}
    found = planned(tmp_path, table_of(tmp_path, **rows), corpus, seeds=(0, 1))
    twins = {trial.about["row"]: trial.about["twin"] for trial in found}
    assert twins["a"] == twins["b"] != twins["c"]
    assert twins["d"] is None
    assert [trial.about["kind"] for trial in found if trial.seed == 0] == [
        TWIN,
        TWIN,
        FULL,
        THOUGHTS,
        THOUGHTS,
        THOUGHTS,
        TWIN,
    ]
    full = next(trial for trial in found if trial.about["row"] == FULL_NAME)
    assert full.settings["decoder"]["window"] == 32


def test_a_corpus_of_its_own_arguments_wins_over_the_base_and_a_row_over_both(tmp_path, corpus):
    base = {"decoder.window": 3, "data.length": 16}
    table = read_table(table_of(tmp_path, base={}, own={"decoder.window": 7}), {**QUICK, **base})
    longer = Corpus.named(f"{corpus} --data.length=24 --decoder.window 5")
    assert longer.name == "stories-24"
    found = LatentValueStudy(table, [longer], tokens=256, out=tmp_path / "study").trials
    told = {trial.about["row"]: complete(trial.settings) for trial in found}
    assert {config.data.length for config in told.values()} == {24}
    assert {told[row].decoder.window for row in ("base", "own", FULL_NAME)} == {5, 7, 24}
    thinking = [trial.about for trial in found if trial.about["kind"] == THOUGHTS]
    twins = {about["row"]: told[about["twin"]].decoder.window for about in thinking}
    assert twins == {"base": 5, "own": 7}


# ---- results


TOKENS = np.array([9, 8, 12, 5, 16, 7])


def result(seed, **numbers):
    """The result of a trial: costs around these, nats per token, that a seed gives."""
    draw, columns = np.random.default_rng(seed), {"tokens": TOKENS.tolist(), "bytes": (3 * TOKENS).tolist()}
    costs = {name: (mean * TOKENS + draw.normal(size=6)).tolist() for name, mean in numbers.items()}
    sequences = [{"number": name, "nats": nats, **columns} for name, nats in costs.items()]
    means = {f"{name}_nats_per_token": sum(nats) / TOKENS.sum() for name, nats in costs.items()}
    record = {"tokens": 100, "train_seconds": 2.0, "parameters": 10, "parameters_model": 10, "parameters_guide": 0}
    scored = {"validation": {"numbers": {"sequences": 6, "draws": 2, **means}, "sequences": sequences}}
    curve = [{"step": 1, "tokens": 50, "seconds": 1.0, "exact": -2.0}]
    return {"status": "done", "record": record, "cpu_seconds": 3.0, "scored": scored, "curve": curve}


def three_trials(seeds=2):
    rows = [("ar", TWIN, None), ("row", THOUGHTS, "ar")]
    return [
        Trial(
            f"text: {name}",
            seed,
            key_of("text", name, seed),
            {"train": {"steps": 10}},
            f"text-ar-seed-{seed}" if twin else None,
            {"corpus": "text", "row": name, "kind": kind, "twin": twin, "full": None},
        )
        for seed in range(seeds)
        for name, kind, twin in rows
    ]


def test_differences_are_paired_text_by_text_and_seed_by_seed():
    study = three_trials()
    found = {
        trial.key: result(10 + place, exact=2.0, predictive=2.1) if trial.about["kind"] == TWIN
        else result(10 + place, elbo=1.9, importance_weighted=1.8, prior=2.2, predictive=2.0)
        for place, trial in enumerate(study)
    }  # fmt: skip
    *_, last = records.run_records(study, found)
    nats = {
        key: {r["number"]: np.array(r["nats"]) for r in value["scored"]["validation"]["sequences"]}
        for key, value in found.items()
    }
    gaps = [nats[f"text-row-seed-{s}"]["elbo"] - nats[f"text-ar-seed-{s}"]["exact"] for s in (0, 1)]
    assert last["elbo_minus_autoregressive"] == pytest.approx(gaps[1].sum() / TOKENS.sum())
    summary = records.summaries(study, found)[1]
    mean = Score("", (gaps[0] + gaps[1]) / 2, TOKENS, TOKENS)
    assert summary["elbo_minus_autoregressive"] == pytest.approx(mean.nats_per_token)
    assert summary["elbo_minus_autoregressive_error"] == pytest.approx(mean.standard_error)
    each = [gap.sum() / TOKENS.sum() for gap in gaps]
    assert summary["elbo_minus_autoregressive_seed_error"] == pytest.approx(abs(each[0] - each[1]) / 2)
    assert {"predictive_minus_autoregressive", "prior_minus_autoregressive"} <= set(summary)
    assert (last["tokens"], last["tokens_before"]) == (100, 100)
    assert records.curves(study, found)[1]["tokens"] == 150  # it goes on where the one before it has ended


def test_without_its_twin_a_row_has_no_difference_and_failures_are_told():
    study = three_trials(1)
    found = {study[0].key: {"status": "failed", "reason": "why"}, study[1].key: {"status": "failed", "reason": "too"}}
    assert records.summaries(study, found) == []
    assert records.failures(study, found) == ["text: ar, seed 0: why", "text: row, seed 0: too"]


# ---- the command


def earn(*words):
    return main([str(word) for word in words])


@pytest.mark.slow  # four runs, each in a process of its own
@pytest.mark.figures
def test_a_study_is_carried_out_kept_and_found_again(tmp_path, corpus, capsys, monkeypatch):
    table = table_of(tmp_path, plain={"model": "autoregressive"}, later={"start_from": "plain", "fast.steps": 3})
    out, words = tmp_path / "out", ("--corpus", corpus, "--quick", "--out", tmp_path / "out", "--processes", "2")
    assert earn(table, *words) == 0
    printed = capsys.readouterr()
    assert "[4/4] stories: later, seed 0: ELBO " in printed.err
    assert "| later " in printed.out
    settings = json.loads((out / "settings.json").read_text(encoding="utf-8"))
    assert settings["command"] == ["python", "-m", "benchmarks.latent_value", "mine", "--quick", "--processes", "2"]
    assert (settings["corpora"], settings["tokens"]) == (["stories"], 768)
    assert str(tmp_path) not in json.dumps(settings)
    for name in ("learning", "compute", "differences"):
        assert (out / "figures" / f"{name}-stories.png").stat().st_size > 1000
    header, *lines = (out / "records.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 4
    assert "importance_weighted_minus_full_context_error" in header
    table_then = (out / "table.md").read_text(encoding="utf-8")

    monkeypatch.setattr(TrialRunner, "_start", lambda self, key: pytest.fail(f"{key} was begun again"))
    assert earn(table, *words, "--resume") == 0
    assert (out / "table.md").read_text(encoding="utf-8") == table_then
    with pytest.raises(SystemExit, match="2"):
        earn(table, *words, "--resume", "--tokens", "512")
    assert "was started with other arguments" in capsys.readouterr().err


@pytest.mark.slow
def test_an_interrupted_study_saves_and_goes_on(tmp_path, corpus):
    table = table_of(tmp_path, row={})
    words = [sys.executable, "-m", "benchmarks.latent_value", table, "--corpus", corpus, "--quick", "--points", "1"]
    words += ["--tokens", "400000", "--out", str(tmp_path / "out")]
    root = Path(__file__).parents[2]
    study = subprocess.Popen(words, cwd=root, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not list(tmp_path.glob("out/runs/*/metrics.jsonl")) and time.monotonic() < until:
        time.sleep(0.1)
    study.send_signal(signal.SIGINT)
    _, told = study.communicate(timeout=60)
    assert study.returncode == 130
    assert "Saving 1 runs; the same command with --resume continues them" in told
    (checkpoint,) = tmp_path.glob("out/runs/*/checkpoints/step-*")
    assert 0 < int(checkpoint.name.removeprefix("step-")) < 3000
    assert not list(tmp_path.glob("out/cells/*/result.json"))
