"""The figure of ranks."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from ltm_pyro.plots import plot_ranks


@pytest.fixture
def axes():
    return Figure().subplots()


def test_a_line_for_each_statistic_on_a_band(axes):
    counts = np.array([[25, 25, 25, 25], [40, 10, 10, 40]])
    plot_ranks(counts, axes, ["flat", "narrow"])
    assert [text for text in axes.get_legend_handles_labels()[1] if "99" not in text] == ["flat", "narrow"]
    assert np.array_equal(axes.patches[-1].get_data().values, counts[1])
    assert axes.get_ylim()[1] > 40


def test_the_band_holds_uniform_counts_and_no_others(axes):
    """99 of 100 of them, and not 40 of 100 in one of four bins."""
    plot_ranks([25, 25, 25, 25], axes)
    low, high = axes.patches[0].get_y(), axes.patches[0].get_y() + axes.patches[0].get_height()
    drawn = np.random.default_rng(0).binomial(100, 0.25, size=20_000)
    inside = ((drawn >= low) & (drawn <= high)).mean()
    assert 0.985 < inside < 0.998
    assert high < 40
