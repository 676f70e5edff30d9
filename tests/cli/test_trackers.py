"""Trackers receive all of a run, go on with a resumed one, and never stop training."""

import json
import shutil
import sqlite3
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from runs import arguments, ltm, metrics, newest, train

from ltm_pyro.plots import saving
from ltm_pyro.runs.trackers import trackers
from ltm_pyro.runs.trackers.configuration import flattened, masked
from ltm_pyro.runs.trackers.tensorboard import TensorBoard

BOARD = ("--train.trackers", "[tensorboard]")
pytestmark = pytest.mark.usefixtures("here", "_small_figures")


@pytest.fixture(scope="module")
def _small_figures():
    """Figures of one pixel, which every reader of PNG takes."""
    from matplotlib.image import imsave

    def rendered(figure, kind, caption):
        file = BytesIO()
        imsave(file, np.zeros((1, 1, 3)), format="png")
        return file.getvalue()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(saving, "_rendered", rendered)
        yield


@pytest.fixture(scope="module")
def reported(shelf, corpus, _small_figures):
    """A run that reported to TensorBoard."""
    pytest.importorskip("tensorboard")
    assert train(corpus, shelf / "reported", *BOARD) == 0
    return shelf / "reported"


def board(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "trackers"))
    events.Reload()
    return events


def points(events, tag):
    return {event.step: event.value for event in events.Scalars(tag)}


def steps_of(folder):
    return [record for record in metrics(folder) if "validation" not in record]


def test_tensorboard_has_configuration_metrics_figures_and_texts(reported, trained):
    events = board(reported)
    tags = events.Tags()
    elbos = {record["step"]: record["elbo"] for record in steps_of(reported)}
    assert points(events, "elbo") == pytest.approx(elbos)
    by_tokens = {record["tokens"]: record["elbo"] for record in steps_of(reported)}
    assert points(events, "by_tokens/elbo") == pytest.approx(by_tokens)
    validations = {r["step"]: r["validation"]["elbo"] for r in metrics(reported) if "validation" in r}
    assert points(events, "validation/elbo") == pytest.approx(validations)
    final = json.loads((reported / "evaluation/validation.json").read_text())["evaluation"]["scores"]["elbo"]
    assert points(events, "final/elbo") == pytest.approx({6: -final["nats_per_token"]})
    assert "figures/learning" in tags["images"]
    assert [image.step for image in events.Images("figures/learning")] == [3, 6]
    texts = {tag: events.Tensors(tag)[-1].tensor_proto.string_val[0].decode() for tag in tags["tensors"]}
    assert (reported / "samples/prior-1.txt").read_text().strip()[:4] in texts["final/samples/text_summary"]
    assert "Sample 1" in texts["samples/text_summary"]
    assert "steps: 6" in texts["configuration/text_summary"]
    plugin = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert b"slow.learning_rate" in plugin
    assert metrics(reported) == metrics(trained)  # reports change nothing


def test_a_resumed_run_goes_on_with_the_same_one(reported):
    shutil.copytree(reported, "run")
    assert ltm("train", "--resume", "run/checkpoints/step-00000004", "--trust_code") == 0
    assert metrics("run") == metrics(reported)
    assert [event.step for event in board(Path("run")).Scalars("elbo")] == [1, 2, 3, 4, 5, 6]  # none twice


def test_a_tracker_that_fails_is_left_out_and_gets_what_it_missed_at_the_next_resume(corpus, monkeypatch, capsys):
    send = TensorBoard.metrics

    def failing(self, values, step):
        if "elbo" in values and step == 3:
            raise ConnectionError("the server\nhas gone")
        send(self, values, step)

    with monkeypatch.context() as patched:
        patched.setattr(TensorBoard, "metrics", failing)
        assert train(corpus, "run", *BOARD) == 0
    err = capsys.readouterr().err
    assert err.count("the tracker tensorboard failed after step 3 (the server). Training goes on without it") == 1
    assert list(points(board(Path("run")), "elbo")) == [1, 2]
    assert json.loads(Path("run/trackers/runs.json").read_text())["tensorboard"]["until"] == 2
    assert ltm("train", "--resume", "run/checkpoints/step-00000004") == 0
    elbos = {record["step"]: record["elbo"] for record in steps_of("run")}
    assert points(board(Path("run")), "elbo") == pytest.approx(elbos)


def test_a_tracker_that_does_not_start_ends_a_new_run_and_not_a_resumed_one(corpus, monkeypatch, capsys):
    assert train(corpus, "old", *BOARD) == 0

    def refusing(self, values, text, resumed):
        raise ConnectionError("nobody answers")

    monkeypatch.setattr(TensorBoard, "configure", refusing)
    capsys.readouterr()
    assert train(corpus, "new", *BOARD) == 2
    assert "the tracker tensorboard cannot be started: nobody answers. Leave it out" in capsys.readouterr().err
    assert not Path("new").exists()
    assert ltm("train", "--resume", "old/checkpoints/step-00000004") == 0
    assert "cannot be started: nobody answers. Training goes on without it" in capsys.readouterr().err
    assert len(steps_of("old")) == 6


def test_a_tracker_that_is_not_installed_is_named_with_its_extra(corpus, reported, monkeypatch, capsys):
    monkeypatch.setattr("accelerate.tracking.get_available_trackers", list)
    assert train(corpus, "new", *BOARD) == 2
    assert "pip install 'ltm-pyro[tensorboard]'" in capsys.readouterr().err
    assert not Path("new").exists()
    shutil.copytree(reported, "run")
    assert ltm("train", "--resume", "run/checkpoints/step-00000004", "--trust_code") == 0
    assert "Training goes on without it" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_of_a_study_ends_at_its_trackers(corpus):
    few = {"train.steps": 2, "train.evaluate_every": 2, "decoder.width": 16, "data.length": 16, "data.vocabulary": 270}
    words = ("--fast_steps", "1", "--limit", "4", "--out", "study", "--decoder.heads", "2", "--train.draws", "2")
    assert ltm("scale", corpus, *words, *BOARD, *arguments(few)) == 0
    (folder,) = Path("study/runs").iterdir()
    assert json.loads((folder / "trackers/runs.json").read_text())["tensorboard"]["until"] == 2


@pytest.mark.parametrize("name", ["../outside", "a'b", "", "-x", "a/b", "x" * 129])
def test_names_that_are_no_names_are_refused(corpus, name, capsys):
    assert train(corpus, "run", f"--train.project={name}") == 2
    assert "up to 128 letters" in capsys.readouterr().err
    assert not Path("run").exists()


def test_secrets_are_hidden_and_nothing_else():
    settings = {
        "prior": {"class_path": "my.Prior", "init_args": {"hub_token": "s3", "tokens": 4, "password": ["a"]}},
        "data": {"tokenizer": "gpt2", "api_key": None},
        "corpus": "https://me:word@host/texts.txt",
        "fast": {"tokens": 0.5},
    }
    found = masked(settings)
    assert found["prior"]["init_args"] == {"hub_token": "hidden", "tokens": 4, "password": ["hidden"]}
    assert found["data"] == settings["data"]
    assert found["corpus"] == "https://hidden@host/texts.txt"
    assert found["fast"] == settings["fast"]
    assert flattened({"a": {"b": None, "c": [1, 2]}, "d": True}) == {"a.b": "null", "a.c": "[1, 2]", "d": True}


def test_mlflow_has_all_of_a_run_and_of_the_resumed_one(corpus, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", Path("store").absolute().as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri(None)
    words = ("--train.trackers", "[mlflow]", "--train.project", "a project", "--train.run_name", "first")
    assert train(corpus, "run", *words) == 0
    assert ltm("train", "--resume", "run/checkpoints/step-00000004") == 0
    client = mlflow.MlflowClient()
    (experiment,) = client.search_experiments(filter_string="name = 'a project'")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("first", "FINISHED")
    assert run.data.params["slow.learning_rate"] == "0.02"
    history = [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, "elbo")]
    assert history == [(record["step"], record["elbo"]) for record in steps_of("run")]
    by_tokens = [metric.step for metric in client.get_metric_history(run.info.run_id, "by_tokens/elbo")]
    assert by_tokens == [record["tokens"] for record in steps_of("run")]
    names = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert names == {"config.yaml", "figures", "samples", "final"}


def test_trackio_has_all_of_a_run_and_of_the_resumed_one(corpus, monkeypatch):
    pytest.importorskip("trackio")
    from trackio import sqlite_storage, utils

    for module in (sqlite_storage, utils):
        monkeypatch.setattr(module, "TRACKIO_DIR", Path("trackio").absolute(), raising=False)
    words = ("--train.trackers", "[trackio]", "--train.project", "shelf")
    assert train(corpus, "run", *words) == 0
    assert ltm("train", "--resume", "run/checkpoints/step-00000004") == 0
    database = newest(Path("trackio"), "shelf*.db")
    with sqlite3.connect(database) as connection:
        rows = connection.execute("select run_name, step, metrics from metrics order by id").fetchall()
    assert {name for name, _, _ in rows} == {"run"}
    elbos = [(step, json.loads(text)["elbo"]) for _, step, text in rows if "elbo" in json.loads(text)]
    assert elbos == [(record["step"], record["elbo"]) for record in steps_of("run")]
    logged = {name for _, _, text in rows for name in json.loads(text)}
    assert {"tokens", "validation/elbo", "final/elbo", "figures/learning", "samples", "final/samples"} <= logged


def test_every_extra_of_a_tracker_is_one_of_the_package():
    assert {"tensorboard", "mlflow", "trackio", "wandb"} == set(trackers.EXTRAS)
    extras = Path(__file__).parents[2].joinpath("pyproject.toml").read_text(encoding="utf-8")
    assert all(f"\n{name} = [" in extras for name in trackers.EXTRAS)
