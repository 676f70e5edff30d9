"""The figures of a comparison of guides show what is told, and frame what most are."""

import pytest

from ltm_pyro.plots.gaps import plot_gaps
from ltm_pyro.plots.guide_curves import frame, plot_guide_curves


@pytest.fixture
def axes():
    from matplotlib.figure import Figure

    return Figure().subplots()


def curve(guide, costs):
    return [{"guide": guide, "steps": steps, "passes": steps, "elbo": cost} for steps, cost in enumerate(costs)]


def test_a_guide_is_a_line_and_one_that_is_far_off_is_said_to_be(axes):
    near = [point for name in "abcd" for point in curve(name, [3.2, 3.1, 3.0])]
    plot_guide_curves([*near, *curve("far --fast.steps 2", [9.0, 9.0, 9.0])], axes)
    labels = axes.get_legend_handles_labels()[1]
    assert labels == ["a", "b", "c", "d", "far\n  --fast.steps 2, above the frame"]
    assert list(axes.lines[0].get_ydata()) == [3.2, 3.1, 3.0]
    assert axes.get_ylim()[1] < 4.5


@pytest.mark.parametrize(
    ("costs", "inside"),
    [([1.0, 1.1, 1.2, 1.3], 1.3), ([1.0, 1.0, 1.0, 1.0], 1.0), ([2.0, float("inf"), 2.1], 2.1)],
)
def test_the_frame_holds_what_is_near(costs, inside):
    low, high = frame(costs)
    assert low < min(costs) <= inside < high < 10


def test_the_parts_of_a_gap_stand_side_by_side(axes):
    record = {"guide": "a", "reference": "b", "gap_error": 0.01}
    plot_gaps(
        [
            {**record, "gap": 0.3, "approximation_gap": 0.1, "inference_gap": 0.2},
            {**record, "gap": 0.1, "approximation_gap": 0.15, "inference_gap": -0.05},
            {**record, "gap": 0.2},
        ],
        axes,
    )
    family, inference = axes.containers[0], axes.containers[1]
    assert [bar.get_width() for bar in family] == [0.1, 0.15, 0.0]
    assert [bar.get_x() for bar in inference] == [0.1, 0.0, 0.0]
    assert "long run of b" in axes.get_xlabel()
