"""The guide that remembers: what it keeps, for which texts, and what comes back after a checkpoint."""

import math
import os
import signal

import pyro
import pytest
import torch
import yaml
from runs import checkpoint, ltm, metrics, train, write_corpus

from ltm_pyro import (
    ELBO,
    AmortisedGuide,
    CategoricalGuide,
    FastLoop,
    InputError,
    LaplaceGuide,
    MAPGuide,
    MeanFieldGuide,
    MemoryGuide,
    SemiAmortisedGuide,
    SVGDGuide,
)
from ltm_pyro.guides import posterior_store
from ltm_pyro.guides.memory import texts_of
from ltm_pyro.guides.posterior_store import PosteriorStore
from ltm_pyro.runs.session import Session
from ltm_pyro.training.build import RECIPES
from ltm_pyro.training.state_files import read_tensors, write_tensors

SINGLE = {"atol": 1e-6, "rtol": 1e-6}  # as float32 keeps it


def fit(guide, tiny, x=None, mask=None, steps=4):
    """Fit, and return the rows."""
    FastLoop(ELBO(2), steps).fit(tiny.model, guide, tiny.x if x is None else x, mask)
    return [row.detach().clone() for row in guide.local_parameters()]


def start_of(guide, tiny, x=None, mask=None):
    guide.start(tiny.x if x is None else x, mask, tiny.model.prior())
    return [row.detach().clone() for row in guide.local_parameters()]


def assert_same(ones, others, **tolerance):
    assert len(ones) == len(others)
    for one, other in zip(ones, others, strict=True):
        torch.testing.assert_close(one, other, **(tolerance or SINGLE))


# ---- what it keeps


@pytest.mark.parametrize("make", [MeanFieldGuide, MAPGuide, LaplaceGuide, SVGDGuide])
def test_a_text_starts_where_it_ended(make, tiny):
    guide = MemoryGuide(tiny.decoder.z_shape, make)
    fresh = [row.clone() for row in start_of(guide, tiny)]
    ended = fit(guide, tiny)
    assert (ended[0] - fresh[0]).abs().max() > 1e-2
    fit(guide, tiny, tiny.texts(3))
    order = torch.tensor([2, 0, 1])
    assert_same(start_of(guide, tiny, tiny.x[order]), [row[order].detach() for row in ended])
    mixed = torch.cat((tiny.texts(1), tiny.x[1:2]))
    start = start_of(guide, tiny, mixed)
    assert_same([row[1:] for row in start], [row[1:2] for row in ended])
    with pytest.raises(AssertionError):
        assert_same([row[:1] for row in start], [row[:1] for row in ended])
    assert all(row.is_leaf and row.requires_grad for row in guide.local_parameters())


def test_epochs_go_on_where_the_last_one_ended(tiny):
    """With a few steps an epoch the bound goes on rising; without a memory every epoch ends at the same place."""
    bounds = {}
    for name, guide in (("kept", MemoryGuide(tiny.decoder.z_shape)), ("fresh", MeanFieldGuide(tiny.decoder.z_shape))):
        for _ in range(10):
            FastLoop(ELBO(4), 3, learning_rate=0.1).fit(tiny.model, guide, tiny.x)
        bounds[name] = ELBO(500).terms(tiny.model, guide, tiny.x).bound.mean()
    assert bounds["kept"] > bounds["fresh"] + 1


def test_it_is_the_other_guide_until_a_text_comes_again(tiny):
    one, other = MemoryGuide(tiny.decoder.z_shape), MeanFieldGuide(tiny.decoder.z_shape)
    for guide in (one, other):
        pyro.set_rng_seed(0)
        fit(guide, tiny)
    assert_same(one.local_parameters(), other.local_parameters(), atol=0, rtol=0)
    with pyro.plate("particles", 5, dim=-2):
        assert one(tiny.x).shape == (5, 3, *tiny.decoder.z_shape)
    with pytest.raises(InputError, match=r"guide\.start"):
        one(tiny.x[:2])


def test_a_text_is_its_scored_tokens(tiny):
    mask = torch.arange(20).expand(3, 20) < torch.tensor([[20], [12], [5]])
    padded = texts_of(tiny.x, mask)
    assert texts_of(tiny.x.masked_fill(~mask, 0), mask) == padded
    assert texts_of(tiny.x[1:2, :12]) == padded[1:2]
    assert len({len(key) for key in padded}) == 1 == len({*padded}) - 2
    assert len(padded[0]) == 16
    changed = tiny.x.clone()
    changed[1, 3] += 1
    assert [one == other for one, other in zip(texts_of(changed, mask), padded, strict=True)] == [True, False, True]
    guide = MemoryGuide(tiny.decoder.z_shape)
    ended = fit(guide, tiny, mask=mask)
    assert_same([row[:1] for row in start_of(guide, tiny, tiny.x[1:2, :12])], [row[1:2] for row in ended])


def test_evaluation_neither_reads_nor_keeps(tiny):
    guide = MemoryGuide(tiny.decoder.z_shape)
    fit(guide, tiny)
    before = {name: value.clone() for name, value in guide.state_dict().items()}
    guide.eval()
    assert start_of(guide, tiny)[0].abs().max() == 0  # the prior's mean
    fit(guide, tiny)
    fit(guide, tiny, tiny.texts(3))
    assert len(guide.memory) == 3
    assert all(torch.equal(value, before[name]) for name, value in guide.state_dict().items())
    guide.train()
    assert start_of(guide, tiny)[0].abs().max() > 0


def test_a_posterior_that_is_not_finite_is_not_kept(tiny):
    guide = MemoryGuide(tiny.decoder.z_shape)
    start_of(guide, tiny)
    with torch.no_grad():
        guide.guide.mu[1, 0, 0, 0] = float("nan")
    guide.after_fit(lambda z: z.sum((-3, -2, -1)))
    assert len(guide.memory) == 2
    assert start_of(guide, tiny)[0].isfinite().all()


def test_the_oldest_makes_room(tiny):
    store = PosteriorStore(capacity=3)
    keys = [bytes([number]) * 16 for number in range(5)]
    rows = torch.arange(5.0)[:, None].expand(5, 4)
    store.write(keys[:3], rows[:3])
    store.write(keys[:1], rows[:1] + 10)  # written again, so no longer the oldest
    store.write(keys[3:], rows[3:])
    known, kept = store.read(keys)
    assert known == [0, 3, 4]
    assert kept[:, 0].tolist() == [10.0, 3.0, 4.0]
    assert len(store) == 3


@pytest.mark.parametrize("capacity", [700, None])
def test_it_grows_as_texts_come_up_to_its_capacity_or_a_gibibyte(capacity, monkeypatch):
    if capacity is None:
        monkeypatch.setattr(posterior_store, "LARGEST", 4 * 700 + 3)
    store = PosteriorStore(capacity)
    keys = [number.to_bytes(16, "little") for number in range(1000)]
    for first in range(0, 1000, 50):
        store.write(keys[first : first + 50], torch.arange(first, first + 50.0)[:, None])
    known, kept = store.read(keys)
    assert known == list(range(300, 1000))
    assert kept.flatten().tolist() == [float(number) for number in known]
    assert len(store._rows) == 700
    assert store.forgotten == 300


def test_without_a_capacity_the_default_run_has_room_for_several_corpora():
    sizes = yaml.safe_load((RECIPES / "tiny.yaml").read_text())["decoder"]
    shape = sizes["layers"], sizes["thoughts"], sizes["width"]
    guide = MemoryGuide(shape)
    guide.start(torch.zeros(1, 4, dtype=torch.long))
    size = sum(row.numel() for row in guide.local_parameters())
    assert guide.memory.most(size) == 2**30 // (4 * 2 * math.prod(shape)) > 10 * 12_765


def test_more_than_a_gibibyte_is_not_read_from_a_checkpoint(monkeypatch):
    one, other = PosteriorStore(), PosteriorStore()
    one.write([bytes([number]) * 16 for number in range(3)], torch.zeros(3, 4))
    other.load_state_dict(one.state_dict())
    assert len(other) == 3
    monkeypatch.setattr(posterior_store, "LARGEST", 4 * 4 * 2)
    with pytest.raises(RuntimeError, match="3 posteriors do not fit into capacity=2"):
        PosteriorStore().load_state_dict(one.state_dict())


def test_it_says_when_it_forgets(tiny):
    guide = MemoryGuide(tiny.decoder.z_shape, capacity=4)
    fit(guide, tiny)
    fit(guide, tiny)
    assert guide.status() == ""
    assert MeanFieldGuide(tiny.decoder.z_shape).status() == ""
    fit(guide, tiny, tiny.texts(3))
    assert guide.status().startswith("MemoryGuide is full with 4 texts and has forgotten 2 to make room")


def test_what_is_to_be_kept_may_stand_in_a_file(tiny, tmp_path):
    """The same, and nothing is left there."""
    guides = [MemoryGuide(tiny.decoder.z_shape, capacity=4, path=path) for path in (None, str(tmp_path))]
    others = tiny.texts(3)
    for guide in guides:
        pyro.set_rng_seed(0)
        for x in (tiny.x, others, tiny.x[:1]):
            fit(guide, tiny, x)
    assert list(tmp_path.iterdir()) == [] or os.name == "nt"
    assert_same(*([guide.state_dict()[f"memory.{name}"] for name in ("texts", "slots", "rows")] for guide in guides))
    assert len(guides[1].memory) == 4
    write_tensors(tmp_path / "weights.safetensors", guides[1].state_dict())
    other = MemoryGuide(tiny.decoder.z_shape, capacity=4, path=str(tmp_path))
    other.load_state_dict(read_tensors(tmp_path / "weights.safetensors"))
    assert_same(start_of(other, tiny, others), start_of(guides[1], tiny, others), atol=0, rtol=0)


def test_a_folder_that_is_not_there_is_refused(tiny, tmp_path):
    guide = MemoryGuide(tiny.decoder.z_shape, path=str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"nowhere: No such file .* Give a folder with room"):
        fit(guide, tiny)


# ---- checkpoints


def test_a_state_dict_holds_it_and_another_guide_goes_on_with_it(tiny, tmp_path):
    one, other = (MemoryGuide(tiny.decoder.z_shape, capacity=5) for _ in range(2))
    write_tensors(tmp_path / "empty", one.state_dict())
    other.load_state_dict(read_tensors(tmp_path / "empty"))
    assert len(other.memory) == 0
    texts = tiny.texts(9)
    for first in (0, 3, 1):
        fit(one, tiny, texts[first : first + 3])
    assert set(one.state_dict()) == {"memory.texts", "memory.slots", "memory.rows"}
    write_tensors(tmp_path / "weights", one.state_dict())
    fit(other, tiny)  # what it had is forgotten
    other.load_state_dict(read_tensors(tmp_path / "weights"))
    for guide in (one, other):  # room is made for the same texts
        pyro.set_rng_seed(0)
        fit(guide, tiny, texts[5:])
    ones, others = start_of(one, tiny, texts), start_of(other, tiny, texts)
    assert_same(ones, others, atol=0, rtol=0)
    assert len({*one.memory._slots}) == 5
    assert list(one.memory._slots) == list(other.memory._slots)


def test_weights_of_the_other_guide_are_beside_it(tiny):
    def make(z_shape):
        return SemiAmortisedGuide(z_shape, vocabulary=30, width=16).double()

    one, other = (MemoryGuide(tiny.decoder.z_shape, make) for _ in range(2))
    fit(one, tiny)
    other.load_state_dict(one.state_dict())
    assert_same(start_of(one, tiny), start_of(other, tiny), atol=0, rtol=0)
    assert {name.split(".")[0] for name in one.state_dict()} == {"guide", "memory"}
    assert len(list(one.parameters())) == len(list(one.guide.parameters())) > 0


def test_what_does_not_fit_is_refused(tiny):
    one = MemoryGuide(tiny.decoder.z_shape)
    fit(one, tiny)
    with pytest.raises(RuntimeError, match="3 posteriors do not fit into capacity=2"):
        MemoryGuide(tiny.decoder.z_shape, capacity=2).load_state_dict(one.state_dict())
    with pytest.raises(RuntimeError, match=r"Missing key.*memory\.texts"):
        MemoryGuide(tiny.decoder.z_shape).load_state_dict({})
    with pytest.raises(RuntimeError, match="Unexpected key"):
        MeanFieldGuide(tiny.decoder.z_shape).load_state_dict(one.state_dict())


def test_it_stays_on_the_cpu_and_single(tiny):
    guide = MemoryGuide(tiny.decoder.z_shape)
    fit(guide, tiny)
    guide.double().to("meta")
    assert {(str(value.device), value.dtype) for value in guide.state_dict().values()} == {
        ("cpu", torch.int64),
        ("cpu", torch.float32),
    }


def stop_at(monkeypatch, number):
    show = Session._show

    def listener(session, record):
        show(session, record)
        if record["step"] == number and "validation" not in record:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Session, "_show", listener)


REMEMBERING = ["--guide", "MemoryGuide", "--guide.guide", "MeanFieldGuide", "--guide.capacity", "11"]


def test_a_run_that_was_interrupted_goes_on_bit_for_bit(tmp_path, monkeypatch):
    corpus = write_corpus(tmp_path / "corpus.jsonl", documents=10)
    settings = {"train__steps": 12, "train__evaluate_every": 6}
    assert train(corpus, tmp_path / "whole", *REMEMBERING, **settings) == 0
    with monkeypatch.context() as patched:
        stop_at(patched, 9)
        assert train(corpus, tmp_path / "parts", *REMEMBERING, **settings) == 143
    half = checkpoint(tmp_path / "parts").weights["guide.memory.rows"]
    assert ltm("train", "--resume", tmp_path / "parts") == 0
    one, other = checkpoint(tmp_path / "whole").weights, checkpoint(tmp_path / "parts").weights
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "parts")
    assert one["guide.memory.texts"].shape == (11, 2)
    assert not torch.equal(half, one["guide.memory.rows"])
    assert train(corpus, tmp_path / "fresh", **settings) == 0  # and a memory makes a difference
    assert metrics(tmp_path / "fresh") != metrics(tmp_path / "whole")


def test_a_run_says_when_an_epoch_does_not_fit(tmp_path, capsys):
    corpus = write_corpus(tmp_path / "corpus.jsonl", documents=10)
    settings = {"train__steps": 6, "train__evaluate_every": 6}
    assert train(corpus, tmp_path / "narrow", *REMEMBERING, **settings) == 0
    assert "MemoryGuide is full with 11 texts and has forgotten" in capsys.readouterr().err
    assert train(corpus, tmp_path / "wide", *REMEMBERING[:-2], **settings) == 0
    assert "MemoryGuide is full" not in capsys.readouterr().err


def test_a_memory_that_is_lost_on_the_way_would_be_noticed(tmp_path, monkeypatch):
    corpus = write_corpus(tmp_path / "corpus.jsonl", documents=10)
    settings = {"train__steps": 12, "train__evaluate_every": 12}
    assert train(corpus, tmp_path / "whole", *REMEMBERING, **settings) == 0
    with monkeypatch.context() as patched:
        stop_at(patched, 9)
        assert train(corpus, tmp_path / "parts", *REMEMBERING, **settings) == 143
    monkeypatch.setattr(PosteriorStore, "_load_from_state_dict", lambda *_: None)
    assert ltm("train", "--resume", tmp_path / "parts") == 0
    assert metrics(tmp_path / "whole") != metrics(tmp_path / "parts")


# ---- what it hands on, and what it refuses


def test_what_the_other_guide_is_it_is_too(tiny):
    memory = MemoryGuide(tiny.decoder.z_shape, MAPGuide)
    assert not memory.has_density
    assert memory.family == "MAPGuide"
    assert memory.fast_particles == 1
    assert MemoryGuide((1, 2, 3), CategoricalGuide).discrete
    assert not MemoryGuide((1, 2, 3)).discrete
    guide = MemoryGuide(tiny.decoder.z_shape, LaplaceGuide)
    assert guide.step_size == guide.guide.step_size
    fit(guide, tiny)
    assert guide.has_density  # it becomes a Gaussian at the end
    start_of(guide, tiny)
    assert not guide.has_density
    guide = MemoryGuide(tiny.decoder.z_shape, lambda z_shape: SemiAmortisedGuide(z_shape, width=16))
    guide.prepare(30)
    assert guide.guide.reader.vocabulary == 30


def test_a_guide_with_nothing_to_remember_is_refused(tiny):
    guide = MemoryGuide(tiny.decoder.z_shape, lambda z_shape: AmortisedGuide(z_shape, vocabulary=30, width=16))
    with pytest.raises(InputError, match="AmortisedGuide has no local parameters"):
        guide.start(tiny.x)


def test_a_start_that_is_being_learned_is_not_overruled():
    with pytest.raises(InputError, match="through='own'"):
        MemoryGuide((1, 2, 2), lambda z_shape: SemiAmortisedGuide(z_shape, through="refinement"))


@pytest.mark.parametrize("capacity", [0, -1])
def test_a_memory_without_room_is_refused(capacity):
    with pytest.raises(InputError, match="capacity="):
        MemoryGuide((1, 2, 2), capacity=capacity)
