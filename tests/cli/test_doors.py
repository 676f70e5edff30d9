"""A run's files are damaged in many ways: every command that needs one answers with one line, and follows no link."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from runs import ltm, train

from ltm_pyro.training.manifest import write_manifest
from ltm_pyro.training.state_files import read_tensors, write_tensors

READERS = {
    "evaluate": ("evaluate", "run", "--limit", "2", "--draws", "1"),
    "export": ("export", "run", "out.nc", "--limit", "2", "--draws", "1"),
    "generate": ("generate", "run", "--tokens", "2"),
    "inspect": ("inspect", "run", "--limit", "3", "--detail", "0"),
    "plot": ("plot", "run"),
    "push": ("push", "run", "hf:nobody/nothing", "--to_folder", "copy"),
    "resume": ("train", "--resume", "run"),
}


@pytest.fixture
def refused(capsys):
    """Runs a command and checks that it is refused in one line, which it returns."""

    def check(*words):
        capsys.readouterr()
        assert ltm(*words) == 2
        error = capsys.readouterr().err
        (message,) = (line for line in error.splitlines() if line.startswith("ltm: "))
        assert error.splitlines()[-1] == message
        assert "Traceback" not in error
        return message

    return check


def commands(*but):
    return pytest.mark.parametrize("words", [words for name, words in READERS.items() if name not in but])


def seal(run):
    """Write every manifest anew, as whoever damages a file on purpose would."""
    for path in run.glob("checkpoints/*"):
        write_manifest(path, [file.name for file in path.iterdir() if file.name != "manifest.json"])


def with_weights(run, change):
    for path in run.glob("checkpoints/*/model.safetensors"):
        write_tensors(path, change(read_tensors(path)))
    seal(run)


@commands()
@pytest.mark.parametrize("place", ["evaluation/validation.json", "samples/more.txt", "metrics.jsonl", "checkpoints"])
def test_no_link_in_a_run_is_followed(run, refused, words, place):
    Path("secret").write_text("secret")
    path = run / place
    if path.is_dir():
        path.rename("elsewhere")
        path.symlink_to(Path("elsewhere").absolute())
    else:
        path.unlink(missing_ok=True)
        path.symlink_to(Path("secret").absolute())
    assert f"{place} is a link to" in refused(*words)
    assert Path("secret").read_text() == "secret"
    assert not Path("copy").exists()


@commands("plot")
@pytest.mark.parametrize("place", ["config.yaml", "tokenizer.json"])
def test_a_pipe_or_a_device_does_not_hang(run, refused, words, place):
    (run / place).unlink()
    os.mkfifo(run / place)
    assert f"{place} is a named pipe" in refused(*words)


def test_a_run_may_itself_be_reached_by_a_link(run, capsys):
    run.rename("there")
    run.symlink_to("there")
    assert ltm(*READERS["generate"]) == 0


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize("words", [READERS["evaluate"], READERS["resume"], ("train", "--config", "run/config.yaml")])
@pytest.mark.parametrize("more", [BOMB, "x: " + "[" * 10_000, "x: " + "9" * 5000, "y: " + "a" * 300_000])
def test_bombs_in_a_configuration(run, refused, words, more):
    config = run / "config.yaml"
    config.write_text(config.read_text() + more)
    assert "config.yaml cannot be read" in refused(*words)


NULLS = [
    ("decoder.width", None),
    ("train", None),
    ("prior", None),
    ("fast.bound", None),
    ("prior.init_args.sigma", None),
]
LARGE = [("decoder.width", 10**9), ("decoder.layers", 10**8), ("decoder.thoughts", 10**9), ("data.length", 10**7)]


@pytest.mark.parametrize(("place", "value"), [*NULLS, *LARGE])
def test_nulls_and_sizes_larger_than_memory(run, refused, place, value):
    import yaml

    config = yaml.safe_load((run / "config.yaml").read_text())
    holder = config
    *groups, last = place.split(".")
    for group in groups:
        holder = holder[group]
    holder[last] = value
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    message = refused(*READERS["evaluate"])
    assert "null" in message if value is None else "another configuration" in message


BEYOND = ["--train.batch_size 1000000000000", *(f"--{name} {size}" for name, size in LARGE)]


@pytest.mark.parametrize("words", [*BEYOND, "--decoder.width null", "--train.steps null"])
def test_training_beyond_memory_or_with_nulls_is_refused_before_anything_is_made(here, corpus, capsys, words):
    assert train(corpus, "run", *words.split()) == 2
    assert not Path("run").exists()
    message = capsys.readouterr().err.splitlines()[-1]
    assert "expected a" in message if "null" in words else "this machine has" in message


@pytest.mark.parametrize("content", ["[]", "7", '{"fingerprint": 1}', "[" * 10_000, '{"fingerprint": "x"}'])
def test_data_json_of_another_shape(run, refused, content):
    (run / "data.json").write_text(content)
    assert "data.json cannot be read" in refused(*READERS["resume"])


@pytest.mark.parametrize("line", ["7", "[" * 10_000, '{"step": "x", "validation": {}}', '{"tokens_per_second": 0}'])
@pytest.mark.parametrize("words", [READERS["plot"], READERS["push"], READERS["resume"]])
def test_metrics_of_another_shape(run, refused, line, words):
    lines = (run / "metrics.jsonl").read_text().splitlines()
    (run / "metrics.jsonl").write_text("\n".join([line, *lines]) + "\n")
    assert "metrics.jsonl, line 1 cannot be read" in refused(*words)


@pytest.mark.parametrize("state", [[], {"dict": []}, {"dict": [["slow", 5]]}, {"dict": 7}, {"a": 1}, {"float": "x"}])
def test_a_training_state_of_another_shape(run, refused, state):
    for path in run.glob("checkpoints/*/training-state.json"):
        path.write_text(json.dumps(state))
    seal(run)
    refused(*READERS["resume"])


@commands("plot")
def test_weights_that_are_not_finite_are_named(run, refused, words):
    def change(weights):
        weights["model.decoder.norm.weight"][1] = float("nan")
        return weights

    with_weights(run, change)
    message = refused(*words)
    assert "model.decoder.norm.weight holds 1 numbers of 16 that are not finite" in message


@commands("plot", "push")
def test_renamed_weights(run, refused, words):
    with_weights(run, lambda weights: {name.replace("norm_1", "norm_one"): weight for name, weight in weights.items()})
    assert "does not hold the weights of this run's model: it has no model.decoder.blocks.0.norm_1" in refused(*words)


@pytest.mark.parametrize("words", [("evaluate", "--limit", "2"), ("inspect", "--limit", "3", "--detail", "0")])
def test_a_table_of_nan_is_none(here, corpus, capsys, refused, words):
    code = train(corpus, "run", guide__sigma="1e-20", train__steps=1)
    if code == 0:
        refused(words[0], "run", *words[1:])
    assert "nan" not in capsys.readouterr().out


@pytest.mark.parametrize("step", ["²", "٣", "1" * 5000, "-1", "4.0", "best\n", ""])
def test_checkpoints_that_no_run_has(trained, refused, step):
    assert "has no checkpoint" in refused("evaluate", trained, "--checkpoint", step)


@pytest.mark.parametrize("name", ["r" * 300, "a\0b", "\ud800", "new\nline", "", "/dev/null", "corpus.jsonl"])
@pytest.mark.parametrize("command", ["evaluate", "generate", "train"])
def test_names_that_no_run_has(here, corpus, refused, name, command):
    shutil.copy(corpus, "corpus.jsonl")
    if command == "train" and name in ("", "new\nline"):
        pytest.skip("one can be made")
    refused(*(("train", "corpus.jsonl", "--run", name) if command == "train" else (command, name)))


def test_text_in_a_run_does_nothing_in_a_card(run):
    table = run / "evaluation" / "validation.md"
    table.write_text(table.read_text() + "\n![](https://example.org/x.png) <script>alert(1)</script>\n---\n# heading\n")
    assert ltm(*READERS["push"]) == 0
    card = Path("copy/README.md").read_text()
    measured = card.split("## Numbers")[1].split("## How")[0]
    assert not [part for part in ("![", "<script>", "\n---", "\n# ", "://") if part in measured]


def test_memory_that_runs_out_is_one_line(trained, refused, monkeypatch):
    def too_much(*args, **kwargs):
        return torch.empty(2**60)

    monkeypatch.setattr("ltm_pyro.training.run.Run.load", too_much)
    assert "memory ran out" in refused("evaluate", trained)
