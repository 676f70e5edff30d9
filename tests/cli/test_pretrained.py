"""Runs on pretrained decoders through the command line: training, tables, resumption, and every use of a run."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from cli.test_compare_guides import TINY as FEW_STEPS
from pretrained_models import causal_model, moved, pretrained, save, text_tokenizer
from runs import PRETRAINED, checkpoint, ltm, metrics, train_pretrained
from safetensors import safe_open

import ltm_pyro
from ltm_pyro import ELBO, FastLoop, GaussianPrior, LatentThoughtModel, MeanFieldGuide, PretrainedDecoder, SlowStep
from ltm_pyro.data import in_order
from ltm_pyro.evaluation.flops import paper_flops_per_token
from ltm_pyro.evaluation.twins import HALF, TWIN
from ltm_pyro.runs.loading import load
from ltm_pyro.serving import DemoService
from ltm_pyro.training.held_out import RunText
from ltm_pyro.training.run import Run

FEW = ["--limit", "4", "--draws", "2", "--fast_steps", "2"]
TWINS = ("z = 0, the same adapters", "the frozen model")
SHORT = {"train__steps": 2, "train__save_every": 2, "train__evaluate_every": 2}
FROZEN = ("embed_tokens", "layers", "head", "norm", "embedding")  # parts of names of the base's weights


@pytest.fixture(autouse=True)
def _here(here):
    """An empty folder to start commands in."""


@pytest.fixture
def run(on_pretrained):
    """A copy of a trained run, to be changed."""
    shutil.copytree(on_pretrained, "run")
    return Path("run")


def scores(path):
    return json.loads(path.read_text())["evaluation"]["scores"]


def frozen_nats(run, base, shift=0):
    """Nats per token of a run's held-out texts under its base, by transformers' own loss."""
    model, tokenizer = transformers.AutoModelForCausalLM.from_pretrained(base), Run.open(run).tokenizer
    total = count = 0
    for sequence in held_out(run):
        tokens = torch.tensor([[tokenizer.bos_id, *sequence]])
        labels = tokens.clone()
        labels[:, 0] = -100
        with torch.no_grad():
            total += float(model(input_ids=tokens, labels=labels.roll(shift, 1)).loss) * len(sequence)
        count += len(sequence)
    return total / count


def held_out(run):
    sequences, most = RunText(Run.open(run)).held_out, PRETRAINED["train.final_sequences"]
    for batch in in_order(sequences, 1, most):
        yield (batch.x[0] if batch.mask is None else batch.x[batch.mask]).tolist()


# ---- tables


def test_the_table_of_a_training_has_the_twins(on_pretrained):
    table = (on_pretrained / "evaluation/validation.md").read_text()
    for twin in TWINS:
        assert f"| {twin}: exact" in table
        assert f"| {twin}{HALF}: exact" in table
        assert f"Gain over {twin}: " in table


def test_the_frozen_row_is_transformers_own_loss(on_pretrained, base):
    found = scores(on_pretrained / "evaluation/validation.json")[f"{TWIN}the frozen model"]
    assert found["is_bound"]
    assert found["nats_per_token"] == pytest.approx(frozen_nats(on_pretrained, base), abs=1e-4)
    assert found["nats_per_token"] != pytest.approx(frozen_nats(on_pretrained, base, shift=1), abs=1e-2)


def test_evaluate_prints_the_twins_unasked_and_keeps_them(run, capsys):
    assert ltm("evaluate", "run", *FEW) == 0
    shown = capsys.readouterr().out
    kept = [scores(path) for path in Path("run/evaluation").glob("*.json")]
    for twin in TWINS:
        assert f"| {twin}: exact" in shown
        assert all(f"{TWIN}{twin}" in numbers for numbers in kept)


# ---- what is saved


def test_a_checkpoint_is_small_and_holds_no_frozen_weight(on_pretrained, base):
    saved = Run.open(on_pretrained).find("best") / "model.safetensors"
    assert saved.stat().st_size < 0.05 * (base / "model.safetensors").stat().st_size
    with safe_open(saved, "pt") as weights:
        names = list(weights.keys())
    assert names
    assert [name for name in names if name.startswith("model.decoder.body")] == []


def test_frozen_weights_of_a_trained_run_are_those_of_the_base(on_pretrained, base):
    decoder = Run.open(on_pretrained).load().model.decoder
    own = transformers.AutoModelForCausalLM.from_pretrained(base)
    assert torch.equal(decoder.body.embedding.weight, own.get_input_embeddings().weight)
    assert torch.equal(decoder.body.head_weight, own.get_output_embeddings().weight)


@pytest.mark.parametrize("learns", ["adapters", "lora", "all"])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(learns, corpus, base):
    assert train_pretrained(corpus, "whole", base, "--decoder.learns", learns) == 0
    shutil.copytree("whole", "parts")
    shutil.rmtree(Run.open("parts").find("6"))  # as if the process had been killed before
    assert ltm("train", "--resume", "parts") == 0
    assert metrics("parts")[-1] == metrics("whole")[-1]
    one, other = (checkpoint(name).weights for name in ("whole", "parts"))
    assert one.keys() == other.keys()
    assert all(torch.equal(weight, other[name]) for name, weight in one.items())
    learned = [name for name in one if name.startswith("model.decoder.body")]
    assert bool(learned) is (learns != "adapters")
    assert all("lora_" in name for name in learned) is (learns != "all")
    first = checkpoint("whole", "4").weights
    assert all((first[name] != one[name]).any() for name in learned if "lora_A" in name or learns == "lora")


def test_two_seeds_differ(corpus, base, run):
    assert train_pretrained(corpus, "other", base, train__seed=1) == 0
    one, other = (checkpoint(name).weights for name in ("run", "other"))
    assert any((weight != other[name]).any() for name, weight in one.items())


def test_frozen_weights_count_among_those_that_a_token_passes(on_pretrained, base):
    decoder = Run.open(on_pretrained).load().model.decoder
    own = sum(weight.numel() for weight in transformers.AutoModelForCausalLM.from_pretrained(base).parameters())
    adapters = sum(weight.numel() for weight in decoder.parameters())
    layers, _, width = decoder.z_shape
    assert paper_flops_per_token(decoder, 0) == 6 * (own + adapters) + 6 * layers * width * decoder.length


# ---- the base


@pytest.mark.parametrize("words", [["evaluate", "run"], ["generate", "run"], ["train", "--resume", "run"]])
def test_another_base_of_the_same_shapes_is_refused(words, run, base, capsys):
    tokenizer = text_tokenizer()
    other = save(
        causal_model("Llama", 8 * tokenizer.vocabulary, 1, max_position_embeddings=64), Path("other"), tokenizer
    )
    config = run / "config.yaml"
    config.write_text(config.read_text().replace(f"name: {base}", f"name: {other.absolute()}"))
    assert ltm(*words) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"--decoder.name {other.absolute()} has other weights (sha256" in message
    assert "give the place of the original ones, or train anew" in message


def test_a_base_that_was_moved_is_found_by_its_new_name(corpus, capsys):
    folder = pretrained(Path.cwd())
    assert train_pretrained(corpus, "run", "Llama", **SHORT) == 0  # a relative path is recorded whole
    elsewhere = moved(folder)
    shutil.rmtree(folder)
    assert ltm("generate", "run") == 2
    assert "there is no such file or folder" in capsys.readouterr().err
    config = Path("run/config.yaml")
    config.write_text(config.read_text().replace(f"name: {folder}", f"name: {elsewhere}"))
    for words in (["generate", "run"], ["evaluate", "run", *FEW], ["train", "--resume", "run"]):
        assert ltm(*words) == 0


def test_a_run_begins_with_the_adapters_of_another_on_the_same_base(run, corpus, base, capsys):
    words = ["--train.start_from", "run"]
    assert train_pretrained(corpus, "next", base, *words, **SHORT, slow__learning_rate=1e-12) == 0
    assert "Beginning with run after step 6: " in capsys.readouterr().err
    taken, given = checkpoint("next").weights, checkpoint("run").weights
    assert all(torch.allclose(weight, given[name]) for name, weight in taken.items() if "injection" in name)
    other = pretrained(Path.cwd())
    assert train_pretrained(corpus, "third", other, *words, **SHORT) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert "--train.start_from run: its decoder does not fit: it stands on another pretrained model there" in message


# ---- recipes and arguments


@pytest.mark.parametrize("recipe", ["optimus", "llama-vae"])
def test_recipes_with_a_pretrained_encoder_train(recipe, corpus, base, encoders):
    words = ["--guide.encoder.name", encoders["bert"]]
    assert train_pretrained(corpus, "run", base, *words, recipe=recipe, **SHORT, fast__steps=0) == 0
    weights = checkpoint("run").weights
    assert any("decoder.body" in name for name in weights) is (recipe == "optimus")
    assert any("encoder.embedding" in name for name in weights) is (recipe == "optimus")
    found = scores(Path("run/evaluation/validation.json"))
    assert {"elbo", *(f"{TWIN}{twin}" for twin in TWINS)} <= found.keys()


@pytest.mark.parametrize(
    "words",
    [
        ["--model", "autoregressive", "--decoder.constant", "4"],
        ["--decoder.injection", "cross-attention", "--decoder.every", "1"],
        ["--train.precision", "bf16"],
        ["--decoder.dtype", "bfloat16"],
        pytest.param(["--compile"], marks=[pytest.mark.slow, pytest.mark.filterwarnings("ignore")]),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_it_trains_with(words, corpus, base):
    assert train_pretrained(corpus, "run", base, *words, **SHORT) == 0
    assert checkpoint("run").step == 2
    assert ltm("generate", "run") == 0


def test_compile_is_recorded(corpus, base):
    from ltm_pyro.cli.run_arguments import settings_of

    assert (
        settings_of([str(corpus), "--recipe", "pretrained", "--decoder.name", str(base), "--compile"])["compile"]
        == "default"
    )


# ---- uses of a run


def test_it_writes_with_and_without_a_prompt(run, capsys):
    assert ltm("generate", "run", "--seed", "1", "--samples", "2") == 0
    first = capsys.readouterr().out
    assert ltm("generate", "run", "--seed", "1", "--samples", "2") == 0
    assert capsys.readouterr().out == first != ""
    assert ltm("generate", "run", "--prompt", "the union", "--tokens", "8") == 0


def test_it_is_inspected(run):
    assert ltm("inspect", "run", *FEW, "--detail", "1") == 0
    assert {".md", ".json", ".html"} <= {path.suffix for path in Path("run/inspection").iterdir()}


def test_guides_are_compared_on_it(run):
    assert ltm("compare", "guides", "run", "--guides", "MeanFieldGuide", "FullCovarianceGuide", *FEW_STEPS) == 0


def test_models_are_compared(run, base, corpus):
    words = ["--model", "autoregressive", "--decoder.constant", "2"]
    assert train_pretrained(corpus, "constant", base, *words, **SHORT) == 0
    assert ltm("compare", "models", "run", "constant", "--limit", "4") == 0


def test_it_is_served(run):
    opened = Run.open("run")
    service, told = DemoService("a run", load(opened, "best")[0], opened.tokenizer), []
    assert service.about()
    service.fit({"text": "the union", "steps": 2, "seed": 0}, told.append)
    service.write({"text": "the union", "steps": 2, "seed": 0, "tokens": 4, "temperature": 1.0}, told.append)
    assert told


def test_objects_from_python_become_a_run_that_opens_again(base):
    decoder = PretrainedDecoder(str(base), None, 16, thoughts=2, thought_width=4)
    prior = GaussianPrior(decoder.z_shape)
    settings = {name: value for name, value in PRETRAINED.items() if name.startswith("train.")}
    x = torch.randint(2, 200, (12, 16))
    run = ltm_pyro.train(
        LatentThoughtModel(prior, decoder),
        MeanFieldGuide(decoder.z_shape),
        FastLoop(ELBO(), 2),
        SlowStep(ELBO(), 0.02),
        x,
        folder="run",
        settings=settings,
    )
    again = ltm_pyro.load("run")
    assert again.settings["decoder"]["init_args"]["sha256"]
    assert Run.open("run").bases[0]["licence"] == "apache-2.0"
    first, second = (of.components.state_dict() for of in (run, again))
    assert all(torch.equal(weight, second[name]) for name, weight in first.items())
