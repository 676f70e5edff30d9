"""A division is known again in text that has changed, and an equal text is on one side alone."""

import json
import random

import pytest

from ltm_pyro.data import Division, Document, divide, divide_by_name, split
from ltm_pyro.data.outline import CorpusSummary
from ltm_pyro.data.stretch import Stretch
from ltm_pyro.errors import InputError

COPIES = [Document(f"text {i % 20}", f"file:{i}") for i in range(60)]
GROUPED = [Document(f"text {i}", f"name {i}", f"group {i // 2}") for i in range(30)] + [
    Document("text 3", "copy", "group 12"),
    Document("text 29", "another copy"),
]


def division_of(documents, validation=0.2, divide=divide):
    return divide(documents, CorpusSummary.of(documents), validation, 0)


@pytest.mark.parametrize("documents", [COPIES, GROUPED, [*COPIES, *GROUPED]])
def test_no_text_is_on_both_sides_and_none_is_lost(documents):
    for seed in range(5):
        learned, held_out = split(documents, 0.2, seed)
        assert not {document.text for document in learned} & {document.text for document in held_out}
        assert sorted(learned + held_out) == sorted(documents)
        groups = [{document.group for document in side if document.group} for side in (learned, held_out)]
        assert not groups[0] & groups[1]


def test_the_split_of_earlier_versions_had_texts_on_both_sides():
    sides = list(division_of(COPIES, divide=divide_by_name).sides(COPIES))
    learned, held_out = ({document.text for document, side in sides if side == held} for held in (False, True))
    assert learned & held_out
    kept = division_of(COPIES, divide=divide_by_name).by_content(COPIES)
    assert not {document.text for document in kept.held_out(COPIES)} & learned


def test_without_copies_the_split_is_what_it_always_was():
    documents = [Document(f"text {i}", f"file:{i}") for i in range(50)]
    old = {
        document for document, held_out in division_of(documents, divide=divide_by_name).sides(documents) if held_out
    }
    assert set(split(documents, 0.2)[1]) == old


def test_one_text_many_times_cannot_be_divided():
    with pytest.raises(InputError, match="one text, repeated 3 times"):
        split([Document("the same words", f"{i}") for i in range(3)], 0.3)


@pytest.mark.parametrize("documents", [COPIES, [Document("some words " * 40 + "\nand a last line", "one")]])
def test_what_is_written_down_is_read_again_and_tells_no_text(documents):
    division = division_of(documents)
    written = json.dumps(division.to_dict())
    assert Division.from_dict(json.loads(written)) == division
    assert "text" not in written
    assert "words" not in written


def test_too_many_to_write_down_are_told_from_all(monkeypatch):
    monkeypatch.setattr("ltm_pyro.data.division.MOST_NAMED", 3)
    division = division_of(COPIES)
    read = Division.from_dict(division.to_dict())
    assert division.complete
    assert not read.complete
    assert read.count == 3


@pytest.mark.parametrize("damage", [{"hashes": "12"}, {"hashes": 7}, {}, {"hashes": "zz" * 8, "documents": 1}])
def test_what_is_no_division_is_no_division(damage):
    with pytest.raises((ValueError, LookupError, TypeError)):
        Division.from_dict(damage)


@pytest.mark.parametrize("length", [1, 5, 33, 300])
def test_a_stretch_is_found_wherever_it_stands_and_nothing_else_is(length):
    choose = random.Random(length)
    letters = "ab \nälong語"
    stretch = "".join(choose.choices(letters, k=length)).strip().ljust(length, "x")
    name = Stretch.of(stretch + "\n")
    before, after = ("".join(choose.choices("pqrst \n", k=500)) for _ in range(2))
    assert name.find(before + stretch) == (500, 500 + length)
    assert name.find(before + stretch + "\n\n") == (500, 502 + length)
    assert name.find(before + stretch + after) == (500, 500 + length)
    assert name.find(before + after) is None
    if length > 1:
        assert name.find(before + stretch[:-1] + "?" + after) is None


def test_long_texts_are_searched_block_by_block(monkeypatch):
    monkeypatch.setattr("ltm_pyro.data.stretch.BLOCK", 64)
    stretch = "the last part of a text, which is held out"
    name = Stretch.of(stretch)
    for place in range(50, 200):
        text = "x" * place + stretch + "y" * 300
        assert name.find(text) == (place, place + len(stretch))
