"""The passes of a fast loop share what no thought touches; a part of the tokens stands for all, without bias."""

import math

import pytest
import torch
from toys import TinyModel

from ltm_pyro import (
    ELBO,
    DualRateSVI,
    FastLoop,
    ImportanceWeighted,
    InputError,
    KLWeighted,
    MeanFieldGuide,
    SemiAmortisedGuide,
    SlowStep,
)
from ltm_pyro.inference import PrefixCache

DRAWS = 400


@pytest.fixture
def counted(tiny, monkeypatch):
    """The decoder's calls, by name."""
    calls = {"prefix_states": 0, "hidden_states": 0}
    for name in calls:
        method = getattr(tiny.decoder, name)

        def count(*args, method=method, name=name, **kwargs):
            calls[name] += 1
            return method(*args, **kwargs)

        monkeypatch.setattr(tiny.decoder, name, count)
    return calls


def test_a_batch_is_read_once(tiny, counted):
    loop = FastLoop(ELBO(2), steps=5)
    loop.fit(tiny.model, tiny.guide, tiny.x)
    assert counted == {"prefix_states": 1, "hidden_states": 5}
    loop.fit(tiny.model, tiny.guide, tiny.texts(3))
    assert counted == {"prefix_states": 2, "hidden_states": 10}


def objective(tiny, share, mask=None):
    with PrefixCache(share), torch.no_grad():
        return ELBO().terms(tiny.model, tiny.guide, tiny.x, mask).log_likelihood


@pytest.mark.parametrize(("share", "masked"), [(0.05, False), (0.3, True), (0.95, False)])
def test_a_part_of_the_tokens_estimates_all_without_bias(tiny, share, masked):
    mask = torch.ones_like(tiny.x, dtype=torch.bool)
    if masked:
        mask[0, 7:], mask[1, :2] = False, False
    with torch.no_grad():
        tiny.guide.log_sigma.fill_(-40)  # so that all the noise is that of the positions
    expected = objective(tiny, 1.0, mask)
    estimates = torch.stack([objective(tiny, share, mask) for _ in range(DRAWS)])
    error = (estimates.mean(0) - expected) / (estimates.std(0) / math.sqrt(DRAWS))
    assert (estimates.std(0) > 0).all()
    assert error.abs().max() < 4.5
    assert ((0.9 * estimates.mean(0) - expected) / (estimates.std(0) / math.sqrt(DRAWS))).abs().max() > 4.5


def test_each_step_scores_other_tokens_and_as_many_as_asked_for(tiny, monkeypatch):
    seen = []
    hidden_states = tiny.decoder.hidden_states

    def note(prefix, z, positions=None):
        seen.append(positions)
        return hidden_states(prefix, z, positions)

    monkeypatch.setattr(tiny.decoder, "hidden_states", note)
    FastLoop(KLWeighted(0.5), steps=6, tokens=0.25).fit(tiny.model, tiny.guide, tiny.x)
    assert [len(positions) for positions in seen] == [math.ceil(0.25 * tiny.x.shape[1])] * 6
    assert len({tuple(positions.tolist()) for positions in seen}) > 1


def test_with_all_tokens_nothing_is_drawn(tiny):
    results = []
    for loop in (FastLoop(ELBO(), steps=4), FastLoop(ELBO(), steps=4, tokens=1.0)):
        torch.manual_seed(3)
        loop.fit(tiny.model, tiny.guide, tiny.x)
        results.append(tiny.guide.mu.detach().clone())
    assert torch.equal(*results)


def test_on_a_part_of_the_tokens_inference_still_rises():
    tiny = TinyModel(length=64)
    loop = FastLoop(ELBO(), steps=60, learning_rate=0.1, tokens=0.25)
    guide = MeanFieldGuide(tiny.decoder.z_shape)
    bounds = {}
    for steps in (0, 60):
        loop.lasting(steps).fit(tiny.model, guide, tiny.x)
        with torch.no_grad():
            bounds[steps] = ELBO(64).terms(tiny.model, guide, tiny.x).elbo
    assert (bounds[60] > bounds[0] + 1).all()


def test_a_share_that_makes_no_sense_is_refused():
    for share in (0.0, -0.1, 1.5):
        with pytest.raises(InputError, match=f"tokens={share}: expected a share of the positions"):
            FastLoop(ELBO(), tokens=share)
    with pytest.raises(InputError, match=r"tokens=0.5 does not go with ImportanceWeighted: .* Give 1, or ELBO\(\)"):
        FastLoop(ImportanceWeighted(4), tokens=0.5)


def test_passes_in_and_out_of_mixed_precision_do_not_share(tiny):
    """A fast loop in bf16 is followed back to its start in full precision."""
    model = tiny.model.float()
    guide = SemiAmortisedGuide(tiny.decoder.z_shape, 30, through="refinement", width=16, blocks=1, heads=2)
    svi = DualRateSVI(model, guide, FastLoop(ELBO(), steps=2), SlowStep(ELBO()))
    before = [weight.detach().clone() for weight in guide.parameters()]
    with torch.autocast("cpu", torch.bfloat16):
        assert svi.step(tiny.x).elbo.isfinite().all()
    assert any(not torch.equal(weight, old) for weight, old in zip(guide.parameters(), before, strict=True))
