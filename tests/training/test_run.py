"""A run's folder holds all that is needed to use it, and says what is missing."""

import errno
import os
import re
import shutil
from pathlib import Path

import pytest
import torch
from runs import TINY, arguments, checkpoint, train, write_corpus

from ltm_pyro.data import train_tokenizer
from ltm_pyro.errors import InputError
from ltm_pyro.files import write_text
from ltm_pyro.training.run import Run, refuse_existing, run_parser


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    assert train(write_corpus(folder / "corpus.jsonl"), folder / "run") == 0
    return folder / "run"


@pytest.fixture
def config():
    settings = {name: value for name, value in TINY.items() if not name.startswith("run")}
    return run_parser().parse_args(arguments(settings))


@pytest.fixture
def tokenizer():
    return train_tokenizer(["some words"], 258)


OLD = Path(__file__).with_name("config-of-an-earlier-run.yaml")


def refused(pattern):
    return pytest.raises(InputError, match=pattern)


def test_a_run_leaves_every_file_that_is_promised(trained):
    files = {str(path.relative_to(trained)) for path in trained.rglob("*") if path.is_file()}
    promised = {
        "config.yaml",
        "tokenizer.json",
        "data.json",
        "metrics.jsonl",
        "training.json",
        "samples/prior-1.txt",
        ".lock",
    }
    promised |= {
        "evaluation/validation.json",
        "evaluation/validation.md",
        "figures/learning.pdf",
        "figures/learning.png",
        "figures/learning.svg",
        "figures/learning.txt",
    }
    parts = ("model.safetensors", "training-state.safetensors", "training-state.json", "info.json", "manifest.json")
    for step in (4, 6):  # the last two
        promised |= {f"checkpoints/step-{step:08d}/{part}" for part in parts}
    assert promised <= files
    extra = {file for file in files - promised if not file.startswith("checkpoints/step-00000003")}  # the best, perhaps
    assert not extra


def test_nothing_in_a_run_is_a_pickle(trained):
    for path in (path for path in trained.rglob("*") if path.is_file()):
        assert (
            path.suffix in {".yaml", ".json", ".jsonl", ".txt", ".md", ".safetensors", ".png", ".svg", ".pdf"}
            or path.name == ".lock"
        )


def test_a_run_that_was_opened_is_the_one_that_was_created(trained):
    run = Run.open(trained)
    assert run.config.decoder.width == 16
    assert run.tokenizer.vocabulary == 270
    assert len(run.fingerprint) == 16
    assert run.fingerprint == checkpoint(trained).info["fingerprint"]
    components = run.load("latest")
    assert not components.model.training
    saved = checkpoint(trained).weights
    assert all(torch.equal(value, saved[name]) for name, value in components.state_dict().items())


def test_checkpoints_are_found_by_name_and_by_step(trained):
    run = Run.open(trained)
    assert run.find("latest") == run.find("6") == trained / "checkpoints" / "step-00000006"
    losses = {step: checkpoint(trained, str(step)).info["loss"] for step in run.checkpoints.steps()}
    best = min((loss, step) for step, loss in losses.items() if loss is not None)[1]
    assert run.find("best").name == f"step-{best:08d}"
    for name in ("first", "5", "-1", ""):
        with refused(f"has no checkpoint '{name}': expected best, latest or a step of: .*4, 6"):
            run.find(name)


def test_a_new_run_takes_no_folder_that_is_there(tmp_path, trained, config, tokenizer):
    with refused(f"{re.escape(str(trained))} exists: choose another --run, or resume .* --resume"):
        Run.create(trained, config, tokenizer)
    refuse_existing(tmp_path)  # it is empty
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "file"):
        with refused("exists, and is not a run: choose another --run"):
            refuse_existing(place)
    refuse_existing(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_winner_of_a_race_keeps_its_run(tmp_path, trained, config, tokenizer, monkeypatch):
    fill = Run._fill

    def slowly(run, folder, *args):
        fill(run, folder, *args)
        shutil.copytree(trained, tmp_path / "run")

    monkeypatch.setattr(Run, "_fill", slowly)
    with refused("run exists: choose another --run"):
        Run.create(tmp_path / "run", config, tokenizer)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert (tmp_path / "run/metrics.jsonl").read_bytes() == (trained / "metrics.jsonl").read_bytes()


def test_a_run_that_was_cut_off_is_begun_again_without_what_it_had_noted(tmp_path, config, tokenizer):
    Run.create(tmp_path / "run", config, tokenizer).metrics.append({"step": 1})
    refuse_existing(tmp_path / "run", config)
    with refused("holds a run without a checkpoint: .* begins it again"):
        refuse_existing(tmp_path / "run")
    again = Run.create(tmp_path / "run", config, tokenizer, {"data.json": "{}"})
    assert again.metrics.read() == []
    assert again.read_json("data.json") == {}
    again.discard_unless_begun()  # it was not made here
    assert again.folder.exists()


def test_weights_alone_are_no_run_to_go_on_with(tmp_path, config, tokenizer):
    run = Run.create(tmp_path / "run", config, tokenizer)
    run.checkpoints.save(0, {"weight": torch.zeros(1)}, {})
    with refused("run exists: choose another --run$"):
        refuse_existing(tmp_path / "run")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path, config, tokenizer):
    (tmp_path / "file").touch()
    with refused("cannot be made: Not a directory. Give a folder to write to by --run"):
        Run.create(tmp_path / "file" / "run", config, tokenizer)


def full_disk(monkeypatch, name):
    """From now on, there is no space left for files of this name."""

    def failing(write):
        def fail(path, *args, **kwargs):
            if path.name == name:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(path, *args, **kwargs)

        return fail

    monkeypatch.setattr(Path, "write_text", failing(Path.write_text))
    monkeypatch.setattr("ltm_pyro.training.run.write_text", failing(write_text))


@pytest.mark.parametrize("name", ["config.yaml", "tokenizer.json"])
def test_a_full_disk_leaves_no_half_a_run(tmp_path, config, tokenizer, monkeypatch, name):
    full_disk(monkeypatch, name)
    with refused("cannot be made: No space left on device"):
        Run.create(tmp_path / "run", config, tokenizer)
    assert not (tmp_path / "run").exists()


def test_files_are_written_and_read_back_or_the_fault_is_named(tmp_path, config, tokenizer, monkeypatch):
    run = Run.create(tmp_path / "run", config, tokenizer)
    assert run.write("part/some.json", '{"a": 1}').read_text() == '{"a": 1}'
    assert run.read_json("part/some.json") == {"a": 1}
    run.write("bad.json", '{"a": ')
    for name in ("bad.json", "missing.json"):
        with refused(f"{name} cannot be read: .* Restore it from a copy"):
            run.read_json(name)

    def no_space(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", no_space)
    with refused("more.txt cannot be written: No space left on device. Free some space"):
        run.write("more.txt", "text")


def test_a_run_is_discarded_only_before_its_first_step(tmp_path, config, tokenizer):
    run = Run.create(tmp_path / "run", config, tokenizer)
    run.metrics.append({"step": 1})
    run.discard_unless_begun()
    assert run.folder.exists()
    run.metrics.path.unlink()
    run.discard_unless_begun()
    assert not run.folder.exists()


def test_what_is_no_run_is_refused_with_the_runs_beside_it(tmp_path, trained):
    with refused("is not a run: it has no config.yaml. `ltm train` makes one"):
        Run.open(tmp_path / "nothing")
    with refused(f"Runs beside it: .*{trained.name}"):
        Run.open(trained.parent / "nothing")
    with refused(f"Runs in it: .*{trained.name}"):
        Run.open(trained.parent)


def test_a_run_without_its_tokenizer_is_refused(tmp_path, config, tokenizer):
    run = Run.create(tmp_path / "run", config, tokenizer)
    (run.folder / "tokenizer.json").unlink()
    with refused("tokenizer.json is missing: restore it from a copy"):
        Run.open(run.folder).build()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("fast: [", "while parsing a flow node expected the node content"),
        ("just words", "input should be a valid dictionary, found 'just words'"),
        ("fast:\n  stps: 3\n", "there is no argument --fast.stps. Did you mean --fast.steps"),
        ("fast:\n  steps: many\n", "--fast.steps many: expected a whole number"),
    ],
)
def test_a_damaged_configuration_is_refused(tmp_path, config, tokenizer, text, reason):
    run = Run.create(tmp_path / "run", config, tokenizer)
    (run.folder / "config.yaml").write_text(text)
    with refused(f"(?s)config.yaml cannot be read: .*{reason}"):
        Run.open(run.folder)


def test_the_fingerprint_is_of_what_shapes_the_weights(tmp_path, config, tokenizer):
    first = Run.create(tmp_path / "first", config, tokenizer).fingerprint
    config.train.steps = 7
    assert Run.create(tmp_path / "longer", config, tokenizer).fingerprint == first
    config.decoder.width = 32
    assert Run.create(tmp_path / "wider", config, tokenizer).fingerprint != first
    config.decoder.width = 16
    other = train_tokenizer(["other letters, other letters"], 260)
    assert Run.create(tmp_path / "other", config, other).fingerprint != first


def test_a_run_of_an_earlier_version_is_opened(tmp_path):
    """Earlier versions had other fields: an empty one here, no rise in shares of the run, no steps of tables."""
    (tmp_path / "config.yaml").write_text(OLD.read_text(encoding="utf-8"), encoding="utf-8")
    config = Run.open(tmp_path).config
    assert config.data.field == ""
    assert config.train.evaluate_fast_steps == 48
    assert config.fast.bound.init_args.kl_weight.init_args.steps == 400
