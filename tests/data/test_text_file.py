"""A file read in blocks is the file read whole, wherever the blocks end."""

import random

import pytest

from ltm_pyro.data.text_file import BlockFile, read_blocks, read_text, split_blocks
from ltm_pyro.errors import InputError

TEXT = "\ufeffone\r\n\r\ntwo\r three\n\n\ufeff語 é \U0001f600\r\r\n<|end|><|end<|end|>|>\r"


@pytest.fixture(params=[1, 2, 3, 5, 1000])
def block(request, monkeypatch):
    monkeypatch.setattr("ltm_pyro.data.text_file.BLOCK", request.param)
    return request.param


def test_blocks_of_any_size_make_the_same_text(tmp_path, block):
    path = tmp_path / "a.txt"
    path.write_bytes(TEXT.encode())
    expected = TEXT[1:].replace("\r\n", "\n")
    assert read_text(path) == expected
    assert max(map(len, read_blocks(path))) <= block + 1
    for content in (b"", b"\xef\xbb\xbf", b"\r", b"\r\n"):
        path.write_bytes(content)
        assert read_text(path) == content.decode("utf-8-sig").replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("語é".encode() + b"\xff", r"byte 5 is 0xff \(invalid start byte\)"),
        ("語".encode() + b"\xe8\xaax", r"byte 3 is 0xe8 \(invalid continuation byte\)"),
        ("語".encode()[:2], r"byte 0 is 0xe8 \(unexpected end of data\)"),
        (b"abcdefg\0", "NUL byte at byte 7"),
    ],
)
def test_the_place_of_a_fault_is_that_in_the_file(tmp_path, block, content, message):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_text(tmp_path / "a.txt")


def blocks_of(text, seed):
    pick = random.Random(seed)
    while text:
        size = pick.randint(0, 9)
        yield text[:size]
        text = text[size:]


@pytest.mark.parametrize("separator", ["\n", "<|end|>", "aab"])
@pytest.mark.parametrize("seed", range(20))
def test_split_blocks_is_split(separator, seed):
    pick = random.Random(seed)
    text = "".join(pick.choice([separator, separator[:-1], separator[1:], "a", "x\n"]) for _ in range(30))
    assert list(split_blocks(blocks_of(text, seed), separator)) == text.split(separator)
    assert list(split_blocks(iter(()), separator)) == [""]


def test_blocks_as_a_file():
    for size in (1, 4, 100):
        file = BlockFile(blocks_of(TEXT, size))
        parts = iter(lambda file=file, size=size: file.read(size), "")
        assert "".join(parts) == TEXT
    file = BlockFile(blocks_of(TEXT, 0))
    assert file.read(3) + file.read() == TEXT
    assert file.read() == ""
