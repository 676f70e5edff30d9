"""The files that a corpus stands for: commas, links, and what is no file."""

import os

import pytest

from ltm_pyro.data import Corpus, read_corpus
from ltm_pyro.data.sources import divide, sources_of
from ltm_pyro.errors import InputError
from ltm_pyro.runs.names import corpus_name


def names(corpus):
    return [document.name for document in corpus]


def write(path, text=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text or path.name)
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["a,b.txt", "a,b/c,d.txt", ",.txt", "a.txt,b.txt"])
def test_a_path_that_exists_is_taken_as_it_is(here, name):
    write(here / "a.txt")
    write(here / "b.txt")
    write(here / name, "all of it")
    assert [document.text for document in read_corpus(name)] == ["all of it"]
    assert corpus_name(name)
    assert sources_of(name) == [name]
    assert divide(f"b.txt,{name}, hf:x/y") == ["b.txt", name, "hf:x/y"]


def test_what_does_not_exist_is_divided_at_commas(here):
    for name in ("a.txt", "b.txt"):
        write(here / name)
    for spec in ("a.txt,b.txt", "a.txt, b.txt", ["a.txt", "b.txt"]):
        assert names(read_corpus(spec)) == ["a.txt", "b.txt"]
    with pytest.raises(InputError, match=r"no file or folder c\.txt"):
        read_corpus("a.txt,c.txt")
    with pytest.raises(InputError, match="has no name"):
        read_corpus("a.txt,,b.txt")
    assert len(divide("x," * 5000)) == 5001  # in no time


def test_linked_folders_and_files_are_read(here):
    write(here / "elsewhere/one.txt")
    write(here / "corpus/two.txt")
    (here / "corpus/linked").symlink_to("../elsewhere")
    (here / "corpus/three.txt").symlink_to(write(here / "three.txt"))
    assert names(read_corpus("corpus")) == ["linked/one.txt", "three.txt", "two.txt"]


def test_a_file_with_several_names_is_read_once_under_its_own(here):
    write(here / "corpus/b/z.txt")
    (here / "corpus/a").symlink_to("b")
    (here / "corpus/b/y.txt").symlink_to("z.txt")
    (here / "corpus/b/loop").symlink_to("..")
    os.link(here / "corpus/b/z.txt", here / "corpus/b/zz.txt")
    assert names(read_corpus("corpus")) == ["z.txt"]
    assert names(read_corpus(["corpus/a/z.txt", "corpus", here / "corpus/b/y.txt"])) == ["a/z.txt"]


def test_many_links_that_lead_back_take_no_time(here):
    for i in range(12):
        write(here / f"corpus/{i}/text.txt")
        for j in range(12):
            (here / f"corpus/{i}/to{j}").symlink_to(f"../{j}")
    assert len(read_corpus("corpus")) == 12


def test_what_is_left_out_is_said(here):
    write(here / "corpus/a.txt")
    write(here / "corpus/b.pdf")
    write(here / "corpus/c.pdf")
    (here / "corpus/gone.txt").symlink_to("nowhere")
    (here / "corpus/self.txt").symlink_to("self.txt")
    os.mkfifo(here / "corpus/pipe.txt")  # reading it would wait for ever
    corpus = Corpus("corpus")
    assert names(corpus) == ["a.txt"]
    assert sorted(corpus.remarks) == [
        "corpus/b.pdf and 1 more: left out, .pdf is not known",
        "corpus/gone.txt and 1 more: left out, it is a link that leads nowhere",
        "corpus/pipe.txt: left out, it is a named pipe",
    ]
    list(corpus)
    assert len(corpus.remarks) == 3


@pytest.mark.parametrize(("name", "kind"), [("pipe.txt", "a named pipe"), ("gone.txt", "a link that leads nowhere")])
def test_what_is_no_file_is_refused(here, name, kind):
    os.mkfifo(here / "pipe.txt")
    (here / "gone.txt").symlink_to("nowhere")
    with pytest.raises(InputError, match=f"{name} is {kind}; expected a file"):
        read_corpus(name)


@pytest.mark.parametrize("name", ["x" * 300 + ".txt", "a\0b.txt", "\ud800.txt"])
def test_names_that_no_file_can_have(here, name):
    with pytest.raises(InputError, match="there is no file or folder"):
        read_corpus(name)


def test_a_folder_that_cannot_be_looked_through(here, monkeypatch):
    write(here / "corpus/a.txt")

    def refuse(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match="folder corpus cannot be read: Permission denied"):
        read_corpus("corpus")


def test_a_file_that_memory_cannot_hold(here, monkeypatch):
    write(here / "a.txt")

    def refuse(*_):
        raise MemoryError

    monkeypatch.setitem(__import__("ltm_pyro.data.files").data.files.READERS, ".txt", refuse)
    with pytest.raises(InputError, match=r"a\.txt has a document that does not fit into memory"):
        read_corpus("a.txt")
