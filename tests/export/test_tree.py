"""Exported draws: ArviZ's loo and compare on them are exact where the evidence is known."""

import math

import numpy as np
import pytest
import torch
import xarray

from ltm_pyro import CategoricalGuide, CodebookPrior, FlowGuide, FullCovarianceGuide, MAPGuide, MeanFieldGuide
from ltm_pyro.data import Batch
from ltm_pyro.errors import InputError
from ltm_pyro.evaluation import Evaluation, Score
from ltm_pyro.evaluation.log_weights import draws_of, under_posterior
from ltm_pyro.export import DrawRecorder, data_tree, write_tree
from ltm_pyro.export import draw_recorder as recorder_module
from ltm_pyro.models.exact import LinearGaussian

DRAWS, TEXTS = 1000, 40


def batch(x):
    return Batch(x, None, torch.ones(len(x), dtype=torch.long), torch.arange(len(x)), torch.ones_like(x).long())


def fitted(toy, x, wider=1.2):
    """The best mean-field guide of a linear-Gaussian model, made wider, so that its weights have a finite variance."""
    guide = MeanFieldGuide(toy.z_shape)
    guide.start(x, prior=toy.prior())
    mu, sigma = toy.best_mean_field(x)
    with torch.no_grad():
        guide.mu.copy_(mu)
        guide.log_sigma.copy_((wider * sigma).log())
    return guide


def exported(toy, x, draws=DRAWS, prior=None):
    """The DataTree of a fitted guide's draws, with the importance-weighted bound as its cost."""
    guide = fitted(toy, x)
    recorder = DrawRecorder(toy, guide, draws, len(x))
    found = under_posterior(toy, guide, draws, draws, x=x)
    recorder(batch(x), found.draws)
    cost = math.log(draws) - found.log_weight.logsumexp(0).numpy()
    score = Score("importance-weighted", cost, np.ones(len(x)), np.ones(len(x)))
    numbers = {"importance_weighted": cost, "tokens": np.ones(len(x)), "bytes": np.ones(len(x))}
    evaluation = Evaluation({"importance_weighted": score}, 0.0, [], True, 1.0, draws, per_text=numbers)
    places = {"document": np.array(["a"] * len(x)), "start": np.arange(len(x))}
    return data_tree(recorder, evaluation, places, {"run": "toy"}, prior)


@pytest.fixture(scope="module")
def toy():
    torch.manual_seed(2)
    toy = LinearGaussian(z_shape=(1, 1, 2), noise=0.3)
    toy.x = toy(batch_size=TEXTS).detach()
    return toy


@pytest.fixture(scope="module")
def tree(toy):
    torch.manual_seed(3)
    return exported(toy, toy.x)


def test_loo_with_the_weights_is_the_evidence_and_without_them_is_not(toy, tree):
    """A text left out leaves nothing that tells of its z but the prior: the score is log p(x), here known."""
    stats = pytest.importorskip("arviz_stats")
    weighted = stats.loo(tree, **tree["loo"].data_vars)
    np.testing.assert_allclose(weighted.elpd_i, -tree["costs"]["importance_weighted"], rtol=1e-12)
    weights = tree["sample_stats"]["log_weight"].values[0]
    error = np.exp(weights - weights.max(0)).std(0) / np.exp(weights - weights.max(0)).mean(0) / math.sqrt(DRAWS)
    z = (weighted.elpd_i.values - toy.evidence(toy.x).numpy()) / error
    assert np.abs(z).max() < 5
    with pytest.warns(UserWarning, match="shape parameter of Pareto"):
        conditional = stats.loo(tree)
    evidence = float(toy.evidence(toy.x).sum())
    assert weighted.elpd == pytest.approx(evidence, abs=5 * math.sqrt((error**2).sum()))
    assert abs(conditional.elpd - evidence) > 10
    assert (conditional.pareto_k > conditional.good_k).mean() > 0.9
    assert (weighted.pareto_k < weighted.good_k).all()


def test_compare_tells_models_apart_by_their_evidence(toy, tree):
    stats = pytest.importorskip("arviz_stats")
    other = LinearGaussian(z_shape=(1, 1, 2), noise=0.6)
    other.load_state_dict(toy.state_dict())
    torch.manual_seed(4)
    trees = {"true": tree, "wrong": exported(other, toy.x)}
    table = stats.compare({name: stats.loo(of, **of["loo"].data_vars) for name, of in trees.items()})
    paired = (toy.evidence(toy.x) - other.evidence(toy.x)).numpy()
    assert list(table.index) == ["true", "wrong"]
    difference = abs(float(table.loc["wrong", "elpd_diff"]))
    assert difference == pytest.approx(paired.sum(), abs=0.5)
    assert table.loc["wrong", "dse"] == pytest.approx(paired.std() * math.sqrt(TEXTS), rel=0.1)


def test_densities_are_those_of_the_draws(toy, tree):
    z = torch.from_numpy(tree["posterior"]["z"].values[0]).double()
    stats = {name: torch.from_numpy(values.values[0]) for name, values in tree["sample_stats"].data_vars.items()}
    prior = toy.prior().log_prob(z)
    torch.testing.assert_close(stats["log_prior"], prior, rtol=1e-5, atol=1e-4)
    moments = tree["posterior_moments"]
    q = torch.distributions.Normal(*(torch.from_numpy(moments[name].values).double() for name in ("mean", "sd")))
    torch.testing.assert_close(stats["log_q"], q.log_prob(z).sum((-3, -2, -1)), rtol=1e-5, atol=1e-4)
    whole = stats["log_likelihood"] + stats["log_prior"] - stats["log_q"]
    torch.testing.assert_close(stats["log_weight"], whole)
    assert not torch.allclose(stats["log_prior"], stats["log_q"], atol=0.1)


def test_every_dimension_has_coordinates_and_a_file_holds_all_of_it(toy, tmp_path):
    tree = exported(toy, toy.x, draws=30, prior=np.zeros((5, 1, 1, 2), np.float32))
    for node in tree.children.values():
        assert set(node.dims) <= set(node.coords)
    assert tree["posterior"]["z"].dims == ("chain", "draw", "text", "layer", "thought", "channel")
    assert tree["prior"]["z"].shape == (1, 5, 1, 1, 2)
    write_tree(tree, tmp_path / "a.nc")
    with xarray.open_datatree(tmp_path / "a.nc", engine="h5netcdf") as again:
        xarray.testing.assert_identical(again.load(), tree)
    with pytest.raises(InputError, match="not overwritten"):
        write_tree(tree, tmp_path / "a.nc")
    assert [path.name for path in tmp_path.iterdir()] == ["a.nc"]


def test_points_have_no_density(tiny):
    guide = MAPGuide(tiny.decoder.z_shape)
    guide.start(tiny.x, prior=tiny.model.prior())
    recorder = DrawRecorder(tiny.model, guide, 6, len(tiny.x))
    recorder(batch(tiny.x), draws_of(tiny.model, guide, 6, 6, x=tiny.x))
    assert set(recorder.densities) == {"log_likelihood"}
    assert recorder.is_estimated
    assert recorder.sd is not None
    assert recorder.sd.max() == 0
    assert recorder.z is not None
    assert recorder.z.shape == (6, 3, *tiny.decoder.z_shape)
    torch.testing.assert_close(torch.from_numpy(recorder.mean).double(), guide.z[:, 0].detach().double())


def test_one_hot_thoughts_are_codes(tiny_codes):
    model, guide, x = tiny_codes
    recorder = DrawRecorder(model, guide, 7, len(x))
    found = under_posterior(model, guide, 7, 7, x=x)
    recorder(batch(x), found.draws)
    assert (recorder.z == found.draws.z["z"].argmax(-1).numpy()).all()
    assert recorder.sd is None
    np.testing.assert_allclose(recorder.mean, guide.probabilities.numpy(), rtol=1e-6)


@pytest.fixture
def tiny_codes():
    from toys import decoder_with

    from ltm_pyro import LatentThoughtModel

    prior = CodebookPrior((2, 2, 16), codes=5)
    model = LatentThoughtModel(prior, decoder_with()).double()
    guide = CategoricalGuide(prior.z_shape)
    x = torch.randint(30, (3, 20))
    guide.start(x, prior=prior())
    with torch.no_grad():
        guide.logits.normal_()
    return model, guide, x


@pytest.mark.parametrize(("guide", "closed"), [(FullCovarianceGuide, True), (FlowGuide, False)])
def test_moments_without_a_closed_form_are_those_of_the_draws(toy, guide, closed):
    guide = guide(toy.z_shape).double()
    guide.start(toy.x, prior=toy.prior())
    recorder = DrawRecorder(toy, guide, 600, TEXTS)
    found = under_posterior(toy, guide, 600, 600, x=toy.x).draws
    recorder(batch(toy.x), found)
    assert recorder.is_estimated is not closed
    mean, sd = found.z["z"].mean(0).detach().numpy(), found.z["z"].std(0, correction=0).detach().numpy()
    np.testing.assert_allclose(recorder.mean, mean, atol=5 * sd.max() / math.sqrt(600) if closed else 1e-6)
    np.testing.assert_allclose(recorder.sd, sd, rtol=0.2 if closed else 1e-5)


def test_draws_beyond_memory_are_refused_before_they_are_made(toy, monkeypatch):
    monkeypatch.setattr(recorder_module, "machine_memory", lambda: 2**20)
    with pytest.raises(InputError, match=r"10,000 draws of 40 texts take .* GiB.*--draws"):
        DrawRecorder(toy, MeanFieldGuide(toy.z_shape), 10_000, TEXTS)
    DrawRecorder(toy, MeanFieldGuide(toy.z_shape), 100, TEXTS)
