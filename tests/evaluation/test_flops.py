"""Counts against the paper's, and against sums made by hand."""

import pytest
import torch

from ltm_pyro import (
    ELBO,
    AmortisedGuide,
    AutoregressiveModel,
    Decoder,
    EmptyGuide,
    FastLoop,
    GaussianPrior,
    ImportanceWeighted,
    LatentThoughtModel,
    MaskedDiffusionModel,
    MeanFieldGuide,
    MLPTransport,
    SemiAmortisedGuide,
    SlowStep,
    guides,
)
from ltm_pyro.evaluation.flops import on_meta, paper_flops_per_token, spent_flops_per_token
from ltm_pyro.training.observers import GradientAverage

V, D, LAYERS, K = 300, 64, 3, 2
DENSE, BLOCKS = (48, 4), (160, 8)  # length and window; in blocks of 32 queries and 64 keys
WITHOUT_ENCODER = ["MeanFieldGuide", "LowRankGuide", "FullCovarianceGuide", "MAPGuide", "MemoryGuide"]


def decoder_of(length, window, thoughts=K):
    torch.manual_seed(0)
    return Decoder(
        vocabulary=V,
        width=D,
        layers=LAYERS,
        heads=2,
        thoughts=thoughts,
        window=window,
        length=length,
        thought_scale=0.2,
    )


def spent(decoder, fast_steps, *, guide=MeanFieldGuide, slow_particles=1, averages=False, tokens=1.0, transport=None):
    model = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder, transport)
    guide = guide(decoder.z_shape)
    guide.prepare(V)
    bound = ELBO() if slow_particles == 1 else ImportanceWeighted(slow_particles)
    fast = FastLoop(ELBO(), steps=fast_steps, tokens=tokens)
    slow = SlowStep(bound, observer=GradientAverage() if averages else None)
    return spent_flops_per_token(model, guide, fast, slow)


def by_hand(decoder, fast_steps, particles=1, averages=False):
    """For each token: 2 FLOPs a multiply-add; a backward pass of attention takes 2.5 times as many as its forward."""
    length, inner = decoder.length, decoder.blocks[0].feed_forward.gate.out_features
    rows, keys = (length, length) if length <= 64 else (-(-length // 32) * 32, 64)
    seen = 4 * D * rows * keys  # one layer's attention on the text
    projections, crossing, behind = (2 * length * D * n for n in (4 * D, D, D + 3 * inner))
    reading, attention = projections + crossing, 4 * D * length * K
    thoughts = 2 * K * 2 * D * D
    later, logits = LAYERS - 1, 2 * length * D * V
    products = behind + later * (projections + crossing + behind) + logits + LAYERS * thoughts
    held = 2 * products + 3.5 * (later * seen + LAYERS * attention)
    learned = 3 * (reading + particles * products) + 3.5 * (seen + particles * (later * seen + LAYERS * attention))
    learned -= particles * LAYERS * thoughts  # z has come to rest: no gradient of it
    once = 3 * (reading + products) + 3.5 * (seen + later * seen + LAYERS * attention)
    fast = fast_steps * once if averages else fast_steps * held + bool(fast_steps) * (reading + seen)
    return (fast + learned) / length


@pytest.mark.parametrize(
    ("layers", "thoughts", "fast_steps", "giga"), [(3, 8, 16, 4.07), (6, 4, 16, 5.52), (12, 8, 64, 32.2)]
)
def test_the_papers_figures_are_met(layers, thoughts, fast_steps, giga):
    decoder = on_meta(vocabulary=50258, width=512, layers=layers, heads=8, thoughts=thoughts, window=256, length=1024)
    assert paper_flops_per_token(decoder, fast_steps) / 1e9 == pytest.approx(giga, rel=0.002)


@pytest.mark.parametrize(("length", "window"), [DENSE, BLOCKS], ids=["dense", "in blocks"])
@pytest.mark.parametrize(
    ("fast_steps", "particles", "averages"),
    [(3, 1, False), (12, 1, False), (1, 1, False), (0, 1, False), (2, 4, False), (2, 1, True)],
)
def test_what_the_loops_spend_is_what_a_sum_by_hand_gives(length, window, fast_steps, particles, averages):
    decoder = decoder_of(length, window)
    found = spent(decoder, fast_steps, slow_particles=particles, averages=averages)
    assert found == pytest.approx(by_hand(decoder, fast_steps, particles, averages), rel=1e-12)


@pytest.mark.parametrize("guide", WITHOUT_ENCODER)
def test_a_guide_that_holds_its_posterior_in_tensors_costs_no_products_with_the_text(guide):
    decoder = decoder_of(*DENSE)
    assert spent(decoder, 3, guide=getattr(guides, guide)) == pytest.approx(by_hand(decoder, 3), rel=0.01)


def test_a_transport_is_counted():
    decoder = decoder_of(*DENSE)
    layers, hidden, size = 2, 40, LAYERS * K * D
    found = spent(decoder, 3, transport=MLPTransport(decoder.z_shape, layers=layers, hidden=hidden))
    product = 2 * size * hidden
    held = 2 * 2 * layers * product  # forward, and the gradient of z
    thoughts = LAYERS * 2 * K * 2 * D * D  # whose gradient by T(z) the slow pass needs as well
    learned = (3 * 2 * layers - 1) * product + thoughts  # no gradient of z
    assert (found - by_hand(decoder, 3)) * decoder.length == pytest.approx(3 * held + learned, rel=1e-9)


def test_an_encoder_is_counted():
    decoder = decoder_of(*DENSE)
    encoder = sum(p.numel() for name, p in AmortisedGuide(decoder.z_shape, V).named_parameters() if "embed" not in name)
    amortised = spent(decoder, 5, guide=AmortisedGuide)
    assert amortised > by_hand(decoder, 0) + 5 * encoder  # forward and backward take 6, its last layer's less a token
    assert amortised == spent(decoder, 50, guide=AmortisedGuide)  # which has nothing to fit
    assert spent(decoder, 5, guide=SemiAmortisedGuide) > amortised


def test_a_share_of_the_tokens_costs_less():
    decoder = decoder_of(*BLOCKS)
    inner = decoder.blocks[0].feed_forward.gate.out_features
    left = spent(decoder, 6) - spent(decoder, 6, tokens=0.25)
    saved = (
        6 * 0.75 * 2 * (2 * D * V + 2 * D * (D + 3 * inner))
    )  # of every fast step the last layer's end, and the logits
    assert left == pytest.approx(saved, rel=0.05)


def test_an_autoregressive_model_and_masked_diffusion():
    decoder = decoder_of(*DENSE, thoughts=0)
    length, inner = decoder.length, decoder.blocks[0].feed_forward.gate.out_features
    fast, slow = FastLoop(ELBO(), steps=3), SlowStep(ELBO())
    weights = LAYERS * (4 * D * D + 3 * D * inner)
    found = spent_flops_per_token(AutoregressiveModel(decoder), EmptyGuide(), fast, slow)
    assert found == pytest.approx(6 * (weights + D * V) + 3.5 * LAYERS * 4 * D * length, rel=1e-12)
    for loss, vocabularies in (("masked", 1), ("score-entropy", 2)):
        found = spent_flops_per_token(MaskedDiffusionModel(decoder, loss), EmptyGuide(), fast, slow)
        read, masked = (length + 1) / length, (length + 1) / (2 * length)  # one before the text; a half is masked
        states = 6 * weights * read + 3.5 * LAYERS * 4 * D * (length + 1) ** 2 / length
        assert found == pytest.approx(states + 6 * masked * vocabularies * D * V, rel=0.01)


def test_counting_leaves_everything_as_it_was():
    decoder = decoder_of(*DENSE)
    model, guide = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder), MeanFieldGuide(decoder.z_shape)
    before, noise = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    fast, slow = FastLoop(ELBO(), steps=2), SlowStep(ELBO())
    spent_flops_per_token(model.eval(), guide, fast, slow)
    assert all((value == before[name]).all() for name, value in model.state_dict().items())
    assert (torch.get_rng_state() == noise).all()
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())
