"""The figures of a comparison of priors: a row or a line for each, with units, errors and every seed."""

import math

import pytest
from figure_records import POINTS, ROWS, RUNS, row
from matplotlib.figure import Figure

from ltm_pyro.plots.aggregate import plot_aggregate
from ltm_pyro.plots.four_numbers import NAMES, plot_number
from ltm_pyro.plots.layers import plot_layers
from ltm_pyro.plots.learning import plot_learning


@pytest.fixture
def axes():
    return Figure().subplots()


def rows_of(axes):
    return [text.get_text() for text in axes.get_yticklabels()]


def widths(container):
    """Half of the length of an error bar."""
    (segment,) = container.lines[2][0].get_segments()
    return round((segment[1][0] - segment[0][0]) / 2, 9)


def test_a_number_has_a_row_a_prior_with_both_errors_and_every_seed(axes):
    plot_number(ROWS, RUNS, axes)
    assert rows_of(axes) == ["GaussianPrior", "MixturePrior"]
    assert axes.get_xlabel() == "−ELBO,\nnats/token"
    assert [widths(bar) for bar in axes.containers] == [0.1, 0.2] * 2
    seeds = [line for line in axes.lines if list(line.get_xdata()) == [3.0, 5.0]]
    assert len(seeds) == 1
    assert list(seeds[0].get_ydata()) == [0, 0]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first row is on top


def test_an_error_that_is_unknown_has_no_bar(axes):
    alone = [{**ROWS[0], "elbo_nats_per_token_seed_error": math.nan}]
    plot_number(alone, [], axes)
    assert len(axes.containers) == 1
    assert widths(axes.containers[0]) == 0.2


def test_what_is_far_worse_leaves_the_frame_with_its_value(axes):
    near = [row(name, at) for name, at in (("A", 4.0), ("B", 4.1), ("C", 4.2), ("D", 4.15))]
    plot_number([*near, row("Far", 9.0)], [], axes)
    assert axes.get_xlim()[0] < 4.0
    assert 4.2 < axes.get_xlim()[1] < 5
    assert [text.get_text() for text in axes.texts] == ["9"]
    beside = Figure().subplots()
    plot_number(near, [], beside)
    assert not beside.texts


def test_a_difference_stands_beside_zero(axes):
    plot_number(ROWS[1:], [], axes, number="elbo_minus_first", named=False)
    assert rows_of(axes) == [""]
    assert "less the first prior's" in axes.get_xlabel()
    assert list(axes.lines[0].get_xdata()) == [0, 0]
    assert axes.lines[-1].get_xdata() == [-0.5]


@pytest.mark.parametrize("number", [name for name in NAMES if "_minus_" not in name])
def test_every_number_has_its_name(axes, number):
    plot_number(ROWS, [], axes, number=number)
    assert axes.get_xlabel().startswith(NAMES[number])


@pytest.mark.parametrize(("by", "words"), [("tokens", "tokens seen"), ("seconds", "seconds of training")])
def test_learning_has_a_line_a_run_and_a_name_a_prior(axes, by, words):
    plot_learning(POINTS, axes, by=by)
    assert words in axes.get_xlabel()
    assert "nats/token" in axes.get_ylabel()
    assert len(axes.lines) == 4
    assert axes.get_legend_handles_labels()[1] == ["GaussianPrior", "MixturePrior"]
    assert list(axes.lines[0].get_xdata()) == [point[by] for point in POINTS[:3]]
    assert axes.lines[0].get_color() == axes.lines[1].get_color() != axes.lines[2].get_color()


def test_layers_are_counted_from_one_and_start_at_zero(axes):
    plot_layers(ROWS, axes)
    assert list(axes.lines[0].get_xdata()) == [1, 2]
    assert list(axes.lines[0].get_ydata()) == [0.3, 0.1]
    assert axes.get_ylim()[0] == 0
    below = Figure().subplots()
    plot_layers([row("MixturePrior", kl_layer_2=-0.1)], below)
    assert below.get_ylim()[0] < -0.1  # a Monte Carlo estimate may be


def test_the_aggregate_stands_beside_what_chance_gives(axes):
    plot_aggregate(ROWS, axes)
    assert rows_of(axes) == ["GaussianPrior", "MixturePrior"]
    assert [bar.get_width() for bar in axes.patches] == [0.01, 0.01]
    assert axes.get_xscale() == "linear"
    assert "MMD²" in axes.get_xlabel()
    far = Figure().subplots()
    plot_aggregate([*ROWS, row("StudentTPrior", mmd2=1.0)], far)
    assert far.get_xscale() == "symlog"


def test_a_line_of_another_number_leaves_out_the_points_without_it(axes):
    points = [{**point, "kl": 0.1} if point["variant"] == "MixturePrior" else point for point in POINTS]
    plot_learning(points, axes, number="kl", label="KL, nats/token")
    assert axes.get_ylabel() == "KL, nats/token"
    assert [list(line.get_ydata()) for line in axes.lines] == [[0.1] * 3] * 2
