"""The released code's protocol is that code's: against its constants, and against its loop in plain PyTorch."""

import math

import pytest
import torch
from released_code import SIZES, Reference
from toys import TinyModel

from ltm_pyro import ELBO, FastLoop, FixedNoise, GaussianPrior, LatentThoughtModel, MeanFieldGuide
from ltm_pyro.evaluation import fixed_noise
from ltm_pyro.evaluation.fixed_noise import fixed_noise_cost
from ltm_pyro.training.import_weights import decoder_from_authors

STEPS = 16


@pytest.fixture
def deaf():
    """A model whose decoder does not listen, so that the fast loop follows the KL alone."""
    tiny = TinyModel()
    with torch.no_grad():
        for block in tiny.decoder.blocks:
            block.cross_attention.output.weight.zero_()
    return tiny


def kl_a_dimension(tiny, cost):
    """Cost of a protocol's posterior, where z does not matter."""
    exact = -tiny.decoder.token_log_prob(tiny.x, tiny.z).detach().sum(-1)
    return (cost - exact) / math.prod(tiny.decoder.z_shape)


def former_cost(model, z_shape, seed, **batch):
    """Wrong: log sigma in the place of log sigma², at 0.3, with a cosine that ends at the last step."""
    guide, objective = MeanFieldGuide(z_shape, sigma=math.exp(-2.5)), FixedNoise(ELBO(), seed)
    FastLoop(objective, STEPS, 0.3, 0.1, optimizer=torch.optim.AdamW).fit(model, guide, **batch)
    with torch.no_grad():
        return -objective.terms(model, guide, **batch).objective


def test_the_kl_alone_leads_to_the_constants_of_the_released_code(deaf):
    found = kl_a_dimension(deaf, fixed_noise_cost(deaf.model, deaf.decoder.z_shape, STEPS, seed=0, x=deaf.x))
    log_variance = torch.tensor(-1.759, dtype=torch.float64)
    torch.testing.assert_close(found, torch.full_like(found, 0.466), atol=5e-4, rtol=0)
    expected = 0.5 * (log_variance.exp() - 1 - log_variance)
    torch.testing.assert_close(found, expected.expand_as(found), atol=4e-4, rtol=0)  # of 0.001 in log sigma²
    wrong = kl_a_dimension(deaf, former_cost(deaf.model, deaf.decoder.z_shape, seed=0, x=deaf.x))
    assert (wrong < 0.05).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [("START", -2.5), ("RATE", 0.3), ("FINAL_FRACTION", 0.0), ("DECAY", 0.0)],
)
def test_every_constant_matters(deaf, name, value, monkeypatch):
    monkeypatch.setattr(fixed_noise, name, value)
    found = kl_a_dimension(deaf, fixed_noise_cost(deaf.model, deaf.decoder.z_shape, STEPS, seed=0, x=deaf.x))
    assert ((found - 0.466).abs() > 0.004).all()


def their_cost(reference, tokens, targets, noise, steps):
    """Their loop: one noise for all steps and for the cost."""
    mu = torch.zeros_like(noise).requires_grad_()
    log_var = torch.full_like(noise, -5.0).requires_grad_()
    optimizer = torch.optim.AdamW([mu, log_var], lr=0.3)  # overwritten before every step
    for step in range(steps):
        cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
        optimizer.param_groups[0]["lr"] = 0.034 + cosine * (0.34 - 0.034)
        optimizer.zero_grad()
        reference.neg_elbo(tokens, targets, mu, log_var, noise).sum().backward()
        optimizer.step()
    return reference.neg_elbo(tokens, targets, mu, log_var, noise).detach()


@pytest.mark.parametrize("steps", [STEPS, 5])
@pytest.mark.parametrize("size", SIZES[:2], ids=str)
def test_it_is_the_loop_of_the_released_code(size, steps, tmp_path):
    reference = Reference(size)
    torch.save(reference.weights, tmp_path / "weights.pt")
    options = {"heads": size.heads, "thoughts": size.thoughts // size.layers, "window": size.window}
    decoder = decoder_from_authors(tmp_path / "weights.pt", length=size.length, **options).double()
    model = LatentThoughtModel(GaussianPrior(decoder.z_shape).double(), decoder)
    reference.weights = {name: weight.double() for name, weight in reference.weights.items()}
    x = torch.randint(size.vocabulary, (3, size.length))
    found = fixed_noise_cost(model, decoder.z_shape, steps, seed=7, x=x)
    torch.manual_seed(7 * 2_654_435_761 % 2**32)  # as FixedNoise does
    noise = torch.randn(3, size.thoughts, size.width, dtype=torch.float64)
    tokens = torch.cat((torch.full((3, 1), decoder.bos_id), x[:, :-1]), 1)
    torch.testing.assert_close(found, their_cost(reference, tokens, x, noise, steps), rtol=1e-10, atol=0)
    wrong = former_cost(model, decoder.z_shape, seed=7, x=x)
    assert ((wrong - found).abs() > 0.1).all()


def test_the_prior_does_not_move_its_start(deaf):
    deaf.model.prior = GaussianPrior(deaf.decoder.z_shape, sigma=2.0).double()
    found = kl_a_dimension(deaf, fixed_noise_cost(deaf.model, deaf.decoder.z_shape, 0, seed=0, x=deaf.x))
    variance = math.exp(-5.0) / 4
    torch.testing.assert_close(found, torch.full_like(found, 0.5 * (variance - 1 - math.log(variance))))
