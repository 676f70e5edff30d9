"""The held-out split, and that nothing is on both sides."""

import random

import pytest

from ltm_pyro.data import Document, read_corpus, split
from ltm_pyro.errors import InputError

DOCUMENTS = [Document(f"text {i}", f"name {i}", f"group {i // 2}") for i in range(100)]


def test_every_document_on_one_side_and_no_group_on_both():
    train, held_out = split(DOCUMENTS, 0.1)
    assert sorted(train + held_out) == sorted(DOCUMENTS)
    assert len({document.group for document in held_out}) == 5
    assert not {document.group for document in train} & {document.group for document in held_out}


def test_built_in_corpus_has_no_year_on_both_sides():
    train, held_out = split(read_corpus())
    assert not {document.name[:4] for document in train} & {document.name[:4] for document in held_out}
    assert held_out


def test_order_of_the_documents_does_not_matter():
    shuffled = list(DOCUMENTS)
    random.Random(0).shuffle(shuffled)
    assert shuffled != DOCUMENTS
    assert set(split(shuffled, 0.1)[1]) == set(split(DOCUMENTS, 0.1)[1])


def test_seed_decides_what_is_held_out():
    assert split(DOCUMENTS, 0.1, seed=1) == split(DOCUMENTS, 0.1, seed=1)
    assert split(DOCUMENTS, 0.1, seed=1)[1] != split(DOCUMENTS, 0.1, seed=2)[1]


@pytest.mark.parametrize("validation", [1e-9, 1 - 1e-9])
def test_each_side_has_a_group(validation):
    assert all(split(DOCUMENTS[:4], validation))


def test_documents_without_a_group_stand_alone():
    train, held_out = split([Document("x", "a"), Document("y", "b")])
    assert len(train) == len(held_out) == 1


@pytest.mark.parametrize(
    ("mark", "text"),
    [("\n\n", "One line.\nAnother one.\n\n" * 40), ("\n", "a line of words\n" * 60), (" ", "word " * 200)],
)
def test_single_document_is_cut_at_a_boundary(mark, text):
    train, held_out = split([Document(text, "one")], 0.2)
    assert train[0].text + held_out[0].text == text
    assert train[0].text.endswith(mark)
    assert 0.1 < len(held_out[0].text) / len(text) < 0.3
    assert train[0].name != held_out[0].name


def test_single_document_without_boundaries_is_cut_all_the_same():
    train, held_out = split([Document("語" * 100, "one")], 0.1)
    assert (len(train[0].text), len(held_out[0].text)) == (90, 10)


def test_single_group_of_several_documents_keeps_its_order():
    documents = [Document(f"{i} word " * 50, f"{i}", "g") for i in range(4)]
    train, held_out = split(documents, 0.3)
    assert "".join(d.text for d in train + held_out) == "".join(d.text for d in documents)
    assert train[0].name == "0"
    assert held_out[-1].name == "3"


@pytest.mark.parametrize("documents", [[], [Document("", "a")], [Document("a", "a")], [Document("a \n\n", "a")]])
def test_too_little_text(documents):
    with pytest.raises(InputError, match="too few to hold out"):
        split(documents)


@pytest.mark.parametrize("validation", [0, 1, -0.1, 5, float("nan")])
def test_share_outside_zero_and_one(validation):
    with pytest.raises(InputError, match="between 0 and 1"):
        split(DOCUMENTS, validation)
