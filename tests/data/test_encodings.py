"""Text that is not UTF-8 is told apart, and the remedy that a message names gives the text back."""

import bz2
import gzip
import io
import lzma
import pickle
import re
import subprocess
import zipfile

import numpy as np
import pytest

from ltm_pyro.data import read_corpus
from ltm_pyro.errors import InputError

SAMPLES = {
    "english": "The quick brown fox jumps over the lazy dog, and then some more words follow.\n" * 9,
    "french": "Le café était déjà fermé, hélas ; où aller à présent ?\n" * 9,
    "russian": "Съешь же ещё этих мягких французских булок, да выпей чаю.\n" * 9,
    "japanese": "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。\n" * 9,
}
ENCODINGS = [
    *(("english", encoding) for encoding in ("utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")),
    *(("french", encoding) for encoding in ("latin1", "utf-16-le")),
    *(("russian", encoding) for encoding in ("cp1251", "koi8-r", "utf-16-le", "utf-16-be")),
    *(("japanese", encoding) for encoding in ("shift_jis", "utf-16-le", "utf-16-be", "utf-32-be")),
]


def refusal(path, content):
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_corpus(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def follow(message):
    """Carry out the command that a message advises; returns the file that it makes."""
    (command, made) = re.search(r": ((?:iconv|gunzip|bunzip2|xz|cp|tr) .*[> ]'([^']*)')", message).groups()
    subprocess.run(command, shell=True, check=True)
    return made


@pytest.mark.parametrize(("language", "encoding"), ENCODINGS)
@pytest.mark.parametrize("suffix", [".txt", ".jsonl"])
def test_the_advice_gives_the_text_back(tmp_path, language, encoding, suffix):
    text = SAMPLES[language] if suffix == ".txt" else '"' + SAMPLES[language].replace("\n", '"\n"') + 'x"\n'
    made = follow(refusal(tmp_path / f"a b{suffix}", text.encode(encoding)))
    (tmp_path / f"utf8{suffix}").write_text(text)
    assert [document.text for document in read_corpus(made)] == [
        document.text for document in read_corpus(tmp_path / f"utf8{suffix}")
    ]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("name", ["a.jsonl", "a.txt", "a.csv"])
def test_packed_text_under_the_name_of_text(tmp_path, pack, name):
    made = follow(refusal(tmp_path / name, pack(b'"text"\nx\n' if name == "a.csv" else b'"text"\n' * 9)))
    assert read_corpus(made)


def test_packed_text_under_its_own_name(tmp_path):
    assert follow(refusal(tmp_path / "a.jsonl.gz", gzip.compress(b'"text"\n'))) == str(tmp_path / "a.jsonl")


def zipped():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "text")
    return file.getvalue()


def saved_array():
    file = io.BytesIO()
    np.save(file, np.arange(4))
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (zipped(), "a zip archive"),
        (b"PAR1" + bytes(99), "Parquet"),
        (pickle.dumps({"text": "x"}), "a pickle"),
        (saved_array(), "a NumPy array"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "a PDF"),
    ],
)
def test_other_formats_are_named(tmp_path, content, kind):
    for name in ("a.txt", "a.jsonl", "a.json", "a.csv"):
        assert f"begins as {kind} does" in refusal(tmp_path / name, content)


def test_text_under_the_name_of_parquet(tmp_path):
    assert "gunzip" in refusal(tmp_path / "a.parquet", gzip.compress(b"text"))
    assert "does not parse as Parquet" in refusal(tmp_path / "b.parquet", b'{"text": "x"}\n')


def test_damaged_utf8_is_not_taken_for_latin_1(tmp_path):
    message = refusal(tmp_path / "a.txt", SAMPLES["french"].encode() + b"\xff\n")
    assert "latin1" not in message
    with open(follow(message), encoding="utf-8") as file:  # what was left out is the broken byte alone
        assert file.read() == SAMPLES["french"] + "\n"


def test_a_few_nul_bytes_are_not_taken_for_utf_16(tmp_path):
    for content in (b"ab\0cd" * 40, SAMPLES["french"].encode() + b"\0", b"\0" + SAMPLES["russian"].encode()):
        message = refusal(tmp_path / "a.txt", content)
        assert "NUL byte at byte" in message
        assert "utf-16" not in message


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_json_lines_may_end_in_any_way(tmp_path, end):
    (tmp_path / "a.jsonl").write_bytes(end.join(['{"text": "x\\ry\u2028"}', "", '"z"', ""]).encode())
    assert [document.text for document in read_corpus(tmp_path / "a.jsonl")] == ["x\ry\u2028", "z"]


def test_marks_of_files_that_were_joined(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf"x"\n\xef\xbb\xbf"y"\n')
    assert [document.text for document in read_corpus(tmp_path / "a.jsonl")] == ["x", "y"]


def test_json_under_the_other_name(tmp_path):
    assert "name it .json" in refusal(tmp_path / "a.jsonl", b'[\n  {"text": "x"}\n]\n')
    assert "name it .jsonl" in refusal(tmp_path / "a.json", b'{"text": "x"}\n{"text": "y"}\n')
