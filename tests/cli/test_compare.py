"""`ltm compare bounds` writes tables and figures, repeats itself, goes on, and refuses what makes no sense."""

import json
from pathlib import Path

import pytest
from runs import comparison, ltm

from ltm_pyro.cli import compare_bounds as command
from ltm_pyro.runs.results_folder import ComparisonFolder
from ltm_pyro.studies.bounds.sizes import QUICK
from ltm_pyro.studies.bounds.toys import TOYS

TINY = (
    "--limit=3", "--sizes.particles=[1,2]", "--sizes.repeats=2", "--sizes.gradient_particles=[1,2]",
    "--sizes.gradient_draws=6", "--sizes.gradient_draws_theta=4", "--sizes.at_particles=2", "--sizes.rounds=1",
    "--sizes.inference_passes=4", "--sizes.measures=2", "--sizes.measure_draws=2", "--sizes.gradient_steps=1",
)  # fmt: skip
FIGURES = ("tightness", "signal-to-noise", "gradient-gamma", "gradient-theta", "inference")
TIMED = {"seconds", "fast_seconds", "slow_seconds", "fast_time", "slow_time"}


pytestmark = pytest.mark.usefixtures("here")


def results(folder):
    """A comparison's records by piece, without what a clock says."""
    pieces = json.loads((folder / "results.json").read_text())["pieces"]
    return {
        name: [{key: value for key, value in record.items() if key not in TIMED} for record in piece]
        for name, piece in pieces.items()
    }


@pytest.mark.figures
def test_a_run_is_compared(run, capsys):
    assert ltm("compare", "bounds", "run", "--estimators", "elbo", "iwae-dreg", "cubo", *TINY) == 0
    out, err = capsys.readouterr()
    folder = comparison(run, "bounds")
    assert out == (folder / "table.md").read_text()
    for title in ("Summary at S=2", "Tightness", "Gradient by γ", "Gradient by θ", "Cost", "Inference", "Not measured"):
        assert f"## {title}" in out
    assert "nats/token" in out
    assert "| upper bound |" in out
    for name in FIGURES:
        assert (folder / f"{name}.png").stat().st_size > 5000
        assert (folder / f"{name}.svg").read_text().rstrip().endswith("</svg>")
    assert len((folder / "records.csv").read_text().splitlines()) > 20
    about = json.loads((folder / "settings.json").read_text())
    assert about["command"][:4] == ["ltm", "compare", "bounds", "run"]
    assert about["settings"]["seed"] == 0
    assert "torch" in about["versions"]
    assert err.splitlines()[-1].startswith(f"Saved in {folder}: table.md, records.csv")


def test_equal_seeds_give_equal_results(run):
    few = ("--estimators", "iwae", "--parts", "tightness", "gradients", "inference", *TINY)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert ltm("compare", "bounds", "run", *few, "--seed", seed, "--out", name) == 0
    first, again, other = (results(Path(name)) for name in "abc")
    assert first == again != other


@pytest.mark.parametrize("toy", TOYS)
def test_toys_know_the_truth(toy, capsys):
    few = ("--estimators", "elbo-score", "iwae-vimco", "--fast_steps", "3")
    assert ltm("compare", "bounds", "--toy", toy, *few, *TINY) == 0
    folder = comparison(Path(), f"bounds-{toy}")
    assert "log p(x) is exactly" in capsys.readouterr().out
    records = results(folder)["tightness"]
    assert all("gap" in record for record in records if record["part"] == "tightness")


def test_an_interrupted_comparison_keeps_what_is_done_and_goes_on(monkeypatch, capsys):
    words = ("compare", "bounds", "--toy", "linear-gaussian", "--estimators", "elbo", "iwae", *TINY)
    assert ltm(*words, "--out", "whole") == 0
    listener = ComparisonFolder.listener

    def interrupting(folder, pieces):
        inner = listener(folder, pieces)

        def listen(name, done, total):
            inner(name, done, total)
            if done == 3:
                raise KeyboardInterrupt

        return listen

    monkeypatch.setattr(ComparisonFolder, "listener", interrupting)
    assert ltm(*words, "--out", "part") == 130
    assert (Path("part") / "tightness.png").exists()
    assert len(results(Path("part"))) == 3
    monkeypatch.setattr(ComparisonFolder, "listener", listener)
    assert ltm(*words, "--out", "part", "--resume") == 0
    assert results(Path("part")) == results(Path("whole"))
    capsys.readouterr()
    assert ltm(*words, "--out", "part", "--resume", "--seed", "5") == 2
    assert "part was begun with another seed" in capsys.readouterr().err


@pytest.mark.figures
def test_learning_is_on_request(run, capsys):
    words = ("--estimators", "elbo", "iwae", "--parts", "learning", "--learning_passes", "60")
    assert ltm("compare", "bounds", "run", *words, *TINY) == 0
    assert "## Learning from the initial weights" in capsys.readouterr().out
    assert (comparison(run, "bounds") / "learning.png").stat().st_size > 5000


def test_quick_is_smaller_and_yields_to_what_is_said():
    words = ["--toy", "linear-gaussian", "--quick", "--sizes.rounds", "2"]
    sizes = command.main.read(words)["sizes"]
    assert sizes.repeats == QUICK["repeats"]
    assert sizes.rounds == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "usage: ltm compare WHAT"),
        (("boudns",), "ltm compare boudns: did you mean 'bounds'?"),
        (("bounds",), "give either a run's folder, or --toy"),
        (("bounds", "run", "--toy", "linear-gaussian"), "give either a run's folder, or --toy"),
        (("bounds", "--toy", "linear"), "--toy linear: expected one of linear-gaussian, finite-mixture"),
        (("bounds", "nowhere"), "nowhere is not a run"),
        (("bounds", "--toy", "finite-mixture", "--estimators", "iwea"), "unknown estimator 'iwea': did you mean iwae"),
        (("bounds", "--toy", "finite-mixture", "--sizes.repeats", "1"), "repeats=1: expected 2 or more"),
        (("bounds", "--toy", "finite-mixture", "--parts", "gradient"), "expected some of tightness"),
        (("bounds", "--toy", "finite-mixture", "--learning_passes", "9"), "a toy has no corpus"),
        (("bounds", "--toy", "finite-mixture", "--resume"), "holds nothing to resume"),
        (("bounds", "--toy", "finite-mixture", "--limit", "0"), "--limit 0: expected 1 or more"),
        (("bounds", "--toy", "finite-mixture", "--sequences", "8"), "--sequences is --limit now"),
    ],
)
def test_bad_input_is_told_in_one_line(words, message, capsys):
    code = ltm("compare", *words)
    out, err = capsys.readouterr()
    assert message in out + err
    assert code == (2 if words else 0)
    assert "Traceback" not in err


def test_a_run_without_thoughts_is_refused(reference, capsys):
    assert ltm("compare", "bounds", reference, *TINY) == 2
    assert "has no thoughts" in capsys.readouterr().err
