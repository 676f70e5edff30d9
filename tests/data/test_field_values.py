"""The values of a field beside the text, by document."""

import json

import pytest

from ltm_pyro.data import field_values, read_corpus
from ltm_pyro.data.fields import NoFieldError
from ltm_pyro.errors import InputError

ROWS = [
    {"text": "one", "label": "a", "year": 1790, "meta": {"mood": "calm"}},
    {"text": "two", "label": " b ", "year": 1791.5, "meta": {"mood": None}},
    {"text": "three", "label": None, "year": True, "meta": None},
    {"text": "four", "label": "", "year": 1790, "meta": {"mood": "calm"}},
]


def written(folder, kind):
    path = folder / f"rows.{kind}"
    if kind == "jsonl":
        path.write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    elif kind == "json":
        path.write_text(json.dumps(ROWS), encoding="utf-8")
    else:
        import pandas

        table = pandas.DataFrame(
            [{"text": row["text"], "label": row["label"], "year": i} for i, row in enumerate(ROWS)]
        )
        table.to_csv(path, index=False) if kind == "csv" else table.to_parquet(path)
    return path


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "parquet"])
def test_values_have_the_names_of_their_documents(tmp_path, kind):
    path = written(tmp_path, kind)
    names = {document.name: document.text for document in read_corpus(path)}
    values = field_values(path, "label")
    assert {names[name]: value for name, value in values.items()} == {"one": "a", "two": "b"}
    assert len(field_values(path, "year")) == 4


def test_numbers_truth_values_and_fields_of_objects_are_values(tmp_path):
    path = written(tmp_path, "jsonl")
    assert list(field_values(path, "year").values()) == ["1790", "1791.5", "true", "1790"]
    assert list(field_values(path, "meta.mood").values()) == ["calm", "calm"]
    path.write_text(json.dumps({"text": "x", "tags": [1, 2]}))
    with pytest.raises(InputError, match="a list"):
        field_values(path, "tags")


def test_a_missing_field_is_named_with_those_that_exist(tmp_path):
    with pytest.raises(NoFieldError) as error:
        field_values(written(tmp_path, "jsonl"), "lable")
    assert "has no field 'lable'" in error.value.found
    assert set(error.value.names) == {"text", "label", "year", "meta.mood"}


def test_plain_text_and_the_built_in_corpus_have_no_values(tmp_path):
    (tmp_path / "a.txt").write_text("whole text")
    with pytest.raises(NoFieldError, match="plain text"):
        field_values(tmp_path / "a.txt", "label")
    with pytest.raises(NoFieldError, match="built-in corpus has no field"):
        field_values("sotu", "label")
    written(tmp_path, "jsonl")
    assert list(field_values(tmp_path, "label").values()) == ["a", "b"]  # beside a.txt, whose text is no value
    assert list(field_values(["sotu", str(tmp_path)], "label").values()) == ["a", "b"]
