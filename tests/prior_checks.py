"""What every prior keeps, for those whose density is not simply exact."""

import pyro
import torch
from pyro import poutine


def scattered(module, scale=1.0):
    """The same module in float64, with weights far from where they start."""
    module = module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            fan = parameter.shape[1] if parameter.dim() == 2 else 4
            parameter.add_(scale * torch.randn_like(parameter) / fan**0.5)
    return module


def seeded(seed, function, *args):
    pyro.set_rng_seed(seed)
    return function(*args)


def assert_it_expands_over_particles_and_sequences(prior):
    """And every sequence's density is its own."""

    def model():
        with pyro.plate("particles", 3, dim=-2), pyro.plate("sequences", 4, dim=-1):
            pyro.sample("z", prior())

    trace = poutine.trace(model).get_trace()
    trace.compute_log_prob()
    site = trace.nodes["z"]
    assert site["value"].shape == (3, 4, *prior.z_shape)
    assert site["fn"].batch_shape == site["log_prob"].shape == (3, 4)
    assert site["fn"].support.event_dim == 3
    assert prior().expand((3, 4)).log_prob(site["value"][0, 0]).shape == (3, 4)
    return site


def assert_it_repeats_under_a_seed(prior):
    draws = [seeded(seed, prior().sample, (3,)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    densities = [seeded(seed, prior().log_prob, draws[0]) for seed in (1, 1)]
    assert torch.equal(*densities)


def assert_its_state_can_be_restored(prior, other):
    """Bit by bit, into another of the same making."""
    z = prior().sample((5,))
    assert not torch.equal(seeded(0, prior().log_prob, z), seeded(0, other().log_prob, z))
    other.load_state_dict(prior.state_dict())
    assert torch.equal(seeded(0, prior().log_prob, z), seeded(0, other().log_prob, z))
    assert torch.equal(seeded(0, prior().sample, (5,)), seeded(0, other().sample, (5,)))


def assert_it_moves_as_a_module_does(prior):
    for dtype in (torch.float32, torch.float64, torch.float32):
        z = prior.to(dtype)().sample((2,))
        assert z.dtype == dtype
        assert prior().log_prob(z).dtype == dtype


def assert_it_says_what_it_is(prior, *words):
    state = torch.get_rng_state()
    text = repr(prior)
    assert torch.equal(torch.get_rng_state(), state)
    assert text.startswith(type(prior).__name__)
    assert all(word in text for word in words), text


def assert_gradients_reach_everything(prior, z):
    """As it starts: z and every parameter have a finite gradient that is not zero."""
    leaves = [z.requires_grad_(), *prior.parameters()]
    gradients = torch.autograd.grad(prior().log_prob(z).sum(), leaves)
    assert all(gradient.isfinite().all() and gradient.abs().max() > 0 for gradient in gradients)
