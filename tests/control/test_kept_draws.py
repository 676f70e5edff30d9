"""Draws are kept under everything that they depend on."""

import pytest
import torch

from ltm_pyro.control import PosteriorDraws
from ltm_pyro.control import kept_draws as keeping
from ltm_pyro.control.kept_draws import keep_draws, kept_draws, key_of
from ltm_pyro.data import id_sequences

SETTINGS = {"weights": "a", "draws": 2}


def some_draws():
    return PosteriorDraws(torch.randn(2, 3, 1, 1, 4), torch.randn(2, 3), torch.randn(2, 3), torch.randn(3, 1, 1, 4))


def sequences(first=1):
    return id_sequences([[first, 2, 3], [4, 5], [6]], 10, 0, 5)


def test_they_come_back_bit_by_bit_and_under_their_key_alone(tmp_path):
    draws = some_draws()
    keep_draws(tmp_path / "run" / "draws", "key", draws)
    kept = kept_draws(tmp_path / "run" / "draws", "key")
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(draws, kept, strict=True))
    assert kept_draws(tmp_path / "run" / "draws", "other") is None
    keep_draws(tmp_path / "run" / "draws", "other", some_draws())
    assert kept_draws(tmp_path / "run" / "draws", "key") is None
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["draws"]


def test_the_key_changes_with_text_choice_and_settings():
    rows = torch.arange(3).numpy()
    keys = [
        key_of(sequences(), rows, SETTINGS),
        key_of(sequences(7), rows, SETTINGS),
        key_of(sequences(), rows[:2], SETTINGS),
        key_of(sequences(), rows[::-1], SETTINGS),
        key_of(sequences(), rows, {**SETTINGS, "weights": "b"}),
        key_of(id_sequences([[1, 2], [3, 4, 5], [6]], 10, 0, 5), rows, SETTINGS),
    ]
    assert len(set(keys)) == len(keys)
    assert key_of(sequences(), rows, SETTINGS) == keys[0]


@pytest.mark.parametrize("name", ["draws.safetensors", "draws.json", "manifest.json"])
def test_damaged_files_are_no_draws(tmp_path, name):
    keep_draws(tmp_path / "draws", "key", some_draws())
    path = tmp_path / "draws" / name
    path.write_bytes(path.read_bytes()[:-9])
    assert kept_draws(tmp_path / "draws", "key") is None
    keep_draws(tmp_path / "draws", "key", some_draws())
    assert kept_draws(tmp_path / "draws", "key") is not None


def test_a_place_that_cannot_be_written_and_draws_that_are_too_large_are_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    keep_draws(tmp_path / "file" / "draws", "key", some_draws())
    monkeypatch.setattr(keeping, "LARGEST", 10)
    keep_draws(tmp_path / "draws", "key", some_draws())
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
