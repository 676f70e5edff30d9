"""Counts against the paper's, and against what torch counts while it works."""

from collections.abc import Iterator

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ltm_pyro import (
    ELBO,
    AutoregressiveModel,
    Decoder,
    DualRateSVI,
    EmptyGuide,
    FastLoop,
    GaussianPrior,
    ImportanceWeighted,
    LatentThoughtModel,
    MaskedDiffusionModel,
    MeanFieldGuide,
    SlowStep,
)
from ltm_pyro.evaluation.flops import (
    diffusion_flops_per_token,
    on_meta,
    paper_flops_per_token,
    spent_flops_per_token,
)

ATEN = torch.ops.aten


def product(rows, columns):
    return 2 * rows[-1] * columns[-1] * rows[:-1].numel()


def attended(products):
    def count(query, key, *_, **__) -> int:
        batch, heads, queries, channels = query
        return products * 2 * batch * heads * queries * key[-2] * channels

    return count


# What runs on a CPU and torch's counter does not know of.
UNKNOWN = {
    ATEN.addmm_: lambda _, rows, columns, **__: product(torch.Size(rows), torch.Size(columns)),
    ATEN._scaled_dot_product_flash_attention_for_cpu: attended(2),
    ATEN._scaled_dot_product_flash_attention_for_cpu_backward: lambda _, query, key, *__, **___: attended(5)(
        query, key
    ),
}


def counted(model, guide, fast, slow, batch=2) -> Iterator[float]:
    """What torch counts in one step, for each token."""
    torch.manual_seed(0)
    svi, x = DualRateSVI(model, guide, fast, slow), torch.randint(50, (batch, model.decoder.length))
    svi.step(x)
    with FlopCounterMode(display=False, custom_mapping=UNKNOWN) as counter:
        svi.step(x)
    return counter.get_total_flops() / x.numel()


@pytest.mark.parametrize(
    ("layers", "thoughts", "fast_steps", "giga"), [(3, 8, 16, 4.07), (6, 4, 16, 5.52), (12, 8, 64, 32.2)]
)
def test_the_papers_figures_are_met(layers, thoughts, fast_steps, giga):
    decoder = on_meta(vocabulary=50258, width=512, layers=layers, heads=8, thoughts=thoughts, window=256, length=1024)
    assert paper_flops_per_token(decoder, fast_steps) / 1e9 == pytest.approx(giga, rel=0.002)


@pytest.mark.parametrize(("length", "window"), [(48, 4), (160, 8)], ids=["dense", "in blocks"])
@pytest.mark.parametrize(
    ("fast_steps", "particles", "along"), [(3, 1, False), (0, 1, False), (2, 4, False), (2, 1, True)]
)
def test_the_count_is_what_torch_counts(length, window, fast_steps, particles, along):
    decoder = Decoder(
        vocabulary=300, width=64, layers=3, heads=2, thoughts=2, window=window, length=length, thought_scale=0.2
    )
    model = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder)
    slow = SlowStep(ELBO() if particles == 1 else ImportanceWeighted(particles), along=along)
    found = counted(model, MeanFieldGuide(decoder.z_shape), FastLoop(ELBO(), steps=fast_steps), slow)
    expected = spent_flops_per_token(decoder, fast_steps, slow_particles=particles, along=along)
    assert found == pytest.approx(expected, rel=0.03)


def test_a_share_of_the_tokens_costs_less():
    decoder = Decoder(vocabulary=900, width=32, layers=2, heads=2, thoughts=2, window=4, length=160)
    model = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder)
    fast = FastLoop(ELBO(), steps=6, tokens=0.25)
    found = counted(model, MeanFieldGuide(decoder.z_shape), fast, SlowStep(ELBO()))
    assert found == pytest.approx(spent_flops_per_token(decoder, 6, share=0.25), rel=0.05)
    assert found < 0.7 * spent_flops_per_token(decoder, 6)


def test_an_autoregressive_model_and_masked_diffusion():
    decoder = Decoder(vocabulary=300, width=64, layers=3, heads=2, thoughts=0, window=8, length=160)
    fast, slow = FastLoop(ELBO(), steps=3), SlowStep(ELBO())
    found = counted(AutoregressiveModel(decoder), EmptyGuide(), fast, slow)
    assert found == pytest.approx(spent_flops_per_token(decoder, 0), rel=0.03)
    for loss in ("masked", "score-entropy"):
        model = MaskedDiffusionModel(decoder, loss)
        # a large batch, since how much is masked is drawn
        found = counted(model, EmptyGuide(), fast, SlowStep(ELBO()), batch=32)
        assert found == pytest.approx(diffusion_flops_per_token(decoder, loss == "masked"), rel=0.05)
