"""A folder comes to stand whole, and nothing that somebody else has made is removed."""

import pytest

from ltm_pyro.files.new_folder import made_aside


def test_it_is_there_at_the_end_and_not_before(tmp_path):
    with made_aside(tmp_path / "deep" / "new") as beside:
        (beside / "file").write_text("whole")
        assert not (tmp_path / "deep" / "new").exists()
    assert (tmp_path / "deep" / "new" / "file").read_text() == "whole"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["new"]


def test_nothing_is_left_of_one_that_fails(tmp_path):
    with pytest.raises(RuntimeError), made_aside(tmp_path / "new"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("winner", ["new/file", "new"])
def test_the_winner_of_a_race_keeps_what_it_has_made(tmp_path, winner):
    """Another process has made a folder with a file, or a file, of this name while ours was being filled."""

    def lose():
        with made_aside(tmp_path / "new") as beside:
            (beside / "file").write_text("second")
            (tmp_path / winner).parent.mkdir(exist_ok=True)
            (tmp_path / winner).write_text("first")

    with pytest.raises(OSError, match=r"not empty|ot a directory"):
        lose()
    assert (tmp_path / winner).read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_an_empty_folder_is_taken_and_a_link_to_one_followed(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    with made_aside(tmp_path / "link") as beside:
        (beside / "file").touch()
    assert (tmp_path / "empty" / "file").exists()
    assert (tmp_path / "link").is_symlink()
