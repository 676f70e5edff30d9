"""Shared runs on pretrained models: what they need is said, what is not theirs is not sent, and found again."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from pretrained_models import causal_model, moved, save, text_tokenizer
from runs import ltm, train_pretrained

from ltm_pyro.pretrained import find_source
from ltm_pyro.runs import pull as pulling
from ltm_pyro.training.run import Run

NAME = "someone/thoughts"


@pytest.fixture(autouse=True)
def _here(here):
    """An empty folder to start commands in."""


@pytest.fixture
def hub(monkeypatch):
    """The folder `shared` as the only repository of the hub."""
    monkeypatch.setattr(
        pulling, "fetch", lambda name, folder, revision: shutil.copytree("shared", folder, dirs_exist_ok=True)
    )


@pytest.fixture(scope="session")
def shared(on_pretrained, shelf):
    assert ltm("push", on_pretrained, f"hf:{NAME}", "--to_folder", shelf / "shared-pretrained") == 0
    return shelf / "shared-pretrained"


@pytest.fixture(scope="session")
def other(shelf):
    """Another model of the same shapes."""
    tokenizer = text_tokenizer()
    return save(
        causal_model("Llama", 8 * tokenizer.vocabulary, 1, max_position_embeddings=64), shelf / "other", tokenizer
    )


def front_and_text(folder):
    return (folder / "README.md").read_text(encoding="utf-8").removeprefix("---\n").split("---\n", 1)


def decoder_in(folder):
    return yaml.safe_load((folder / "config.yaml").read_text())["decoder"]["init_args"]


def test_a_run_records_its_base_with_its_licence(on_pretrained, base):
    (record,) = json.loads((on_pretrained / "base.json").read_text())
    assert record == {
        "part": "decoder",
        "name": str(base),
        "revision": None,
        "sha256": find_source(str(base)).sha256,
        "licence": "apache-2.0",
        "learns": "adapters",
    }
    assert Run.open(on_pretrained).bases == [record]


def test_the_card_says_what_the_run_needs(shared, base):
    front, text = front_and_text(shared)
    assert "license" not in front  # of the adapters it is the author's to say
    assert "base_model" not in front  # which names models of the hub alone
    assert f"| `decoder` | `./base` |  | apache-2.0 | `{find_source(str(base)).sha256}` |" in text
    assert "The weights of `./base` are frozen and are not in this repository" in text
    assert "ltm pull hf:someone/thoughts --run thoughts --base PLACE" in text
    assert "pip install 'ltm-pyro[pretrained] @ git+" in text
    assert "the frozen model" in text  # the twins are in the table of every run


def test_what_is_shared_names_no_place_and_holds_no_weight_of_the_base(shared, shelf, base):
    content = b"".join(path.read_bytes() for path in shared.rglob("*.*") if path.suffix not in (".png", ".safetensors"))
    assert str(shelf).encode() not in content
    assert decoder_in(shared)["name"] == "./base"
    assert decoder_in(shared)["sha256"] == find_source(str(base)).sha256
    sent = sum(path.stat().st_size for path in shared.rglob("*.safetensors"))
    assert sent < (base / "model.safetensors").stat().st_size / 4


def test_a_push_does_not_need_the_base(on_pretrained, shared):
    shutil.copytree(on_pretrained, "run")
    config = Path("run/config.yaml")
    config.write_text(config.read_text().replace(decoder_in(on_pretrained)["name"], "/gone/base"))
    assert ltm("push", "run", f"hf:{NAME}", "--to_folder", "again") == 0
    assert front_and_text(Path("again")) == front_and_text(shared)


def test_a_pulled_run_opens_with_the_place_of_its_base(shared, hub, base, on_pretrained, capsys):
    shutil.copytree(shared, "shared")
    elsewhere = moved(base, "elsewhere")
    assert ltm("pull", f"hf:{NAME}", "--run", "theirs", "--base", elsewhere) == 0
    told = capsys.readouterr().err
    assert f"theirs needs {elsewhere} as its decoder (sha256 " in told
    assert "licence: apache-2.0), which is here" in told
    texts = []
    for folder in (on_pretrained, "theirs"):
        assert ltm("generate", folder, "--seed", 3) == 0
        texts.append(capsys.readouterr())
    assert texts[0].out == texts[1].out != ""
    assert f"reading the pretrained model that it names as its decoder: {elsewhere}" in texts[1].err
    assert "reading the pretrained model" not in texts[0].err
    ours, theirs = Run.open(on_pretrained), Run.open("theirs")
    assert ours.fingerprint == theirs.fingerprint
    assert theirs.bases[0]["licence"] == "apache-2.0"


def test_without_the_place_pull_and_the_run_say_what_is_missing(shared, hub, capsys):
    shutil.copytree(shared, "shared")
    assert ltm("pull", f"hf:{NAME}", "--run", "theirs") == 0
    told = capsys.readouterr().err
    assert "theirs needs ./base as its decoder" in told
    assert "which is not part of the run: give its place by --base, or as `name` of decoder in config.yaml" in told
    assert ltm("generate", "theirs") == 2
    message = capsys.readouterr().err.strip().split("\n")[-1]
    assert "--decoder.name ./base: there is no such file or folder. The weights of this run have the sha256" in message
    assert "ltm pull by --base" in message


def test_a_base_with_other_weights_is_refused(shared, hub, other, capsys):
    shutil.copytree(shared, "shared")
    assert ltm("pull", f"hf:{NAME}", "--run", "theirs", "--base", other) == 2
    message = capsys.readouterr().err.strip()
    assert f"--base {other} has other weights (sha256 {find_source(str(other)).sha256[:12]}…)" in message
    assert "it needs decoder ./base (sha256" in message
    assert "\n" not in message
    assert not Path("theirs").exists()
    shutil.copytree(shared, "theirs")  # nor by hand
    config = Path("theirs/config.yaml")
    config.write_text(config.read_text().replace("./base", str(other)))
    assert ltm("generate", "theirs") == 2
    assert "has other weights" in capsys.readouterr().err


def test_a_run_without_a_base_takes_no_place(trained, hub, base, capsys):
    assert ltm("push", trained, f"hf:{NAME}", "--to_folder", "shared") == 0
    assert not Path("shared/base.json").exists()
    assert ltm("pull", f"hf:{NAME}", "--run", "theirs", "--base", base) == 2
    assert "this run needs no pretrained model: leave it out" in capsys.readouterr().err


def test_a_damaged_record_is_refused(shared, hub, capsys):
    shutil.copytree(shared, "shared")
    Path("shared/base.json").write_text('[{"part": "decoder", "name": "a\\nb"}]')
    assert ltm("pull", f"hf:{NAME}", "--run", "theirs") == 2
    message = capsys.readouterr().err.strip()
    assert "base.json" in message
    assert "\n" not in message


def test_derived_weights_are_under_the_licence_of_their_base(corpus, base, encoders, capsys):
    words = ["--guide.encoder.name", encoders["bert"]]
    assert train_pretrained(corpus, "run", base, *words, recipe="optimus", train__steps=2, train__save_every=2) == 0
    assert ltm("push", "run", f"hf:{NAME}", "--to_folder", "shared") == 0
    front, text = front_and_text(Path("shared"))
    assert "license: apache-2.0" in front
    assert (
        "The weights in this repository are derived from those of `./base`, and are under its licence, apache-2.0."
        in text
    )
    assert "derived from those of `./bert`, and are under its licence, which it does not state." in text
    assert "--base PLACE,PLACE" in text
    assert [place["part"] for place in Run.open("shared").bases] == ["decoder", "guide.encoder"]


def test_bases_of_the_hub_are_in_the_front_matter(on_pretrained):
    shutil.copytree(on_pretrained, "run")
    config, place = Path("run/config.yaml"), decoder_in(on_pretrained)["name"]
    named = (
        config.read_text().replace(f"name: {place}", "name: hf:someone/base").replace("revision: null", "revision: abc")
    )
    config.write_text(named)
    assert ltm("push", "run", f"hf:{NAME}", "--to_folder", "shared") == 0
    front, text = front_and_text(Path("shared"))
    assert "base_model: someone/base" in front
    assert "base_model_relation: adapter" in front
    assert "| `decoder` | `hf:someone/base` | `abc` | apache-2.0 |" in text
    assert "--run thoughts\n" in text
    assert decoder_in(Path("shared"))["name"] == "hf:someone/base"
