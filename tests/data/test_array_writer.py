"""Columns hold what was appended, in files and in memory, also when they grow wider."""

import io

import numpy as np
import pytest

from ltm_pyro.data.array_writer import ArrayWriter, mapped


@pytest.fixture(params=["file", "memory"])
def file(request, tmp_path):
    return (tmp_path / "column").open("w+b") if request.param == "file" else io.BytesIO()


def content(column):
    column.file.seek(0)
    return np.frombuffer(column.file.read(), column.dtype)


@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_two_bytes_become_four_when_one_number_needs_them(file, monkeypatch, piece):
    monkeypatch.setattr("ltm_pyro.data.array_writer.PIECE", piece)
    values = np.concatenate([np.arange(50), [65_535, 65_536, 4, 2**32 - 1]])
    column = ArrayWriter(file, np.uint16)
    for start in range(0, 50, 7):
        column.append(values[:50][start : start + 7])
    column.append(values[50:51])
    assert column.dtype == np.uint16
    column.append(values[51:53])
    assert column.dtype == np.uint32
    column.append(values[53:])
    assert len(column) == len(values)
    assert (content(column) == values).all()


def test_nothing_is_mapped_too(tmp_path):
    (tmp_path / "a").touch()
    assert mapped(tmp_path / "a", "<u2").tolist() == []
    (tmp_path / "b").write_bytes(b"\1\0\2\0")
    found = mapped(tmp_path / "b", "<u2")
    assert isinstance(found, np.memmap)
    assert found.tolist() == [1, 2]
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 3
