"""Records of a default run's figures: figures drawn from them show what `ltm inspect` draws."""

import json

import numpy as np
import pytest
from legibility import faults

from benchmarks.gallery.default_run import RECORDS, default_run, keep
from ltm_pyro.plots.layout import drawn
from ltm_pyro.runs.inspection import inspect


def values(figure):
    """All coordinates of lines, and heights of bars."""
    lines = [line.get_xydata().ravel() for axes in figure.axes for line in axes.lines]
    bars = [[bar.get_height() for bar in axes.patches] for axes in figure.axes]
    return np.concatenate([*lines, *bars])


def test_figures_of_records_are_those_of_the_run(run, tmp_path):
    from ltm_pyro.data import token_texts
    from ltm_pyro.evaluation.inspection.figures import drawings

    assert default_run(tmp_path) == []
    path = keep(str(run), tmp_path, limit=6)
    assert path == tmp_path / RECORDS
    assert str(tmp_path) not in json.dumps(json.loads(path.read_text("utf-8")))
    found = {drawing.name: drawing for drawing in default_run(tmp_path)}
    assert set(found) == {f"default-{name}" for name in ("learning", "thoughts", "probe", "map", "dial", "reading")}
    again = inspect(str(run), limit=6)
    words = token_texts(again.run.tokenizer, again.details.texts[0].tokens)
    names = [again.text.sequences.name(place) for place in again.inspection.ids]
    for drawing in drawings(again.inspection, again.details, names, words):
        if drawing.name != "way":  # between two texts; the documentation has no picture of it
            stored = found[f"default-{drawing.name}"]
            assert stored.caption == drawing.caption
            assert values(drawn(stored)) == pytest.approx(
                values(drawn(drawing)), rel=1e-4, abs=1e-5
            )  # records are rounded
    assert [fault for drawing in found.values() for fault in faults(drawn(drawing))] == []
