"""The cache's content is either whole or made again, whoever else writes and whatever happens to the files."""

import os
import random
import threading
import time
from pathlib import Path

import pytest

from ltm_pyro.data import Cache
from ltm_pyro.data.cache import ABANDONED, key_of

KEY = key_of("this")
CONTENT = bytes(range(256)) * 40


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


def fill(folder):
    (folder / "a").write_bytes(CONTENT)
    (folder / "b").write_bytes(b"")
    return {"n": 1}


def test_an_entry_is_found_again(cache):
    assert cache.find(KEY) is None
    entry = cache.add(KEY, fill)
    assert cache.find(KEY) == entry
    assert entry.notes == {"n": 1}
    assert (entry.folder / "a").read_bytes() == CONTENT
    assert [path.name for path in cache.folder.iterdir()] == [KEY]


def test_others_may_read_it_where_the_umask_says_so(cache, tmp_path):
    (tmp_path / "ordinary").mkdir()
    assert cache.add(KEY, fill).folder.stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_keys_differ_with_every_part_and_every_boundary():
    assert len({key_of("ab", "c"), key_of("a", "bc"), key_of("abc"), key_of("c", "ab"), key_of("ab", "c", "")}) == 5


def damage_byte(entry):
    content = bytearray((entry / "a").read_bytes())
    content[len(content) // 2] ^= 1
    (entry / "a").write_bytes(content)


def shorten(entry):
    (entry / "a").write_bytes(CONTENT[:-1])


def lengthen(entry):
    (entry / "b").write_bytes(b"x")


def remove(entry):
    (entry / "a").unlink()


def change_header(entry):
    header = (entry / "header.json").read_text()
    (entry / "header.json").write_text(header.replace('"n": 1', '"n": 2'))


def break_header(entry):
    (entry / "header.json").write_text("{")


def other_header(entry):
    (entry / "header.json").write_text("[3]")


def lose_header(entry):
    (entry / "header.json").unlink()


@pytest.mark.parametrize(
    "damage", [damage_byte, shorten, lengthen, remove, change_header, break_header, other_header, lose_header]
)
def test_a_damaged_entry_is_none_and_is_made_again(cache, damage):
    damage(cache.add(KEY, fill).folder)
    assert cache.find(KEY) is None
    cache.add(KEY, fill)
    assert (cache.find(KEY).folder / "a").read_bytes() == CONTENT
    assert [path.name for path in cache.folder.iterdir()] == [KEY]


def test_every_flipped_bit_of_a_large_file_is_noticed(cache):
    size = 2**26 + 2**21 + 3

    def sparse(folder):
        with (folder / "a").open("wb") as file:
            file.truncate(size)
        return {}

    path = cache.add(KEY, sparse).folder / "a"
    pick = random.Random(0)
    for place in (0, size - 1, *(pick.randrange(size) for _ in range(3))):
        with path.open("r+b") as file:
            file.seek(place)
            file.write(bytes([1 << pick.randrange(8)]))
        assert cache.find(KEY) is None
        with path.open("r+b") as file:
            file.seek(place)
            file.write(b"\0")
    assert cache.find(KEY) is not None


def test_what_cannot_be_finished_leaves_nothing(cache):
    def full(folder):
        fill(folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        cache.add(KEY, full)
    assert list(cache.folder.iterdir()) == []


def test_many_at_once_make_one_whole_entry(cache):
    together, found, failed = threading.Barrier(6), [], []

    def one():
        def slowly(folder):
            notes = fill(folder)
            together.wait()  # all are done at the same time
            return notes

        try:
            found.append(cache.add(KEY, slowly))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=one) for _ in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert failed == []
    assert {entry.folder for entry in found} == {cache.find(KEY).folder}
    assert [path.name for path in cache.folder.iterdir()] == [KEY]


def test_what_was_interrupted_long_ago_is_removed_and_nothing_else_is(cache):
    names = [f"{KEY}.abc_12.unfinished", f"{KEY}.new.unfinished", "notes.unfinished", f"{key_of('other')}"]
    for name in names:
        (cache.folder / name).mkdir(parents=True)
    for name in (names[0], *names[2:]):
        os.utime(cache.folder / name, (time.time() - ABANDONED - 9,) * 2)
    cache.add(KEY, fill)
    assert {path.name for path in cache.folder.iterdir()} == {KEY, *names[1:]}


def test_a_note_is_made_once_and_again_if_damaged(cache):
    entry = cache.add(KEY, fill)
    assert entry.note("length", lambda: "7") == "7"
    assert entry.note("length", lambda: "8") == "7"
    assert cache.find(KEY) == entry
    path = entry.folder / "length.json"
    path.write_text(path.read_text().replace("7", "9"))
    assert entry.note("length", lambda: "8") == "8"
    for left in entry.folder.iterdir():
        left.unlink()
    entry.folder.rmdir()
    assert entry.note("length", lambda: "6") == "6"


def test_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LTM_CACHE", str(tmp_path / "mine"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    assert Cache.at("~/here").folder == tmp_path / "here"
    assert Cache.at("none") is None
    assert Cache.at("") is None
    assert Cache.at().folder == tmp_path / "mine"
    monkeypatch.setenv("LTM_CACHE", "none")
    assert Cache.at() is None
    monkeypatch.setenv("LTM_CACHE", "")  # as good as not set
    assert Cache.at().folder == tmp_path / "shared" / "ltm_pyro"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert Cache.at().folder == tmp_path / ".cache" / "ltm_pyro"

    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    assert Cache.at() is None
