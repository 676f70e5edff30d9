"""Faults of pretrained models: exit code 2, one message of what and what to do, and no folder left behind."""

import json
import shutil
from functools import partial
from pathlib import Path

import huggingface_hub
import pytest
import transformers
from huggingface_hub import errors
from pretrained_models import pretrained, save, text_tokenizer
from runs import PRETRAINED, arguments, ltm

from ltm_pyro import allocation, optional
from ltm_pyro.data.tokenizer import train_tokenizer

SIZES = {"hidden_size": 16, "num_hidden_layers": 2}


@pytest.fixture(autouse=True)
def base(here, corpus):
    """A folder to start commands in, with a model and a corpus."""
    shutil.copy(corpus, "corpus.jsonl")
    return pretrained(Path.cwd())


@pytest.fixture
def refused(capsys):
    """Train with these words; returns the last line, after checks of the exit code and of what is left."""

    def attempt(*words, recipe="pretrained", **settings):
        changed = {name.replace("__", "."): value for name, value in settings.items()}
        named = ["train", "corpus.jsonl", "--recipe", recipe, "--run", "run"]
        capsys.readouterr()
        assert ltm(*named, *arguments({**PRETRAINED, **changed}), *words) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert "Traceback" not in "".join(lines)
        assert [line for line in lines if line.startswith("ltm: ")] == lines[-1:]
        assert not Path("run").exists()
        return lines[-1]

    return attempt


def changed_copy(name, **settings):
    """A copy of the model with other settings in its config.json."""
    shutil.copytree("Llama", name)
    path = Path(name) / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    return name


def made(kind, **settings):
    """A folder with a model of another kind."""
    configuration = getattr(transformers, f"{kind.split('For')[0].removesuffix('Model')}Config")
    model = getattr(transformers, kind)(configuration(vocab_size=text_tokenizer().vocabulary, **settings))
    return save(model, Path(kind), text_tokenizer()).name


def damaged(name, content):
    """A copy of the model with the first part of its weights, or other bytes in their place."""
    path = Path(shutil.copytree("Llama", name)) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000] if content is None else content)
    return name


def file(name, content):
    Path(name).write_bytes(content)
    return name


def without(name, part):
    shutil.copytree("Llama", name)
    (Path(name) / part).unlink()
    return name


def pickled(name):
    shutil.copytree("Llama", name)
    (Path(name) / "model.safetensors").rename(Path(name) / "pytorch_model.bin")
    return name


def adapter(name):
    shutil.copytree("Llama", name)
    (Path(name) / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "someone/else"}))
    return name


MODELS = {
    "without a cache": (
        partial(made, "MambaForCausalLM", state_size=4, **SIZES),
        ["MambaModel, which has no cache of keys and values", "take a Transformer decoder"],
    ),
    "encoder and decoder": (
        partial(made, "T5ForConditionalGeneration", d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2),
        ["is an encoder–decoder (t5): take a causal language model"],
    ),
    "encoder alone": (
        partial(made, "BertModel", num_attention_heads=2, intermediate_size=24, **SIZES),
        ["lacks weights of a BertLMHeadModel", "it is another kind of model, or damaged"],
    ),
    "code of its own": (
        partial(changed_copy, "code", auto_map={"AutoModel": "mine.Model"}),
        ["needs code of its own (trust_remote_code), which is not executed"],
    ),
    "code of a part": (
        partial(changed_copy, "part", text_config={"auto_map": {}, "inner": {"auto_map": {"a": "b"}}}),
        ["needs code"],
    ),
    "compiled code": (
        partial(changed_copy, "kernel", attn_implementation="someone/kernel"),
        ["asks for compiled code of the hub (someone/kernel), which is not executed"],
    ),
    "an adapter": (partial(adapter, "adapter"), ["holds an adapter of peft", "merge_and_unload"]),
    "unknown architecture": (
        partial(changed_copy, "unknown", model_type="nonesuch"),
        ["cannot be loaded by transformers", "nonesuch"],
    ),
    "truncated weights": (partial(damaged, "cut", None), ["cannot be loaded by transformers: SafetensorError"]),
    "no weights in the file": (partial(damaged, "empty", b""), ["cannot be loaded by transformers: SafetensorError"]),
    "pickled weights": (partial(pickled, "pickle"), ["has no weights as .safetensors", "pickles execute code"]),
    "garbage as gguf": (
        partial(file, "garbage.gguf", b"garbage" * 99),
        ["cannot be loaded by transformers: ValueError", "GGUF magic"],
    ),
    "nothing as gguf": (partial(file, "nothing.gguf", b""), ["cannot be loaded by transformers", "empty"]),
    "garbage after the magic": (
        partial(file, "half.gguf", b"GGUF\3\0\0\0" + b"\xff" * 99),
        ["cannot be loaded by transformers"],
    ),
    "another file": (partial(file, "model.bin", b"x"), ["expected a folder, a .gguf file or a name on the hub"]),
    "no settings": (partial(without, "unset", "config.json"), ["has no config.json", "check the path"]),
    "no tokenizer": (
        partial(without, "mute", "tokenizer.json"),
        ["comes without a tokenizer.json: give --data.tokenizer"],
    ),
    "no such folder": (lambda: "./nowhere", ["./nowhere: there is no such file or folder. Check the path"]),
    "a name off line": (
        lambda: "someone/nothing",
        ["is no folder here, and could not be fetched from the hub", "$HF_HUB_OFFLINE"],
    ),
    "no name of the hub": (lambda: "hf:some one", ["that is no name of a repository. Expected NAME or OWNER/NAME"]),
}


@pytest.mark.parametrize("case", MODELS)
def test_a_model_that_cannot_be_used(case, refused):
    make, parts = MODELS[case]
    message = refused("--decoder.name", make())
    assert message.startswith("ltm: --decoder.name ")
    for part in parts:
        assert part in message


ARGUMENTS = {
    "no name": ([], ["--decoder.name is missing: give a folder saved by transformers, a .gguf file"]),
    "misspelt injection": (
        ["--decoder.name", "Llama", "--decoder.injection", "prefx"],
        ["injection 'prefx': expected one of prefix, prompt, embedding, cross-attention, none"],
    ),
    "injections that do not go together": (
        ["--decoder.name", "Llama", "--decoder.injection", "prefix+prompt"],
        ["expected one injection, or several that go together: prefix+embedding"],
    ),
    "longer than its positions": (
        ["--decoder.name", "Llama", "--data.length", "46"],
        ["knows 48 positions, fewer than texts of 46 tokens behind 4 positions", "give --data.length 44 or less"],
    ),
    "what learns": (
        ["--decoder.name", "Llama", "--decoder.learns", "some"],
        ["expected one of 'adapters', 'lora', 'all'"],
    ),
    "nothing learns": (
        ["--decoder.name", "Llama", "--model", "autoregressive"],
        ["nothing learns in this run", "--decoder.constant 1 or more, or --decoder.learns lora or all"],
    ),
    "diffusion": (
        ["--decoder.name", "Llama", "--model", "masked-diffusion"],
        ["leave out --decoder PretrainedDecoder"],
    ),
    "revision of a folder": (["--decoder.name", "Llama", "--decoder.revision", "v1"], ["has no revision 'v1'"]),
    "other weights": (["--decoder.name", "Llama", "--decoder.sha256", "0" * 64], ["has other weights (sha256"]),
    "compile": (["--decoder.name", "Llama", "--compile", "nonsense"], ["compile='nonsense': expected one of default"]),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_arguments_that_do_not_fit(case, refused):
    words, parts = ARGUMENTS[case]
    message = refused(*words)
    for part in parts:
        assert part in message


@pytest.mark.parametrize("recipe", ["llama-vae", "optimus"])
def test_a_recipe_without_its_encoder(recipe, refused):
    message = refused("--decoder.name", "Llama", recipe=recipe)
    assert "--guide.encoder ltm_pyro.PretrainedEncoder: give --guide.encoder.name too, which has no default" in message


def test_another_tokenizer(refused):
    train_tokenizer(["war and peace and another text altogether"] * 9, 265).save(Path("other.json"))
    message = refused("--decoder.name", "Llama", "--data.tokenizer", "other.json")
    assert "other.json: its token " in message
    assert "which is another one for the decoder's pretrained weights. Leave it out" in message


def test_a_model_with_restricted_access(refused, monkeypatch):
    def restricted(name, **options):
        raise errors.GatedRepoError.__new__(errors.GatedRepoError, "restricted")  # without the answer of a server

    monkeypatch.setattr(huggingface_hub, "snapshot_download", restricted)
    message = refused("--decoder.name", "someone/gated")
    assert "access to it is restricted. Ask for it on the hub, then `hf auth login`" in message


def test_weights_beyond_the_memory(refused, monkeypatch):
    monkeypatch.setattr(allocation.os, "sysconf", lambda name: 32)
    message = refused("--decoder.name", "Llama")
    assert "its weights take" in message
    assert "take a smaller model" in message


def test_lora_without_peft(refused, monkeypatch):
    found = optional.import_module

    def missing(name):
        if name == "peft":
            raise ModuleNotFoundError(name=name)
        return found(name)

    monkeypatch.setattr(optional, "import_module", missing)
    message = refused("--decoder.name", "Llama", "--decoder.learns", "lora")
    assert "peft" in message
    assert "lora" in message
