"""`ltm scale`: a grid, resumable, by several processes."""

import json
import os
import re
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from runs import PRETRAINED, TINY, arguments, ltm, newest, write_corpus

from ltm_pyro.runs.config import merged, recipe
from ltm_pyro.studies.scale.study import ScaleStudy
from ltm_pyro.studies.study import Study
from ltm_pyro.training.run import Run

pytestmark = pytest.mark.usefixtures("here", "_forked_cells")
SIZES = {
    name: value for name, value in TINY.items() if name not in ("decoder.thoughts", "fast.steps", "decoder.window")
}
GRID = ("--fast_steps", "1", "2", "4", "--limit", "4")


def scale(corpus, *words, without=()):
    settings = {name: value for name, value in SIZES.items() if name not in without}
    return ltm("scale", corpus, "--out", "study", *words, *arguments(settings))


def results():
    return json.loads(Path("study/results.json").read_text(encoding="utf-8"))


def test_a_grid_is_trained_scored_drawn_and_goes_on(corpus, capsys):
    assert scale(corpus, *GRID, "--inference_steps", "2", "training") == 0
    out = capsys.readouterr().out
    for part in ("## The numbers", "## What training spends", "Loss against training FLOPs per token, spent"):
        assert part in out
    found = results()
    assert len(found["summary"]) == len(found["records"]) == 3 * 2  # models by T_fast at inference
    spent = {row["fast_steps"]: row["flops_per_token"] for row in found["summary"]}
    assert spent[1] < spent[2] < spent[4]
    assert spent[4] - spent[2] == pytest.approx(2 * (spent[2] - spent[1]))
    for row in found["summary"]:
        assert row["importance_weighted_nats_per_token"] > 0
    figures = {path.suffix for path in Path("study/figures").iterdir()}
    assert figures == {".png", ".svg", ".pdf", ".txt"}
    before = {path: path.stat().st_mtime_ns for path in Path("study/runs").glob("*/config.yaml")}
    assert len(before) == 3
    assert scale(corpus, *GRID, "--inference_steps", "2", "training", "--resume") == 0  # all is done
    assert (
        scale(corpus, *GRID, "--inference_steps", "2", "training", "--seeds", "0", "1", "--processes", "2", "--resume")
        == 0
    )
    assert {path: path.stat().st_mtime_ns for path in before} == before  # and nothing was done again
    assert len(list(Path("study/runs").glob("*/config.yaml"))) == 6
    assert {row["seeds"] for row in results()["summary"]} == {2}


@pytest.mark.slow
def test_a_cell_that_was_interrupted_goes_on_alone(corpus, capsys):
    Path("grid.yaml").write_text("thoughts: [1, 2]\n", encoding="utf-8")
    words = ("--grid", "grid.yaml", "--limit", "4")
    assert scale(corpus, *words) == 0
    whole = results()["summary"]
    (one,) = Path("study/cells").glob("*K1*")
    (one / "result.json").unlink()
    assert scale(corpus, *words) == 2
    assert "study is a comparison: continue it with --resume" in capsys.readouterr().err
    assert scale(corpus, *words, "--resume") == 0
    again = results()["summary"]
    same = [name for name in whole[0] if name.endswith("nats_per_token")]
    assert [[row[name] for name in same] for row in again] == [[row[name] for name in same] for row in whole]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "has no dimension: give one or more of fast_steps"),
        (("--fast_steps", "0"), "expected whole numbers from 1 on"),
        (("--width", "16", "16"), "expected one or more different values"),
        (("--thoughts", "1", "--seeds", "0", "0"), "expected different whole numbers"),
        (("--thoughts", "1", "--processes", "0"), "--processes 0: expected 1 or more"),
        (("--thoughts", "1", "--decoder.thoughts", "2"), "it is a dimension of this grid"),
        (("--thoughts", "1", "--run", "there"), "--run is --out now. `ltm scale --help` lists all arguments"),
        (("--thoughts", "1", "--model", "autoregressive"), "--model is not for a study of scale"),
        (("--thoughts", "1", "--guide", "MAPGuide"), "its guide has no density"),
        (("--layers", "-1"), "expected whole numbers from 1 on"),
        (("--grid", "nowhere.yaml"), "cannot be read"),
        (("--grid", "odd.yaml"), "'widths' is no dimension: did you mean 'width'?"),
        (("--grid.slow.learning_rat", "1"), "slow.learning_rat"),
        (("--grid.slow.weight_decay", "much"), "slow.weight_decay much: "),
        (("--grid.slow.weight_decay", "-1"), "slow.weight_decay -1: "),
        (("--grid.slow.weight_decay", "1", "1.0"), "expected one or more different values"),
        (("--grid.slow.learning_rate",), "--grid.slow.learning_rate: expected one or more values after it"),
        (("--grid.slow.clip", "1", "--grid.slow.clip", "2"), "--grid.slow.clip is given twice"),
        (
            ("--grid.slow.clip", "1", "2", "--slow.clip", "1"),
            "--slow.clip is not for a study of scale: it is",
        ),
        (
            ("--grid.data.length", "16", "32"),
            "data.length is no dimension of a grid: all models are trained and",
        ),
        (("--grid.train.seed", "1"), "train.seed is no dimension of a grid: give the seeds by --seeds"),
        (("--grid.train.keep", "1", "2"), "since it changes no weights; of `train` those are steps"),
        (("--grid.fast.steps", "2", "--fast_steps", "2"), "fast_steps is given twice, also as fast.steps"),
        (("--grid.prior", "GausianPrior"), "GaussianPrior"),
        (("--grid.prior", "MAPGuide"), "prior"),
        (("--grid.prior", "MixturePrior(components=0)"), "components"),
        (("--grid.guide", "MeanFieldGuide", "MAPGuide"), "guide MAPGuide: its guide has no density"),
    ],
)
def test_a_bad_grid_gets_one_clear_error_before_any_work(corpus, words, told, capsys):
    Path("odd.yaml").write_text("widths: [16]\n", encoding="utf-8")
    assert scale(corpus, *words) == 2
    assert told in capsys.readouterr().err
    assert not Path("study/runs").exists()


def test_the_numbers_are_those_of_ltm_evaluate_and_means_are_over_seeds(corpus):
    assert scale(corpus, "--thoughts", "2", "--inference_steps", "3", "--seeds", "0", "1", "--limit", "4") == 0
    means, nats, tokens = [], [], None
    for run in sorted(Path("study/runs").iterdir()):
        words = (
            "--checkpoint",
            "latest",
            "--fast_steps",
            "3",
            "--draws",
            "2",
            "--limit",
            "4",
            "--fixed_noise",
            "false",
        )
        assert ltm("evaluate", run, *words) == 0
        score = json.loads(newest(run / "evaluation", "*.json").read_text())["evaluation"]["scores"]["elbo"]
        (record,) = (one for one in results()["records"] if one["run"] == f"runs/{run.name}")
        assert record["elbo_nats_per_token"] == score["nats_per_token"]
        assert record["elbo_bits_per_byte"] == score["bits_per_byte"]
        cell = json.loads((Path("study/cells") / run.name / "result.json").read_text())
        (costs,) = (one for one in cell["scored"]["inference-3"]["sequences"] if one["number"] == "elbo")
        nats.append(np.array(costs["nats"]))
        tokens = np.array(costs["tokens"])
        means.append(score["nats_per_token"])
    (row,) = results()["summary"]
    assert row["seeds"] == 2
    assert row["all_thoughts"] == 4
    assert row["elbo_nats_per_token"] == pytest.approx(np.mean(means))
    assert row["elbo_seed_error"] == pytest.approx(np.std(means, ddof=1) / 2**0.5)
    mean = np.mean(nats, axis=0)
    residual = mean - tokens * mean.sum() / tokens.sum()
    error = (len(mean) / (len(mean) - 1) * (residual**2).sum()) ** 0.5 / tokens.sum()
    assert row["elbo_standard_error"] == pytest.approx(error)


@pytest.mark.slow
def test_models_differ_in_what_the_grid_says(corpus):
    Path("grid.yaml").write_text("layers: [1, 2]\nwidth: 32\nwindow: [2, 3]\n", encoding="utf-8")
    rest = {name: value for name, value in TINY.items() if name.split(".")[1] not in ("layers", "width", "window")}
    words = ("--out", "study", "--grid", "grid.yaml", "--width", "8", "--limit", "4")  # arguments override the file
    assert ltm("scale", corpus, *words, *arguments(rest)) == 0
    found = {}
    for run in Path("study/runs").iterdir():
        config = Run.open(run).config
        found[run.name] = (config.decoder.layers, config.decoder.width, config.decoder.window)
    assert sorted(found.values()) == [(1, 8, 2), (1, 8, 3), (2, 8, 2), (2, 8, 3)]
    laws = results()["laws"]
    assert [law["number"] for law in laws] == ["elbo", "importance_weighted"]
    assert all("there are 2 different budgets" in law["reason"] for law in laws)
    assert "no law can be fitted: it needs 3" in Path("study/table.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_killed_run_goes_on_by_itself_to_the_same_numbers(corpus):
    """The process is killed in the middle of training, after a checkpoint; the study begins it again, which goes on."""
    longer = {"corpus": str(corpus), "train.steps": 24, "train.save_every": 4, "train.evaluate_every": 24}
    base = merged(recipe(), SIZES, longer)
    studies = [ScaleStudy({"thoughts": [1]}, base, out=name, limit=4, processes=1) for name in ("left-alone", "killed")]
    studies[0].carry_out()
    thread = threading.Thread(target=studies[1].carry_out)
    thread.start()
    (cell,) = studies[1].trials
    saved = Path("killed/runs") / cell.key / "checkpoints"
    until = time.monotonic() + 120
    while not list(saved.glob("step-*")) and time.monotonic() < until:
        time.sleep(0.005)
    os.kill(studies[1].runner.running[cell.key].pid, signal.SIGKILL)
    thread.join(120)
    assert studies[1].runner.attempts == {cell.key: 2}
    log = [json.loads(line) for line in (saved.parent / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in log if "validation" not in record] == list(range(1, 25))
    ours, theirs = (study.summaries() for study in studies)
    same = [name for name in ours[0] if name.endswith(("nats_per_token", "bits_per_byte"))]
    assert same
    assert [ours[0][name] for name in same] == [theirs[0][name] for name in same]


def test_ctrl_c_leaves_tables_of_what_has_ended_and_the_command_goes_on(corpus, monkeypatch, capsys):
    tell = Study._on_end

    def interrupted(self, key):
        tell(self, key)
        raise KeyboardInterrupt

    words = ("--thoughts", "1", "2", "--limit", "4")
    with monkeypatch.context() as patched:
        patched.setattr(Study, "_on_end", interrupted)
        assert scale(corpus, *words) == 130
    out = capsys.readouterr().out
    assert out == Path("study/table.md").read_text(encoding="utf-8")
    assert len(results()["summary"]) == 1
    assert list(Path("study/figures").iterdir())
    assert scale(corpus, *words, "--resume") == 0
    assert "2 runs, 1 of them done" in capsys.readouterr().err
    assert len(results()["summary"]) == 2


def test_other_arguments_or_other_text_in_an_old_folder_are_refused(corpus, tmp_path, capsys):
    mine = write_corpus(tmp_path / "mine.jsonl")
    words = ("--thoughts", "1", "--limit", "4")
    assert scale(mine, *words) == 0
    assert ltm("scale", mine, "--out", "study", "--resume", *words, *arguments({**SIZES, "train.batch_size": 3})) == 2
    assert "was started with other arguments" in capsys.readouterr().err
    write_corpus(mine, seed=5)
    assert scale(mine, *words, "--seeds", "0", "1", "--resume") == 2
    assert "study holds runs on another text" in capsys.readouterr().err


def test_any_argument_is_a_dimension_of_numbers_and_of_classes(corpus):
    words = ("--grid.slow.learning_rate", "1e-3", "2e-2", "--grid.prior", "GaussianPrior", "StudentTPrior(df=4)")
    words += ("--fast_steps", "1", "2", "--limit", "4")
    assert scale(corpus, *words, without=["slow.learning_rate"]) == 0
    summary = results()["summary"]
    models = {(row["fast_steps"], row["slow.learning_rate"], row["prior"]) for row in summary}
    priors = ("GaussianPrior", "StudentTPrior(df=4)")
    assert models == {(steps, rate, prior) for steps in (1, 2) for rate in (0.001, 0.02) for prior in priors}
    for run in Path("study/runs").iterdir():
        config = Run.open(run).config
        assert (
            f"slow.learning_rate-{config.slow.learning_rate}-prior-{config.prior.class_path.split('.')[-1]}" in run.name
        )
        if "StudentT" in run.name:
            assert config.prior.init_args.df == 4
    table = Path("study/table.md").read_text(encoding="utf-8")
    assert "| learning_rate | prior | N_z |" in re.sub(" +", " ", table)
    assert "learning_rate = 0.001, prior = GaussianPrior: ELBO, T_fast at inference" in table
    laws = results()["laws"]
    assert len({law["among"] for law in laws}) == 4
    assert all("2 different budgets" in law["reason"] for law in laws)  # those of one group alone
    names = {path.stem for path in Path("study/figures").iterdir()}
    drawn = ("slow_learning_rate-", "fast-steps-", "flops-learning_rate-0_02-prior-GaussianPrior-")
    assert all(any(name.startswith(beginning) for name in names) for beginning in drawn)
    assert not any(name.startswith("prior") for name in names)  # no axis of numbers
    before = {path: path.stat().st_mtime_ns for path in Path("study/runs").glob("*/config.yaml")}
    assert scale(corpus, *words, "--resume", without=["slow.learning_rate"]) == 0
    assert {path: path.stat().st_mtime_ns for path in Path("study/runs").glob("*/config.yaml")} == before


@pytest.mark.slow
def test_dimensions_of_a_file_and_classes_with_their_own_arguments(corpus):
    text = "prior:\n- class_path: MixturePrior\nprior.components: [2, 3]\nfast.learning_rate: 1e-1\n"
    Path("grid.yaml").write_text(text, encoding="utf-8")
    words = ("--grid", "grid.yaml", "--thoughts", "1", "--limit", "4")
    assert scale(corpus, *words, without=["fast.learning_rate"]) == 0
    components = {Run.open(run).config.prior.init_args.components for run in Path("study/runs").iterdir()}
    assert components == {2, 3}
    assert {row["fast.learning_rate"] for row in results()["summary"]} == {0.1}


def test_thoughts_and_window_of_a_pretrained_decoder(corpus, base):
    given = ("--recipe", "pretrained", "--decoder.name", base, "--thoughts", "1", "2", "--limit", "4")
    assert ltm("scale", corpus, "--out", "study", *given, *arguments({**PRETRAINED, "fast.steps": 1})) == 0
    rows = results()["summary"]
    assert [row["thoughts"] for row in rows] == [1, 2]
    assert all("window" not in row for row in rows)
    assert rows[0]["all_thoughts"] < rows[1]["all_thoughts"]
    assert ltm("scale", corpus, "--out", "other", *given, "--width", "8", *arguments(PRETRAINED)) == 2
