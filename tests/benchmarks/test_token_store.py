"""Both token stores hold the same windows, and the benchmark sees what damage each notices."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.token_store import __main__ as command
from benchmarks.token_store.child import TEXTS, built, opened, repeated, store_in
from benchmarks.token_store.damage import CUT, DAMAGE, verdicts
from benchmarks.token_store.stores import STORES

LENGTH, TOKENS = 16, 40_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three documents of random tokens, and both stores of them, repeated."""
    place = tmp_path_factory.mktemp("stores")
    ids, bounds = np.random.default_rng(0).integers(1, 300, 95), np.array([0, 3, 50, 95])
    np.savez(place / TEXTS, ids=ids, byte_counts=ids % 7, bounds=bounds, end=0, vocabulary=300)
    for name in STORES:
        built(str(place), name, LENGTH, TOKENS)
    return str(place)


def test_both_hold_the_windows_of_the_documents(folder):
    pieces = list(repeated(folder, TOKENS))
    tokens = np.concatenate([np.append(piece.ids, 0) for piece in pieces])
    ours, arrow = (store_in(folder, name, LENGTH).open() for name in STORES)
    assert len(ours) == len(arrow) == -(-len(tokens) // LENGTH)
    ids = np.array([0, 7, 1500, len(ours) - 1])
    for one, other in zip(ours.batch(ids), arrow.batch(ids), strict=True):
        assert torch.equal(one, other)
    expected = tokens[7 * LENGTH : 8 * LENGTH]
    assert arrow.batch(np.array([7]))[0][0].tolist() == expected.tolist()


@pytest.mark.parametrize("name", STORES)
def test_opening_says_what_it_took(folder, name):
    told = opened(folder, name, LENGTH, batch=4, batches=3, seed=0)
    assert 0 <= told["opening"] <= told["to_first_batch"]


def test_ours_notices_all_damage_when_it_is_opened(folder):
    assert verdicts(store_in(folder, "ours", LENGTH)) == dict.fromkeys([*DAMAGE, CUT], "opening")


def test_damage_that_nobody_looks_for_is_seen_as_such(folder, tmp_path, monkeypatch):
    shutil.copy(Path(folder) / TEXTS, tmp_path)
    monkeypatch.setattr("ltm_pyro.data.cache._seal", lambda path, sync=False: [path.stat().st_size, 0])
    built(str(tmp_path), "ours", LENGTH, TOKENS)
    store = store_in(tmp_path, "ours", LENGTH)
    assert verdicts(store) == dict.fromkeys(DAMAGE, "never") | {CUT: "opening"}


@pytest.mark.slow  # a process for each store and each opening
def test_it_measures_prints_and_saves(tmp_path, capsys):
    command.main(["--quick", "--threads", "1", "--out", str(tmp_path)])
    record = json.loads((tmp_path / "token_store.json").read_text(encoding="utf-8"))
    assert set(record["damage"]) == set(record["lines"]) == set(STORES)
    assert "arrow / ours, to_first_batch: " in capsys.readouterr().out
