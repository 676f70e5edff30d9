"""Pretrained models are data: whatever a stranger's run names, opening it executes and unpickles nothing."""

import json
import pickle
import shutil
import sys
from pathlib import Path

import pytest
import torch
import yaml
from pretrained_models import pretrained
from runs import ltm, train, train_pretrained, write_corpus
from tiny_encoders import save_encoder

from ltm_pyro.pretrained import find_source
from ltm_pyro.training.run import Run

SHORT = {"train__steps": 2, "train__evaluate_every": 2, "train__save_every": 2}
CODE = """
from pathlib import Path

Path("PWNED").touch()

class Mine: ...
"""
AUTO = {"AutoConfig": "mine.Mine", "AutoModel": "mine.Mine", "AutoModelForCausalLM": "mine.Mine"}


class Evil:
    """An object whose unpickling makes a file."""

    def __reduce__(self):
        return (Path.touch, (Path("PWNED"),))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a run on a pretrained decoder, one with a pretrained encoder, and their bases."""
    folder = tmp_path_factory.mktemp("bases")
    corpus = write_corpus(folder / "corpus.jsonl")
    decoder, encoder = pretrained(folder), save_encoder(folder / "bert")
    assert train_pretrained(corpus, folder / "decoder", decoder, **SHORT) == 0
    words = ["--guide", "AmortisedGuide", "--guide.encoder", "PretrainedEncoder", "--guide.encoder.name", encoder]
    assert train(corpus, folder / "encoder", *words, **SHORT) == 0
    return folder


@pytest.fixture(params=["decoder", "encoder"])
def opened(request, runs, here, capsys):
    """Change the base of a stranger's run and use the run; returns the exit code and the last line."""
    kind = {"decoder": "Llama", "encoder": "bert"}[request.param]
    shutil.copytree(runs / kind, "base")
    shutil.copytree(runs / request.param, "run")

    def use(change, as_if_whole=True):
        change(Path("base"))
        config = Path("run/config.yaml")
        content = config.read_text().replace(f"name: {runs / kind}\n", "name: ./base\n")
        if as_if_whole:  # a stranger gives the hash of what he changed
            recorded = yaml.safe_load((runs / request.param / "base.json").read_text())[0]["sha256"]
            content = content.replace(recorded, find_source("./base").sha256)
        config.write_text(content)
        assert not Run.open("run").own
        code = ltm("evaluate", "run", runs / "corpus.jsonl", "--limit", "2", "--draws", "2", "--fast_steps", "1")
        assert not Path("PWNED").exists()
        assert not [name for name in sys.modules if name == "mine" or name.endswith(".mine")]
        return code, capsys.readouterr().err.strip().splitlines()[-1]

    return use


def settings(folder, name, **changes):
    path = folder / name
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**content, **changes}))


def test_the_watch_notices_an_unpickled_file(here):
    Path("evil.bin").write_bytes(pickle.dumps(Evil()))
    pickle.loads(Path("evil.bin").read_bytes())
    assert Path("PWNED").exists()
    torch.save({"weight": Evil()}, "evil.pt")
    with pytest.raises(pickle.UnpicklingError):
        torch.load("evil.pt", weights_only=True)


def test_the_changed_place_itself_is_opened(opened):
    assert opened(lambda folder: None)[0] == 0


def test_code_beside_a_model_is_not_imported(opened):
    def change(folder):
        (folder / "mine.py").write_text(CODE)
        settings(folder, "config.json", auto_map=AUTO)

    with pytest.raises(Exception, match="needs code of its own"):
        opened(change)
    code, message = opened(lambda folder: None, as_if_whole=False)
    assert code == 2
    assert "needs code of its own (trust_remote_code), which is not executed" in message


def test_code_of_a_tokenizer_is_not_imported(opened):
    def change(folder):
        (folder / "mine.py").write_text(CODE)
        tokenizers = {"AutoTokenizer": ["mine.Mine", "mine.Mine"]}
        settings(folder, "tokenizer_config.json", auto_map=tokenizers, tokenizer_class="Mine")

    opened(change)  # opened without that class, or refused


def test_pickled_weights_are_not_opened(opened):
    def change(folder):
        for name in ("pytorch_model.bin", "adapter_model.bin", "training_args.bin", "vocab.pkl"):
            (folder / name).write_bytes(pickle.dumps(Evil()))

    assert opened(change)[0] == 0
    (weights,) = Path("base").glob("*.safetensors")
    weights.unlink()
    code, message = opened(lambda folder: None, as_if_whole=False)
    assert code == 2
    assert "has no weights as .safetensors, and no others are opened, as pickles execute code" in message


@pytest.mark.parametrize("name", ["evil.bin", "../evil.safetensors"])
def test_an_index_that_names_other_files_is_refused(name, opened):
    def change(folder):
        (folder / name).write_bytes(pickle.dumps(Evil()))
        weights = dict.fromkeys(("model.embed_tokens.weight", "embeddings.word_embeddings.weight"), name)
        settings(folder, "model.safetensors.index.json", metadata={}, weight_map=weights)
        (folder / "model.safetensors").rename(folder / "other.safetensors")

    code, message = opened(change, as_if_whole=False)
    assert code == 2
    assert f"its model.safetensors.index.json names {name}, which is no .safetensors of that folder" in message


def test_an_adapter_does_not_lead_to_another_model(opened):
    code, message = opened(
        lambda folder: settings(folder, "adapter_config.json", base_model_name_or_path="someone/else"), False
    )
    assert code == 2
    assert "holds an adapter of peft" in message


def test_other_weights_than_those_of_the_run_are_refused(opened):
    def change(folder):
        (weights,) = folder.glob("*.safetensors")
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)

    code, message = opened(change, as_if_whole=False)
    assert code == 2
    assert "has other weights (sha256" in message
