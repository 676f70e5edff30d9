"""Every prior and every guide trains on a pretrained decoder as on ours. A new class is asked without being named."""

import inspect

import pytest
import torch
from pretrained_models import causal_model, save

import ltm_pyro
from ltm_pyro import (
    ELBO,
    AbstractGuide,
    AbstractPrior,
    AutoregressiveModel,
    CodebookPrior,
    DualRateSVI,
    EmptyGuide,
    FastLoop,
    GaussianPrior,
    ImportanceWeighted,
    KLWeighted,
    LatentThoughtModel,
    MeanFieldGuide,
    PretrainedDecoder,
    ScoreFunction,
    SlowStep,
    StraightThroughGuide,
)
from ltm_pyro.generation import Sampling, rethink, thoughts_from_prompts, write, write_at_zero

V, T, CODES = 30, 8, 4
OPTIONS = {
    "AutoregressivePrior": {"width": 16, "blocks": 1, "heads": 2},
    "CodebookPrior": {"codes": CODES},
    "DiffusionPrior": {"width": 16, "steps": 3},
    "EnergyPrior": {"width": 16, "langevin_steps": 2},
    "AmortisedGuide": {"width": 16, "blocks": 1, "heads": 2},
    "SemiAmortisedGuide": {"width": 16, "blocks": 1, "heads": 2},
    "LangevinGuide": {"particles": 2},
    "SVGDGuide": {"particles": 2},
}
OBJECTIVES = {"CategoricalGuide": ELBO(2, gradient=ScoreFunction()), "GumbelSoftmaxGuide": KLWeighted(1.0)}


def offered(base):
    """Every class that can be made, by name."""
    found = {name: getattr(ltm_pyro, name) for name in ltm_pyro.__all__}
    return {
        name: cls
        for name, cls in found.items()
        if isinstance(cls, type) and issubclass(cls, base) and not inspect.isabstract(cls)
    }


PRIORS, GUIDES = offered(AbstractPrior), offered(AbstractGuide)
NONE = {"EmptyGuide"}  # for models without thoughts


def made(cls, z_shape):
    accepted = inspect.signature(cls).parameters
    return cls(z_shape, **{name: value for name, value in OPTIONS.get(cls.__name__, {}).items() if name in accepted})


@pytest.fixture(scope="module", name="decoder")
def _decoder(tmp_path_factory):
    folder = save(causal_model("Llama", V), tmp_path_factory.mktemp("models") / "Llama")
    return PretrainedDecoder(str(folder), length=T, bos_id=0, thoughts=2, thought_width=4)


def two_steps(decoder, prior, guide):
    """Train for two slow steps; the thoughts' map and bias must have moved, and all numbers be finite."""
    model, before = LatentThoughtModel(prior, decoder), decoder.injection.state_dict()
    before = {name: weight.clone() for name, weight in before.items()}
    bound = OBJECTIVES.get(type(guide).__name__, ELBO())
    guide.prepare(V)
    svi = DualRateSVI(model, guide, FastLoop(bound, steps=1, learning_rate=0.05), SlowStep(bound, 0.01))
    for _ in range(2):
        terms = svi.step(torch.randint(V, (3, T)))
        assert torch.isfinite(terms.objective).all()
    after = decoder.injection.state_dict()
    assert any(not torch.equal(after[name], before[name]) for name in after)
    assert all(torch.isfinite(weight).all() for weight in after.values())


@pytest.mark.parametrize("name", PRIORS)
def test_every_prior_trains(name, decoder):
    prior = made(PRIORS[name], decoder.z_shape)
    guide = StraightThroughGuide(prior.z_shape) if prior.discrete else MeanFieldGuide(prior.z_shape)
    two_steps(decoder, prior, guide)


@pytest.mark.parametrize("name", sorted(set(GUIDES) - NONE))
def test_every_guide_trains(name, decoder):
    cls = GUIDES[name]
    prior = CodebookPrior(decoder.z_shape, codes=CODES) if cls.discrete is True else GaussianPrior(decoder.z_shape)
    two_steps(decoder, prior, made(cls, prior.z_shape))


@pytest.mark.parametrize("prior", ["GaussianPrior", "CodebookPrior"])
def test_rethinking_begins_with_the_ordinary_answer_and_its_passes_are_counted(prior, decoder):
    prior = made(PRIORS[prior], decoder.z_shape)
    guide = StraightThroughGuide(prior.z_shape) if prior.discrete else MeanFieldGuide(prior.z_shape)
    model, fast, prompts = LatentThoughtModel(prior, decoder), FastLoop(ELBO(), steps=2), torch.randint(V, (3, 4))
    torch.manual_seed(5)
    z = thoughts_from_prompts(model, guide, fast, prompts)
    expected = torch.stack(list(write(model, z, prompts, 3)), -1)
    torch.manual_seed(5)
    trace = rethink(model, guide, fast, prompts, 1, 3, keep="elbo", scores=("predictive",), draws=2)
    assert torch.equal(trace.rounds[0].answers.tokens, expected)
    assert torch.isfinite(trace.scores("elbo")).all()
    assert (trace.scores("predictive") < 0).all()
    answers, fits, scores = 2 * 7, 2 * 2 * (4 + 7 + 7), 2 * 2 * 7
    assert trace.passes.tolist() == [answers + fits + scores] * 3


def test_thoughts_at_zero_write_as_its_twin(decoder):
    model, prompts = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder), torch.randint(V, (3, 4))
    twin = AutoregressiveModel(decoder.twins()["z = 0, the same adapters"])
    found, expected = write_at_zero(model, prompts, 3, Sampling(0)), write(twin, None, prompts, 3, Sampling(0))
    assert torch.equal(torch.stack(list(found)), torch.stack(list(expected)))


def test_what_is_left_out_has_no_thoughts():
    assert {GUIDES[name] for name in NONE} == {EmptyGuide}
    assert len(PRIORS) > 10 < len(GUIDES)


def test_several_particles_are_one_pass(decoder):
    model = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder)
    guide, x = MeanFieldGuide(decoder.z_shape), torch.randint(V, (3, T))
    guide.start(x, prior=model.prior())
    rows, forward = [], decoder.body.forward

    def counting(embeddings, *args, **kwargs):
        rows.append(len(embeddings))
        return forward(embeddings, *args, **kwargs)

    decoder.body.forward = counting
    try:
        ImportanceWeighted(5).terms(model, guide, x=x)
    finally:
        decoder.body.forward = forward
    assert rows == [15]
