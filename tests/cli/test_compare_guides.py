"""`ltm compare guides` writes tables and figures, goes on, trains what is shared, and refuses what makes no sense."""

import json
from pathlib import Path

import pytest
from runs import comparison, ltm

TINY = (
    "--limit=3", "--sizes.passes=4", "--sizes.long_steps=6", "--sizes.draws=4", "--sizes.long_draws=4",
    "--sizes.curve=[0,2]", "--sizes.curve_sequences=2", "--sizes.rounds=1", "--training_steps=2",
)  # fmt: skip
NARROW = "MeanFieldGuide(sigma=0.1) --fast.learning_rate 1.0"
OWN = """
import torch
from ltm_pyro import MeanFieldGuide

class Moved(MeanFieldGuide):
    def __init__(self, z_shape):
        super().__init__(z_shape)
        self.shift = torch.nn.Parameter(torch.zeros(z_shape))

    def forward(self, *args, **kwargs):
        mu = self.mu
        self.mu = mu + self.shift
        try:
            return super().forward(*args, **kwargs)
        finally:
            self.mu = mu
"""


pytestmark = pytest.mark.usefixtures("here")


def pieces(folder):
    return json.loads((folder / "results.json").read_text())["pieces"]


@pytest.mark.figures
def test_guides_are_compared(run, capsys):
    words = ("--guides", "MeanFieldGuide", NARROW, "--sizes.step_sizes=[0.5,2]")
    assert ltm("compare", "guides", "run", *words, *TINY) == 0
    out, err = capsys.readouterr()
    folder = comparison(run, "guides")
    assert out == (folder / "table.md").read_text()
    for title in ("The four numbers, 4 decoder passes", "The four numbers, equal time", "The gap split", "Cost"):
        assert f"## {title}" in out
    assert f"| {NARROW} |" in out
    for name in ("curves", "step-sizes", "gaps"):
        assert (folder / f"{name}.png").stat().st_size > 5000
        assert (folder / f"{name}.svg").read_text().rstrip().endswith("</svg>")
    about = json.loads((folder / "settings.json").read_text())
    assert about["command"][:4] == ["ltm", "compare", "guides", "run"]
    narrow = [r for r in pieces(folder)[f"curve, {NARROW}"] if r["steps"] == 0]
    (wide,) = (r for r in pieces(folder)["curve, MeanFieldGuide"] if r["steps"] == 0)
    assert narrow[0]["elbo"] > wide["elbo"]
    assert err.splitlines()[-1].startswith(f"Saved in {folder}: table.md")


def test_a_comparison_goes_on_with_further_guides_and_keeps_what_it_trained(run, capsys):
    Path("my_code.py").write_text(OWN)
    words = ("compare", "guides", "run", *TINY, "--guides", "MeanFieldGuide", "my_code.Moved")
    assert ltm(*words) == 0
    folder = comparison(run, "guides")
    first = pieces(folder)
    weights = (folder / "guides" / "my_code.Moved.safetensors").read_bytes()
    assert first["training, my_code.Moved"][0]["passes"] > 0
    assert ltm(*words, NARROW, "--resume") == 0
    again = pieces(folder)
    assert {name: again[name] for name in first if name != "cost"} == {n: p for n, p in first.items() if n != "cost"}
    assert f"curve, {NARROW}" in again
    assert (folder / "guides" / "my_code.Moved.safetensors").read_bytes() == weights
    capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--guides", "MeanField"], "MeanFieldGuide"),
        (["--guides", "MeanFieldGuide", "MeanFieldGuide"], "twice"),
        (["--guides", "MeanFieldGuide --prior LaplacePrior"], "--prior is the run's"),
        (["--guides", "StraightThroughGuide"], "continuous thoughts"),
        (["--guides", "LowRankGuide --fast.optimizer ltm_pyro.NaturalGradient"], "no natural gradient in closed form"),
        (["--limit", "1"], "--limit 1"),
        (["--sequences", "8"], "--sequences is --limit now"),
        (["--sizes.passes", "0"], "passes=0"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(run, words, told, capsys):
    assert ltm("compare", "guides", "run", *words) == 2
    assert told in capsys.readouterr().err
    assert not (run / "comparisons").exists()


def test_a_run_without_thoughts_is_refused(reference, capsys):
    assert ltm("compare", "guides", reference, *TINY) == 2
    assert "no thoughts" in capsys.readouterr().err
