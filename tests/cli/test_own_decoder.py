"""A decoder of the user's own is named, trained, opened and refused like a prior or a guide of the user's own."""

import os
import shutil
import sys
from pathlib import Path

import pytest
import torch
import yaml
from runs import TINY, arguments, checkpoint, ltm

import ltm_pyro
from ltm_pyro import ELBO, FastLoop, GaussianPrior, LatentThoughtModel, MeanFieldGuide, SlowStep, merged, recipe
from ltm_pyro.cli.run_arguments import configured
from ltm_pyro.errors import InputError
from ltm_pyro.runs.config import as_dict, complete, value_of
from ltm_pyro.training.run import Run

HERE = Path(__file__).parents[1]
CODE = (HERE / "bag_decoder.py").read_text(encoding="utf-8").replace("BagDecoder", "MyDecoder")
SHORT = {name: value for name, value in TINY.items() if not name.startswith("decoder.")}
NAMED = ("--decoder", "my_code.MyDecoder", "--decoder.size", "4")
FORM = {"class_path": "my_code.MyDecoder", "init_args": {"size": 4, "thoughts": 2}}


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "my_code.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("my_code", None)


def train(corpus, *words, **settings):
    changed = {name.replace("__", "."): value for name, value in settings.items()}
    return ltm("train", corpus, *arguments({**SHORT, **changed}), *words)


@pytest.fixture
def run(here, corpus):
    assert train(corpus, "--run", "run", *NAMED) == 0
    return Path("run")


def test_it_trains_evaluates_writes_and_is_shared(run, capsys):
    assert yaml.safe_load((run / "config.yaml").read_text())["decoder"] == FORM
    decoder = Run.open(run).load().model.decoder
    assert (type(decoder).__name__, decoder.z_shape, decoder.length) == ("MyDecoder", (1, 2, 4), 16)
    weights = checkpoint(run, "best").weights
    assert torch.equal(decoder.head.weight, weights["model.decoder.head.weight"])
    earlier = checkpoint(run, "4").weights
    assert not torch.equal(weights["model.decoder.head.weight"], earlier["model.decoder.head.weight"])
    assert ltm("evaluate", run, "--limit", "2", "--draws", "2") == 0
    assert ltm("generate", run, "--prompt", "the people") == 0
    assert "the people" in capsys.readouterr().out
    assert ltm("inspect", run, "--limit", "4", "--detail", "0") == 0
    capsys.readouterr()
    assert ltm("inspect", run, "--limit", "4") == 2
    assert "--detail 4: a MyDecoder does not report its attention to thoughts" in capsys.readouterr().err
    assert ltm("push", run, "hf:someone/thoughts", "--to_folder", "shared") == 0
    card = Path("shared/README.md").read_text()
    assert "MyDecoder(size=4, thoughts=2)" in card
    assert "code of its author that is not in this repository: `my_code.MyDecoder`" in card


def test_it_goes_on_as_if_it_had_not_been_interrupted(run):
    shutil.copytree(run, "part")
    shutil.rmtree("part/checkpoints/step-00000006")
    assert ltm("train", "--resume", "part", "--trust_code") == 0
    one, part = checkpoint(run), Run.open("part", trust_code=True)
    other = part.checkpoints.load(part.find("latest"))
    assert (one.step, one.info) == (other.step, other.info)
    assert all(torch.equal(weight, other.weights[name]) for name, weight in one.weights.items())


def test_it_serves_without_thoughts_where_it_can(here, corpus, capsys):
    assert train(corpus, "--run", "run", *NAMED, "--model", "autoregressive", train__steps=1) == 0
    assert Run.open("run").load().model.decoder.z_shape == (1, 0, 4)
    assert train(corpus, "--run", "other", *NAMED, "--model", "masked-diffusion") == 2
    assert "masked-diffusion uses the blocks of a Decoder: leave out --decoder MyDecoder" in capsys.readouterr().err


def test_it_begins_with_the_weights_of_its_own_kind_alone(run, trained, capsys):
    from_run = ("--train.start_from", "run")
    assert ltm("train", *arguments({**SHORT, "train.steps": 1}), "--run", "second", *NAMED, *from_run) == 0
    assert "none start anew" in capsys.readouterr().err
    for words, message in (
        ((*NAMED[:2], "--decoder.size", "6"), "its decoder does not fit"),
        (("--decoder.width", "16"), "it is a my_code.MyDecoder there and a ltm_pyro.Decoder here"),
    ):
        assert ltm("train", *arguments(SHORT), "--run", "third", *words, *from_run) == 2
        assert message in capsys.readouterr().err


def test_a_copied_run_and_a_file_need_consent(run, capsys):
    shutil.copytree(run, "copy")
    sys.modules.pop("my_code")
    sys.path[:] = [folder for folder in sys.path if folder != os.getcwd()]
    for words in (["evaluate", "copy"], ["train", "--config", "copy/config.yaml", "--print_config"]):
        capsys.readouterr()
        assert ltm(*words) == 2
        assert "copy/config.yaml: decoder my_code.MyDecoder is code of another package" in capsys.readouterr().err
        assert "my_code" not in sys.modules
    for words in (["--config", "copy/config.yaml", "--trust_code"], ["--config", "run/config.yaml"]):
        assert as_dict(configured(words)[0])["decoder"] == FORM


def decoder_of(*words):
    return as_dict(configured(words)[0])["decoder"]


def test_words_overrule_files_and_the_last_file_the_others(run, trained):
    own, theirs = ("--config", str(Path(trained) / "config.yaml")), ("--config", "run/config.yaml")
    assert decoder_of(*theirs, "--decoder.size", "7") == {**FORM, "init_args": {"size": 7, "thoughts": 2}}
    assert decoder_of(*theirs, "--decoder", "my_code.MyDecoder")["init_args"]["size"] == 8  # it starts anew
    assert decoder_of(*own, *theirs) == FORM
    assert decoder_of(*theirs, *own)["width"] == decoder_of(*own)["width"] == 16
    assert decoder_of(*theirs, "--decoder=Decoder")["width"] == 128  # the class's own default, not the recipe's
    assert decoder_of()["width"] == 96


def test_settings_in_python_name_it_like_a_prior(here, monkeypatch):
    monkeypatch.syspath_prepend(os.getcwd())
    settings = merged(recipe(), {"decoder": {"class_path": "my_code.MyDecoder"}}, {"decoder.size": 4})
    assert as_dict(complete(settings))["decoder"] == FORM
    own = merged(recipe(), {"decoder.width": 32})
    assert value_of(as_dict(complete(own)), "decoder.width") == 32
    whole = merged(recipe(), {"decoder": {"class_path": "ltm_pyro.Decoder", "init_args": own["decoder"]}})
    assert as_dict(complete(whole)) == as_dict(complete(own))  # ours is flat, however it is named
    with pytest.raises(InputError, match="width"):
        complete(merged(settings, {"decoder.width": 32}))


def test_another_one_has_another_fingerprint(here, tmp_path, monkeypatch):
    from ltm_pyro.training.build import fingerprint

    monkeypatch.syspath_prepend(os.getcwd())
    (tmp_path / "tokenizer.json").write_text("{}")
    sizes = [{"decoder": FORM}, {"decoder": {**FORM, "init_args": {"size": 5}}}, {"decoder": {"width": 32}}]
    known = [fingerprint(complete(merged(recipe(), size)), tmp_path / "tokenizer.json") for size in sizes]
    assert len(set(known)) == 3


def test_objects_with_it_become_a_run(here, monkeypatch):
    monkeypatch.syspath_prepend(os.getcwd())
    from my_code import MyDecoder

    decoder = MyDecoder(20, 8, size=4)
    model = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder)
    texts = [torch.arange(8).add(i).remainder(20) for i in range(12)]
    settings = {name: value for name, value in SHORT.items() if name.startswith("train.")}
    parts = model, MeanFieldGuide(decoder.z_shape), FastLoop(ELBO(), 2), SlowStep(ELBO(), 0.02, warmup=1)
    trained = ltm_pyro.train(*parts, texts, folder="mine", settings=settings)
    assert trained.settings["decoder"] == {**FORM, "init_args": {"size": 4}} | {"init_args": {"size": 4, "thoughts": 2}}
    assert type(ltm_pyro.load("mine").model.decoder) is MyDecoder


WRONG = """
from my_code import MyDecoder
from ltm_pyro import AbstractDecoder


class Peeking(MyDecoder):
    def features(self, tokens, z=None):
        return super().features(tokens, z) + self.last(tokens).mean(-2, keepdim=True)


class NoBase(AbstractDecoder):
    def __init__(self, vocabulary: int, length: int, bos_id: int) -> None:
        self.size = 3

    def features(self, tokens, z=None): ...

    def unembed(self, h): ...


class Half(AbstractDecoder):
    def unembed(self, h): ...


class Thoughtful(MyDecoder):
    def __init__(self, vocabulary: int, length: int, bos_id: int = 0) -> None:
        super().__init__(vocabulary, length, bos_id)
"""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["wrong.Peeking"], "--decoder Peeking: a token's hidden state changes with the tokens that follow it"),
        (
            ["wrong.NoBase"],
            "--decoder NoBase: its __init__ must begin with super().__init__(z_shape, vocabulary, length",
        ),
        (["wrong.Half"], "--decoder Half: this is an abstract class, without features"),
        (["wrong.Thoughtful", "--model", "autoregressive"], "--decoder Thoughtful has no argument `thoughts`"),
        (["wrong.Other"], "module 'wrong' has no attribute 'Other'"),
        (["nowhere.MyDecoder"], "No module named 'nowhere'"),
        (["Nonesuch"], "--decoder Nonesuch: this is no class that derives from AbstractDecoder. Known: "),
        (["GaussianPrior"], "--decoder GaussianPrior: this is no class that derives from AbstractDecoder"),
        (["os.system"], "--decoder os.system: this is no class that derives from AbstractDecoder"),
        (["my_code.MyDecoder", "--decoder.sise", "4"], "--decoder.sise 4. Did you mean --decoder.size"),
        (["my_code.MyDecoder", "--decoder.size", "x"], "--decoder.size x: expected a whole number"),
        (["my_code.MyDecoder", "--decoder.width", "4"], "unrecognized arguments: --decoder.width 4"),
        (["my_code.MyDecoder", "--decoder.size", "null"], "--decoder.size None: expected a whole number"),
    ],
)
def test_what_cannot_be_one_is_refused_before_any_work(here, corpus, capsys, words, message):
    Path("wrong.py").write_text(WRONG)
    try:
        assert train(corpus, "--run", "bad", "--decoder", *words) == 2
    finally:
        sys.modules.pop("wrong", None)
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not Path("bad").exists()


@pytest.mark.slow
def test_a_study_varies_the_sizes_that_it_has_and_no_others(here, corpus, capsys):
    words = [*arguments({**SHORT, "train.steps": 1, "train.samples": 0}), *NAMED]
    assert ltm("scale", corpus, "--out", "study", "--layers", "1", "2", *words) == 2
    assert capsys.readouterr().err == "ltm: layers 1: there is no argument --decoder.layers.\n"
    assert ltm("scale", corpus, "--out", "study", "--thoughts", "1", "2", *words) == 0


def test_a_file_of_our_own_decoders_arguments_is_still_read(here):
    Path("sizes.yaml").write_text("width: 24\nheads: 2\n")
    assert decoder_of("--decoder", "sizes.yaml")["width"] == 24
