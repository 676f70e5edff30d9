"""`ltm compare priors` trains as `ltm train`, reports what `ltm evaluate` does, goes on, and says what failed."""

import csv
import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from runs import TINY, arguments, checkpoint, ltm, newest, train, write_corpus

from ltm_pyro.cli.named_classes import parse_named
from ltm_pyro.errors import InputError
from ltm_pyro.runs.config import merged, recipe
from ltm_pyro.runs.session import Session
from ltm_pyro.studies.defaults import default_priors
from ltm_pyro.studies.priors.study import compare_priors
from ltm_pyro.studies.variants import folder_of

MIXTURE = "MixturePrior(components=2, unit=layer)"
TWO = ("--priors", "GaussianPrior", MIXTURE, "--seeds", "0", "1")
TIMED = {"train_seconds", "seconds_per_step", "seconds", "train_seconds_seed_error", "seconds_per_step_seed_error"}
SECTIONS = ("The four numbers", "KL(q ‖ p), nats/token", "Aggregated posterior q̄ against prior p", "Budget and cost")
FIGURES = ("four-numbers", "differences", "kl-per-layer", "aggregate", "learning")
OWN = '''
import torch
from pyro import distributions as dist
from torch import nn

from ltm_pyro import AbstractPrior


class Shifted(AbstractPrior):
    """A Gaussian beside zero."""

    def __init__(self, z_shape: tuple[int, int, int], shift: float = 1.0) -> None:
        super().__init__(z_shape)
        self.mu = nn.Parameter(torch.full(z_shape, shift))

    def forward(self) -> dist.Distribution:
        return dist.Normal(self.mu, 1.0).to_event(3)
'''


pytestmark = pytest.mark.usefixtures("here")


def compare(corpus, *words, **settings):
    changed = {name.replace("__", "."): value for name, value in settings.items()}
    return ltm("compare", "priors", corpus, *arguments({**TINY, **changed}), *words)


@pytest.fixture(scope="session")
def whole(shelf, corpus):
    """Two priors by two seeds; tests read it, and copy it before they change it."""
    assert compare(corpus, *TWO, "--out", shelf / "whole") == 0
    return shelf / "whole"


def untimed(record):
    return {key: value for key, value in record.items() if key not in TIMED}


def results(folder):
    """A comparison's pieces, without what a clock says."""
    pieces = json.loads((folder / "results.json").read_text())["pieces"]
    return {name: [untimed(record) for record in piece] for name, piece in pieces.items()}


def costs(folder, prior, number, seed):
    (found,) = (r for r in results(folder)[f"{prior} seed {seed} sequences"] if r["number"] == number)
    return np.array(found["nats"]), np.array(found["tokens"])


@pytest.mark.figures
def test_priors_are_compared(corpus, capsys):
    assert compare(corpus, "--priors", "GaussianPrior", MIXTURE, "--out", "out") == 0
    out, err = capsys.readouterr()
    folder = Path("out")
    assert out == (folder / "table.md").read_text()
    assert [line[3:] for line in out.splitlines() if line.startswith("## ")] == list(SECTIONS)
    assert "closed form" in out
    assert "Monte Carlo" in out
    assert "Equal tokens: 6 steps each." in out
    for name in FIGURES:
        assert (folder / "figures" / f"{name}.png").stat().st_size > 5000
        assert (folder / "figures" / f"{name}.svg").read_text().rstrip().endswith("</svg>")
    with (folder / "records.csv").open() as file:
        assert [row["prior"] for row in csv.DictReader(file)] == ["GaussianPrior", MIXTURE]
    about = json.loads((folder / "settings.json").read_text())
    assert about["command"][:3] == ["ltm", "compare", "priors"]
    assert about["seeds"] == [0]
    assert {"torch", "pyro"} <= set(about["versions"])
    assert "commit" in about
    assert f"[2/2] {MIXTURE}, seed 0" in err
    assert err.splitlines()[-1].startswith("Written to out: table.md, records.csv")


def test_a_record_has_all_that_is_asked(whole):
    (record,) = results(whole)[f"{MIXTURE} seed 1"]
    assert record["tokens"] == 6 * 4 * 16
    assert record["parameters_prior"] == 2 * (2 + 2 * 2 * 2 * 16)
    assert record["parameters"] > record["parameters_prior"]
    assert record["kl_kind"] == "Monte Carlo"
    assert record["density"] == "exact"
    assert 0 < record["mmd_p_value"] <= 1
    assert record["kl_layer_1"] + record["kl_layer_2"] == pytest.approx(record["kl_per_token"], abs=1e-5)
    assert record["steps"] == 6


def test_the_numbers_are_those_of_ltm_evaluate(whole):
    shutil.copytree(whole / "runs" / "MixturePrior-components-2-unit-layer-seed-1", "run")
    (record,) = results(whole)[f"{MIXTURE} seed 1"]
    before = json.loads(Path("run/evaluation/validation.json").read_text())["evaluation"]
    assert ltm("evaluate", "run", "--draws", "2", "--limit", "4", "--fixed_noise", "false") == 0
    evaluation = json.loads(newest(Path("run/evaluation"), "*.json").read_text())["evaluation"]
    assert evaluation == before
    for name, score in evaluation["scores"].items():
        assert record[f"{name}_nats_per_token"] == score["nats_per_token"]
        assert record[f"{name}_standard_error"] == score["standard_error"]
    assert record["effective_sample_size"] == evaluation["effective_sample_size"]
    assert [record["kl_layer_1"], record["kl_layer_2"]] == evaluation["kl_per_layer"]


def test_a_run_is_the_one_that_ltm_train_makes(whole, corpus):
    words = ("--prior", "MixturePrior", "--prior.components", "2", "--prior.unit", "layer")
    assert train(corpus, "run", *words) == 0
    ours = checkpoint(whole / "runs" / "MixturePrior-components-2-unit-layer-seed-0").weights
    for name, weight in checkpoint("run").weights.items():
        assert torch.equal(weight, ours[name])


def test_all_runs_have_one_split_and_one_tokenizer(whole):
    told = {path.read_text() for path in whole.glob("runs/*/data.json")}
    assert len(told) == 1
    assert len({path.read_bytes() for path in whole.glob("runs/*/tokenizer.json")}) == 1
    weights = [checkpoint(whole / "runs" / f"GaussianPrior-seed-{seed}").weights for seed in (0, 1)]
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_differences_are_paired_and_means_are_over_seeds(whole):
    rows = {row["prior"]: row for row in results(whole)["summary"]}
    assert "elbo_minus_first" not in rows["GaussianPrior"]
    gaps, means, tokens = [], [], None
    for seed in (0, 1):
        ours, tokens = costs(whole, MIXTURE, "elbo", seed)
        theirs, _ = costs(whole, "GaussianPrior", "elbo", seed)
        gaps.append(ours - theirs)
        means.append(ours.sum() / tokens.sum())
    row = rows[MIXTURE]
    assert row["elbo_nats_per_token"] == pytest.approx(np.mean(means))
    assert row["elbo_nats_per_token_seed_error"] == pytest.approx(np.std(means, ddof=1) / 2**0.5)
    mean = np.mean(gaps, axis=0)
    gap = mean.sum() / tokens.sum()
    assert row["elbo_minus_first"] == pytest.approx(gap)
    residual = mean - gap * tokens
    error = (len(mean) / (len(mean) - 1) * (residual**2).sum()) ** 0.5 / tokens.sum()
    assert row["elbo_minus_first_error"] == pytest.approx(error)
    single = [g.sum() / tokens.sum() for g in gaps]
    assert row["elbo_minus_first_seed_error"] == pytest.approx(np.std(single, ddof=1) / 2**0.5)


def interrupt_at(monkeypatch, run, step):
    """Ctrl-C while a run takes a step."""
    show = Session._show

    def interrupting(self, record):
        show(self, record)
        if self.run.folder.name == run and record["step"] == step and "validation" not in record:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Session, "_show", interrupting)
    return lambda: monkeypatch.setattr(Session, "_show", show)


@pytest.mark.parametrize("step", [1, 4])
def test_an_interrupted_comparison_goes_on_to_the_same_records(whole, corpus, step, monkeypatch, capsys):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background
    restored = interrupt_at(monkeypatch, "GaussianPrior-seed-1", step)
    assert compare(corpus, *TWO, "--out", "part") == 130
    out, err = capsys.readouterr()
    assert "Go on with the same command and --resume" in err
    assert "GaussianPrior" in out
    assert len([name for name in results(Path("part")) if name.endswith("curve")]) == 2
    restored()
    signal.signal(signal.SIGINT, before)
    assert compare(corpus, *TWO, "--out", "part", "--resume") == 0
    assert "[1/4]" not in capsys.readouterr().err  # what is done is not repeated
    assert results(Path("part")) == results(whole)


def test_a_run_killed_before_its_first_checkpoint_is_begun_anew(whole, corpus):
    shutil.copytree(whole, "out")
    for folder in Path("out/cells").glob("*-seed-1"):
        (folder / "result.json").unlink()
    shutil.rmtree("out/runs/GaussianPrior-seed-1/checkpoints")
    Path("out/runs/GaussianPrior-seed-1/metrics.jsonl").unlink()
    assert compare(corpus, *TWO, "--out", "out", "--resume") == 0
    assert results(Path("out")) == results(whole)


@pytest.mark.usefixtures("_forked_cells")
def test_processes_of_their_own_come_to_the_same_records(whole, corpus, capsys):
    """One thread each, as the tests have."""
    assert compare(corpus, *TWO[:3], "--out", "out", "--processes", "2") == 0
    assert "[2/2]" in capsys.readouterr().err
    ours = results(Path("out"))
    for name in ("GaussianPrior seed 0", f"{MIXTURE} seed 0", f"{MIXTURE} seed 0 sequences"):
        assert ours[name] == results(whole)[name]


def test_a_comparison_of_an_earlier_version_goes_on(whole, corpus, capsys):
    """Its results stand in results.json alone."""
    shutil.copytree(whole, "out")
    shutil.rmtree("out/cells")
    assert compare(corpus, *TWO, "--out", "out", "--resume") == 0
    assert "[1/4]" not in capsys.readouterr().err
    assert results(Path("out")) == results(whole)


def test_a_prior_is_not_compared_on_other_text(corpus, capsys):
    assert compare(corpus, "--priors", "GaussianPrior", "LaplacePrior --data.length 8", "--out", "out") == 2
    assert "changes the corpus or --data, which must be the same for all priors" in capsys.readouterr().err


def test_a_comparison_is_extended_by_priors_and_seeds(whole, corpus, capsys):
    shutil.copytree(whole, "out")
    words = ("--priors", "GaussianPrior", MIXTURE, "LaplacePrior", "--seeds", "0", "1", "--out", "out", "--resume")
    assert compare(corpus, *words) == 0
    assert capsys.readouterr().err.count(", seed 1\n") == 1
    assert [row["prior"] for row in results(Path("out"))["summary"]] == ["GaussianPrior", MIXTURE, "LaplacePrior"]


def test_a_prior_that_fails_is_reported_and_the_rest_goes_on(corpus, capsys):
    Path("my_code.py").write_text(OWN)
    priors = ("my_code.Shifted(shift=.nan)", "EnergyPrior(limit=null)", "my_code.Shifted", "LaplacePrior")
    with pytest.raises(InputError, match=r"my_code\.Shifted\(shift=\.nan\)"):
        parse_named("prior", priors[0])  # not Python, in which arguments are written
    priors = ("my_code.Shifted --slow.learning_rate 1e20", *priors[1:])
    assert compare(corpus, "--priors", *priors, "--out", "out") == 0
    out, err = capsys.readouterr()
    failed = out.split("## Failed")[1]
    assert "my_code.Shifted --slow.learning_rate 1e20, seed 0: step 2: " in failed
    assert "is not finite" in failed
    assert "EnergyPrior(limit=null), seed 0: " in failed
    assert "unknown normaliser" in failed
    assert "There are no differences: the reference, my_code.Shifted --slow.learning_rate 1e20, has no numbers." in out
    assert "| LaplacePrior" in out
    assert "| my_code.Shifted " in out
    assert "Traceback" not in err


def test_where_all_fail_the_exit_code_says_so(corpus, capsys):
    assert compare(corpus, "--priors", "EnergyPrior(limit=null)", "--out", "out") == 1
    assert capsys.readouterr().out.startswith("## Failed")
    assert not Path("out/figures").exists()


def test_samples_stand_side_by_side(whole):
    text = (whole / "samples.md").read_text()
    titles = [line for line in text.splitlines() if line.startswith("#")]
    each = ["### GaussianPrior", f"### {MIXTURE}"]
    assert titles[1:] == ["## Sample 1, seed 0", *each, "## Sample 1, seed 1", *each]
    sample = (whole / "runs" / "GaussianPrior-seed-0" / "samples" / "prior-1.txt").read_text()
    assert all(f"    {line}" in text for line in sample.rstrip("\n").split("\n"))


def test_equal_seconds_give_every_prior_its_own_steps(corpus, monkeypatch, capsys):
    from ltm_pyro.runs import step_time

    seen = []

    def timed(seconds, config, material):
        seen.append(config.prior.class_path)
        return (4, 0.05) if "Gaussian" in config.prior.class_path else (2, 0.1)

    monkeypatch.setattr(step_time, "steps_within", timed)
    words = [word for pair in TINY.items() for word in (f"--{pair[0]}", str(pair[1])) if pair[0] != "train.steps"]
    out = ("--priors", "GaussianPrior", "LaplacePrior", "--seconds", "0.2", "--seeds", "0", "1", "--out", "out")
    assert ltm("compare", "priors", corpus, *words, *out) == 0
    assert len(seen) == 2  # once for each prior
    assert "Equal time: 0.2 seconds each" in capsys.readouterr().out
    found = results(Path("out"))
    assert [found[f"{name} seed 1"][0]["steps"] for name in ("GaussianPrior", "LaplacePrior")] == [4, 2]


def test_steps_are_foretold_from_timed_ones(corpus):
    from ltm_pyro.cli.run_arguments import configured
    from ltm_pyro.runs.step_time import steps_within
    from ltm_pyro.training.data_module import prepare_data

    config = configured([str(corpus), *arguments(TINY)])[0]
    material = prepare_data(config)
    steps, one = steps_within(2.0, config, material)
    assert steps == round(2.0 / one)
    assert 0 < one < 1
    assert steps_within(1e-9, config, material)[0] == 1


@pytest.mark.parametrize(
    ("words", "one"),
    [
        (["--prior", "GaussianPrior"], 1.0),
        (["--prior", "GaussianPrior", "--train.accumulate", "2"], 2.0),  # each slice has a fast loop of its own
        (
            ["--prior", "ExemplarPrior", "--prior.components", "8", "--prior.every", "2"],
            2.0,
        ),  # and two batches of texts
        (["--prior", "ExemplarPrior", "--prior.components", "8", "--prior.every", "4"], 1.5),
    ],
)
def test_steps_bear_their_share_of_what_a_prior_does_now_and_then(words, one, corpus, monkeypatch):
    """By a clock that counts fast loops: a run takes as long as was foretold."""
    from ltm_pyro.cli.run_arguments import configured
    from ltm_pyro.inference import DualRateSVI
    from ltm_pyro.runs import step_time
    from ltm_pyro.training.data_module import prepare_data

    seconds, fit = [0.0], DualRateSVI.fit

    def counted(svi, *args, **kwargs):
        seconds[0] += 1.0
        fit(svi, *args, **kwargs)

    config = configured([str(corpus), *arguments(TINY), *words])[0]
    material = prepare_data(config)
    with monkeypatch.context() as patched:
        patched.setattr(DualRateSVI, "fit", counted)
        patched.setattr(step_time.time, "perf_counter", lambda: seconds[0])
        assert step_time.steps_within(24.0, config, material) == (round(24 / one), one)
        seconds[0] = 0.0
        assert ltm("train", corpus, "--run", "run", *arguments({**TINY, "train.steps": round(24 / one)}), *words) == 0
        assert seconds[0] == 24.0


def test_the_records_are_returned(corpus):
    base = merged(recipe(), TINY, {"corpus": str(corpus)})
    records = compare_priors(base, ["GaussianPrior", "LaplacePrior"], out="out").to_records()
    assert [record["status"] for record in records] == ["done", "done"]
    assert "elbo_minus_first" not in records[0]
    gap = records[1]["elbo_nats_per_token"] - records[0]["elbo_nats_per_token"]
    assert records[1]["elbo_minus_first"] == pytest.approx(gap)
    again = compare_priors(base, ["GaussianPrior", "LaplacePrior"], out="out", resume=True)
    assert again.to_records() == records


def test_other_text_in_an_old_comparison_is_refused(tmp_path, capsys):
    mine = write_corpus(tmp_path / "mine.jsonl")
    assert compare(mine, "--priors", "GaussianPrior", "--out", "out") == 0
    write_corpus(mine, seed=5)
    words = ("--priors", "GaussianPrior", "LaplacePrior", "--out", "out", "--resume")
    assert compare(mine, *words) == 2
    assert "out holds runs on another text" in capsys.readouterr().err


def test_an_existing_folder_is_left_alone(whole, corpus, capsys):
    shutil.copytree(whole, "out")
    Path("other").mkdir()
    for words, message in (
        (("--out", "out"), "out is a comparison: continue it with --resume"),
        (("--out", "other"), "other exists: choose another --out"),
        (("--out", "other", "--resume"), "holds no comparison to continue"),
        (("--out", "out", "--resume", "--train.draws", "3"), "out was begun with another base.train.draws (2, now 3)"),
        (("--out", "out", "--resume", "--seeds", "1", "0"), "out was begun with another split_seed"),
    ):
        assert compare(corpus, *TWO[:3], *words) == 2
        assert message in capsys.readouterr().err
    assert results(Path("out")) == results(whole)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--priors", "MixtruePrior"), "Did you mean MixturePrior?"),
        (("--priors", "MixturePrior(component=4)"), "Did you mean --prior.components?"),
        (("--priors", "MixturePrior(components=many)"), "expected a whole number"),
        (("--priors", "MixturePrior(components=0)"), "components=0: a mixture needs at least one"),
        (("--priors", "MixturePrior(4)"), "every argument by its name"),
        (("--priors", "MixturePrior(components=4"), "expected a class, or a class with arguments"),
        (("--priors", "GaussianPrior", "GaussianPrior"), "given twice"),
        (("--priors", "CodebookPrior"), "give --guide CategoricalGuide"),
        (("--priors",), "--priors"),
        (("--prior", "MixturePrior"), "name the priors by --priors"),
        (("--prior.components", "4"), "name the priors by --priors"),
        (("--train.seed=3",), "give the seeds by --seeds"),
        (("--run", "here"), "every run has its own folder"),
        (("--seeds", "0", "0"), "--seeds 0 0: expected different whole numbers"),
        (("--seeds", "one"), "--seeds one: expected a whole number"),
        (("--seconds", "-1"), "--seconds -1.0: expected a positive number"),
        (("--seconds", "5"), "--seconds and --train.steps are two budgets"),
        (("--model", "autoregressive"), "has no thoughts, and so no prior"),
        (("--recipe", "tinny"), "did you mean 'tiny'?"),
        (("--train.stepz", "3"), "Did you mean --train.steps"),
    ],
)
def test_bad_input_is_told_in_one_line_before_any_work(words, message, corpus, capsys):
    assert compare(corpus, *words) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert not Path("comparisons").exists()


def test_a_corpus_that_is_not_there_leaves_no_folder(capsys):
    assert ltm("compare", "priors", "nowhere.jsonl", "--out", "out") == 2
    assert "there is no file or folder nowhere.jsonl" in capsys.readouterr().err
    assert not Path("out").exists()


def test_help_lists_the_arguments(capsys):
    assert ltm("compare", "priors", "--help") == 0
    out = capsys.readouterr().out
    assert "--priors" in out
    assert "ARGUMENT OF ltm train" in out


def test_by_default_all_exact_priors_are_compared(monkeypatch):
    from ltm_pyro.studies import defaults as default_classes

    assert len(default_priors()) == 11
    monkeypatch.setattr(default_classes, "find_spec", lambda name: None)
    assert len(default_priors()) == 9


def test_a_name_is_words_and_a_folder():
    name = parse_named("prior", "MixturePrior(components=4, unit='layer', spread=0.1)")
    assert str(name) == "MixturePrior(components=4, unit=layer, spread=0.1)"
    assert name.argv == ["--prior", "MixturePrior", "--prior.components=4", "--prior.unit=layer", "--prior.spread=0.1"]
    assert folder_of(str(name)) == "MixturePrior-components-4-unit-layer-spread-0.1"
    assert parse_named("prior", "my_code.Mine(a=None, b=True, c=[1,2])").argv[2:] == [
        "--prior.a=null",
        "--prior.b=true",
        "--prior.c=[1, 2]",
    ]


def test_a_name_brings_what_its_own_runs_need():
    name = parse_named("prior", "CodebookPrior(codes=8)  --guide StraightThroughGuide --fast.learning_rate=1.0")
    assert str(name) == "CodebookPrior(codes=8) --guide StraightThroughGuide --fast.learning_rate=1.0"
    assert name.argv[2:] == ["--prior.codes=8", "--guide", "StraightThroughGuide", "--fast.learning_rate=1.0"]
    assert folder_of(str(name)) == "CodebookPrior-codes-8-guide-StraightThroughGuide-fast.learning_rate-1.0"
    with pytest.raises(InputError, match="No closing quotation"):
        parse_named("prior", "GaussianPrior --guide 'x")


def test_priors_that_need_other_guides_are_compared(corpus, capsys):
    codes = "CodebookPrior(codes=4) --guide StraightThroughGuide"
    assert compare(corpus, "--priors", "GaussianPrior", codes, "--out", "out") == 0
    rows = results(Path("out"))["summary"]
    assert [row["prior"] for row in rows] == ["GaussianPrior", codes]
    assert rows[1]["kl_per_token"] >= 0
    capsys.readouterr()


def test_what_is_not_for_one_prior_is_refused_there_too(corpus, capsys):
    assert compare(corpus, "--priors", "GaussianPrior --train.seed 3", "--out", "out") == 2
    assert "--train.seed is not for a comparison" in capsys.readouterr().err
