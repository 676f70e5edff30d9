"""Estimators compared on models whose answers are known."""

import math

import numpy as np
import pytest
import torch

from ltm_pyro import (
    ELBO,
    CategoricalGuide,
    ChiUpper,
    Decoder,
    DoublyReparameterised,
    FastLoop,
    FixedNoise,
    GaussianPrior,
    ImportanceWeighted,
    InputError,
    KLWeighted,
    LatentThoughtModel,
    MeanFieldGuide,
    ScoreFunction,
    SlowStep,
    StickingTheLanding,
)
from ltm_pyro.bounds import AbstractGradient
from ltm_pyro.bounds.gradients import Coefficients
from ltm_pyro.bounds.gradients.derivatives import slope
from ltm_pyro.bounds.weights import log_mean_exp
from ltm_pyro.data import Batch
from ltm_pyro.models.exact import FiniteMixture, LinearGaussian
from ltm_pyro.studies.bounds import (
    Comparison,
    Learning,
    Problem,
    Sizes,
    all_names,
    compare_bounds,
    finite,
    named_estimators,
    to_csv,
)
from ltm_pyro.studies.bounds.cost import alternately, count_passes, saved_bytes
from ltm_pyro.studies.bounds.gradients import global_gradients, local_gradients
from ltm_pyro.studies.bounds.moments import Reference, describe
from ltm_pyro.studies.bounds.slopes import fit_slope
from ltm_pyro.studies.bounds.tightness import draw_log_weights, tightness_records, values_of_groups

FEW = Sizes(
    particles=(1, 2, 4),
    repeats=4,
    gradient_particles=(2, 4),
    gradient_draws=20,
    gradient_draws_theta=8,
    at_particles=4,
    rounds=2,
    inference_passes=8,
    measures=3,
    measure_draws=4,
)


class WithoutScore(AbstractGradient):
    """Broken: under importance weights the score term that is left out has a mean."""

    def coefficients(self, objective, log_w):
        return Coefficients(path=slope(objective.value, log_w))


@pytest.fixture
def near():
    """A toy whose prior is not far from its posterior, where the theory of large S is seen at small S."""
    return LinearGaussian(z_shape=(1, 2, 2), noise=3.0, batch=3)


def loop(steps=10):
    return FastLoop(ELBO(), steps, 0.1)


def compare(model, guide, x, estimators, sizes=FEW, fast=None, **options):
    return compare_bounds(model, guide, x, estimators, fast=fast or loop(), sizes=sizes, **options)


def only(records, **values):
    (found,) = [r for r in records if all(r.get(name) == value for name, value in values.items())]
    return found


def without_clock(comparison):
    """The part of a comparison that does not depend on how fast the machine is."""
    timed = ("seconds", "fast_seconds", "slow_seconds", "fast_time", "slow_time")
    return [{k: finite(v) for k, v in record.items() if k not in timed} for record in comparison.to_records()]


# Tightness


def test_the_records_hold_what_direct_evaluation_gives(toy):
    problem = Problem.of(toy, MeanFieldGuide(toy.z_shape), toy.x, loop())
    log_w = draw_log_weights(problem, 4, FEW)  # (R, S, B)
    records = tightness_records(log_w, problem, named_estimators(["elbo", "iwae", "renyi0.5"]), FEW)
    pairs = log_w.view(8, 2, 4)  # groups of two
    by_hand = torch.stack([pair.logsumexp(0) - math.log(2) for pair in pairs])  # (groups, B)
    found = only(records, bound="iwae", particles=2)
    assert found["value"] == pytest.approx(by_hand.mean().item())
    assert found["gap"] == pytest.approx((toy.evidence(toy.x) - by_hand.mean(0)).mean().item())
    assert found["error_over_sequences"] == pytest.approx(by_hand.mean(0).std().item() / 2)
    assert found["error_over_draws"] == pytest.approx((by_hand.var(0) / 8).sum().sqrt().item() / 4)
    assert found["draws"] == 8
    assert found["claim"] == "lower bound"
    for particles in (1, 2, 4):
        assert only(records, bound="elbo", particles=particles)["value"] == pytest.approx(log_w.mean().item())
    values = [only(records, bound="iwae", particles=s)["value"] for s in (1, 2, 4)]
    assert values == sorted(values)
    assert only(records, bound="renyi0.5", particles=4)["value"] < values[-1]


def test_groups_are_disjoint_and_in_order():
    log_w = torch.arange(12.0).view(2, 6, 1)
    assert values_of_groups(lambda w: w.sum(0), log_w, 2).flatten().tolist() == [1, 5, 9, 13, 17, 21]
    assert values_of_groups(lambda w: w.sum(0), log_w, 4).flatten().tolist() == [6, 30]


def test_at_the_exact_posterior_no_bound_has_a_gap(toy):
    comparison = compare(toy, toy.exact_guide(), toy.x, ["all"], parts=["tightness"])
    records = comparison.to_records("tightness")
    assert {"elbo", "iwae", "renyi0.5", "renyi-1", "tvo", "jvi2", "miwae", "cubo"} <= {r["bound"] for r in records}
    assert max(abs(record["gap"]) for record in records) < 1e-9
    assert all(r["effective_sample_size"] == pytest.approx(4) for r in comparison.to_records("weights"))


def test_what_bounds_nothing_is_not_among_the_bounds(toy):
    names = ["elbo", "kl0.1", "free-bits", "jvi1", "cubo"]
    comparison = compare(toy, MeanFieldGuide(toy.z_shape), toy.x, names, parts=["tightness"])
    claims = {record["bound"]: record["claim"] for record in comparison.to_records("tightness")}
    assert claims == {"elbo": "lower bound", "jvi1": "estimate, NOT A BOUND", "cubo": "upper bound"}


def test_per_token_is_over_all_scored_tokens(tiny):
    mask = torch.ones_like(tiny.x, dtype=torch.bool)
    mask[0, 5:] = False
    problem = Problem.of(tiny.model, MeanFieldGuide(tiny.decoder.z_shape), {"x": tiny.x, "mask": mask}, loop(0))
    assert problem.unit == "nats/token"
    assert problem.per_unit(torch.ones(3)).item() == pytest.approx(3 / (5 + 20 + 20))


# Gradients


def test_copies_of_a_sequence_give_its_own_gradients(toy):
    problem = Problem.of(toy, MeanFieldGuide(toy.z_shape), toy.x, loop())
    problem.fit(3)
    found = local_gradients(problem, ELBO(), 20_000, at_once=40_000)  # (N, B, G)
    problem.place()
    rows = problem.guide.local_parameters()
    exact = torch.autograd.grad(toy.elbo(toy.x, rows[0], rows[1].exp()).sum(), rows)
    z = (found.mean(0) - torch.cat([g.flatten(1) for g in exact], 1)) / (found.std(0) / 20_000**0.5)
    assert z.abs().max() < 4
    assert all(weight.grad is None for weight in toy.parameters())


def test_the_gradient_by_the_weights_is_of_the_mean_over_the_batch(toy):
    problem = Problem.of(toy, toy.exact_guide(), toy.x, loop())
    found = global_gradients(problem, ImportanceWeighted(particles=3), 2, 1000)  # without variance at the posterior
    exact = torch.autograd.grad(toy.log_evidence(toy.x).mean(), problem.weights(), allow_unused=True)
    exact = torch.cat([g.flatten() for g in exact if g is not None])
    assert torch.allclose(found, exact.expand(2, 1, -1))
    assert global_gradients(problem, ELBO(), 2, 7).shape == (2, 1, 7)


def test_a_broken_estimator_stands_out_and_the_right_ones_do_not(near):
    estimators = {
        "right": lambda s: ImportanceWeighted(s),
        "dreg": lambda s: ImportanceWeighted(s, gradient=DoublyReparameterised()),
        "score": lambda s: ImportanceWeighted(s, gradient=ScoreFunction()),
        "broken": lambda s: ImportanceWeighted(s, gradient=WithoutScore()),
    }
    sizes = Sizes(gradient_particles=(8,), gradient_draws=400, gradient_steps=0, at_once=4096)
    records = compare(near, MeanFieldGuide(near.z_shape), near.x, estimators, sizes, parts=["gradients"]).to_records()
    z = {r["estimator"]: r["bias_z"] for r in records if r.get("parameters") == "γ"}
    assert abs(z["broken"]) > 4
    assert max(abs(z[name]) for name in ("right", "dreg", "score")) < 4
    along = {r["estimator"]: r["bias_along_z"] for r in records if r.get("parameters") == "γ"}
    assert max(abs(along[name]) for name in ("right", "dreg", "score")) < 4


def test_the_signal_falls_with_particles_unless_doubly_reparameterised(near):
    sizes = Sizes(gradient_particles=(1, 4, 16, 64), gradient_draws=500, gradient_draws_theta=4, gradient_steps=0)
    names = ["elbo", "iwae", "iwae-dreg"]
    guide = MeanFieldGuide(near.z_shape)
    comparison = compare(near, guide, near.x, names, sizes, parts=["gradients"])
    slopes = {r["estimator"]: r for r in comparison.to_records("slope") if r["parameters"] == "γ"}
    assert slopes["iwae"]["slope"] < 0 < slopes["iwae-dreg"]["slope"]
    assert slopes["iwae"]["theory"] == -0.5
    assert slopes["elbo"]["slope"] == pytest.approx(0.5, abs=4 * slopes["elbo"]["slope_error"])


def test_the_elbo_is_measured_against_its_exact_gradient():
    for toy, guide, name in (
        (LinearGaussian(), MeanFieldGuide((2, 1, 2)), "elbo-stl"),
        (FiniteMixture(), CategoricalGuide((1, 2, 3)), "elbo-score"),
    ):
        sizes = Sizes(gradient_particles=(4,), gradient_draws=300, gradient_steps=0, at_once=4096)
        records = compare_bounds(toy, guide, toy.x, [name], sizes=sizes, parts=["gradients"]).to_records()
        record = only(records, parameters="γ")
        assert record["reference"] == "exact"
        assert abs(record["bias_z"]) < 4


def test_another_objective_is_called_so(toy):
    records = compare(toy, MeanFieldGuide(toy.z_shape), toy.x, ["rws", "kl0.1"], parts=["gradients"]).to_records()
    assert only(records, estimator="rws", particles=4, parameters="γ")["target"] == "another objective"
    assert only(records, estimator="iwae", particles=4, parameters="θ")["target"] == "its bound"
    assert "NOT A BOUND" in only(records, estimator="kl0.1", particles=4, parameters="γ")["target"]


def test_what_makes_no_sense_is_refused_by_name(toy):
    mine = {"fixed": FixedNoise(ELBO()), "cubo": ChiUpper}
    records = compare(toy, MeanFieldGuide(toy.z_shape), toy.x, mine, parts=["gradients"]).to_records("refusal")
    assert "noise that is not fresh" in only(records, estimator="fixed", parameters="γ")["reason"]
    assert "upper bound" in only(records, estimator="cubo", parameters="θ", particles=2)["reason"]
    mixture = FiniteMixture()
    guide = CategoricalGuide(mixture.z_shape)
    records = compare_bounds(mixture, guide, mixture.x, ["iwae"], sizes=FEW, parts=["gradients"]).to_records("refusal")
    assert "cannot be reparameterised" in only(records, parameters="γ", particles=2)["reason"]


# Moments


def normal(mean, sd, count, batch=2, size=200):
    return mean + sd * torch.randn(count, batch, size, dtype=torch.float64)


def test_moments_of_known_gradients_in_more_dimensions_than_draws():
    found = describe(normal(0.1, 2.0, 50), Reference("same", normal(0.1, 1.0, 60)))
    assert found["variance"] == pytest.approx(200 * 4, rel=0.05)
    assert found["snr"] == pytest.approx(0.1 / 2, abs=4 * found["snr_error"])
    assert abs(found["bias_z"]) < 4
    other = describe(normal(0.4, 2.0, 50), Reference("another", normal(0.1, 1.0, 600)))
    assert other["bias_squared"] == pytest.approx(200 * 0.09, rel=0.3)
    assert other["bias_z"] > 4
    assert other["bias_along"] == pytest.approx(3, rel=0.2)


@pytest.mark.parametrize("size", [1, 5, 200])
@pytest.mark.parametrize("exact", [False, True])
def test_the_z_of_no_bias_is_a_z(size, exact):
    def reference():
        return torch.full((1, 2, size), 0.1) if exact else normal(0.1, 2.0, 60, size=size)

    samples = [normal(0.1, 1.0, 60, size=size) for _ in range(400)]
    found = [describe(sample, Reference("same", reference(), exact)) for sample in samples]
    for name in ("bias_z", "bias_along_z"):
        z = np.array([one[name] for one in found])
        assert abs(z.mean()) < 0.25
        assert 0.8 < z.std() < 1.25
        assert z.max() < 4


def test_a_gradient_without_variance_has_no_bias_to_find():
    exact = torch.ones(1, 2, 5)
    found = describe(torch.ones(10, 2, 5), Reference("exact", exact, exact=True))
    assert found["bias_z"] == found["bias_along_z"] == 0
    assert describe(2 * torch.ones(10, 2, 5), Reference("exact", exact, exact=True))["bias_z"] == math.inf


def test_a_heavy_tail_is_seen():
    sample = normal(0.0, 1.0, 50)
    sample[7] += 1000
    assert describe(sample, Reference("same", normal(0.0, 1.0, 50)))["heavy_tails"]
    assert not describe(normal(0.0, 1.0, 50), Reference("same", normal(0.0, 1.0, 50)))["heavy_tails"]


def test_a_slope_is_fitted_by_the_errors_of_its_points():
    counts = np.array([1.0, 2, 4, 8])
    assert fit_slope(counts, 3 * counts**-0.5, 0.1 * counts**-0.5)[0] == pytest.approx(-0.5)
    bent = np.array([1.0, 2, 4, 1])
    assert fit_slope(counts, bent, 0.001 * bent)[1] > 100 * fit_slope(counts, counts, 0.001 * counts)[1] / 2


# Cost and curves


def test_costs_are_counted(toy):
    comparison = compare(toy, MeanFieldGuide(toy.z_shape), toy.x, ["iwae", "iwae-dreg", "cubo", "jvi1"], parts=["cost"])
    record = only(comparison.to_records("cost"), estimator="iwae")
    assert (record["fast_passes"], record["slow_passes"]) == (4, 4)
    assert record["fast_time"] > 0
    assert "slow_time" not in only(comparison.to_records("cost"), estimator="cubo")
    assert "fast_time" not in only(comparison.to_records("cost"), estimator="jvi1")


def test_a_storage_is_counted_once():
    x = torch.ones(1000, requires_grad=True)

    def step():
        (x * x).sum().backward()

    assert saved_bytes(step, torch.device("cpu")) == 4000


def test_passes_that_run_again_are_counted(tiny):
    tiny.guide.start(tiny.x, prior=tiny.model.prior())

    def step(bound):
        return lambda: bound.loss_and_grads(tiny.model, tiny.guide, x=tiny.x)

    assert count_passes(step(ELBO(4))) == 4
    assert count_passes(step(ELBO(4, at_once=2))) == 8


def test_tasks_take_turns():
    order = []
    alternately({name: lambda name=name: order.append(name) for name in "ab"}, 2, torch.device("cpu"))
    assert "".join(order) == "ababab"


def test_inference_is_measured_alike_at_equal_passes(toy):
    guide = MeanFieldGuide(toy.z_shape)
    comparison = compare(toy, guide, toy.x, ["elbo", "iwae-dreg", "jvi1"], parts=["inference"])
    records = comparison.to_records("inference")
    points = {name: [r for r in records if r["estimator"] == name] for name in ("elbo", "iwae-dreg")}
    assert [r["passes"] for r in points["elbo"]] == [0, 4, 8]
    assert points["elbo"][0]["elbo"] == points["iwae-dreg"][0]["elbo"]  # the same cold start, the same noise
    assert points["elbo"][-1]["elbo"] > points["elbo"][0]["elbo"]
    assert points["elbo"][-1]["seconds"] > 0
    assert "without limit" in only(comparison.to_records("refusal"), estimator="jvi1")["reason"]


def learning(passes, width=16):
    """A tiny language model that is trained from the same start each time."""

    def start():
        torch.manual_seed(3)
        decoder = Decoder(vocabulary=30, width=width, layers=1, heads=2, thoughts=2, length=20, bos_id=1)
        model = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder)
        return model, MeanFieldGuide(decoder.z_shape), FastLoop(ELBO(), 2, 0.1), SlowStep(ELBO(), 0.03, warmup=2)

    def batches():
        x = torch.randint(30, (1, 20), generator=torch.Generator().manual_seed(0)).expand(4, 20)
        while True:
            yield Batch(x, None, torch.ones(4, dtype=torch.long), torch.arange(4), torch.ones_like(x))

    return Learning(start, batches, FastLoop(ELBO(), 2, 0.1), passes)


def test_learning_begins_alike_and_learns():
    task = learning(4 * 12 * 8)
    model, guide, _, _ = task.start()
    names = ["elbo", "iwae", "cubo", "jvi1"]
    batch = next(iter(task.batches()))
    comparison = compare(model, guide, batch, names, learning=task, parts=["learning"])
    records = comparison.to_records("learning")
    assert {r["estimator"] for r in records} == set(names)
    starts = {r["elbo"] for r in records if r["step"] == 0}
    assert len(starts) == 1
    for name in ("elbo", "iwae"):
        ends = [r for r in records if r["estimator"] == name]
        assert [r["passes"] for r in ends] == [0, 192, 384]  # 4 sequences, S=4, two fast steps and a slow one
        assert ends[-1]["elbo"] > ends[0]["elbo"] + 0.1
    assert only(records, estimator="cubo", step=0)["slow"] == "ELBO"
    assert only(records, estimator="jvi1", step=0)["fast"] == "ELBO"
    assert "cubo: ChiUpper in the fast loop, ELBO in the slow step." in comparison.table()


def test_learning_needs_a_budget():
    with pytest.raises(InputError, match="give passes or seconds"):
        learning(None)


# The whole


def test_equal_seeds_give_equal_records_and_leave_the_random_state(toy):
    guide = MeanFieldGuide(toy.z_shape)
    before = torch.get_rng_state()
    first, again, other = (compare(toy, guide, toy.x, ["iwae", "elbo-stl"], seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert without_clock(first) == without_clock(again) != without_clock(other)


def test_an_interrupted_comparison_goes_on_to_the_same_records(toy):
    def interrupt(name, done, total):
        if done == 3:
            raise KeyboardInterrupt

    guide, names, part = MeanFieldGuide(toy.z_shape), ["iwae", "elbo-stl"], Comparison()
    with pytest.raises(KeyboardInterrupt):
        compare(toy, guide, toy.x, names, done=part, listener=interrupt)
    assert len(part.pieces) == 3
    assert compare(toy, guide, toy.x, names, done=part) is part
    assert without_clock(part) == without_clock(compare(toy, guide, toy.x, names))


def test_objects_of_the_users_own_are_compared_at_their_own_size(toy):
    class Mine(ImportanceWeighted):
        def value(self, log_w):
            return log_mean_exp(log_w) - 1

    mine = {"my bound": Mine(3), "any": lambda s: ELBO(s, gradient=StickingTheLanding())}
    comparison = compare(toy, MeanFieldGuide(toy.z_shape), toy.x, mine, parts=["tightness", "gradients", "cost"])
    records = comparison.to_records()
    assert [r["particles"] for r in records if r.get("bound") == "my bound" and r["part"] == "tightness"] == [3]
    assert only(records, part="cost", estimator="my bound")["fast_passes"] == 3
    assert "my bound" in comparison.table()
    header = to_csv(records).splitlines()[0].split(",")
    assert {"part", "bound", "estimator", "snr", "claim"} <= set(header)
    assert len(to_csv(records).splitlines()) == len(records) + 1


def test_the_default_is_fit_for_the_guide(toy):
    mixture = FiniteMixture()
    guide = CategoricalGuide(mixture.z_shape)
    records = compare_bounds(mixture, guide, mixture.x, sizes=FEW, parts=["gradients", "inference"]).to_records()
    refused = {record["estimator"] for record in records if record["part"] == "refusal"}
    assert refused <= {"jvi1-vimco", "cubo"}


def test_every_name_makes_sense_and_unknown_ones_have_near_matches():
    assert {"iwae-dreg", "tvo-covariance", "rws-dreg", "renyi-1", "free-bits"} <= set(all_names())
    assert named_estimators(["miwae4"])[0].at(8).groups == 4
    assert isinstance(named_estimators(["ltm_pyro.ImportanceWeighted"])[0].at(5), ImportanceWeighted)
    assert isinstance(named_estimators(["kl0.5"])[0].at(1), KLWeighted)
    with pytest.raises(InputError, match="unknown estimator 'iwae-dregs': did you mean iwae-dreg"):
        named_estimators(["iwae-dregs"])
    with pytest.raises(InputError, match="it equals StickingTheLanding"):
        named_estimators(["elbo-dreg"])
    with pytest.raises(InputError, match="cannot be imported"):
        named_estimators(["ltm_pyro.Nothing"])


def test_a_model_without_thoughts_is_refused():
    from toys import autoregressive_with

    from ltm_pyro import EmptyGuide

    model = autoregressive_with()
    with pytest.raises(InputError, match="no thoughts"):
        compare_bounds(model, EmptyGuide(), torch.randint(30, (2, 20)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parts": ["tightnes"]}, "expected some of tightness, gradients"),
        ({"sizes": {"repeats": 1}}, "repeats=1: expected 2 or more"),
        ({"sizes": {"particles": ()}}, "particles=\\(\\): expected 1 or more"),
        ({"estimators": {"mine": 3}}, "is a int: expected a bound"),
    ],
)
def test_bad_input_is_named(toy, options, message):
    def begin(sizes=None, **rest):
        compare_bounds(toy, MeanFieldGuide(toy.z_shape), toy.x, sizes=Sizes(**(sizes or {})), **rest)

    with pytest.raises(InputError, match=message):
        begin(**options)


def test_a_batch_that_is_none_is_refused(toy):
    with pytest.raises(InputError, match="expected a Batch, a dictionary with x, or x itself"):
        compare_bounds(toy, MeanFieldGuide(toy.z_shape), [1, 2])
