"""A Gaussian about the mode, from the curvature there."""

import pyro
import pytest
import torch
from toys import TinyModel

from ltm_pyro import ELBO, FastLoop, GaussianPrior, ImportanceWeighted, InputError, LaplaceGuide, SlowStep
from ltm_pyro.guides.curvature import curvature_along
from ltm_pyro.inference.log_joint import LogJoint
from ltm_pyro.models.exact import LinearGaussian


def fit(toy, steps=400, **options):
    guide = LaplaceGuide(toy.z_shape, **options)
    FastLoop(ELBO(), steps, 0.2, 0.0).fit(toy, guide, toy.x)
    return guide


def covariance(guide):
    """Of the first sequence."""
    return guide._scale[0] @ guide._scale[0].T


# ---- where everything is Gaussian


def test_the_full_one_is_the_posterior(toy):
    """Every draw has the evidence as its weight; the diagonal one has not."""
    guide = fit(toy, covariance="full")
    torch.testing.assert_close(covariance(guide), torch.linalg.inv(toy.precision()).detach(), atol=1e-6, rtol=0)
    for bound in (ELBO(3, closed_form_kl=False), ImportanceWeighted(3)):
        torch.testing.assert_close(bound.terms(toy, guide, toy.x).bound, toy.evidence(toy.x), atol=1e-6, rtol=0)
    assert ELBO(3).terms(toy, guide, toy.x).kl_closed_form
    assert (ELBO(100).terms(toy, fit(toy), toy.x).bound < toy.evidence(toy.x) - 0.3).all()


def test_the_diagonal_one_is_the_best_mean_field_posterior(toy):
    guide = fit(toy)
    mu, sigma = toy.best_mean_field(toy.x)
    torch.testing.assert_close(guide.z.detach().squeeze(1), mu, atol=1e-4, rtol=0)
    torch.testing.assert_close(guide._scale, sigma, atol=1e-6, rtol=0)


def test_few_probes_are_right_on_the_average():
    """Random signs see the diagonal, and what lies off it as noise around."""
    toy = LinearGaussian(noise=0.5)
    found = torch.stack([precision_from_probes(toy, seed) for seed in range(300)])
    error = found.std(0) / 300**0.5
    assert (error > 0).any()
    assert ((found.mean(0) - toy.precision().diag()).abs() < 4 * error + 1e-6).all()


def precision_from_probes(toy, seed):
    pyro.set_rng_seed(seed)
    guide = LaplaceGuide(toy.z_shape, probes=2, floor=1e-9)
    signs = (2 * torch.randint(2, (2, toy.size)) - 1).double()
    z, one = torch.zeros(4, *toy.z_shape).double(), torch.ones(toy.z_shape).double()
    bends = curvature_along(signs.view(2, *toy.z_shape), z, one, LogJoint(toy, toy.x), guide.at_once)
    return (signs * bends[:, 0].flatten(1)).mean(0)


def test_probes_are_used_as_asked(toy):
    """Fewer probes than dimensions give another answer than all of them, and the same one for the same seed."""
    guides = []
    for _ in range(2):
        pyro.set_rng_seed(1)
        guides.append(fit(toy, 3, probes=2))
    assert torch.equal(guides[0]._scale, guides[1]._scale)
    assert (guides[0]._scale - fit(toy, 3)._scale).abs().max() > 0.01


@pytest.mark.parametrize("sigma", [0.3, 3.0])
def test_the_prior_s_scale_is_not_taken_for_one(sigma):
    toy = LinearGaussian()
    toy.prior = GaussianPrior(toy.z_shape, sigma=sigma).double()
    precision = torch.eye(4).double() / sigma**2 + toy.weight.T @ toy.weight / toy.noise**2
    guide = fit(toy, covariance="full")
    torch.testing.assert_close(covariance(guide), torch.linalg.inv(precision).detach(), atol=1e-6, rtol=0)


# ---- where it is not


class Ridge(LinearGaussian):
    """A model whose likelihood curves upwards where the guide starts."""

    def forward(self, x=None, mask=None, batch_size=None, previous=None):
        with pyro.plate("sequences", len(x), dim=-1):
            z = pyro.sample("z", self.prior())
            mean = 3 * z.flatten(-3)[..., :3] ** 2
            return pyro.sample("x", pyro.distributions.Normal(mean, 1.0).to_event(1), obs=x)


@pytest.mark.parametrize("options", [{"covariance": "full"}, {"probes": 2}, {"probes": 4}], ids=repr)
@pytest.mark.parametrize("floor", [1.0, 0.25])
def test_no_direction_is_less_certain_than_the_floor(options, floor):
    toy = Ridge()
    toy.x = toy.x.abs() + 3
    guide = LaplaceGuide(toy.z_shape, floor=floor, **options)
    FastLoop(ELBO(), steps=0).fit(toy, guide, toy.x)
    scale = guide._scale if options.get("covariance") == "full" else guide._scale.flatten(1).diag_embed()
    variances = torch.linalg.eigvalsh(scale @ scale.mT)
    assert variances.max() <= 1 / floor + 1e-9
    assert variances.max() > 0.99 / floor  # it was needed
    assert ELBO(4).terms(toy, guide, toy.x).bound.isfinite().all()


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_what_is_not_finite_does_not_stop_it(covariance, toy):
    """A value that is not finite is named by the slow step."""
    guide = LaplaceGuide(toy.z_shape, covariance)
    guide.start(toy.x, prior=toy.prior())
    guide.after_fit(lambda z: z.square().sum((-3, -2, -1)) * float("nan"))
    assert guide.has_density
    assert guide._scale.isfinite().all()


def differentiable_twice(monkeypatch):
    """Plain operations in place of the decoder's fused ones, which have no second derivative."""

    def plain(rows, weight, targets):
        return -torch.nn.functional.cross_entropy(rows @ weight.T, targets, reduction="none")

    monkeypatch.setattr("ltm_pyro.models.decoder.decoder.token_nats", plain)
    monkeypatch.setattr("ltm_pyro.models.decoder.norm.RMSNorm.forward", torch.nn.RMSNorm.forward)
    return torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)


@pytest.mark.parametrize("at_once", [1, 8, 1000])
def test_the_curvature_of_a_decoder_is_that_of_its_second_derivative(at_once, monkeypatch):
    tiny = TinyModel(batch=2, layers=1, width=8, thoughts=1)
    log_joint = LogJoint(tiny.model, tiny.x)
    axes = torch.eye(8, dtype=torch.float64).view(8, 1, 1, 8)
    found = curvature_along(axes, tiny.z, torch.ones(1, 1, 8), log_joint, at_once)
    with differentiable_twice(monkeypatch):
        exact = torch.autograd.functional.hessian(lambda z: log_joint(z).sum(), tiny.z).view(2, 8, 2, 8)
    for row in range(2):
        torch.testing.assert_close(found[:, row].view(8, 8), -exact[row, :, row], atol=1e-5, rtol=1e-5)
    assert exact.abs().max() > 1


def test_it_works_in_single_precision():
    tiny = TinyModel(batch=2, layers=1, width=8, thoughts=1)
    axes = torch.eye(8).view(8, 1, 1, 8)
    exact = curvature_along(axes.double(), tiny.z, torch.ones(1, 1, 8), LogJoint(tiny.model, tiny.x))
    single = curvature_along(axes, tiny.z.float(), torch.ones(1, 1, 8), LogJoint(tiny.model.float(), tiny.x))
    assert (single - exact).abs().max() < 0.01 * exact.abs().max()


def test_a_random_density_has_the_same_noise_on_both_sides():
    """Or else the noise, over a small step, would be all there is to see; and the noise goes on from direction to
    direction."""
    z, axes = torch.zeros(2, 1, 1, 3).double(), torch.eye(3).double().view(3, 1, 1, 3)
    noise = []

    def log_density(z):
        noise.append(torch.randn_like(z))
        return (noise[-1] * z - z.square()).sum((-3, -2, -1))

    found = curvature_along(axes, z, torch.ones(1, 1, 3), log_density, at_once=1)
    torch.testing.assert_close(found, 2 * axes[:, None].expand(3, 2, 1, 1, 3))
    assert torch.equal(noise[0], noise[1])
    assert not torch.equal(noise[1], noise[2])


def test_it_does_not_trust_half_the_digits(tiny):
    """Curvature stays in float32 or better where a run is in bf16."""
    axes = torch.eye(64, dtype=torch.float32)[:4].view(4, *tiny.decoder.z_shape)
    log_joint = LogJoint(tiny.model.float(), tiny.x)
    arguments = (axes, tiny.z.float(), torch.ones(tiny.decoder.z_shape), log_joint)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = curvature_along(*arguments)
    torch.testing.assert_close(found, curvature_along(*arguments))


def test_it_has_a_density_at_the_end_alone(tiny):
    guide = LaplaceGuide(tiny.decoder.z_shape)
    assert guide.has_density  # for tables, which ask before they begin
    guide.start(tiny.x, prior=tiny.model.prior())
    assert not guide.has_density
    FastLoop(ELBO(), 3).fit(tiny.model, guide, tiny.x)
    assert guide.has_density
    assert ImportanceWeighted(4).terms(tiny.model, guide, tiny.x).bound.shape == (3,)
    slow = SlowStep(ELBO())
    slow.prepare(tiny.model.parameters())
    assert slow.step(tiny.model, guide, tiny.x).bound is not None


@pytest.mark.parametrize(
    ("z_shape", "options", "message"),
    [
        ((1, 2, 2), {"covariance": "banded"}, "covariance='banded': expected 'diagonal' or 'full'"),
        ((1, 2, 2), {"probes": 0}, "probes=0"),
        ((1, 2, 2), {"floor": 0.0}, "floor=0.0"),
        ((4, 40, 40), {"covariance": "full"}, "6400 x 6400 numbers .* take covariance='diagonal'"),
    ],
)
def test_what_makes_no_sense_is_refused(z_shape, options, message):
    with pytest.raises(InputError, match=message):
        LaplaceGuide(z_shape, **options)
