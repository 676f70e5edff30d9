"""A new file takes its name only if that is free, and an unfinished one leaves nothing."""

import os

import pytest

from ltm_pyro.errors import InputError
from ltm_pyro.files.new_file import new_file, refuse_taken


def write(path, meanwhile=lambda: None):
    with new_file(path) as temporary:
        temporary.write_text("ours")
        meanwhile()


def test_a_file_gets_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "a.csv"
    with new_file(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert temporary.suffix == ".csv"
    assert path.read_text() == "whole"
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_file_that_came_meanwhile_is_kept(tmp_path, monkeypatch, links):
    if not links:

        def refused(*paths):
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refused)
    path = tmp_path / "a.csv"
    with pytest.raises(InputError, match="made by another process meanwhile"):
        write(path, lambda: path.write_text("theirs"))
    assert path.read_text() == "theirs"
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]
    write(tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == "ours"


def test_an_interrupted_writer_leaves_nothing(tmp_path):
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a.csv", interrupt)
    with pytest.raises(InputError, match="cannot be written"):
        write(tmp_path / "no" / "a.csv")
    assert not list(tmp_path.iterdir())


def test_a_dangling_link_is_a_taken_name(tmp_path):
    (tmp_path / "a.csv").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="exists, and is not overwritten"):
        refuse_taken(tmp_path / "a.csv", (".csv",), "--out")
    refuse_taken(tmp_path / "b.csv", (".csv",), "--out")
