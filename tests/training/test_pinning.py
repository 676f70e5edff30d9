"""Pretrained parts of a run are found again by place and hash, and only the hash tells runs apart."""

import shutil

import pytest
from runs import TINY, arguments, train, write_corpus
from tiny_encoders import save_encoder

from ltm_pyro.errors import InputError
from ltm_pyro.pretrained import find_source
from ltm_pyro.training.build import fingerprint, validate
from ltm_pyro.training.pinning import pinned
from ltm_pyro.training.run import Run, run_parser

AMORTISED = ["--guide", "AmortisedGuide", "--guide.encoder", "PretrainedEncoder"]
NESTED = ["--guide", "MemoryGuide", "--guide.guide", "SemiAmortisedGuide"]


def parsed(folder, *further):
    return run_parser().parse_args([*arguments(TINY), *AMORTISED, "--guide.encoder.name", str(folder), *further])


def encoder_in(config):
    return config.guide.init_args.encoder.init_args


@pytest.fixture
def tokenizer_file(tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    return path


def test_a_relative_place_becomes_absolute_and_is_given_its_hash(encoders, monkeypatch):
    monkeypatch.chdir(encoders["bert"].parent)
    config = parsed("bert")
    found = encoder_in(pinned(config))
    assert (found.name, found.revision) == (str(encoders["bert"]), None)
    assert found.sha256 == find_source(str(encoders["bert"])).sha256
    assert (encoder_in(config).name, encoder_in(config).sha256) == ("bert", None)  # it was copied
    again = pinned(pinned(config))
    assert encoder_in(again) == found
    validate(run_parser(again), again)


def test_an_encoder_within_another_guide_is_found(encoders):
    encoder = ["--guide.guide.encoder", "PretrainedEncoder", "--guide.guide.encoder.name", str(encoders["bert"])]
    config = pinned(run_parser().parse_args([*arguments(TINY), *NESTED, *encoder]))
    assert config.guide.init_args.guide.init_args.encoder.init_args.sha256
    validate(run_parser(config), config)


def test_a_configuration_without_one_stays_as_it_is():
    config = run_parser().parse_args(arguments(TINY))
    assert pinned(config) == config
    other = run_parser().parse_args([*arguments(TINY), "--guide", "AmortisedGuide"])
    assert pinned(other) == other


def test_another_hash_is_refused(encoders):
    with pytest.raises(InputError, match=r"--guide\.encoder\.name .* has other weights"):
        pinned(parsed(encoders["bert"], "--guide.encoder.sha256", "0" * 64))


def test_the_fingerprint_knows_the_weights_but_not_their_place(encoders, tmp_path, tokenizer_file):
    moved = shutil.copytree(encoders["bert"], tmp_path / "moved")
    other = save_encoder(tmp_path / "other", seed=1)
    here, there, different = (
        fingerprint(pinned(parsed(folder)), tokenizer_file) for folder in (encoders["bert"], moved, other)
    )
    assert here == there
    assert here != different
    assert fingerprint(pinned(parsed(moved, "--guide.encoder.pooling", "first")), tokenizer_file) != here
    assert fingerprint(parsed(moved), tokenizer_file) != fingerprint(parsed(other), tokenizer_file)  # without a hash


def test_a_run_that_was_cut_off_before_its_first_checkpoint_begins_again(tmp_path, monkeypatch):
    """Its configuration is the pinned one, to which that of the command line is compared."""
    monkeypatch.chdir(tmp_path)
    save_encoder("encoder")
    corpus = write_corpus(tmp_path / "corpus.jsonl")
    words = [*AMORTISED, "--guide.encoder.name", "encoder"]
    assert train(corpus, "run", *words) == 0
    shutil.rmtree("run/checkpoints")
    (tmp_path / "run/metrics.jsonl").unlink()
    assert train(corpus, "run", *words) == 0
    assert Run.open("run").checkpoints.steps()[-1] == 6
