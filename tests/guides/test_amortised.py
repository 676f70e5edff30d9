"""The guide that reads: what it reads, where it starts, and who teaches it."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from runs import checkpoint, metrics, train, write_corpus
from torch import nn
from toys import TinyModel, large_weights, z_test

from ltm_pyro import (
    ELBO,
    AmortisedGuide,
    DualRateSVI,
    FastLoop,
    GaussianPrior,
    ImportanceWeighted,
    InputError,
    MeanFieldGuide,
    ReweightedWakeSleep,
    SlowStep,
)
from ltm_pyro.evaluation.log_weights import log_likelihood_under
from ltm_pyro.guides.encoder import TextEncoder
from ltm_pyro.training.build import validate
from ltm_pyro.training.run import Run, run_parser

TIGHT = {"atol": 1e-9, "rtol": 0}
VOCABULARY = 30


def guide_of(tiny, learned=True, **options):
    """In float64; as if it had learned something, or as it is made."""
    guide = AmortisedGuide(tiny.decoder.z_shape, VOCABULARY, **{"width": 16, "heads": 2, **options}).double()
    return large_weights(guide, 0.2) if learned else guide


def moments_of(guide, tiny, x, mask=None):
    guide.start(x, mask, tiny.model.prior())
    q = poutine.trace(guide).get_trace(x).nodes["z"]["fn"]
    return torch.stack([q.mean, q.stddev], 1).detach()  # (B, 2, L, K, D)


# ---- the guide's contract


def test_it_starts_at_the_prior(tiny):
    prior = GaussianPrior(tiny.decoder.z_shape, sigma=0.3).double()
    guide = guide_of(tiny, learned=False)
    guide.start(tiny.x, prior=prior())
    q = poutine.trace(guide).get_trace(tiny.x).nodes["z"]["fn"]
    torch.testing.assert_close(q.mean, torch.zeros(3, *tiny.decoder.z_shape, dtype=torch.float64), **TIGHT)
    torch.testing.assert_close(q.stddev, torch.full_like(q.stddev, 0.3))
    guide.start(tiny.x, prior=tiny.model.prior())
    terms = ELBO().terms(tiny.model, guide, tiny.x)
    assert terms.kl_closed_form
    torch.testing.assert_close(terms.kl, torch.zeros_like(terms.kl), **TIGHT)


def test_it_is_relative_to_the_prior(tiny):
    guide = guide_of(tiny)
    mean, sigma = torch.randn(2, *tiny.decoder.z_shape, dtype=torch.float64)
    sigma = sigma.exp()
    standard = moments_of(guide, tiny, tiny.x)
    guide.start(tiny.x, prior=dist.Normal(mean, sigma).to_event(3))
    q = poutine.trace(guide).get_trace(tiny.x).nodes["z"]["fn"]
    torch.testing.assert_close(q.mean, mean + sigma * standard[:, 0])
    torch.testing.assert_close(q.stddev, sigma * standard[:, 1])


def test_it_samples_the_models_site_and_keeps_sequences_apart(tiny):
    guide = guide_of(tiny)
    guide.start(tiny.x, prior=tiny.model.prior())
    site = poutine.trace(guide).get_trace(tiny.x).nodes["z"]
    assert (site["fn"].batch_shape, site["fn"].event_shape) == ((3,), tiny.decoder.z_shape)
    with pyro.plate("particles", 5, dim=-2):
        assert guide(tiny.x).shape == (5, 3, *tiny.decoder.z_shape)
    for bound in (ELBO(4), ImportanceWeighted(4, at_once=2)):
        assert bound.terms(tiny.model, guide, tiny.x).objective.shape == (3,)
    assert len(pyro.get_param_store()) == 0
    whole, alone = moments_of(guide, tiny, tiny.x), moments_of(guide, tiny, tiny.x[1:2])
    torch.testing.assert_close(whole[1:2], alone, **TIGHT)
    assert (whole[0] - whole[1]).abs().max() > 1e-2


def test_nothing_is_local_and_the_fast_loop_moves_nothing(tiny):
    guide = guide_of(tiny)
    before = {name: value.clone() for name, value in guide.state_dict().items()}
    state = torch.get_rng_state()
    FastLoop(ELBO(), steps=5).fit(tiny.model, guide, tiny.x)
    assert guide.local_parameters() == []
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in guide.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in guide.parameters())


def test_what_is_padded_or_blotted_is_not_read(tiny):
    guide = guide_of(tiny)
    mask = torch.arange(20).expand(3, 20) < torch.tensor([[20], [12], [5]])
    ragged = moments_of(guide, tiny, tiny.x, mask)
    other = torch.where(mask, tiny.x, torch.randint(VOCABULARY, (3, 20)))
    torch.testing.assert_close(moments_of(guide, tiny, other, mask), ragged, **TIGHT)
    for row, length in enumerate((20, 12, 5)):
        alone = moments_of(guide, tiny, tiny.x[row : row + 1, :length])
        torch.testing.assert_close(alone[0], ragged[row], **TIGHT)
    shifted, front = tiny.x.roll(3, 1), mask.roll(3, 1)
    front[0] = True
    torch.testing.assert_close(moments_of(guide, tiny, shifted, front)[1:], ragged[1:], **TIGHT)
    assert (moments_of(guide, tiny, tiny.x) - ragged)[1:].abs().amin(0).max() > 1e-2  # what is scored is read


def test_a_text_of_which_nothing_is_scored_has_a_posterior_too(tiny):
    guide = guide_of(tiny)
    nothing = moments_of(guide, tiny, tiny.x, torch.zeros(3, 20, dtype=torch.bool))
    assert nothing.isfinite().all()
    torch.testing.assert_close(nothing[0], nothing[1], **TIGHT)
    guide.start(tiny.x, torch.zeros(3, 20, dtype=torch.bool), tiny.model.prior())
    guide(tiny.x).sum().backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in guide.parameters())


def test_order_and_length_matter(tiny):
    guide = guide_of(tiny)
    one = moments_of(guide, tiny, tiny.x)
    assert (moments_of(guide, tiny, tiny.x.flip(1)) - one).abs().max() > 1e-2
    longer = torch.cat((tiny.x, tiny.x), 1)  # beyond what the decoder takes
    assert moments_of(guide, tiny, longer).isfinite().all()


def test_a_posterior_stays_that_of_the_text_it_was_fitted_to(tiny):
    """As when q is fitted on the first half of a text and the second is scored: it must not read what it predicts."""
    guide = guide_of(tiny)
    first = torch.arange(20).expand(3, 20) < 10
    blotted = tiny.x.masked_fill(~first, 1)
    FastLoop(ELBO()).fit(tiny.model, guide, blotted, first)
    values = []
    for rest in (tiny.x, torch.where(first, tiny.x, torch.randint(VOCABULARY, (3, 20)))):
        pyro.set_rng_seed(0)
        values.append(poutine.trace(guide).get_trace(rest, ~first).nodes["z"]["value"])
        log_likelihood_under(tiny.model, guide, 4, 2, x=rest, mask=~first)
    assert torch.equal(values[0], values[1])


def test_other_batches_are_refused(tiny):
    guide = guide_of(tiny)
    with pytest.raises(InputError, match=r"guide\.start"):
        guide(tiny.x)
    guide.start(tiny.x)
    with pytest.raises(InputError, match=r"guide\.start"):
        guide(tiny.x[:2])


# ---- who teaches it


def test_the_slow_step_teaches_every_weight(tiny):
    guide = guide_of(tiny, learned=False)
    svi = DualRateSVI(tiny.model, guide, FastLoop(ELBO()), SlowStep(ELBO(4), learning_rate=1e-2))
    before = {name: value.clone() for name, value in guide.named_parameters()}
    for _ in range(3):
        svi.step(tiny.x)
    assert all((value != before[name]).any() for name, value in guide.named_parameters())
    assert {id(p) for p in guide.parameters()} <= {id(p) for p in svi.slow.parameters}


def test_its_gradient_is_that_of_the_bound(tiny):
    guide = guide_of(tiny)
    DualRateSVI(tiny.model, guide, FastLoop(ELBO()), SlowStep(ELBO(2), 1e-30, clip=0.0)).step(tiny.x)
    parameter = guide.reader.encoder.head.bias
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            parameter[3] += sign * 1e-4
        pyro.set_rng_seed(0)
        values.append(ELBO(2).loss(tiny.model, guide, tiny.x) / 60)
        with torch.no_grad():
            parameter[3] -= sign * 1e-4
    pyro.set_rng_seed(0)
    (ELBO(2).differentiable_loss(tiny.model, guide, tiny.x) / 60).backward()
    pyro.set_rng_seed(0)
    guide.zero_grad()
    (ELBO(2).differentiable_loss(tiny.model, guide, tiny.x) / 60).backward()
    assert parameter.grad[3].item() == pytest.approx((values[0] - values[1]) / 2e-4, rel=1e-4)


def test_it_learns_and_a_guide_that_cannot_read_does_not():
    """An encoder tells texts apart; one for which all tokens are blotted out gives them all the same posterior."""
    torch.manual_seed(3)
    tiny = TinyModel(batch=4)
    tiny.model.requires_grad_(False)
    reached = []
    for mask in (None, torch.zeros(4, 20, dtype=torch.bool)):
        guide = guide_of(tiny, learned=False, width=32)
        slow = SlowStep(ELBO(4), learning_rate=1e-2, weight_decay=0.0)
        slow.prepare(guide.parameters())
        guide.start(tiny.x, mask, tiny.model.prior())
        before = ELBO(500).terms(tiny.model, guide, tiny.x).bound.mean()
        for _ in range(60):
            slow.step(tiny.model, guide, tiny.x)
        reached.append(ELBO(500).terms(tiny.model, guide, tiny.x).bound.mean())
        assert reached[-1] > before + 1
    assert reached[0] > reached[1] + 1.5


def test_it_dreams(tiny):
    """The sleep phase: log q of the dreamed thoughts given the dreamed text, and not given the batch's own."""
    guide, seen = guide_of(tiny), []
    guide.start(tiny.x, prior=tiny.model.prior())
    encoder = guide.reader.encoder
    encoder.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    bound = ImportanceWeighted(2, gradient=ReweightedWakeSleep(sleep=1.0))
    bound.terms(tiny.model, guide, tiny.x).objective.sum().backward()
    assert torch.equal(seen[0], tiny.x)
    assert not torch.equal(seen[-1], tiny.x)  # the dream
    assert all(parameter.grad is not None for parameter in guide.parameters())
    guide(tiny.x)
    assert torch.equal(seen[-1], tiny.x)  # awake again


def test_in_half_precision_the_posterior_is_in_single_precision(tiny):
    guide = AmortisedGuide(tiny.decoder.z_shape, VOCABULARY, width=16)
    guide.start(tiny.x)
    with torch.autocast("cpu", torch.bfloat16):
        q = poutine.trace(guide).get_trace(tiny.x).nodes["z"]["fn"]
    assert q.mean.dtype == torch.float32


# ---- the encoder


def test_the_vocabulary_may_come_later(tiny):
    guide = AmortisedGuide(tiny.decoder.z_shape, width=16)
    assert list(guide.parameters()) == []
    with pytest.raises(InputError, match=r"guide\.prepare\(vocabulary\)"):
        guide.start(tiny.x)
    guide.prepare(VOCABULARY)
    guide.prepare(VOCABULARY)
    assert guide.reader.encoder.embedding.num_embeddings == VOCABULARY
    with pytest.raises(InputError, match="made for a vocabulary of 30, not of 31"):
        guide.prepare(31)


def test_weights_go_from_one_guide_to_another(tiny):
    one, other = guide_of(tiny), guide_of(tiny)
    assert not torch.equal(moments_of(one, tiny, tiny.x), moments_of(other, tiny, tiny.x))
    other.load_state_dict(one.state_dict())
    assert torch.equal(moments_of(one, tiny, tiny.x), moments_of(other, tiny, tiny.x))


def test_an_encoder_of_ones_own_serves(tiny):
    class Counts(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1, dtype=torch.float64))

        def forward(self, x, mask=None):
            share = (x == 7).double().mean(1).view(-1, 1, 1, 1) * self.weight
            return share.expand(-1, *tiny.decoder.z_shape), -share.expand(-1, *tiny.decoder.z_shape)

    guide = AmortisedGuide(tiny.decoder.z_shape, encoder=Counts())
    guide.prepare(VOCABULARY)
    assert len(list(guide.parameters())) == 1
    found = moments_of(guide, tiny, torch.full_like(tiny.x, 7))
    torch.testing.assert_close(found[:, 0], torch.ones_like(found[:, 0]))
    torch.testing.assert_close(found[:, 1], torch.full_like(found[:, 1], -1.0).exp())


@pytest.mark.parametrize(
    ("sizes", "reason"),
    [
        ({"width": 18, "heads": 4}, "width=18 is no multiple of 2 x heads=4: expected one, such as 16"),
        ({"blocks": 0}, "blocks=0"),
        ({"vocabulary": 0}, "vocabulary=0"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes, reason):
    with pytest.raises(InputError, match=reason):
        TextEncoder((1, 1, 2), **{"vocabulary": 5, **sizes})


def test_it_is_of_the_mean_field_family(tiny):
    assert guide_of(tiny).family == MeanFieldGuide(tiny.decoder.z_shape).family


def test_its_samples_have_its_moments(tiny):
    guide = guide_of(tiny)
    mean, sigma = moments_of(guide, tiny, tiny.x).unbind(1)
    with pyro.plate("particles", 2000, dim=-2), torch.no_grad():
        z = guide(tiny.x)
    z_test((z - mean) / sigma, torch.zeros_like(mean), limit=4.5)
    z_test(((z - mean) / sigma) ** 2, torch.ones_like(mean), limit=4.5)


# ---- from the command line


@pytest.mark.parametrize(
    "words", ["AmortisedGuide", "SemiAmortisedGuide", "SemiAmortisedGuide --guide.through refinement"]
)
def test_a_run_tells_it_the_vocabulary_and_keeps_its_weights(words, tmp_path):
    corpus = write_corpus(tmp_path / "corpus.jsonl")
    name, *further = words.split()
    assert train(corpus, tmp_path / "run", "--guide", name, *further, "--guide.width", "16") == 0
    weights = checkpoint(tmp_path / "run").weights
    assert weights["guide.reader.encoder.embedding.weight"].shape == (270, 16)
    assert weights["guide.reader.encoder.head.weight"].abs().max() > 0  # it has left zero, so it was taught
    components = Run.open(tmp_path / "run").load("latest")
    assert not components.guide.training
    assert torch.equal(components.guide.reader.encoder.head.weight, weights["guide.reader.encoder.head.weight"])
    assert len(metrics(tmp_path / "run")) == 8


def test_an_optimizer_that_the_refinement_cannot_follow_is_refused_before_any_text_is_read():
    words = ["--guide", "SemiAmortisedGuide", "--guide.through", "refinement"]
    validate(run_parser(), run_parser().parse_args(words))
    with pytest.raises(InputError, match="the steps of RMSprop cannot be differentiated"):
        validate(run_parser(), run_parser().parse_args([*words, "--fast.optimizer", "torch.optim.RMSprop"]))
