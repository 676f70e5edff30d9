"""Files are bounded before they are believed: links, pipes, sizes, nesting, aliases, shapes."""

import json
import os
from typing import Annotated

import pytest
from annotated_types import Ge
from typing_extensions import TypedDict

from ltm_pyro.errors import InputError
from ltm_pyro.files import (
    parse_json,
    parse_yaml,
    read_bytes,
    read_json,
    read_text,
    refuse_links,
    validate,
    write_text,
)


class Info(TypedDict):
    step: Annotated[int, Ge(0)]
    parts: dict[str, list[float]]


def pipe(path):
    os.mkfifo(path)


def link(path):
    path.with_name("elsewhere").write_text("secret")
    path.symlink_to(path.with_name("elsewhere"))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (pipe, "named pipe"),
        (link, "links inside a run are not followed"),
        (lambda path: path.mkdir(), "it is a folder"),
        (lambda path: path.write_bytes(bytes(101)), "larger than 100 bytes"),
        (lambda path: path.write_bytes(b"ab\xff"), "not UTF-8 at byte 2"),
        (lambda path: None, "No such file"),
    ],
)
def test_what_is_no_small_text_file_is_refused_at_once(tmp_path, make, says):
    make(tmp_path / "a.json")
    with pytest.raises(InputError, match=says):
        read_text(tmp_path / "a.json", most=100)


def test_a_users_own_path_may_be_a_link(tmp_path):
    link(tmp_path / "a.json")
    assert read_bytes(tmp_path / "a.json", follow=True) == b"secret"


@pytest.mark.parametrize("name", ["a\0b", "a" * 300])
def test_names_that_no_file_can_have(tmp_path, name):
    with pytest.raises(InputError, match="cannot be read"):
        read_text(tmp_path / name)


DEEP = 100_000
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        "[" * DEEP + "]" * DEEP,
        '{"a":' * DEEP + "1" + "}" * DEEP,
        "[" * 101 + "]" * 101,
        *("NaN", '{"a": -Infinity}', "", "9" * 5000, "{", '"\\ud800', "[1, 2"),
    ],
)
def test_json_that_is_refused_in_one_line(text):
    with pytest.raises(InputError, match=r"^info.json cannot be read: [^\n]* Restore it from a copy$"):
        parse_json(text, "info.json")


@pytest.mark.parametrize(
    "text",
    [
        *(BOMB, "[" * DEEP, "- " * 5000, "a: &a [*a]", "{? " * 300, "a: [", "a: *b", "a: 2026-13-45", "\0"),
        "!!python/object/apply:os.system [id]",
        "<<: &a {b: 1}\n" + "x: [" + "*a, " * 20_000 + "1]",
    ],
)
def test_yaml_that_is_refused_in_one_line(text):
    with pytest.raises(InputError, match=r"^config.yaml cannot be read: [^\n]* Restore it from a copy$"):
        parse_yaml(text, "config.yaml")


def test_what_is_within_the_bounds_is_read():
    assert parse_json("[" * 100 + "]" * 100, "a") is not None
    assert parse_yaml("a: &a [1, 2]\nb: *a\nc: [*a, *a]", "b")["c"] == [[1, 2], [1, 2]]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"parts": {}}, "step: field required"),
        ({"step": -1, "parts": {}}, "step: input should be greater than or equal to 0, found -1"),
        ({"step": "1", "parts": {}}, "step: input should be a valid integer, found '1'"),
        ({"step": True, "parts": {}}, "step: input should be a valid integer, found True"),
        ({"step": 1, "parts": {"a": [1.0, None]}}, r"parts.a\[1\]: input should be a valid number, found None"),
        ([], "input should be a valid dictionary, found list"),
        (None, "input should be a valid dictionary, found None"),
    ],
)
def test_other_shapes_are_refused_by_place(tmp_path, value, says):
    (tmp_path / "a.json").write_text(json.dumps(value))
    with pytest.raises(InputError, match=f"a.json cannot be read: {says}. Restore it from a copy"):
        read_json(tmp_path / "a.json", Info)


def test_a_value_of_the_shape_comes_back_as_it_is():
    value = {"step": 1, "parts": {"a": [1.5]}, "further": "kept"}
    assert validate(value, Info, "a.json") is value


@pytest.mark.parametrize("place", ["a", "b/c/d"])
@pytest.mark.parametrize("kind", ["link", "linked folder", "dangling", "pipe"])
def test_a_folder_with_a_way_out_is_refused(tmp_path, place, kind):
    path = tmp_path / "run" / place
    path.parent.mkdir(parents=True)
    refuse_links(tmp_path / "run")
    targets = {"link": "secret", "linked folder": "folder", "dangling": "nowhere"}
    (tmp_path / "secret").touch()
    (tmp_path / "folder").mkdir()
    path.symlink_to(tmp_path / targets[kind]) if kind in targets else pipe(path)
    with pytest.raises(InputError, match=f"{place} is a (link to|named pipe)"):
        refuse_links(tmp_path / "run")


def test_the_folder_itself_may_be_reached_by_a_link(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "name").symlink_to(tmp_path / "run")
    refuse_links(tmp_path / "name")


def test_writing_replaces_a_link_and_leaves_its_target(tmp_path):
    link(tmp_path / "table.md")
    write_text(tmp_path / "table.md", "new")
    assert (tmp_path / "elsewhere").read_text() == "secret"
    assert (tmp_path / "table.md").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "table.md"]


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path):
    (tmp_path / "table.md").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        write_text(tmp_path / "table.md", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["table.md"]
