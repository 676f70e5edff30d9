"""A run with a transport trains, goes on, and is opened by every command; one without is what it always was."""

import shutil
from pathlib import Path

import pytest
import torch
import yaml
from runs import TINY, arguments, checkpoint, ltm, metrics, train

from ltm_pyro import (
    ELBO,
    Decoder,
    FastLoop,
    GaussianPrior,
    InputError,
    LatentThoughtModel,
    MeanFieldGuide,
    SlowStep,
    TransformerTransport,
)
from ltm_pyro.cli.run_arguments import configured
from ltm_pyro.runs.description import described
from ltm_pyro.sharing.card import model_card
from ltm_pyro.studies.scale.axes import values_of
from ltm_pyro.training.build import build, fingerprint, validate
from ltm_pyro.training.components import RunComponents
from ltm_pyro.training.run import Run, parse_settings, run_parser
from ltm_pyro.training.stand_in_tokenizer import StandInTokenizer
from ltm_pyro.training.start_from import Start

WORDS = ["--transport", "TransformerTransport", "--transport.layers", "1", "--transport.heads", "2"]
LATER = "transport.blocks.*.self_attention, transport.blocks.*.norm_3, transport.blocks.*.feed_forward"
OWN = """
from torch import nn

from ltm_pyro import AbstractTransport


class MyTransport(AbstractTransport):
    def __init__(self, z_shape, thought_shape, gain: float = 2.0):
        super().__init__(z_shape, thought_shape)
        self.gain, self.map = gain, nn.Linear(self.z_shape[2], self.thought_shape[2])

    def forward(self, z):
        return self.gain * self.map(z)


class MixesTexts(MyTransport):
    def forward(self, z):
        return super().forward(z - z.mean(0))
"""


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("transport") / "run"
    assert train(corpus, folder, *WORDS, "--thought_width", "5", train__keep=9) == 0
    return folder


def built(*words):
    config, _ = configured([*arguments(TINY), *words])
    return validate(run_parser(config), config).model


def test_its_weights_are_saved_and_have_learned(run):
    config = yaml.safe_load((run / "config.yaml").read_text())
    sizes = {"layers": 1, "heads": 2, "inner": None}
    assert config["transport"] == {"class_path": "ltm_pyro.TransformerTransport", "init_args": sizes}
    weights = checkpoint(run).weights
    assert weights["model.transport.carry.weight"].shape == (16, 5)
    assert weights["model.transport.blocks.0.self_attention.output.weight"].abs().max() > 0  # nothing at the start
    assert "model.projection.weight" not in weights
    loaded = Run.open(run).load("latest").model
    assert torch.equal(loaded.transport.carry.weight, weights["model.transport.carry.weight"])


def test_it_goes_on_bit_for_bit(run, tmp_path):
    shutil.copytree(run, tmp_path / "again")
    assert ltm("train", "--resume", tmp_path / "again" / "checkpoints" / "step-00000004") == 0
    assert metrics(tmp_path / "again")[-3:] == metrics(run)[-3:]
    whole = checkpoint(run).weights
    assert all(torch.equal(weight, whole[name]) for name, weight in checkpoint(tmp_path / "again").weights.items())


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "--limit", "2", "--draws", "2", "--fixed_noise", "false"],
        ["generate", "--prompt", "the people", "--tokens", "4"],
    ],
    ids=lambda words: words[0],
)
def test_every_command_opens_it(run, words, capsys):
    assert ltm(words[0], run, *words[1:]) == 0
    assert "nan" not in capsys.readouterr().out


def test_the_card_names_it(run, trained):
    text = model_card(Run.open(run), 6, "someone/model", "0")
    assert "| transport | `TransformerTransport(layers=1, heads=2)` |" in text
    assert "| transport |" not in model_card(Run.open(trained), 6, "someone/model", "0")


def test_a_run_without_one_is_the_beginning_of_one_with_it(trained):
    beginning = ["--train.start_from", str(trained), "--slow.bound", "ELBO"]
    values = []
    for words in (beginning, [*beginning, *WORDS]):
        config, _ = configured([*arguments(TINY), *words])
        run = Run.open(trained)
        components = build(run_parser(config), config, run.tokenizer)
        message = Start.of(config).hand_over(components)
        torch.manual_seed(0)
        x = torch.randint(config.data.vocabulary, (3, 16))
        components.guide.start(x, prior=components.model.prior())
        values.append(components.slow.bound.terms(components.model, components.guide, x).bound)
    assert message.endswith("start anew: transport.place, transport.blocks.*.norm_1, " + LATER)
    assert torch.equal(*values)  # the identity, on the same batch and noise


def test_objects_with_one_are_described_and_rebuilt():
    decoder = Decoder(vocabulary=2, width=16, layers=2, heads=2, thoughts=2, length=8)
    prior = GaussianPrior((2, 2, 5))
    model = LatentThoughtModel(prior, decoder, TransformerTransport(prior.z_shape, decoder.z_shape, layers=3, inner=32))
    given = RunComponents(model, MeanFieldGuide(prior.z_shape), FastLoop(ELBO(), 2), SlowStep(ELBO()))
    settings = described(given)
    assert settings["transport"]["init_args"] == {"layers": 3, "inner": 32}
    config = parse_settings(settings)
    again = build(run_parser(config), config, StandInTokenizer())
    shapes = {name: weight.shape for name, weight in model.state_dict().items()}
    assert {name: weight.shape for name, weight in again.model.state_dict().items()} == shapes
    plain = described(given._replace(model=LatentThoughtModel(prior, decoder)))
    assert "transport" not in plain


def test_the_fingerprint_of_a_run_without_one_is_unchanged(trained):
    config, tokenizer = Run.open(trained).config, trained / "tokenizer.json"
    before = config.clone()
    del before["transport"]
    assert fingerprint(config, tokenizer) == fingerprint(before, tokenizer)
    others = [
        parse_settings({**yaml.safe_load((trained / "config.yaml").read_text()), "transport": of})
        for of in (
            {"class_path": "ltm_pyro.MLPTransport"},
            {"class_path": "ltm_pyro.MLPTransport", "init_args": {"layers": 3}},
            None,
        )
    ]
    found = [fingerprint(other, tokenizer) for other in others]
    assert found[2] == fingerprint(config, tokenizer)
    assert len(set(found)) == 3


def test_models_without_thoughts_have_none_and_codes_have_one_behind_their_codebook():
    assert not hasattr(built(*WORDS, "--model", "autoregressive"), "transport")
    codes = [
        "--prior",
        "CodebookPrior",
        "--prior.codes",
        "7",
        "--guide",
        "StraightThroughGuide",
        "--fast.bound",
        "ELBO",
    ]
    model = built(*WORDS, *codes)
    assert model.transport.z_shape == model.transport.thought_shape == (2, 2, 16)
    assert model.projection.weight.shape == (16, 7)


def test_null_takes_away_that_of_a_file(tmp_path):
    (tmp_path / "some.yaml").write_text("transport:\n  class_path: MLPTransport\n  init_args:\n    hidden: 8\n")
    file = ["--config", str(tmp_path / "some.yaml")]
    assert built(*file).transport.up[0].out_features == 8
    assert built(*file, "--transport.hidden", "4").transport.up[0].out_features == 4
    assert built(*file, "--transport", "null").transport is None
    assert built("--transport=null").transport is None
    assert type(built(*file, *WORDS).transport) is TransformerTransport


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("Transformer", "there is no such transport. Did you mean TransformerTransport?"),
        ("AbstractTransport", "--transport AbstractTransport: this is an abstract class"),
        ("GaussianPrior", "there is no such transport. Known: .*MLPTransport"),
        ("torch.nn.Linear", "this is no AbstractTransport; a class of your own derives from"),
        ("MLPTransport --transport.layer 2", r"Did you mean --transport.layers\? It takes: hidden, layers\."),
        ("MLPTransport --transport.layers two", "--transport.layers two: expected a whole number"),
        ("MLPTransport --transport.hidden null", "--transport.hidden null: expected a value"),
        ("MLPTransport --transport.hidden 0", "hidden=0: expected 1 or more"),
        ("MLPTransport --transport.hidden 2000000000", r"transport \(.*hidden 2000000000\) would take [\d,]+ GiB"),
        ("TransformerTransport --transport.layers 2000000000", r"transport \(.*layers 2000000000.* would take"),
        ("TransformerTransport --transport.heads 3", "heads=3: expected .* width 16 is a multiple"),
    ],
)
def test_one_that_cannot_be_made_is_refused_before_any_text_is_read(words, message):
    with pytest.raises(InputError, match=message):
        built("--transport", *words.split())


def test_arguments_without_a_class_are_refused():
    with pytest.raises(InputError, match=r"--transport: arguments are given, and no class; name it too\. Known: .*MLP"):
        built("--transport.layers", "2")


def test_one_of_the_users_own(here, trained):
    Path("my_code.py").write_text(OWN)
    words = [*arguments(TINY), "--transport", "my_code.MyTransport", "--transport.gain", "3", "--thought_width", "5"]
    config, _ = configured(words)
    validate(run_parser(config), config)
    Run.create("run", config, Run.open(trained).tokenizer)
    assert Run.open("run").build().model.transport.gain == 3
    shutil.copytree("run", "copy")
    with pytest.raises(InputError, match=r"transport my_code.MyTransport.*--trust_code"):
        Run.open("copy")
    assert Run.open("copy", trust_code=True).build().model.transport.map.in_features == 5
    with pytest.raises(InputError, match="--transport MixesTexts: a text's thoughts change with"):
        built("--transport", "my_code.MixesTexts")


def test_it_is_a_dimension_of_a_grid():
    labels = [value.label for value in values_of("--grid", "transport", ["MLPTransport(hidden=4)", "MLPTransport"])]
    assert labels == ["MLPTransport(hidden=4)", "MLPTransport"]
