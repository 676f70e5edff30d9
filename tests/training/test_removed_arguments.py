"""Removed arguments: files that never used one are read as before, any other use is refused in one line."""

import pytest
import torch
from runs import checkpoint, ltm, train, write_corpus

from ltm_pyro import InputError
from ltm_pyro.runs.config import complete, recipe
from ltm_pyro.training.removed_arguments import REMOVED, refusal_of, without_removed

NEUTRAL = [(name, value) for name, removed in REMOVED.items() for value in removed.neutral]
USED = [
    ("decoder.gate", 0),
    ("decoder.gate", 0.0),
    ("decoder.token_dropout", 0.3),
    ("decoder.token_dropout", None),
    ("slow.along", True),
]


def nested(name, value):
    group, key = name.split(".")
    return {group: {key: value, "kept": 1}}


@pytest.mark.parametrize(("name", "value"), NEUTRAL)
def test_a_neutral_value_is_left_out_and_all_else_is_kept(name, value):
    given = nested(name, value)
    assert without_removed(given) == {name.split(".")[0]: {"kept": 1}}
    assert given == nested(name, value)


@pytest.mark.parametrize(("name", "value"), USED)
def test_any_other_value_is_refused_with_the_finding_and_what_to_do(name, value):
    with pytest.raises(InputError, match=rf"{name}={value}: .* removed, since .*docs/thoughts.md.*\. Leave it out"):
        without_removed(nested(name, value))
    with pytest.raises(InputError, match=f"{name}={value}: .* removed"):
        complete({**recipe(), name: value})


def test_an_argument_that_exists_is_not_said_to_be_removed():
    assert refusal_of("decoder.window") == ""
    assert without_removed({"decoder": {"window": 4}, "fast": None}) == {"decoder": {"window": 4}, "fast": None}


@pytest.mark.parametrize(
    "words", ["--decoder.gate 0", "--decoder.token_dropout=0.3", "--slow.along true", "--decoder.gate null"]
)
def test_the_command_line_refuses_the_old_name_before_any_text_is_read(words, capsys):
    assert ltm("train", "nowhere.txt", *words.split()) == 2
    said = capsys.readouterr().err
    assert "removed, since " in said
    assert "Leave it out" in said
    assert said.count("\n") == 1


def test_a_configuration_with_neutral_values_trains_as_one_without(tmp_path, capsys):
    corpus, older = write_corpus(tmp_path / "corpus.jsonl"), tmp_path / "older.yaml"
    assert train(corpus, tmp_path / "now") == 0
    text = (tmp_path / "now" / "config.yaml").read_text(encoding="utf-8")
    for name, value in (("gate", "null"), ("token_dropout", "0.0")):
        text = text.replace("decoder:\n", f"decoder:\n  {name}: {value}\n")
    text = text.replace("slow:\n", "slow:\n  along: false\n")
    older.write_text(text, encoding="utf-8")
    assert ltm("train", "--config", older, "--run", tmp_path / "then") == 0
    now, then = (checkpoint(tmp_path / name).weights for name in ("now", "then"))
    assert all(torch.equal(weight, then[name]) for name, weight in now.items())
    older.write_text(text.replace("gate: null", "gate: 0.1"), encoding="utf-8")
    assert ltm("train", "--config", older, "--run", tmp_path / "other") == 2
    assert f"{older}: decoder.gate=0.1: this argument was removed" in capsys.readouterr().err
