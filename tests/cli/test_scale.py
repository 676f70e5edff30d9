"""`ltm scale`: a grid, resumable, by several processes."""

import json
from pathlib import Path

import pytest
from runs import TINY, arguments, ltm

pytestmark = pytest.mark.usefixtures("here")
SIZES = {
    name: value for name, value in TINY.items() if name not in ("decoder.thoughts", "fast.steps", "decoder.window")
}
GRID = ("--fast_steps", "1", "2", "4", "--limit", "4")


def scale(corpus, *words):
    return ltm("scale", corpus, "--run", "study", *words, *arguments(SIZES))


def results():
    return json.loads(Path("study/results.json").read_text(encoding="utf-8"))


def test_a_grid_is_trained_scored_drawn_and_goes_on(corpus, capsys):
    assert scale(corpus, *GRID, "--inference_steps", "2", "training") == 0
    out = capsys.readouterr().out
    for part in ("## The numbers", "## What training spends", "Loss against training FLOPs per token, spent"):
        assert part in out
    found = results()
    assert len(found["summary"]) == len(found["records"]) == 3 * 2  # models by T_fast at inference
    spent = {row["fast_steps"]: row["flops_per_token"] for row in found["summary"]}
    assert spent[1] < spent[2] < spent[4]
    assert spent[4] - spent[2] == pytest.approx(2 * (spent[2] - spent[1]))
    for row in found["summary"]:
        assert row["importance_weighted_nats_per_token"] > 0
    figures = {path.suffix for path in Path("study/figures").iterdir()}
    assert figures == {".png", ".svg"}
    before = {path: path.stat().st_mtime_ns for path in Path("study/runs").glob("*/config.yaml")}
    assert len(before) == 3
    assert scale(corpus, *GRID, "--inference_steps", "2", "training") == 0  # all is done
    assert scale(corpus, *GRID, "--inference_steps", "2", "training", "--seeds", "0", "1", "--processes", "2") == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before  # and nothing was done again
    assert len(list(Path("study/runs").glob("*/config.yaml"))) == 6
    assert {row["seeds"] for row in results()["summary"]} == {2}


def test_a_cell_that_was_interrupted_goes_on_alone(corpus, capsys):
    Path("grid.yaml").write_text("thoughts: [1, 2]\n", encoding="utf-8")
    words = ("--grid", "grid.yaml", "--limit", "4")
    assert scale(corpus, *words) == 0
    whole = results()["summary"]
    (one,) = Path("study/cells").glob("*K1*")
    (one / "result.json").unlink()
    assert scale(corpus, *words) == 0
    again = results()["summary"]
    same = [name for name in whole[0] if name.endswith("nats_per_token")]
    assert [[row[name] for name in same] for row in again] == [[row[name] for name in same] for row in whole]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "has no dimension: give one or more of fast_steps"),
        (("--fast_steps", "0"), "expected whole numbers from 1 on"),
        (("--width", "16", "16"), "expected one or more different values"),
        (("--thoughts", "1", "--seeds", "0", "0"), "expected different whole numbers"),
        (("--thoughts", "1", "--processes", "0"), "--processes 0: expected 1 or more"),
        (("--thoughts", "1", "--decoder.thoughts", "2"), "it is a dimension of this grid"),
        (("--thoughts", "1", "--model", "autoregressive"), "--model is not for a study of scale"),
        (("--thoughts", "1", "--guide", "MAPGuide"), "its guide has no density"),
        (("--layers", "-1"), "expected whole numbers from 1 on"),
        (("--grid", "nowhere.yaml"), "cannot be read"),
        (("--grid", "odd.yaml"), "'widths' is no dimension: did you mean 'width'?"),
    ],
)
def test_a_bad_grid_gets_one_clear_error_before_any_work(corpus, words, told, capsys):
    Path("odd.yaml").write_text("widths: [16]\n", encoding="utf-8")
    assert scale(corpus, *words) == 2
    assert told in capsys.readouterr().err
    assert not Path("study/runs").exists()
