"""Guides at equal budgets: what is spent is what was given, and the gap splits into its parts."""

import math
from dataclasses import replace

import pytest
import torch

from ltm_pyro import (
    ELBO,
    FastLoop,
    FullCovarianceGuide,
    GaussianPrior,
    InputError,
    LatentThoughtModel,
    LayerChainedGuide,
    LowRankGuide,
    MatrixNormalGuide,
    MeanFieldGuide,
    SlowStep,
)
from ltm_pyro.data import Batch
from ltm_pyro.studies.bounds.passes import CountPasses
from ltm_pyro.studies.guides import Candidate, GuideComparison, Sizes, gaps, train_guide

SMALL = Sizes(
    passes=6, long_steps=12, draws=4, long_draws=8, curve=(0, 2), step_sizes=(0.5, 2.0), curve_sequences=2, rounds=1
)


def batch(x):
    mask = torch.arange(x.shape[1]) < torch.tensor([20, 13, 17, 9])[: len(x), None]
    return Batch(x, mask, torch.ones(len(x), dtype=torch.long), torch.arange(len(x)), 1 + x % 3)


class Shared(MeanFieldGuide):
    """One posterior for all texts: a guide with nothing local."""

    family = "MeanFieldGuide"

    def __init__(self, z_shape):
        super().__init__(z_shape)
        self.place = torch.nn.Parameter(torch.zeros(z_shape, dtype=torch.float64))

    def start(self, x, mask=None, prior=None):
        super().start(x, mask, prior)
        self.rows = len(x)

    def local_parameters(self):
        return []

    def forward(self, *args, **kwargs):
        self.mu = self.place.expand(self.rows, *self.z_shape)
        return super().forward(*args, **kwargs)


class Blind(MeanFieldGuide):
    """A guide that does not know its own density."""

    has_density = False


@pytest.fixture
def comparison(tiny):
    fast = FastLoop(ELBO(), learning_rate=0.1)
    twice = FastLoop(ELBO(particles=2), learning_rate=0.1)
    shape = tiny.decoder.z_shape
    candidates = [
        Candidate("mean field", MeanFieldGuide(shape), fast),
        Candidate("two samples", MeanFieldGuide(shape), twice),
        Candidate("shared", Shared(shape), fast, training_passes=7),
        Candidate("blind", Blind(shape), fast),
    ]
    return GuideComparison(tiny.model, candidates, batch(tiny.texts(4)), SMALL)


def test_every_guide_gets_the_passes_and_no_more(comparison):
    comparison.carry_out()
    rows = {r["guide"]: r for r in comparison.to_records("numbers") if r["budget"] == "passes"}
    assert {name: row["steps"] for name, row in rows.items()} == {
        "mean field": 6, "two samples": 3, "shared": 0, "blind": 6
    }  # fmt: skip
    assert [row["passes"] for row in rows.values()] == [6, 6, 0, 6]
    with CountPasses() as counter:
        comparison.candidates[1].fit(comparison.model, comparison.batch, 3)
    assert counter.passes == 6
    costs = {r["guide"]: r for r in comparison.to_records("cost")}
    assert costs["mean field"]["bytes_of_q"] == 2 * 8 * math.prod(comparison.candidates[0].guide.z_shape)
    assert costs["shared"]["training_passes"] == 7
    assert costs["shared"]["bytes_of_q"] == 0


def test_what_has_no_density_has_no_bound(comparison):
    comparison.carry_out()
    (blind,) = (r for r in comparison.to_records("numbers") if r["guide"] == "blind" and r["budget"] == "passes")
    assert {"elbo", "importance_weighted", "kl", "pareto_k"}.isdisjoint(blind)
    assert {"predictive", "prior", "reconstruction"} <= blind.keys()
    assert not [
        r for part in ("curve", "gap", "step size") for r in comparison.to_records(part) if r["guide"] == "blind"
    ]
    assert "no density" in comparison.table()


@pytest.mark.parametrize("make", [LowRankGuide, MatrixNormalGuide, FullCovarianceGuide, LayerChainedGuide])
def test_what_couples_layers_is_shown_by_layer_too(make, tiny):
    fast, sizes = FastLoop(ELBO(), learning_rate=0.1), replace(SMALL, long_steps=2, step_sizes=())
    comparison = GuideComparison(
        tiny.model, [Candidate("this", make(tiny.decoder.z_shape), fast)], batch(tiny.texts(4)), sizes
    )
    comparison.carry_out()
    for record in comparison.to_records("numbers"):
        assert record["kl_layer_1"] + record["kl_layer_2"] == pytest.approx(record["kl"], rel=1e-6)
        assert record["kl_layer_1"] != record["kl_layer_2"]
    assert "does not split" not in comparison.table()


def test_the_gap_is_the_sum_of_its_parts(comparison):
    comparison.carry_out()
    found = {record["guide"]: record for record in comparison.to_records("gap")}
    assert list(found) == ["mean field", "two samples", "shared"]
    for record in found.values():
        assert record["gap"] == pytest.approx(record["approximation_gap"] + record["inference_gap"], abs=1e-12)
    assert found["mean field"]["approximation_gap"] == found["shared"]["approximation_gap"]
    assert found["shared"]["inference_gap"] > found["mean field"]["inference_gap"]


def test_the_split_is_named_by_what_a_long_run_leaves(comparison):
    """With steps too long for it, a family that holds another leaves more: a long run need not come to the best."""
    shape = comparison.model.decoder.z_shape
    nested = Candidate("nested", FullCovarianceGuide(shape), FastLoop(ELBO(), learning_rate=3.0))  # far beyond
    held = Candidate("held", MeanFieldGuide(shape), FastLoop(ELBO(), learning_rate=1e-6))
    both = GuideComparison(comparison.model, [held, nested], comparison.batch, SMALL)
    both.carry_out()
    found = {record["guide"]: record["approximation_gap"] for record in both.to_records("gap")}
    assert found["nested"] > found["held"]  # though every mean field is in the nested family
    head = next(line for line in both.table().splitlines() if "closed by it" in line)
    assert "left after the long run" in head
    assert "family" not in head


def test_the_reference_is_the_tightest_and_a_family_its_best():
    def record(guide, family, budget, elbo, weighted):
        return {
            "part": "numbers", "guide": guide, "family": family, "budget": budget, "has_density": True, "elbo": elbo,
            "importance_weighted": weighted,
            "sequences": {"elbo": [10 * elbo] * 2, "importance_weighted": [10 * weighted] * 2, "tokens": [10, 10]},
        }  # fmt: skip

    records = [
        record("a", "A", "passes", 3.0, 2.9),
        record("b", "A", "passes", 2.8, 2.7),
        record("c", "C", "passes", 2.6, 2.5),
        record("a", "A", "long", 2.5, 2.0),
        record("b", "A", "long", 2.4, 2.2),
    ]
    first, second, third = gaps(records)
    assert first["reference"] == second["reference"] == "a"
    assert first["gap"] == pytest.approx(1.0)
    assert first["approximation_gap"] == second["approximation_gap"] == pytest.approx(0.4)
    assert first["inference_gap"] == pytest.approx(0.6)
    assert third["gap"] == pytest.approx(0.6)
    assert "approximation_gap" not in third


def test_an_interrupted_comparison_goes_on_to_the_same_numbers(comparison):
    comparison.carry_out()
    kept = dict(list(comparison.pieces.items())[:3])
    again = GuideComparison(comparison.model, comparison.candidates, comparison.batch, SMALL, pieces=kept)
    again.carry_out()
    timed = {"seconds_per_sequence"}
    for one, other in zip(comparison.to_records(), again.to_records(), strict=True):
        if one.get("budget") != "time":
            assert {k: v for k, v in one.items() if k not in timed} == {
                k: v for k, v in other.items() if k not in timed
            }


def test_guides_are_added_later(comparison):
    first = GuideComparison(comparison.model, comparison.candidates[:1], comparison.batch, SMALL)
    first.carry_out()
    before = [dict(record) for record in first.pieces["cost"]]
    both = GuideComparison(comparison.model, comparison.candidates[:2], comparison.batch, SMALL, pieces=first.pieces)
    both.carry_out()
    assert both.pieces["cost"][:1] == before
    assert {record["guide"] for record in both.to_records("numbers")} == {"mean field", "two samples"}


def test_step_sizes_multiply_the_guides_own(comparison):
    assert comparison.candidates[0].at_rate(3.0).fast.rate(0) == pytest.approx(0.3)
    comparison.carry_out()
    points = [r for r in comparison.to_records("step size") if r["guide"] == "mean field"]
    assert [point["factor"] for point in points] == [0.5, 2.0]
    assert points[0]["elbo"] != points[1]["elbo"]


def test_a_guide_is_trained_on_a_decoder_that_stands_still(tiny):
    before = [parameter.clone() for parameter in tiny.model.parameters()]
    guide, texts = Shared(tiny.decoder.z_shape), batch(tiny.texts(4))
    slow = SlowStep(ELBO(), 0.05)
    passes = train_guide(tiny.model, guide, FastLoop(ELBO()), slow, iter([texts] * 5), 3)
    assert passes == 3 * 4
    assert guide.place.abs().max() > 0.01
    for parameter, kept in zip(tiny.model.parameters(), before, strict=True):
        assert torch.equal(parameter, kept)
        assert parameter.requires_grad


@pytest.mark.parametrize("wrong", [{"passes": 0}, {"draws": 1}, {"curve": (-1,)}, {"step_sizes": (0.0,)}])
def test_sizes_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Sizes(**wrong)


def test_nothing_to_compare_is_refused(tiny):
    with pytest.raises(InputError, match="no guides"):
        GuideComparison(tiny.model, [], batch(tiny.texts(2)))
    assert isinstance(LatentThoughtModel(GaussianPrior(tiny.decoder.z_shape), tiny.decoder).prior, GaussianPrior)
