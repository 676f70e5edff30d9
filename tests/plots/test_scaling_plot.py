"""Numbers against a dimension or compute: a line for each name, errors over texts, seeds as dots, a law in its band."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ltm_pyro.plots.scaling import plot_law, plot_scaling


def row(name, steps, nats, **further):
    numbers = {"elbo_nats_per_token": nats, "elbo_standard_error": 0.1, "elbo_bits_per_byte": nats / 2}
    return {"name": name, "fast_steps": steps, **numbers, "elbo_bits_per_byte_error": 0.05, **further}


ROWS = [row("N_z = 2", 4, 3.0), row("N_z = 2", 1, 3.5), row("N_z = 8", 1, 3.4), row("N_z = 8", 4, 2.9)]


@pytest.fixture
def axes():
    figure = Figure()
    FigureCanvasAgg(figure)
    return figure.subplots()


def test_each_name_is_a_line_in_order_with_its_errors(axes):
    assert plot_scaling(ROWS, axes, "fast_steps", "T_fast in training") is axes
    handles, names = axes.get_legend_handles_labels()
    assert names == ["N_z = 2", "N_z = 8"]
    for bars, wanted in zip(handles, ([3.5, 3.0], [3.4, 2.9]), strict=True):
        line, _, (errors,) = bars.lines
        assert list(line.get_xdata()) == [1, 4]
        assert list(line.get_ydata()) == wanted
        ends = [segment[:, 1] for segment in errors.get_segments()]
        np.testing.assert_allclose(ends, [[y - 0.1, y + 0.1] for y in wanted])
    assert axes.get_xscale() == "log"
    assert list(axes.get_xticks()) == [1, 4]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("T_fast in training", "−ELBO, nats/token")


def test_bits_per_byte_are_drawn_where_they_are_asked_for(axes):
    plot_scaling(ROWS, axes, "fast_steps", "T_fast", unit="bits_per_byte")
    line, _, (errors,) = axes.get_legend_handles_labels()[0][0].lines
    assert list(line.get_ydata()) == [1.75, 1.5]
    np.testing.assert_allclose(errors.get_segments()[0][:, 1], [1.70, 1.80])
    assert axes.get_ylabel() == "−ELBO, bits/byte"


def test_runs_are_dots_of_their_models_colour_and_points_may_stand_alone(axes):
    runs = [row("N_z = 8", 1, 3.3), row("N_z = 8", 1, 3.5), {"name": "N_z = 2", "fast_steps": 1, "status": "failed"}]
    plot_scaling(ROWS, axes, "fast_steps", "T_fast", runs=runs, joined=False)
    dots = [line for line in axes.lines if line.get_marker() == "."]
    assert [list(line.get_ydata()) for line in dots] == [[3.3, 3.5]]
    bars = axes.get_legend_handles_labels()[0]
    assert dots[0].get_color() == bars[1].lines[0].get_color() != bars[0].lines[0].get_color()
    assert bars[0].lines[0].get_linestyle() == "None"


def test_a_law_is_a_line_in_its_band(axes):
    x, y = np.array([1.0, 2.0, 4.0]), np.array([3.0, 2.5, 2.2])
    assert plot_law(x, y, y - 0.1, y + 0.2, axes, "L = ...") is axes
    (line,) = axes.lines
    np.testing.assert_array_equal(line.get_xydata(), np.stack([x, y], 1))
    (band,) = axes.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() == pytest.approx(2.1)
    assert heights.max() == pytest.approx(3.2)
    assert axes.get_title() == ""
    assert [text.get_text() for text in axes.texts] == ["L = ..."]
    assert line.get_label() == "fitted law, 95 % band"
    alone = Figure().subplots()
    plot_law(x, y, [], [], alone, "L = ...")
    assert not alone.collections
    assert alone.lines[0].get_label() == "fitted law"


@pytest.mark.parametrize("values", [(1.4e5, 3.1e5), (1e6, 7.7e6), (2e5, 9e8)])
def test_compute_has_a_few_round_ticks_that_do_not_run_into_one_another(axes, values):
    plot_scaling([row("model", 1, 3.0, flops=flops) for flops in (*values, values[0] * 1.5)], axes, "flops", "FLOPs")
    axes.figure.canvas.draw()
    low, high = axes.get_xlim()
    shown = [text for text in axes.get_xticklabels() if text.get_text() and low <= text.get_position()[0] <= high]
    assert 2 <= len(shown) <= 6
    assert all(text.get_text()[-1] in "kMG" for text in shown)
    boxes = [text.get_window_extent() for text in shown]
    assert not any(one.overlaps(other) for one, other in pairwise(boxes))
