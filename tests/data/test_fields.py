"""The field that is asked for is the one that is read, in every format, or it is refused by name."""

import json

import pytest

from ltm_pyro.data import Corpus, read_corpus
from ltm_pyro.data.fields import NoFieldError, find_field, pointer
from ltm_pyro.errors import InputError


def written(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def parquet(path, **columns):
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(columns), path)
    return path


def texts(path, field=None):
    return [document.text for document in read_corpus(path, field)]


PAGE = {"url": "u", "title": "t", "text": "the text"}
ONE_OBJECT = {  # content of a .json file, the field, and its texts
    "named": (PAGE, "title", ["t"]),
    "text is the default": (PAGE, None, ["the text"]),
    "numbers beside it": ({"id": 3, "text": "x"}, None, ["x"]),
    "pieces": ({"text": ["a", "b"]}, None, ["a b"]),
    "nested": ({"page": {"body": "x"}, "n": 1}, "page.body", ["x"]),
    "by pointer": ({"page": {"a.b": "x"}, "n": 1}, "/page/a.b", ["x"]),
    "titles to texts": ({"A": "x", "B": "y", "C": None}, None, ["x", "y"]),
    "titles to objects": ({"A": {"text": "x"}, "B": {"text": "y"}}, None, ["x", "y"]),
    "titles to objects, named": ({"A": {"b": "x"}, "B": {"b": "y"}}, "b", ["x", "y"]),
    "a title like the field": ({"A": {"text": "x"}, "text": {"text": "y"}}, None, ["x", "y"]),
}


@pytest.mark.parametrize("case", ONE_OBJECT)
def test_one_object_is_a_document_or_a_mapping_from_titles(tmp_path, case):
    content, field, expected = ONE_OBJECT[case]
    corpus = Corpus(written(tmp_path / "a.json", content), field)
    assert [document.text for document in corpus] == expected
    (remark,) = corpus.remarks
    single = not case.startswith(("titles", "a title"))
    assert ("read as one document" in remark) == single
    assert ("a mapping from title to" in remark) != single


MISSING = {
    "object.json": (PAGE, "body", r"has no field 'body'\. Its fields: url, title, text"),
    "texts.json": ({"A": "x", "B": "y"}, "body", r"no field 'body'\. Its fields: A, B"),
    "mixed.json": ({"A": "x", "B": 3}, None, r"no field 'text'\. Its fields: A, B"),
    "inner.json": ({"A": {"b": "x"}, "B": {"c": "y"}}, "b", r"entry 'B' has no field 'b'\. Its fields: c"),
    "objects.json": ([PAGE], "body", "no field 'body'"),
    "strings.json": (["x", "y"], "body", r"entry '1' is a string and has no field 'body'\. Leave --data.field out"),
    "rows.jsonl": (PAGE, "body", "line 1 has no field 'body'"),
    "string.jsonl": ("x", "body", "line 1 is a string and has no field"),
    "nested.jsonl": ({"meta": {"text": "x"}}, "meta.body", r"no field 'meta.body'\. Its fields: meta.text"),
    "pointer.jsonl": ({"meta": {"text": "x"}}, "/meta/body", "no field '/meta/body'"),
    "plain.txt": ("x", "body", r"plain text and has no field 'body'\. Leave --data.field out"),
    "columns.csv": ("a,b\n1,2\n", "c", "no field 'c'. Its fields: a, b"),
}


@pytest.mark.parametrize("name", MISSING)
def test_a_field_that_is_not_there_is_refused(tmp_path, name):
    content, field, message = MISSING[name]
    content = content if name.endswith(".csv") else json.dumps(content)
    with pytest.raises(NoFieldError, match=message):
        read_corpus(written(tmp_path / name, content), field)


def test_the_built_in_corpus_has_no_fields():
    with pytest.raises(NoFieldError, match="built-in corpus has no field 'body'"):
        read_corpus(field="body")


def test_plain_text_beside_files_with_fields_has_none(tmp_path):
    written(tmp_path / "a.txt", "x")
    written(tmp_path / "b.jsonl", {"body": "y"})
    assert texts(tmp_path, "body") == ["x", "y"]


def test_a_name_that_stands_twice_loses_nothing(tmp_path):
    titles = Corpus(written(tmp_path / "a.json", '{"A": "first", "B": "x", "A": "second"}'))
    assert [(d.name, d.text) for d in titles] == [
        ("a.json:A", "first"),
        ("a.json:B", "x"),
        ("a.json:A (2)", "second"),
    ]
    assert texts(written(tmp_path / "c.jsonl", '{"id": 1, "text": "x", "id": 2}')) == ["x"]
    for name, content in {
        "rows.jsonl": '{"text": "x", "text": "y"}',
        "row.json": '{"text": "x", "text": "y"}',
        "nested.jsonl": '{"text": {"text": "x", "text": "y"}}',
        "columns.csv": "text,n,text\nx,1,y\n",
    }.items():
        field = "text.text" if name.startswith("nested") else None
        with pytest.raises(InputError, match="'text' more than once"):
            read_corpus(written(tmp_path / name, content), field)
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_arrays([["x"], ["y"]], names=["text", "text"]), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="'text' more than once"):
        read_corpus(tmp_path / "a.parquet")


def _jsonl(path):
    return written(path.with_suffix(".jsonl"), {"meta": {"text": "nested"}, "meta.text": "flat"})


def _parquet(path):
    return parquet(path.with_suffix(".parquet"), **{"meta": [{"text": "nested", "n": 1}], "meta.text": ["flat"]})


def _parquet_other_order(path):
    return parquet(path.with_suffix(".parquet"), **{"meta.text": ["flat"], "meta": [{"n": 1, "text": "nested"}]})


@pytest.mark.parametrize("write", [_jsonl, _parquet, _parquet_other_order])
def test_an_exact_name_comes_first_and_the_nested_field_can_be_had(tmp_path, write):
    path = write(tmp_path / "a")
    corpus = Corpus(path, "meta.text")
    assert [document.text for document in corpus] == ["flat"]
    (remark,) = corpus.remarks
    assert "the field named 'meta.text' is read; --data.field /meta/text is the one within 'meta'" in remark
    assert texts(path, "/meta/text") == ["nested"]


def test_nested_fields_of_tables(tmp_path):
    path = parquet(tmp_path / "a.parquet", a=[{"b": {"c": "x", "d": 1}}, None, {"b": None}, {"b": {"c": "y", "d": 2}}])
    assert texts(path, "a.b.c") == texts(path, "/a/b/c") == ["x", "y"]
    with pytest.raises(InputError, match=r"holds an object with the fields c, d; expected text"):
        read_corpus(path, "a.b")
    rows = "\n".join(json.dumps(row) for row in [{"a": {"b": "x"}}, {"a": None}])
    assert texts(written(tmp_path / "a.jsonl", rows), "a.b") == ["x"]


def test_hub_data_sets_have_nested_fields(monkeypatch):
    import datasets

    rows = datasets.Dataset.from_list([{"meta": {"text": "x"}, "n": 1}])
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: rows)
    assert texts("hf:some/data", "meta.text") == ["x"]
    with pytest.raises(NoFieldError, match=r"Its fields: meta\.text, n"):
        read_corpus("hf:some/data", "meta.body")


def test_names_of_any_kind():
    row = {"": 1, "a.b": 2, "/x": 3, "a": {"b": {"c": 4}, "b.c": 5}, "null": 6}
    for field, path in {
        "": ("",),
        "a.b": ("a.b",),
        "/x": ("/x",),
        "a.b.c": ("a", "b.c"),
        "/a/b/c": ("a", "b", "c"),
        "null": ("null",),
    }.items():
        assert find_field(row, field, "here") == path
    for path in (("a/b", "c~d"), ("~1", "/")):
        inner = {path[0]: {path[1]: "x"}}
        assert find_field(inner, pointer(path), "here") == path


@pytest.mark.parametrize("content", [{f"k{i}": 1 for i in range(9999)}, {"k" * 10**6: 1}, {"k" * 999: {"j" * 999: 1}}])
def test_the_message_is_one_line_of_ordinary_length(tmp_path, content):
    with pytest.raises(NoFieldError) as caught:
        read_corpus(written(tmp_path / "a.jsonl", content))
    assert len(str(caught.value)) < 2000
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["{}", "[]", "{}\n", '{"A": null}', "null"])
def test_nothing_is_said_to_be_nothing(tmp_path, content):
    with pytest.raises(InputError, match="holds no text"):
        read_corpus(written(tmp_path / "a.json", content))


def test_json_that_is_too_much_is_one_line(tmp_path):
    for content in ('[{"text": ' + "[" * 100_000, '{"text": "x", "n": ' + "9" * 10_000 + "}"):
        for name in ("a.json", "a.jsonl"):
            with pytest.raises(InputError, match=r"does not parse as JSON: (nested too deeply|a number is too long)"):
                read_corpus(written(tmp_path / name, content))


def test_nan_is_no_text_and_no_trouble_elsewhere(tmp_path):
    assert texts(written(tmp_path / "a.jsonl", '{"text": "x", "score": NaN, "n": -Infinity}')) == ["x"]
    with pytest.raises(InputError, match="holds NaN, which is no text"):
        read_corpus(written(tmp_path / "a.json", '[{"text": NaN}]'))
