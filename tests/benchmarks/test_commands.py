"""Every benchmark runs from its command line, says what it found, and saves it with where it comes from."""

import json

import pytest
import torch

from benchmarks.compare.__main__ import main as compare
from benchmarks.generation.__main__ import main as generation
from benchmarks.memory.__main__ import main as memory
from benchmarks.pretrained.__main__ import main as pretrained
from benchmarks.pretrained.contestants import Scoring
from benchmarks.pretrained.tiny import VOCABULARY, save_tiny_model
from benchmarks.scaling.__main__ import main as scaling
from benchmarks.sharding.__main__ import main as sharding
from benchmarks.threads.__main__ import main as threads
from benchmarks.tokens.__main__ import main as tokens
from benchmarks.training.__main__ import main as training

KINDS = ("whole", "shards")
RUNS = {
    "training": (training, [], ["ours / (a)", "ours / (b)", "share of peak"]),
    "tokens": (tokens, [], ["training, the best option"]),
    "scaling": (scaling, ["--plain"], ["ours: power of T", "(a) plain: power of T"]),
    "generation": (generation, ["--batches", "1", "3"], ["ours / recomputing, batch 1", "ours / recomputing, batch 3"]),
    "memory": (memory, ["--threads", "1"], ["ours / (a)"]),
    "pretrained": (
        pretrained,
        ["--threads", "1"],
        [
            "scoring, float32: ours / transformers",
            "scoring, bfloat16: ours / transformers",
            "fast step / training step of transformers",
            "memory: ours / transformers",
        ],
    ),
    "sharding": (sharding, ["--processes", "2"], [f"this, 2 processes, {kind}, held / its share" for kind in KINDS]),
    "threads": (threads, ["--busy", "0", "1", "--steps", "1"], ["30,000 looks / the runtime's own, beside nothing"]),
}


SLOW = ("memory", "pretrained", "sharding", "tokens")  # several processes, and a training


@pytest.fixture
def _same_threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.figures
@pytest.mark.usefixtures("_same_threads")
@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in RUNS])
def test_it_measures_prints_and_saves(name, tmp_path, capsys):
    main, words, expected = RUNS[name]
    main(["--quick", "--out", str(tmp_path / "out"), *words])
    record = json.loads((tmp_path / "out" / f"{name}.json").read_text(encoding="utf-8"))
    assert (tmp_path / "out" / f"{name}.png").stat().st_size > 1000
    printed = capsys.readouterr().out
    found = {measure["name"]: measure for measure in record["measures"]}
    for measure in expected:
        assert found[measure]["low"] <= found[measure]["median"] <= found[measure]["high"]
        assert f"{measure}: " in printed
    assert record["command"] == ["python", "-m", f"benchmarks.{name}", "--quick", *words]
    assert {"commit", "clean", "versions", "threads", "sizes"} <= set(record)
    assert str(tmp_path) not in json.dumps(record)


def test_parts_of_a_pretrained_model_that_is_named(tmp_path, capsys):
    name = save_tiny_model(tmp_path / "another")
    pretrained(["--quick", "--name", str(name), "--parts", "scoring", "step", "--out", str(tmp_path / "out")])
    record = json.loads((tmp_path / "out" / "pretrained.json").read_text(encoding="utf-8"))
    assert record["model"]["name"] == "another"
    assert record["peaks"] == {}
    assert str(tmp_path) not in json.dumps(record)
    assert "fast step / training step of transformers: " in capsys.readouterr().out


def test_two_scores_that_disagree_are_refused(tmp_path, monkeypatch):
    name, x = str(save_tiny_model(tmp_path / "tiny")), torch.randint(VOCABULARY, (2, 8))
    Scoring(name, x, "float32")
    monkeypatch.setattr("benchmarks.pretrained.contestants.inputs_of", lambda x: x)  # each token reads itself
    with pytest.raises(ArithmeticError, match="nats per token by ours"):
        Scoring(name, x, "float32")


def test_a_compiled_decoder_takes_part(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("ltm_pyro.models.decoder.Decoder.compile_passes", lambda self: None)  # it has tests of its own
    training(["--quick", "--compile", "--out", str(tmp_path)])
    assert "compiled / (a): " in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["--cpu_time"]])
def test_a_table_of_batch_sizes(words, tmp_path, capsys):
    training(["--quick", "--sequences", "1", "3", "--out", str(tmp_path), *words])
    record = json.loads((tmp_path / "batches.json").read_text(encoding="utf-8"))
    names = {measure["name"] for measure in record["measures"]}
    assert names == {
        f"ours / ({other}), {count}{part}" for other in "ab" for count in (1, 3) for part in ("", ", fast loop")
    }
    assert record["command"][:3] == ["python", "-m", "benchmarks.training"]
    assert len(record["seconds"]["(a) plain, 3"]) == 2
    assert "ours / (a), 3: " in capsys.readouterr().out


@pytest.mark.slow  # a step of 76M parameters
def test_a_recipe_is_measured_by_itself(tmp_path, capsys):
    memory(["--quick", "--recipe", "large", "--threads", "1", "--steps", "1", "--out", str(tmp_path)])
    assert "recompute, batch 1: " in capsys.readouterr().out
    record = json.loads((tmp_path / "memory.json").read_text(encoding="utf-8"))
    assert all(measure["reached"] for measure in record["measures"])


def result(folder, name, median, **more):
    measure = {"name": "a measure", "median": median, "low": median - 0.1, "high": median + 0.1, **more}
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"benchmark": "training", "threads": 1, "measures": [measure]}), encoding="utf-8")
    return path


def test_two_results_side_by_side(tmp_path, capsys):
    a, b = result(tmp_path, "a", 2.0, unit="times", reached=True), result(tmp_path, "b", 3.0)
    compare([str(a), str(b)])
    line = capsys.readouterr().out.splitlines()[2]
    assert "2 (1.9 to 2.1) times ✓" in line
    assert " 1.5 |" in line
    assert "overlap" not in line
    compare([str(a), str(result(tmp_path, "c", 2.15))])
    assert "ranges overlap" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ["no JSON", "[]", '{"measures": [{"name": "x"}]}', '{"benchmark": "other", "measures": []}']
)
def test_what_cannot_be_compared_is_refused(tmp_path, capsys, text):
    other = tmp_path / "other.json"
    other.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit, match="2"):
        compare([str(result(tmp_path, "a", 1.0)), str(other)])
    assert "give" in capsys.readouterr().err
