"""Runs that go to the hub and come back, by a stand-in for it."""

import json
import os
import shutil
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from forked import Forked
from hub_stand_in import TOKEN, hub
from pretrained_models import pretrained
from runs import PRETRAINED, TINY, arguments, checkpoint, ltm, train

from ltm_pyro.training.run import Run

NAME = "someone/thoughts"
ON_LINE = """
import sys
from ltm_pyro.cli.main import main

for name in [name for name in sys.modules if name.split(".")[0] == "huggingface_hub"]:
    del sys.modules[name]
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def server():
    with hub() as running:
        yield running


def on_line(server, *words, token=TOKEN):
    """`ltm` in a process of its own, in which the stand-in is the hub."""
    return process(server, ON_LINE, *words, token=token)


def process(server, code, *words, token=TOKEN):
    """A process of its own, in which the stand-in is the hub: where it is, is read at the hub's import."""
    settings = {"HF_ENDPOINT": server.endpoint, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1"}
    settings |= {"HF_TOKEN": token, "HF_HOME": str(Path("hub-home").absolute())}
    with open("out.txt", "w+") as out, open("err.txt", "w+") as err:
        status = Forked(["python", "-c", code, *words], stdout=out, stderr=err, env={**os.environ, **settings}).wait()
        out.seek(0)
        err.seek(0)
        return CompletedProcess(words, status, out.read(), err.read())


def test_a_run_that_was_pushed_is_pulled_whole_and_writes_the_same(server, run, capsys):
    pushed = on_line(server, "push", run, f"hf:{NAME}", "--license", "mit")
    assert pushed.returncode == 0, pushed.stderr
    assert pushed.stdout.strip().startswith(server.endpoint)
    pulled = on_line(server, "pull", f"hf:{NAME}", "--run", "theirs")
    assert (pulled.returncode, pulled.stdout.strip()) == (0, "theirs"), pulled.stderr
    ours, theirs = (checkpoint(folder, "best").weights for folder in (run, "theirs"))
    assert ours.keys() == theirs.keys()
    assert all((ours[name] == theirs[name]).all() for name in ours)
    texts = []
    for folder in (run, "theirs"):
        capsys.readouterr()
        assert ltm("generate", folder, "--seed", 3) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != ""


def test_what_is_shared_holds_no_pickle_and_no_path_of_its_owner(server, run, corpus):
    assert on_line(server, "push", run, f"hf:{NAME}").returncode == 0
    files = server.files(NAME)
    assert {Path(name).suffix for name in files} <= {".yaml", ".json", ".jsonl", ".md", ".png", ".txt", ".safetensors"}
    assert {"config.yaml", "tokenizer.json", "README.md", "metrics.jsonl"} <= set(files)
    told = b"".join(content for name, content in files.items() if not name.endswith(("png", "safetensors")))
    assert str(corpus.parent).encode() not in told
    assert b"corpus: corpus.jsonl" in files["config.yaml"]


def test_the_card_says_what_it_is_and_its_numbers(run, corpus):
    assert ltm("push", run, f"hf:{NAME}", "--to_folder", "shared", "--license", "cc0-1.0") == 0
    card = Path("shared/README.md").read_text(encoding="utf-8")
    front, text = card.removeprefix("---\n").split("---\n", 1)
    assert "license: cc0-1.0" in front
    assert "library_name: ltm_pyro" in front
    assert "| prior | `GaussianPrior" in text
    assert "| guide | `MeanFieldGuide" in text
    assert f"| fast steps | {TINY['fast.steps']} in training" in text
    assert (run / "evaluation/validation.md").read_text(encoding="utf-8").strip() in text
    assert f"ltm pull hf:{NAME} --run thoughts" in text
    step = Run.open(run).find("best").name
    assert [path.name for path in Path("shared/checkpoints").iterdir()] == [step]
    assert f"{int(step.removeprefix('step-')):,} steps of {TINY['train.batch_size']} sequences" in text


def test_the_python_of_the_card_runs(run):
    Path(NAME).parent.mkdir()
    ltm("push", run, f"hf:{NAME}", "--to_folder", NAME)  # a folder of the name is preferred to the hub
    code = Path(NAME, "README.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    names = {}
    exec(code, names)
    assert names["model"](batch_size=2).shape == (2, TINY["data.length"])


def test_a_run_without_numbers_says_so(run):
    shutil.rmtree(run / "evaluation")
    ltm("push", run, f"hf:{NAME}", "--to_folder", "shared")
    assert "Not measured" in Path("shared/README.md").read_text(encoding="utf-8")


def test_a_model_without_thoughts_is_shared_too(reference, here):
    assert ltm("push", reference, f"hf:{NAME}", "--to_folder", "shared") == 0
    card = Path("shared/README.md").read_text(encoding="utf-8")
    assert "An autoregressive Transformer" in card
    assert "| prior |" not in card


def test_a_later_push_replaces_the_checkpoint_and_the_earlier_one_can_still_be_had(server, run):
    steps = Run.open(run).checkpoints.steps()
    first, last = steps[0], steps[-1]
    assert first != last
    for step in (first, last):
        assert on_line(server, "push", run, f"hf:{NAME}", "--checkpoint", step).returncode == 0
    kept = {path.split("/")[1] for path in server.files(NAME) if path.startswith("checkpoints/")}
    assert kept == {f"step-{last:08d}"}
    earlier = f"{len(server.commits[NAME]) - 2:040x}"
    assert on_line(server, "pull", f"hf:{NAME}", "--run", "before", "--revision", earlier).returncode == 0
    assert Run.open("before").checkpoints.steps() == [first]


def test_a_shared_run_can_be_begun_from_and_only_a_resumable_one_goes_on(run, corpus, capsys):
    ltm("push", run, f"hf:{NAME}", "--to_folder", "alone")
    ltm("push", run, f"hf:{NAME}", "--to_folder", "whole", "--resumable", "true", "--checkpoint", "latest")
    assert train(corpus, "next", "--train.start_from", "alone") == 0
    for folder in ("alone", "whole"):  # the text is where its own is
        config = Path(folder) / "config.yaml"
        config.write_text(config.read_text(encoding="utf-8").replace("corpus: corpus.jsonl", f"corpus: {corpus}"))
    capsys.readouterr()
    assert ltm("train", "--resume", "alone") == 2
    assert "--train.start_from alone" in capsys.readouterr().err
    assert ltm("train", "--resume", "whole") == 0


def test_private_is_private(server, run):
    assert on_line(server, "push", run, f"hf:{NAME}", "--private", "true").returncode == 0
    assert NAME in server.private


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["push", "run", "someone/thoughts"], "names no repository of the hub: expected hf:USER/NAME"),
        (["push", "nowhere", "hf:a/b"], "nowhere is not a run"),
        (["push", "run", "hf:a/b", "--checkpoint", "999"], "has no checkpoint '999'"),
        (["pull", "hf:a/b", "--run", "run"], "run exists"),
        (["pull", "hf:a"], "names no repository of the hub: expected hf:USER/NAME"),
    ],
)
def test_bad_words_are_refused_before_anything_is_sent(run, words, told, capsys):
    assert ltm(*words) == 2
    assert told in capsys.readouterr().err


def test_what_the_hub_refuses_is_said_with_the_remedy(server, run):
    refused = on_line(server, "push", run, f"hf:{NAME}", token="hf_of_nobody")
    assert refused.returncode == 2
    assert "hf auth login" in refused.stderr
    assert NAME not in server.commits
    missing = on_line(server, "pull", "hf:someone/other", "--run", "theirs")
    assert missing.returncode == 2
    assert "the hub has no such repository" in missing.stderr
    server.commits["someone/other"] = [{"README.md": b"# Not a run"}]
    unknown = on_line(server, "pull", "hf:someone/other", "--run", "theirs", "--revision", "v9")
    assert "no such revision" in unknown.stderr
    no_run = on_line(server, "pull", "hf:someone/other", "--run", "theirs")
    assert (no_run.returncode, "is no run: it has no config.yaml" in no_run.stderr) == (2, True)
    assert not [path for path in Path().iterdir() if "theirs" in path.name]


def test_without_a_network_there_is_one_message(server, run):
    server.shutdown()
    server.server_close()
    gone = on_line(server, "pull", f"hf:{NAME}", "--run", "theirs")
    assert gone.returncode == 2
    assert "Check the network" in gone.stderr
    assert "Traceback" not in gone.stderr


def test_weights_that_were_changed_on_the_way_are_refused(server, run):
    assert on_line(server, "push", run, f"hf:{NAME}").returncode == 0
    files = server.files(NAME)
    name = next(name for name in files if name.endswith("model.safetensors"))
    files[name] = files[name][:-1] + bytes([files[name][-1] ^ 1])
    changed = on_line(server, "pull", f"hf:{NAME}", "--run", "theirs")
    assert changed.returncode == 2
    assert "SHA-256" in changed.stderr
    assert not Path("theirs").exists()


def test_a_pickle_beside_a_run_is_not_fetched(server, run):
    assert on_line(server, "push", run, f"hf:{NAME}").returncode == 0
    server.files(NAME).update({"pytorch_model.bin": b"pickle", "checkpoints/step-00000006/x.pkl": b"pickle"})
    assert on_line(server, "pull", f"hf:{NAME}", "--run", "theirs").returncode == 0
    assert not [asked for asked in server.asked if asked.endswith((".bin", ".pkl"))]


def test_a_base_of_the_hub_is_fetched_by_its_commit(server, here, corpus, tmp_path_factory):
    """Trained, shared and used elsewhere; a later commit of the base changes nothing, and nothing else is fetched."""
    files = {path.name: path.read_bytes() for path in pretrained(tmp_path_factory.mktemp("base")).iterdir()}
    files |= {"README.md": b"---\nlicense: apache-2.0\n---\n", "pytorch_model.bin": b"pickle", "mine.py": b"code"}
    server.commits["someone/base"] = [files]
    short = {**PRETRAINED, "train.steps": 2, "train.save_every": 2, "train.evaluate_every": 2}
    words = ["--recipe", "pretrained", "--decoder.name", "someone/base", "--run", "run", *arguments(short)]
    made = on_line(server, "train", str(corpus), *words)
    assert made.returncode == 0, made.stderr
    (record,) = Run.open("run").bases
    assert (record["name"], record["revision"], record["licence"]) == ("hf:someone/base", f"{0:040x}", "apache-2.0")
    assert not [asked for asked in server.asked if asked.endswith((".bin", ".py"))]
    assert on_line(server, "push", "run", f"hf:{NAME}").returncode == 0
    card = server.files(NAME)["README.md"].decode()
    assert "base_model: someone/base" in card
    server.commits["someone/base"].append({**files, "model.safetensors": b"other"})
    pulled = on_line(server, "pull", f"hf:{NAME}", "--run", "theirs")
    assert "which is fetched from the hub when the run is first used" in pulled.stderr
    shutil.rmtree("hub-home")
    used = on_line(server, "generate", "theirs")
    assert used.returncode == 0, used.stderr
    assert "reading the pretrained model that it names as its decoder: hf:someone/base" in used.stderr


IN_PYTHON = """
import json
import sys

for name in [name for name in sys.modules if name.split(".")[0] == "huggingface_hub"]:
    del sys.modules[name]
from ltm_pyro import InputError, TrainedRun

call, *words = json.loads(sys.argv[1])
try:
    if call == "push":
        folder, name, options = words
        print(TrainedRun.from_pretrained(folder).push_to_hub(name, **options))
    else:
        name, options = words
        run = TrainedRun.from_pretrained(name, **options)
        print(run.folder, run.checkpoint)
except InputError as error:
    print(error, file=sys.stderr)
    sys.exit(1)
"""


def in_python(server, *words):
    """`TrainedRun.push_to_hub` or `from_pretrained` in a process of its own; returns its code, output and errors."""
    return process(server, IN_PYTHON, json.dumps(words))


def test_python_pushes_and_gets_a_run_by_its_name_and_revision(server, run, monkeypatch):
    monkeypatch.setenv("LTM_CACHE", str(Path("cache").absolute()))
    steps = Run.open(run).checkpoints.steps()
    pushed = in_python(server, "push", str(run), NAME, {"license": "mit", "private": True})
    assert pushed.returncode == 0, pushed.stderr
    assert pushed.stdout.strip().startswith(server.endpoint)
    assert NAME in server.private
    assert on_line(server, "push", run, f"hf:{NAME}", "--checkpoint", steps[0], "--revision", "early").returncode == 0
    best = Run.open(run).find("best").name
    assert any(best in name for name in server.files(NAME))
    found = {}
    for revision in (None, "early", f"{1:040x}"):
        got = in_python(server, "get", NAME, {"revision": revision})
        assert got.returncode == 0, got.stderr
        found[revision] = got.stdout.split()
    assert found[None] == found[f"{1:040x}"]
    assert found["early"][0] != found[None][0]
    assert found["early"][1] == str(steps[0])
    assert all(Path(folder).is_relative_to(Path("cache").absolute()) for folder, _ in found.values())
    before = len(server.asked)
    assert in_python(server, "get", f"hf:{NAME}", {"revision": f"{1:040x}"}).stdout.split() == found[None]
    assert len(server.asked) == before  # a commit that is here needs no network
    theirs = Run.open(found[None][0])
    assert not theirs.own
    here = in_python(server, "get", NAME, {"folder": "theirs"})
    assert here.stdout.split()[0] == "theirs"


def test_from_pretrained_refuses_in_one_line_what_is_not_there(server, run, monkeypatch):
    monkeypatch.setenv("LTM_CACHE", str(Path("cache").absolute()))
    assert on_line(server, "push", run, f"hf:{NAME}").returncode == 0
    refusals = {
        ("someone/other", ()): "the hub has no such repository",
        (NAME, (("revision", "v9"),)): "no such revision",
        ("run", (("revision", "main"),)): "run is a folder",
        ("no/such/folder", ()): "is not a run",
    }
    for (name, options), message in refusals.items():
        found = in_python(server, "get", name, dict(options))
        assert found.returncode == 1
        assert message in found.stderr
        assert "Traceback" not in found.stderr
    files = server.files(NAME)
    name = next(name for name in files if name.endswith("model.safetensors"))
    files[name] = files[name][:-1] + bytes([files[name][-1] ^ 1])
    assert "SHA-256" in in_python(server, "get", NAME, {}).stderr
    files["config.yaml"] = files["config.yaml"].replace(b"ltm_pyro.GaussianPrior", b"my_code.MyPrior")
    assert b"my_code" in files["config.yaml"]
    Path("my_code.py").write_text("open('PWNED', 'w')\n")
    refused = in_python(server, "get", NAME, {})
    assert refused.returncode == 1
    assert not Path("PWNED").exists()
    assert not list(Path("cache").glob("runs/*/*/config.yaml"))
