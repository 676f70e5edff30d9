"""`ltm control` fits p(z | value) to a run's posteriors, and `ltm generate --given` writes with it."""

import json
import random
import shutil
import sys
from pathlib import Path

import pytest
import torch
from runs import WORDS, ltm, train

import ltm_pyro
from ltm_pyro.control import controls_of
from ltm_pyro.runs.given import components_given
from ltm_pyro.training.run import Run

pytestmark = pytest.mark.usefixtures("here")
FEW = ("--draws", "2", "--fast_steps", "2", "--epochs", "3", "--transforms", "1", "--hidden", "8", "--bins", "4")
MOODS = {"calm": WORDS[:6], "grim": WORDS[6:]}


@pytest.fixture(scope="session")
def labelled(shelf):
    """A corpus whose words depend on the mood, with fields of other kinds beside it."""
    choose, rows = random.Random(0), []
    for number in range(40):
        mood = "calm" if number % 2 else "grim"
        text = " ".join(choose.choices(MOODS[mood], k=choose.randint(3, 12)))
        rows.append({"text": text, "mood": mood, "year": 1990 + number, "same": "x", "title": text})
        rows[-1] |= {"rare": "a" if number == 3 else None, "meta": {"tone": f"{mood} tone"}, "tags": [number]}
    path = shelf / "labelled.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def moody(shelf, labelled):
    """A run of documents on it, with a control of the mood."""
    assert train(labelled, shelf / "moody", data__mode="documents") == 0
    assert ltm("control", shelf / "moody", "--attribute", "mood", *FEW) == 0
    return shelf / "moody"


@pytest.fixture
def run(here, moody):
    """A copy of it, to be changed."""
    shutil.copytree(moody, "run")
    return Path("run")


@pytest.fixture
def refused(capsys):
    """Runs a command, checks that it is refused in one line, and returns that."""

    def check(*words):
        capsys.readouterr()
        assert ltm(*words) == 2
        error = capsys.readouterr().err
        (message,) = (line for line in error.splitlines() if line.startswith("ltm: "))
        assert "Traceback" not in error
        return message

    return check


def written(capsys, *words):
    capsys.readouterr()
    assert ltm("generate", *words) == 0
    return capsys.readouterr().out


def thoughts(folder, value, attribute=None, seed=0):
    """z that texts of a value are written with, (100, L, K, D)."""
    opened = Run.open(folder)
    components = components_given(opened, opened.load(), "best", value, attribute)
    torch.manual_seed(seed)
    return components.model.prior().sample((100,))


def test_a_control_is_fitted_shown_and_kept(run, capsys):
    shutil.rmtree(run / "control")
    assert ltm("control", "run", "--attribute", "mood", *FEW) == 0
    out, err = capsys.readouterr()
    folder = run / "control" / "mood"
    assert out == (folder / "table.md").read_text()
    assert "2 values of mood in 32 training texts: --condition values" in err
    assert "Next: ltm generate run --given VALUE" in err
    assert {path.name for path in folder.iterdir()} == {"flow.safetensors", "control.json", "table.md", "manifest.json"}
    record = json.loads((folder / "control.json").read_text())
    assert record["values"] == ["calm", "grim"]
    assert record["results"]["gain"]["texts"] == 8
    assert record["settings"]["attribute"] == "mood"
    assert "8 held-out texts; ± one standard error over texts, differences paired." in out
    assert "the same flow without a condition" in out
    assert "values shuffled" in out


def test_a_repeated_fit_gives_the_same_numbers(run, moody):
    assert ltm("control", "run", "--attribute", "mood", *FEW) == 0
    assert (run / "control/mood/table.md").read_text() == (moody / "control/mood/table.md").read_text()
    ours, theirs = ((folder / "control/mood/flow.safetensors").read_bytes() for folder in (run, moody))
    assert ours == theirs


def test_an_interrupted_fit_goes_on_from_the_posteriors_of_before(run, moody, capsys, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    shutil.rmtree(run / "control")
    words = ("control", "run", "--attribute", "mood", *FEW)
    with monkeypatch.context() as patch:
        patch.setattr("ltm_pyro.runs.control.fit_control", interrupted)
        assert ltm(*words) == 130
    assert controls_of(run) == {}
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr("ltm_pyro.runs.control.draw_posteriors", interrupted)  # not called again
        assert ltm(*words) == 0
        assert "The posteriors of 32 training texts are those of an earlier call" in capsys.readouterr().err
        assert ltm(*words, "--checkpoint", "4") == 130  # those of other weights are not taken
    assert (run / "control/mood/table.md").read_text() == (moody / "control/mood/table.md").read_text()


def test_another_seed_replaces_the_control(run, moody):
    assert ltm("control", "run", "--attribute", "mood", "--seed", "1", *FEW) == 0
    assert (run / "control/mood/table.md").read_text() != (moody / "control/mood/table.md").read_text()
    assert list(controls_of(run)) == ["mood"]
    assert [path.name for path in (run / "control").iterdir() if path.name[0] != "."] == ["mood"]


def test_each_value_has_thoughts_of_its_own(run, monkeypatch):
    with torch.no_grad():  # a control that tells more than a few steps teach it
        opened = Run.open(run)
        folder = run / "control" / "mood"
        from ltm_pyro.training.manifest import write_manifest
        from ltm_pyro.training.state_files import read_tensors, write_tensors

        state = read_tensors(folder / "flow.safetensors")
        state["flow.affine.weight"] = torch.randn_like(state["flow.affine.weight"])
        write_tensors(folder / "flow.safetensors", state)
        write_manifest(folder, ("flow.safetensors", "control.json"))
    calm, grim = (thoughts(run, value) for value in ("calm", "grim"))
    assert calm.shape[1:] == opened.load().model.prior.z_shape
    assert (calm.mean(0) - grim.mean(0)).abs().max() > 0.5
    assert torch.equal(calm, thoughts(run, " calm "))  # white space around it aside
    assert not torch.equal(calm, thoughts(run, "calm", seed=1))


def test_texts_are_written_from_a_value_and_again_with_its_seed(run, capsys):
    first, again, other = (written(capsys, run, "--given", value, "--seed", 3) for value in ("calm", "calm", "grim"))
    assert first == again
    assert first
    assert other
    assert written(capsys, run, "--given", "calm", "--samples", "2", "--attribute", "mood").count("---\n") == 2
    assert written(capsys, run, "--given", "grim", "--prompt", "the people").startswith("the people")


def test_the_run_itself_is_left_as_it_was(run):
    opened = Run.open(run)
    components = opened.load()
    before = components.model.prior
    other = components_given(opened, components, "best", "calm")
    assert components.model.prior is before is not other.model.prior
    assert other.model.decoder is components.model.decoder


def test_python_writes_from_a_value_too(run):
    loaded = ltm_pyro.load(run)
    texts = loaded.write(given="calm", samples=2, seed=1)
    assert len(texts) == 2
    assert texts == loaded.write(given="calm", samples=2, seed=1)
    with pytest.raises(ltm_pyro.InputError, match="was never seen: did you mean 'calm'"):
        loaded.write(given="clam")
    with pytest.raises(ltm_pyro.InputError, match="give a value of it too"):
        loaded.write(attribute="mood")


def test_a_condition_of_thoughts_takes_values_never_seen(run, capsys):
    assert ltm("control", "run", "--attribute", "meta.tone", "--condition", "thoughts", *FEW) == 0
    assert ltm("control", "run", "--attribute", "year", *FEW) == 0
    assert "40 values" not in capsys.readouterr().err  # those of 8 held-out texts are not counted
    assert set(controls_of(run)) == {"mood", "meta.tone", "year"}
    assert written(capsys, run, "--given", "never seen", "--attribute", "meta.tone")
    assert written(capsys, run, "--given", "2031", "--attribute", "year")


def test_windows_are_of_one_document_each(here, labelled, capsys):
    assert train(labelled, "run", data__length=8) == 0
    capsys.readouterr()
    assert ltm("control", "run", "--attribute", "mood", *FEW) == 0
    out = capsys.readouterr().out
    assert "8 held-out texts in " in out
    assert "nats/window" in out
    assert written(capsys, "run", "--given", "calm")


WRONG_FIELDS = {
    "moood": "has no field 'moood'. Its fields: text, mood, year",
    "text": "--attribute text: this field is the text itself",
    "title": "--attribute title: this field is the text itself",
    "same": "every training text has the value x",
    "rare": "has a value of 'rare'",
    "tags": "holds a list; expected text",
}


@pytest.mark.parametrize("field", WRONG_FIELDS)
def test_fields_that_cannot_control_are_refused(run, refused, field):
    message = refused("control", "run", "--attribute", field, *FEW)
    assert WRONG_FIELDS[field] in message
    if field == "moood":
        assert message.endswith("Did you mean 'mood'? Give --attribute FIELD")
    assert list(controls_of(run)) == ["mood"]


def test_runs_that_cannot_be_controlled_are_refused(here, labelled, reference, refused):
    assert "has no thoughts to control: it is a AutoregressiveModel" in refused(
        "control", reference, "--attribute", "mood"
    )
    assert "has no field 'mood'" in refused("control", trained_on_plain_text(), "--attribute", "mood")
    codes = {"prior": "CodebookPrior", "prior__codes": 4, "guide": "StraightThroughGuide"}
    assert train(labelled, "codes", **codes) == 0
    assert "codes are discrete" in refused("control", "codes", "--attribute", "mood")
    assert train(labelled, "map", guide="MAPGuide") == 0
    assert "has a MAPGuide, whose density is unknown" in refused("control", "map", "--attribute", "mood")


def trained_on_plain_text():
    Path("plain.txt").write_text("the people of the union " * 200)
    assert train("plain.txt", "plain") == 0
    return "plain"


def test_without_zuko_it_says_how_to_get_it_before_any_work(run, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "zuko", None)
    assert "pip install 'ltm-pyro[flows]'" in refused("control", "run", "--attribute", "mood", *FEW)
    assert "pip install 'ltm-pyro[flows]'" in refused("generate", "run", "--given", "calm")


def test_values_that_were_never_seen_are_refused_with_known_ones(run, refused):
    message = refused("generate", "run", "--given", "grimm")
    assert "this value of 'mood' was never seen: did you mean 'grim'? known ones are calm, grim" in message


def test_a_control_of_other_weights_is_refused(run, refused):
    message = refused("generate", "run", "--given", "calm", "--checkpoint", "4")
    assert "run/control/mood was fitted to other weights, those of step 6 then" in message
    assert "`ltm control run --attribute mood`, or give --checkpoint 6" in message


def test_a_run_without_the_control_that_is_asked_for(run, reference, refused):
    assert "has no control of 'mod': did you mean 'mood'?" in refused(
        "generate", "run", "--given", "x", "--attribute", "mod"
    )
    assert "--attribute mood: give a value of it too" in refused("generate", "run", "--attribute", "mood")
    shutil.copytree(run / "control/mood", run / "control/mood-2")
    record = json.loads((run / "control/mood-2/control.json").read_text())
    (run / "control/mood-2/control.json").write_text(json.dumps({**record, "field": "tone"}))
    from ltm_pyro.training.manifest import write_manifest

    write_manifest(run / "control/mood-2", ("flow.safetensors", "control.json"))
    assert "has several controls: name the one of the value, --attribute FIELD of mood, tone" in refused(
        "generate", "run", "--given", "calm"
    )
    shutil.rmtree(run / "control")
    assert "has no control, so that no value can be given: fit one by" in refused("generate", "run", "--given", "calm")
    assert "has no thoughts, so that no value can be given" in refused("generate", reference, "--given", "calm")


@pytest.mark.parametrize("name", ["flow.safetensors", "control.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["removed", "cut", "changed"])
def test_a_damaged_control_is_refused(run, refused, name, damage):
    path = run / "control" / "mood" / name
    content = path.read_bytes()
    if damage == "removed":
        path.unlink()
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"[" + content[1:])
    assert str(path) in refused("generate", "run", "--given", "calm")


def test_a_run_that_holds_no_place_for_a_control_shows_it_all_the_same(run, capsys, monkeypatch):
    shutil.rmtree(run / "control")
    (run / "control").write_text("a file")
    assert ltm("control", "run", "--attribute", "mood", *FEW) == 1
    out, err = capsys.readouterr()
    assert "Gain of the condition" in out
    assert "The results are shown above, but not saved" in err
