"""Held-out text is known by its content: text that a run has learned from is never scored as held out."""

import json
import random
import shutil
from pathlib import Path

import pytest
from runs import ltm, train, write_corpus
from runs import sides as sides_of

from ltm_pyro.data import read_corpus, split
from ltm_pyro.errors import InputError
from ltm_pyro.training.held_out import RunText
from ltm_pyro.training.run import Run

pytestmark = pytest.mark.usefixtures("here")
FEW = ("--draws", "2", "--limit", "3")


@pytest.fixture
def sides(run):
    """The texts to learn from, and those held out."""
    return sides_of(Run.open(run).config)


def written(texts, path="changed.jsonl"):
    Path(path).write_text("\n".join(json.dumps({"text": text}) for text in texts), encoding="utf-8")
    return str(Path(path).absolute())


def scored(run, place=None):
    """The documents that are scored as held out: a set, since windows join them."""
    text = RunText(Run.open(run), place)
    return text, {document.text for document in text.division.held_out(text._divided.corpus)}


def shuffled(learned, held_out):
    texts = learned + held_out
    random.Random(1).shuffle(texts)
    return texts


CHANGES = {
    "a line on top": lambda learned, held_out: ["a new line", *learned, *held_out],
    "lines of training gone": lambda learned, held_out: learned[3:] + held_out,
    "another order": shuffled,
    "every line twice": lambda learned, held_out: 2 * (learned + held_out),
    "only what was held out": lambda learned, held_out: held_out,
    "held-out text first, and once more": lambda learned, held_out: held_out + learned + held_out[:1],
}


@pytest.mark.parametrize("change", CHANGES)
def test_in_a_changed_corpus_exactly_the_held_out_texts_are_scored(run, sides, change):
    learned, held_out = sides
    text, found = scored(run, written(CHANGES[change](learned, held_out)))
    assert found == set(held_out)
    assert text.name == "validation"
    same = RunText(Run.open(run)).held_out
    assert text.held_out.token_count == same.token_count  # each once, however often it stands there
    anew = {document.text for document in split(read_corpus("changed.jsonl"), 0.2)[1]}
    if change in ("a line on top", "another order"):
        assert anew & set(learned)  # a split of the file as it is would score what the run has learned


def test_what_is_left_of_it_is_scored_under_a_name_that_says_so(run, sides, capsys):
    learned, held_out = sides
    place = written(["something new", *learned, *held_out[:-1]])
    assert ltm("evaluate", "run", "--corpus_at", place, *FEW) == 0
    out, err = capsys.readouterr()
    count, of = len(held_out) - 1, len(held_out)
    assert f"{count} of {of} documents" in out
    assert f"{count} of {of} documents" in err
    assert list(Path("run/evaluation").glob(f"validation-{count}-of-{of}-documents-*.md"))


COMMANDS = {
    "evaluate": ("evaluate", "run", *FEW),
    "inspect": ("inspect", "run", *FEW),
    "control": ("control", "run", "--attribute", "label"),
    "compare models": ("compare", "models", "run", "other", *FEW),
    "compare bounds": ("compare", "bounds", "run", "--quick"),
    "compare guides": ("compare", "guides", "run", "--quick", "--guides", "MeanFieldGuide"),
    "generation": ("evaluate", "run", "--suite", "generation", "--limit", "2", "--prompt_tokens", "4"),
    "baseline": ("evaluate", "run", "--baseline", "other", *FEW),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_where_nothing_of_it_is_left(run, sides, command, capsys):
    shutil.copytree(run, "other")
    place = written(["something new", *sides[0]])
    assert ltm(*COMMANDS[command], "--corpus_at", place) == 2
    err = capsys.readouterr().err
    assert "none of the held-out text of run is in" in err
    assert "Traceback" not in err


def test_a_moved_corpus_is_named_and_the_numbers_are_the_same(run, trained, capsys):
    config = Path("run/config.yaml")
    corpus = Run.open(trained).config.corpus
    assert Path(corpus).is_absolute()
    config.write_text(config.read_text().replace(corpus, corpus + ".gone"))
    assert ltm("evaluate", "run", *FEW) == 2
    assert "If it has been moved, give its place: --corpus_at PLACE" in capsys.readouterr().err
    shutil.copy(corpus, "moved.jsonl")
    assert ltm("evaluate", "run", "--corpus_at", "moved.jsonl", *FEW) == 0
    moved = capsys.readouterr().out
    assert ltm("evaluate", trained, *FEW) == 0
    assert capsys.readouterr().out == moved
    assert ltm("evaluate", "run", "moved.jsonl", "--corpus_at", "moved.jsonl") == 2
    assert "Give one of them" in capsys.readouterr().err


def test_a_run_is_resumed_from_a_new_place_of_its_text_and_from_no_other_text(run, trained, sides, capsys):
    corpus = Run.open(trained).config.corpus
    config = Path("run/config.yaml")
    config.write_text(config.read_text().replace(corpus, corpus + ".gone"))
    assert ltm("train", "--resume", "run", "--corpus_at", written(sides[0] + sides[1])) == 2
    assert "has changed since the run began" in capsys.readouterr().err
    Path("new").mkdir()
    shutil.copy(corpus, "new/corpus.jsonl")
    assert ltm("train", "--resume", "run", "--corpus_at", "new/corpus.jsonl") == 0
    assert ltm("train", "--resume", "run") == 0  # where it was found is remembered
    assert ltm("evaluate", "run", *FEW) == 0
    assert ltm("push", "run", "hf:me/run", "--to_folder", "shared") == 0
    here = str(Path.cwd())
    assert all(here not in path.read_text("utf-8", "replace") for path in Path("shared").rglob("*") if path.is_file())


def test_the_new_place_belongs_to_resume(corpus, capsys):
    assert train(corpus, "new", "--corpus_at", "elsewhere") == 2
    assert "this is for --resume alone: leave it out" in capsys.readouterr().err
    assert ltm("train", "--resume", "new", "--train.seed", "3") == 2
    assert "leave out --train.seed 3" in capsys.readouterr().err


def test_a_run_of_a_relative_path_is_of_use_from_elsewhere(monkeypatch):
    write_corpus(Path("text.jsonl"))
    assert train("text.jsonl", "relative", train__steps=1) == 0
    folder = Path("relative").absolute()
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert len(RunText(Run.open(folder)).held_out)
    assert ltm("train", "--resume", folder) == 0


def test_one_text_is_held_out_in_part_and_found_wherever_that_part_is_now(corpus):
    texts = [document.text for document in read_corpus(corpus)]
    Path("one.txt").write_text("\n".join(texts))
    assert train("one.txt", "one", train__steps=1) == 0
    before = RunText(Run.open("one")).held_out
    for changed in (["on top", *texts], [*texts, "behind it"], texts[3:]):
        Path("one.txt").write_text("\n".join(changed))
        text = RunText(Run.open("one"))
        assert text.held_out.byte_count in (before.byte_count, before.byte_count - 1, before.byte_count + 1)
        assert text.name == "validation"
    Path("one.txt").write_text("\n".join(texts[:-2]) + "\nof another end")
    with pytest.raises(InputError, match="none of the held-out text of one"):
        RunText(Run.open("one"))


def without_names(run):
    """The run as an earlier version left it."""
    data = json.loads((run / "data.json").read_text())
    del data["held_out"], data["corpus_digest"]
    (run / "data.json").write_text(json.dumps(data))


def test_runs_of_earlier_versions_keep_their_split_while_the_corpus_is_as_it_was(run, sides, capsys):
    before, _ = scored(run)
    without_names(run)
    text, found = scored(run)
    assert found == set(sides[1])
    assert (text.held_out.tokens == before.held_out.tokens).all()
    assert ltm("evaluate", "run", "--corpus_at", written(["on top", *sides[0], *sides[1]]), *FEW) == 2
    err = capsys.readouterr().err
    assert "made by an earlier version, which did not record the held-out part, and its corpus has changed" in err


def test_a_run_that_lost_its_notes_is_refused_and_imported_weights_say_what_they_are_scored_on(run, capsys):
    data = (run / "data.json").read_text()
    (run / "data.json").write_text(data.replace('"hashes": "', '"hashes": "zz'))
    assert ltm("evaluate", "run", *FEW) == 2
    assert "the entry `held_out` is damaged" in capsys.readouterr().err
    (run / "data.json").unlink()
    assert ltm("evaluate", "run", *FEW) == 2
    assert "data.json" in capsys.readouterr().err
    (run / "metrics.jsonl").unlink()  # as imported weights have none
    text = RunText(Run.open(run))
    assert text.name == "sotu"
    assert "imported weights, nothing was held out" in text.about


def test_of_more_than_is_written_down_all_is_scored_while_the_corpus_is_as_it_was(run, sides):
    data = json.loads((run / "data.json").read_text())
    data["held_out"]["hashes"] = data["held_out"]["hashes"][:32]  # two of four
    (run / "data.json").write_text(json.dumps(data))
    text, found = scored(run)
    assert (text.name, found) == ("validation", set(sides[1]))
    text, found = scored(run, written(["on top", *sides[0], *sides[1]]))
    assert text.name == "validation-2-of-4-documents"
    assert len(found) == 2
    assert found < set(sides[1])
