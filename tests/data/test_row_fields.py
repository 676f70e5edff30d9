"""Prompts, answers and labels: read from rows, kept apart in tokens, scored or only read, and divided by prompt."""

import json

import numpy as np
import pytest
import torch
from toys import autoregressive_with

from ltm_pyro import data
from ltm_pyro.data import DividedCorpus, Document, RowFields, corpus_of_fields, cut, text_sequences
from ltm_pyro.data.id_sequences import parted
from ltm_pyro.errors import InputError
from ltm_pyro.models.token_sequence import TokenSequence

FIELDS = RowFields("answer", "question", "verdict", "\n")
ROWS = [
    {"question": f"{a}+{b}=", "answer": answer, "verdict": verdict}
    for a, b in ((1, 2), (2, 2), (5, 1), (7, 1), (3, 3), (4, 1), (6, 2), (1, 8))
    for answer, verdict in ((f"{a + b} in all", True), (f"{a + b + 1}", False), ("no idea", None))
]


@pytest.fixture(scope="module")
def tokenizer():
    return data.train_tokenizer([" ".join(row["question"] + row["answer"] for row in ROWS)] * 2, 270)


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def test_a_row_is_a_prompt_its_answer_and_its_label(corpus):
    documents = list(corpus_of_fields(str(corpus), FIELDS))
    assert [document.text for document in documents[:2]] == ["1+2=\n3 in all", "1+2=\n4"]
    assert [document.text[: document.prompt] for document in documents[:2]] == ["1+2=\n"] * 2
    assert [document.label for document in documents[:3]] == ["true", "false", None]
    assert documents[0].group == documents[2].group != documents[3].group
    labelled = list(corpus_of_fields(str(corpus), RowFields("answer", None, "verdict")))
    assert [(document.prompt, document.label) for document in labelled] == [(0, d.label) for d in documents]
    assert labelled[0].text == "3 in all"


def test_rows_stay_together_where_a_field_is_empty(tmp_path):
    path = tmp_path / "gaps.jsonl"
    rows = [("a", "1", "x"), ("", "2", "y"), ("c", None, "z"), ("d", "4", "")]
    path.write_text("".join(json.dumps({"q": q, "a": a, "v": v}) + "\n" for q, a, v in rows))
    corpus = corpus_of_fields(str(path), RowFields("a", "q", "v", ": "))
    assert [(document.text, document.label) for document in corpus] == [("a: 1", "x"), ("d: 4", None)]
    assert corpus.remarks == ["2 rows without a text or a prompt are left out"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        (RowFields("answer", "task"), "no field 'task'.*--data.prompt NAME"),
        (RowFields("reply", "question"), "no field 'reply'.*--data.answer NAME"),
        (RowFields("answer", None, "score"), "no field 'score'.*--data.label NAME"),
        (RowFields("reply", None, "verdict"), "no field 'reply'.*--data.field NAME"),
    ],
)
def test_a_missing_field_is_named_with_its_option(corpus, fields, named):
    with pytest.raises(InputError, match=named):
        list(corpus_of_fields(str(corpus), fields))


def test_the_built_in_corpus_has_no_prompts():
    with pytest.raises(InputError, match=r"built-in corpus has no fields.*--data\.prompt"):
        corpus_of_fields("sotu", RowFields(None, "question"))


def test_a_prompt_has_the_tokens_that_it_has_when_a_text_is_written(corpus, tokenizer):
    documents = list(corpus_of_fields(str(corpus), FIELDS))
    sequences = cut("documents", documents, tokenizer, 30, ["false", "true"])
    batch = sequences.batch([0, 1, 2])
    for row, document in enumerate(documents[:3]):
        prompt, answer = document.text[: document.prompt], document.text[document.prompt :]
        ids = [*tokenizer.encode(prompt), *tokenizer.encode(answer), tokenizer.eos_id]
        assert batch.x[row, : len(ids)].tolist() == ids
        assert batch.prompts[row] == len(tokenizer.encode(prompt))
    assert batch.labels.tolist() == [1, 0, -1]
    assert sequences.lost == ""


def test_a_prompt_without_an_answer_has_no_end_token(tokenizer):
    document = Document("1+2=\n", "0", prompt=5)
    batch = text_sequences("documents", [document, "1+2=\n"], tokenizer, 30).sequences.batch([0, 1])
    alone = tokenizer.encode("1+2=\n").tolist()
    assert batch.x[0, : len(alone)].tolist() == alone
    assert not batch.mask[0, len(alone) :].any()
    assert batch.x[1].tolist() == [*alone, tokenizer.eos_id]
    assert batch.prompts.tolist() == [len(alone), 0]


def test_only_answers_are_scored_if_prompts_are_context(corpus, tokenizer):
    documents = list(corpus_of_fields(str(corpus), FIELDS))
    both = cut("documents", documents, tokenizer, 30)
    answers = cut("documents", documents, tokenizer, 30, score_prompts=False)
    assert (answers.token_count, answers.byte_count) == (
        both.token_count - int(both.annotations.prompts.sum()),
        sum(len(document.text[document.prompt :].encode()) for document in documents),
    )
    model = autoregressive_with(vocabulary=tokenizer.vocabulary, length=30)
    batch, scored = answers.batch(range(6)), both.batch(range(6))
    assert torch.equal(batch.x, scored.x)
    places = torch.arange(batch.x.shape[1])
    answer = places >= batch.prompts[:, None]
    all_nats = model.decoder.token_log_prob(batch.x, None, batch.previous)
    nats = TokenSequence(model.decoder, None, batch.mask, batch.previous).log_prob(batch.x)
    torch.testing.assert_close(nats, (all_nats * (answer & scored.tokens[:, None].gt(places))).sum(-1))
    assert not torch.allclose(nats, TokenSequence(model.decoder, None, scored.mask, batch.previous).log_prob(batch.x))
    assert batch.bytes.sum() == sum(len(document.text[document.prompt :].encode()) for document in documents[:6])


def test_a_prompt_longer_than_the_sequence_leaves_no_answer(tokenizer):
    document = Document("1+2=\n3 in all", "0", prompt=5)
    sequences = cut("documents", [document], tokenizer, 3, score_prompts=False)
    batch = sequences.batch([0])
    assert batch.prompts.tolist() == [3]
    assert not batch.mask.any()
    assert sequences.truncated == 1
    assert (sequences.token_count, sequences.byte_count) == (0, 0)


def test_answers_to_one_prompt_are_on_one_side(corpus, tokenizer, tmp_path):
    for seed in range(4):
        divided = DividedCorpus(corpus_of_fields(str(corpus), FIELDS), 0.3, seed, data.Cache(tmp_path / "cache"))
        sides = [set(), set()]
        for document, held_out in divided.division.sides(divided.corpus):
            sides[held_out].add(document.text[: document.prompt])
        assert all(sides)
        assert not sides[0] & sides[1]
    split = divided.cut("documents", tokenizer, 30)
    again = divided.cut("documents", tokenizer, 30)  # from the cache
    assert split.fingerprint == again.fingerprint
    for side, copy in zip(split[:2], again[:2], strict=True):
        assert side.annotations.values == ("false", "true")
        for name, column in side.annotations.columns.items():
            np.testing.assert_array_equal(column, copy.annotations.columns[name])
    assert divided.held_out("documents", tokenizer, 30).annotations.values == ("false", "true")


def test_labels_prompts_and_their_use_belong_to_the_fingerprint(corpus, tokenizer):
    found = set()
    for fields, scored in ((FIELDS, True), (FIELDS, False), (FIELDS._replace(label=None), True)):
        divided = DividedCorpus(corpus_of_fields(str(corpus), fields), 0.3, 0, score_prompts=scored)
        found.add(data.fingerprint(*divided.cut("documents", tokenizer, 30)[:2]))
    assert len(found) == 3


def test_one_prompt_cannot_be_divided(tmp_path):
    path = tmp_path / "one.jsonl"
    path.write_text("".join(json.dumps({"q": "why", "a": f"because {n}"}) + "\n" for n in range(5)))
    with pytest.raises(InputError, match="one prompt"):
        DividedCorpus(corpus_of_fields(str(path), RowFields("a", "q")), 0.3, 0)


def test_a_part_keeps_its_prompts_and_labels(corpus, tokenizer):
    sequences = cut("documents", corpus_of_fields(str(corpus), FIELDS), tokenizer, 30, ["false", "true"])
    training, held_out = parted(sequences, 0.25, seed=0)
    names = {sequences.name(number): number for number in range(len(sequences))}
    for part in (training, held_out):
        numbers = [names[part.name(number)] for number in range(len(part))]
        np.testing.assert_array_equal(part.annotations.labels, sequences.annotations.labels[numbers])
        np.testing.assert_array_equal(part.annotations.prompts, sequences.annotations.prompts[numbers])
