"""Every figure is drawn from records, with units on its axes."""

import math

import pytest
from figure_records import CURVE, GRADIENTS, TIGHTNESS, WEIGHTS, bound, gradient, point
from matplotlib.figure import Figure

from ltm_pyro import plots
from ltm_pyro.plots.style import colours, label, looks


@pytest.fixture
def axes():
    return Figure().subplots()


def names(axes):
    return axes.get_legend_handles_labels()[1]


def test_tightness_has_a_line_a_bound_and_the_truth(axes):
    plots.plot_tightness(TIGHTNESS, axes)
    assert names(axes) == ["−log p(x), exact", "elbo", "iwae"]
    assert axes.get_ylabel() == "−bound, mean,\nnats/token"
    assert axes.get_xlabel() == "particles S"


def test_tightness_against_the_elbo_has_errors_paired_by_text(axes):
    """The shape is that of the bounds themselves; only the bars and the zero differ."""
    plots.plot_tightness(TIGHTNESS, axes, against_elbo=True)
    line, _, (bars,) = axes.containers[1].lines
    records = [record for record in TIGHTNESS if record["bound"] == "iwae"]
    assert list(line.get_ydata()) == [-record["above_elbo"] for record in records]
    halves = [(segment[1][1] - segment[0][1]) / 2 for segment in bars.get_segments()]
    assert halves == pytest.approx([record["above_elbo_error"] for record in records])
    evidence = next(line for line in axes.lines if line.get_label() == "−log p(x), exact")
    assert evidence.get_ydata()[0] == pytest.approx(1.0 - 1.9)  # −log p(x) less −ELBO
    assert axes.get_ylabel() == "−bound, mean, less −ELBO,\nnats/token"


def test_bounds_that_hide_one_another_are_named_together(axes):
    same = [{**record, "bound": "piwae"} for record in TIGHTNESS if record["bound"] == "iwae"][1:]
    plots.plot_tightness([*TIGHTNESS, *same], axes)
    assert "iwae = piwae" in names(axes)


def test_a_far_upper_bound_does_not_flatten_the_others(axes):
    far = [bound("cubo", s, 1e4, "upper bound") for s in (2, 4)]
    plots.plot_tightness([*TIGHTNESS, *far], axes)
    assert "cubo (upper bound of log p), below the frame" in names(axes)
    assert axes.get_ylim()[0] > -1
    assert axes.get_ylim()[1] > 1.9


def test_a_signal_below_its_error_has_no_point(axes):
    lost = {**gradient("iwae", 8, math.nan), "snr_error": math.nan}
    plots.plot_signal_to_noise([*GRADIENTS, lost], axes)
    assert names(axes) == ["slopes ±1/2, to compare", "iwae", "iwae-dreg"]
    first = axes.containers[0].lines[0]
    assert list(first.get_xdata()) == [1, 2, 4]
    assert "γ" in axes.get_ylabel()


def test_where_nothing_is_above_its_error_the_frame_is_empty(axes):
    plots.plot_signal_to_noise([{**gradient("iwae", s, 0.1), "snr_error": 1.0} for s in (1, 2)], axes)
    assert all(len(line.get_xdata()) == 0 for line in axes.lines)


def test_bias_and_variance_have_a_row_an_estimator(axes):
    records = [gradient("iwae", 4, 1), gradient("rws", 4, 1, "another objective"), gradient("cubo", 4, 1, heavy=True)]
    plots.plot_bias(records, axes)
    rows = [text.get_text() for text in axes.get_yticklabels()]
    assert rows == ["iwae", "rws (another objective)", "cubo, heavy tails"]
    assert "% of its length" in axes.get_xlabel()
    assert "S=4" in axes.get_xlabel()
    beside = Figure().subplots()
    plots.plot_variance(records, beside, named=False)
    assert [text.get_text() for text in beside.get_yticklabels()] == ["", "", ""]
    assert "nats²" in beside.get_xlabel()


@pytest.mark.parametrize(("by", "words"), [("passes", "decoder passes per sequence"), ("seconds", "seconds")])
def test_curves_go_by_their_budget(axes, by, words):
    plots.plot_curves(CURVE, axes, by)
    assert words in axes.get_xlabel()
    assert axes.get_ylabel() == "−ELBO, nats/token"
    assert list(axes.lines[0].get_xdata()) == [record[by] for record in CURVE[:3]]


def test_what_falls_far_below_the_start_leaves_the_frame(axes):
    plots.plot_curves([*CURVE, point("bad", 0, -5), point("bad", 1, -1e6), point("bad", 2, math.nan)], axes)
    assert axes.get_ylim()[1] < 10
    assert names(axes) == ["elbo", "iwae", "bad, diverged"]
    again = Figure().subplots()
    plots.plot_curves([*CURVE, point("low", 0, -5), point("low", 1, -1e6)], again)
    assert names(again)[-1] == "low, above the frame"


def test_reliability_shows_what_is_known(axes):
    plots.plot_pareto_k(WEIGHTS, axes)
    assert len(axes.lines[-1].get_xdata()) == 2
    assert "64 draws" in axes.get_ylabel()


def test_looks_tell_all_apart():
    pairs = [(f"b{i}", f"b{i}{end}") for i in range(12) for end in ("", "-dreg", "-score")]
    found = looks(pairs)
    assert len(found) == 36
    kinds = {(look["color"], look["marker"], look["linestyle"]) for look in found.values()}
    assert len(kinds) == 36
    assert found["b1"]["color"] == found["b1-dreg"]["color"] == colours()[1]


def test_a_claim_that_is_less_than_a_lower_bound_is_named():
    assert label("iwae", "lower bound") == "iwae"
    assert label("kl0.1", "NOT A BOUND") == "kl0.1 (no bound)"
    assert label("x", "something new") == "x (something new)"
