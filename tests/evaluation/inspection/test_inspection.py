"""The inspection of thoughts, where the truth is known."""

import math

import pytest
import torch
from toys import TinyModel

from ltm_pyro import ELBO, FastLoop, GaussianPrior, LaplacePrior, LatentThoughtModel, MeanFieldGuide
from ltm_pyro.data import Batch
from ltm_pyro.errors import InputError
from ltm_pyro.evaluation.inspection import Inspector, Posteriors, inspection_markdown
from ltm_pyro.evaluation.inspection.information import active_units, mutual_information
from ltm_pyro.evaluation.inspection.neighbours import neighbours, plane
from ltm_pyro.evaluation.inspection.probe import progressive
from ltm_pyro.files import finite
from ltm_pyro.models.exact import LinearGaussian


def batch_of(x, start=0):
    rows = torch.arange(start, start + len(x))
    return Batch(x, None, torch.ones(len(x), dtype=torch.long), rows, torch.ones_like(x))


def inspect(tiny, texts=6, steps=3, **arguments):
    fast = FastLoop(ELBO(), steps=steps, learning_rate=0.3)
    inspector = Inspector(tiny.model, tiny.guide, fast, **arguments)
    x = tiny.texts(texts)
    inspector.look([batch_of(x[:4]), batch_of(x[4:], 4)])
    return inspector


def deaf(tiny):
    """Make the decoder ignore its thoughts."""
    with torch.no_grad():
        for name, parameter in tiny.decoder.named_parameters():
            if "cross_attention" in name:
                parameter.zero_()
    return tiny


def posteriors(mu, sigma):
    return Posteriors(mu, sigma, torch.zeros(mu.shape[1:]).double(), torch.ones(mu.shape[1:]).double())


def test_a_decoder_that_ignores_its_thoughts_is_called_collapsed():
    found = inspect(deaf(TinyModel()), steps=0).summary()
    assert found.collapsed
    assert not found.active.any()
    assert found.kl_per_token == 0
    assert found.information.lower == pytest.approx(0, abs=1e-9)
    assert found.information.upper == pytest.approx(0, abs=1e-9)
    costs = [score.nats_per_token for score in found.probe]
    assert costs == pytest.approx([costs[0]] * 3)
    assert "**Collapsed.**" in inspection_markdown(found)


def test_a_decoder_that_listens_is_not(tiny):
    found = inspect(tiny, steps=20).summary()
    assert not found.collapsed
    assert found.probe[-1].nats_per_token < found.probe[0].nats_per_token
    assert "Collapsed" not in inspection_markdown(found)


def test_a_decoder_that_copies_one_thought_has_that_one_active_and_no_other():
    tiny = TinyModel(layers=3, thoughts=1)
    with torch.no_grad():
        for place in (0, 2):
            for parameter in tiny.decoder.blocks[place].cross_attention.parameters():
                parameter.zero_()
    found = inspect(tiny, texts=6, steps=40).summary()
    assert found.active[1, 0].any()
    assert not found.active[[0, 2]].any()
    assert found.kl[[0, 2]].abs().max() < 1e-12
    assert found.kl[1].sum() > 0
    assert not found.collapsed


def test_the_one_thought_that_moves_is_the_one_that_is_active():
    mu = torch.zeros(50, 2, 3, 4, dtype=torch.float64)
    mu[:, 1, 2] = torch.randn(50, 4, dtype=torch.float64)
    active = active_units(posteriors(mu, torch.ones_like(mu)))
    assert active[1, 2].all()
    assert active.sum() == 4


def test_activity_is_on_the_priors_scale():
    mu = 0.5 * torch.randn(50, 1, 1, 3, dtype=torch.float64)
    narrow = posteriors(mu, torch.ones_like(mu))
    wide = narrow._replace(prior_sigma=100 * narrow.prior_sigma)
    assert active_units(narrow).all()
    assert not active_units(wide).any()


def test_the_kl_of_dimensions_is_that_of_the_linear_gaussian(toy):
    mu, sigma = toy.best_mean_field(toy.x)
    torch.testing.assert_close(posteriors(mu, sigma).kl().flatten(1).sum(1), toy.kl(mu, sigma).detach())


def test_mutual_information_is_between_its_bounds():
    r"""For one dimension of z, exact q: I = ½ log(1 + |w|²/s²)."""
    toy = LinearGaussian((1, 1, 1), observed=3, noise=1.5)
    count = 1500
    z = torch.randn(count, 1, dtype=torch.float64)
    x = (z @ toy.weight.T + toy.bias + toy.noise * torch.randn(count, 3, dtype=torch.float64)).detach()
    info = mutual_information(posteriors(*toy.best_mean_field(x)), 4, torch.Generator().manual_seed(0))
    exact = 0.5 * math.log(1 + toy.weight.detach().square().sum().item() / toy.noise**2)
    assert exact > 0.2
    assert info.lower - 4 * info.lower_error <= exact <= info.upper + 4 * info.upper_error
    assert info.lower == pytest.approx(exact, abs=0.05 + 4 * info.lower_error)
    assert info.upper == pytest.approx(exact, abs=0.05 + 4 * info.upper_error)


def test_texts_that_are_told_apart_reach_log_n_and_no_further():
    mu = 100.0 * torch.arange(8, dtype=torch.float64).view(8, 1, 1, 1)
    info = mutual_information(posteriors(mu, torch.ones_like(mu)), 2, torch.Generator().manual_seed(0))
    assert info.lower == pytest.approx(math.log(8))
    assert info.upper > info.lower == pytest.approx(info.most)


def test_the_probe_ends_at_the_prior_and_at_the_posterior(tiny):
    batch = {"x": tiny.x, "mask": None, "previous": None}
    told = progressive(tiny.model, tiny.guide, 200, **batch)
    assert told.shape == (3, 3)
    again = progressive(deaf(tiny).model, tiny.guide, 1, **batch)
    torch.testing.assert_close(again[0], again[2])
    assert not torch.allclose(told[0], told[2])


def test_neighbours_are_those_of_one_document_when_documents_lie_apart():
    means = torch.tensor([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0], [-1.0, 0.1]])
    counts = torch.tensor([[1.0, 0, 2], [0, 1, 0], [1, 0, 2], [0, 1, 0]])
    near = neighbours(means, counts, ["a", "a", "b", "b"])
    assert near.by_thoughts == [1, 0, 3, 2]
    assert near.by_words == [2, 3, 0, 1]
    assert (near.same_by_thoughts, near.same_by_words, near.agreement) == (1, 0, 0)
    assert near.same_by_chance == pytest.approx(1 / 3)


def test_the_map_keeps_a_plane():
    flat = torch.randn(20, 2, dtype=torch.float64)
    places, shares = plane(torch.cat([flat, torch.zeros(20, 3)], 1))
    torch.testing.assert_close(torch.cdist(places, places), torch.cdist(flat, flat))
    assert sum(shares) == pytest.approx(1)


def test_equal_seeds_give_equal_numbers(tiny):
    x = tiny.texts(3)
    found = []
    for seed in (0, 0, 1):
        inspector = Inspector(tiny.model, tiny.guide, FastLoop(ELBO(), steps=2, learning_rate=0.1), seed=seed)
        inspector.look([batch_of(x)])
        found.append(finite(inspector.summary().to_dict()))
    assert found[0] == found[1] != found[2]


def test_what_is_done_by_an_interrupt_is_summed_up(tiny):
    def broken():
        yield batch_of(tiny.x)
        raise KeyboardInterrupt

    inspector = Inspector(tiny.model, tiny.guide, FastLoop(ELBO(), steps=1, learning_rate=0.1))
    with pytest.raises(KeyboardInterrupt):
        inspector.look(broken())
    assert inspector.summary().ids == [0, 1, 2]


def test_other_priors_are_refused(tiny):
    model = LatentThoughtModel(LaplacePrior(tiny.decoder.z_shape), tiny.decoder)
    with pytest.raises(InputError, match="the prior of this run is Laplace, no diagonal Gaussian"):
        Inspector(model, MeanFieldGuide(tiny.decoder.z_shape), FastLoop(ELBO(), steps=1))
    assert isinstance(tiny.model.prior, GaussianPrior)


@pytest.mark.parametrize(
    ("gain", "error", "words"),
    [
        (0.05, 0.01, "gain 0.0500 ± 0.0100 nats/token"),
        (-0.05, 0.01, "lose 0.0500 ± 0.0100 nats/token"),
        (0.003, 0.002, "neither gain nor lose beyond two standard errors (0.0030 ± 0.0020 nats/token)"),
        (-0.003, 0.002, "neither gain nor lose beyond two standard errors (-0.0030 ± 0.0020 nats/token)"),
    ],
)
def test_the_verdict_follows_two_standard_errors(gain, error, words):
    from ltm_pyro.evaluation.inspection.markdown import _balance

    assert _balance(gain, error) == words
