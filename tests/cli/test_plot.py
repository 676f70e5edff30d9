"""`ltm train` leaves its learning curve, `ltm plot` lays several runs over one another and refuses what is no run."""

import json
from pathlib import Path

import pytest
from runs import ltm, train

from ltm_pyro.runs import figures as figures_of_runs
from ltm_pyro.training.metrics_log import MetricsLog


def whole(stem):
    svg = stem.with_suffix(".svg").read_text(encoding="utf-8")
    assert stem.with_suffix(".png").stat().st_size > 5000
    assert svg.rstrip().endswith("</svg>")
    return svg


@pytest.mark.figures
def test_a_run_leaves_its_learning_curve(here, corpus):
    for folder, settings, layered in (("run", {}, True), ("twin", {"model": "autoregressive"}, False)):
        assert train(corpus, Path(folder), **settings) == 0
        svg = whole(Path(folder) / "figures" / "learning")
        assert all(text in svg for text in ("−ELBO, nats/token", "tokens seen", "validation"))
        assert ("layer 1" in svg, "layer 2" in svg) == (layered, layered)


@pytest.mark.figures
@pytest.mark.parametrize("against", ["tokens", "steps", "seconds"])
def test_runs_lie_over_one_another(here, trained, reference, against, capsys):
    assert ltm("plot", trained, reference, "--against", against, "--out", "out") == 0
    stem = Path("out") / f"curves-{against}"
    assert "trained, validation" in whole(stem)
    assert "reference, training" in whole(stem)
    assert capsys.readouterr().out.split() == [
        f"{stem}{end}" for end in (".png", ".svg", ".pdf", ".txt", ".json", ".csv")
    ]
    points = json.loads(stem.with_suffix(".json").read_text(encoding="utf-8"))
    logged = MetricsLog(trained / "metrics.jsonl").read()
    measured = [record["validation"]["elbo"] for record in logged if "validation" in record]
    drawn = [p["elbo"] for p in points if p["run"] == "trained" and p["part"] == "validation"]
    assert drawn == measured
    assert len(drawn) == 2


def test_an_unfinished_run_is_drawn_into_its_own_folder(run):
    log = run / "metrics.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:2]) + b'{"step": 3, "tok')
    assert ltm("plot", run) == 0
    points = json.loads((run / "figures" / "curves-tokens.json").read_text(encoding="utf-8"))
    assert [point["steps"] for point in points] == [1, 2]


def test_what_cannot_be_drawn_is_refused(run, capsys):
    for words, told in (
        (["nowhere"], "is not a run"),
        ([run, run], "named twice"),
        ([run, "--points", 0], "--points 0"),
        ([run, "--limit", 8], "--limit is --points now"),
        ([run, "--against", "flops"], "against"),
    ):
        assert ltm("plot", *words) == 2
        assert told in capsys.readouterr().err
    (run / "metrics.jsonl").unlink()
    assert ltm("plot", run) == 2
    assert "nothing to draw yet" in capsys.readouterr().err


def test_a_figure_that_cannot_be_drawn_ends_no_training(here, corpus, monkeypatch, capsys):
    def broken(*_):
        raise RuntimeError("no fonts")

    monkeypatch.setattr(figures_of_runs, "draw_curves", broken)
    assert train(corpus, Path("run")) == 0
    assert capsys.readouterr().err.count("no fonts") == 1  # though there were two occasions
