"""Figures may go into a paper: labels, units, legends, colour bars, letters that can be read, bars set apart.

Each property has a figure that lacks it, which must be refused.
"""

import math
import struct
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from figure_records import CURVE, GRADIENTS, POINTS, ROWS, RUNS, TIGHTNESS, WEIGHTS
from legibility import LETTERS, TICKS, faults
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ltm_pyro import plots
from ltm_pyro.evaluation import Score
from ltm_pyro.plots.costs import cost, cost_label
from ltm_pyro.plots.drawing import WIDTHS, Drawing
from ltm_pyro.plots.layout import drawn as drawn_as
from ltm_pyro.plots.style import in_style
from ltm_pyro.runs import figures as figures_of_runs
from ltm_pyro.studies.guides import figures as figures_of_guides
from ltm_pyro.studies.priors import figures as figures_of_priors

ROOT = Path(__file__).parents[2]


def score(mean, texts=6):
    """Texts that differ by far more than the settings do."""
    nats = 100 * (mean + np.linspace(-1, 1, texts) + 0.001 * np.arange(texts) ** 2)
    return Score("", nats, np.full(texts, 100), np.full(texts, 300))


DIAL = [
    SimpleNamespace(steps=n, elbo=score(4 - n / 99), importance_weighted=score(3.9 - n / 98)) for n in (0, 1, 2, 64)
]
WAY = [SimpleNamespace(share=s, first=3 + s, second=4 - s) for s in (0.0, 0.5, 1.0)]
PROBE = [(3.7, 0.04), (3.69, 0.04), (3.6, 0.04)]
WORDS = ["we", " the", " people", " $5"] * 10
ATTENTION = (0.5 + 0.05 * np.sin(np.arange(3 * 2 * 40)).reshape(3, 2, 40)).tolist()
LEARNING = [
    {"part": part, "tokens": 512 * n, "steps": n, "seconds": n / 10, "elbo": -4 - 3 / n, "log_likelihood": -3.9 - 3 / n}
    | {"kl": 0.1, "kl_layer_1": 0.07, "kl_layer_2": 0.03}
    for part in ("training", "validation")
    for n in range(1, 9)
]
SETS = [
    {"set": s, "number": n, "bits_per_byte": 1.5 + 0.1 * i, "bits_per_byte_error": 0.2}
    for s in ("PTB", "LAMBADA")
    for i, n in enumerate(("elbo", "importance_weighted", "prior"))
]
SCALE = [
    {"name": name, "fast_steps": steps, "elbo_nats_per_token": 3.5 - 0.01 * steps, "elbo_standard_error": 0.1}
    for name in ("N_z = 2", "N_z = 8")
    for steps in (1, 4)
]
PASSES = [
    {"measure": m, "shots": shots, "k": k, "percent": 10.0 * k, "standard_error": 3.0}
    for m in ("strict", "lenient")
    for shots in (1, 5)
    for k in (1, 5)
]
GUIDES = [
    {"part": "curve", "guide": g, "steps": n, "passes": n, "elbo": 3.7 - n / 100} for g in "ab" for n in (0, 1, 4)
] + [
    {"part": "gap", "guide": g, "gap": 0.01, "gap_error": 0.001, "approximation_gap": 0.004, "inference_gap": 0.006}
    | {"reference": "a"}
    for g in "ab"
]
KINDS = [
    {"kind": kind, "measure": "entropy", "value": 4.0, "low": 3.9, "high": 4.1} for kind in ("real", "from the prior")
]
TASKS = [{"task": "arc", "measure": "acc", "value": 0.4, "standard_error": 0.02}]
BUDGETS = {name: [{"tokens": 10.0**n, "bits_per_byte": 3 - n / 9} for n in (3, 4, 5)] for name in ("ltm", "ar")}
METHODS = [
    {"method": m, "percent": 5.0 * n, "low": 5.0 * n - 2, "high": 5.0 * n + 4, "passes": 10.0**n}
    for m in ("strict", "lenient")
    for n in (2, 3, 4)
]
NAMES = {"strict": "strict", "lenient": "lenient"}

PANELS = {
    "thoughts": [partial(plots.plot_thoughts, [[1.0, 2.0], [0.5, 0.1]])],
    "probe": [partial(plots.plot_probe, PROBE, PROBE), partial(plots.plot_probe, PROBE, PROBE, against_none=True)],
    "map": [partial(plots.plot_latent_map, [(0.0, 1.0), (1.0, 2.0), (2.0, 0.5)], [0.4, 0.2])],
    "dial": [partial(plots.plot_fast_step_sweep, DIAL), partial(plots.plot_fast_step_sweep, DIAL, against_start=True)],
    "way": [partial(plots.plot_interpolation, WAY)],
    "reading": [partial(plots.plot_attention, WORDS, ATTENTION)],
    "learning": [partial(plots.plot_learning_curves, {"a": LEARNING, "b": LEARNING}, number=n) for n in ("elbo", "kl")],
    "layers": [partial(plots.plot_kl_by_layer, LEARNING)],
    "tightness": [partial(plots.plot_tightness, TIGHTNESS)],
    "signal": [partial(plots.plot_signal_to_noise, GRADIENTS)],
    "bias": [partial(plots.plot_bias, GRADIENTS), partial(plots.plot_variance, GRADIENTS, named=False)],
    "curves": [partial(plots.plot_curves, CURVE, by=by) for by in ("passes", "seconds")],
    "weights": [partial(plots.plot_pareto_k, WEIGHTS)],
    "ranks": [partial(plots.plot_ranks, [[25, 25, 25, 25], [40, 10, 10, 40]], names=["flat", "narrow"])],
    "scaling": [partial(plots.plot_scaling, SCALE, by="fast_steps", label="T_fast in training")],
    "sets": [partial(plots.plot_text_sets, SETS)],
    "pass at k": [partial(plots.plot_pass_at_k, PASSES, names=NAMES)],
    "passes": [partial(plots.plot_accuracy_by_passes, METHODS, names=NAMES)],
    "quality": [partial(plots.plot_text_quality, KINDS, measure="entropy", label="entropy, nats/token")],
    "tasks": [partial(plots.plot_task_scores, TASKS)],
    "budgets": [partial(plots.plot_budgets, BUDGETS)],
}


def drawn(panels, caption="A caption.", **more):
    return drawn_as(Drawing("figure", panels, caption, **more))


@pytest.mark.parametrize("name", PANELS)
def test_a_figure_has_all_that_a_reader_needs(name):
    assert list(faults(drawn(PANELS[name]))) == []


def lacking(change):
    """A sound figure with something taken away."""
    figure = drawn(PANELS["dial"])
    figure.canvas.draw()
    figure.set_layout_engine("none")
    change(figure)
    return list(faults(figure))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda figure: figure.axes[0].set_xlabel(""), "no label below"),
        (lambda figure: figure.axes[1].set_ylabel(""), "no label at the side"),
        (lambda figure: figure.legends[0].remove(), "no legend"),
        (lambda figure: figure.axes[0].xaxis.label.set_fontsize(7), "small letters"),
        (lambda figure: figure.axes[0].tick_params(labelsize=6), "small letters"),
        (lambda figure: figure.legends[0].get_texts()[0].set_fontsize(6), "small letters"),
        (lambda figure: figure.axes[0].set_title("A title"), "a title"),
        (lambda figure: figure.suptitle("A title"), "a title"),
        (lambda figure: figure.set_label(""), "no caption"),
        (lambda figure: figure.axes[0].set_yticks([3.9, 3.901]), "ticks lie on each other"),
        (lambda figure: figure.axes[0].imshow([[0, 1]]), "no colour bar"),
        (lambda figure: figure.text(0, 0, "a line that is far too long for the page " * 9), "cut off"),
        (lambda figure: figure.axes[0].yaxis.set_tick_params(pad=40), "cut off"),
        (lambda figure: figure.set_figwidth(7), "not as wide as a column or two"),
    ],
)
def test_what_a_figure_lacks_is_noticed(change, told):
    assert any(told in line for line in lacking(change))


@pytest.mark.parametrize("aside", [True, False])
@pytest.mark.parametrize("scale", ["linear", "log"])
def test_bars_at_the_same_place_are_told_apart(aside, scale):
    figure = Figure(figsize=(4, 3))
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_xscale(scale)
    for place in range(3):
        bars = axes.errorbar([1, 2, 4], [3, 2, 1], [0.5] * 3)
        if aside:
            plots.style.set_aside(axes, bars, place, 3)
    found = [line for line in faults(axes.figure) if "on each other" in line]
    assert bool(found) is not aside
    low, high = axes.get_xlim()
    assert low < 1 < 4 < high


def test_a_comparison_of_one_text_set_has_paired_errors():
    """Texts differ by 1 nat/token; what fast steps change differs by far less, and the right panel shows that."""
    whole, apart = (drawn([panel]).axes[0] for panel in PANELS["dial"])

    def longest(axes):
        return max(np.ptp(segment[:, 1]) for bars in axes.containers for segment in bars.lines[2][0].get_segments())

    assert longest(whole) > 0.5
    assert longest(apart) < 0.01
    assert apart.containers[0].lines[0].get_ydata()[0] == 0
    np.testing.assert_allclose(apart.containers[0].lines[0].get_ydata()[-1], -64 / 99)


def test_attention_fills_its_colours():
    figure = drawn(PANELS["reading"])
    (image,) = figure.axes[0].images
    low, high = image.get_clim()
    assert (low + high) / 2 == pytest.approx(0.5)  # an even share of two thoughts
    assert 0.44 < low < 0.4501
    assert "0.5" in figure.axes[1].get_ylabel()
    thirds = drawn([partial(plots.plot_attention, WORDS, [[[1 / 3] * 40] * 3])]).axes[0].images[0]
    assert np.mean(thirds.get_clim()) == pytest.approx(1 / 3)
    assert np.ptp(thirds.get_clim()) == pytest.approx(0.01)  # nothing is magnified beyond that


@pytest.mark.parametrize(("number", "sign"), [("elbo", -1), ("log_likelihood", -1), ("kl", 1)])
def test_all_curves_are_costs(number, sign):
    for panel, record in (
        (partial(plots.plot_learning_curves, {"run": LEARNING}, number=number), LEARNING),
        (partial(plots.plot_learning, [{**p, "variant": "a", "seed": 0} for p in LEARNING], number=number), LEARNING),
    ):
        axes = Figure().subplots()
        panel(axes)
        assert axes.get_ylabel() == cost_label(number)
        assert axes.lines[0].get_ydata()[0] == sign * record[0][number] == cost(number, record[0][number])
        assert axes.get_ylabel().startswith("−") is (sign < 0)


def test_a_stored_figure_is_as_wide_as_a_column_or_two():
    """All of them but those whose records are gone, which the page of figures names."""
    told = (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")
    left = {path for path in stored() if min(abs(inches(path) - width) for width in WIDTHS.values()) > 0.01}
    assert {path for path in left if str(path.relative_to(ROOT)) not in told} == set()


def stored():
    return [*(ROOT / "docs" / "figures").glob("*.png"), *(ROOT / "benchmarks").rglob("*.png")]


def inches(path):
    return struct.unpack(">I", path.read_bytes()[16:20])[0] / 200


@pytest.mark.parametrize("draw", ["priors", "guides", "runs"])
def test_what_commands_draw_has_all_that_a_reader_needs(draw, monkeypatch):
    figures = []

    def keep(folder, drawings, prefix=""):
        figures.extend(drawings)
        return []

    if draw == "priors":
        apart = {"importance_weighted_minus_first": -0.4, "importance_weighted_minus_first_error": 0.1}
        figures = figures_of_priors._drawings([ROWS[0], {**ROWS[1], **apart}], RUNS, POINTS)
    elif draw == "guides":
        monkeypatch.setattr(figures_of_guides, "save_drawings", keep)
        figures_of_guides.draw(GUIDES, Path())
    else:
        figures = [figures_of_runs.learning_drawing({"": LEARNING})]
    assert figures
    for one in figures:
        assert one.caption.endswith(".")
        assert list(faults(drawn_as(one))) == []


def test_letters_are_as_small_as_is_told():
    with in_style():
        sizes = {key: value for key, value in matplotlib.rcParams.items() if key.endswith("size") and "font" in key}
        sizes |= {key: matplotlib.rcParams[key] for key in ("xtick.labelsize", "ytick.labelsize", "axes.labelsize")}
    small = {"xtick.labelsize", "ytick.labelsize", "legend.fontsize", "legend.title_fontsize"}
    assert {key for key in sizes if sizes[key] == TICKS} == small
    assert {key for key in sizes if sizes[key] == LETTERS} == {"font.size", "axes.labelsize"}
    assert math.isclose(TICKS / 72 * 125, 12.15, abs_tol=0.01)
