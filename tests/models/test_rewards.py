"""The site `r` of a text's label: the joint density with it, missing labels, and what is refused."""

import copy
import math

import pyro
import pytest
import torch
from pyro import poutine
from toys import TinyModel, autoregressive_with, large_weights

from ltm_pyro import (
    ELBO,
    AmortisedGuide,
    CodebookPrior,
    DualRateSVI,
    FastLoop,
    GaussianPrior,
    ImportanceWeighted,
    LatentThoughtModel,
    ReweightedWakeSleep,
    SlowStep,
)
from ltm_pyro.bounds import Sandwich
from ltm_pyro.errors import InputError
from ltm_pyro.inference.log_joint import LogJoint
from ltm_pyro.models import CategoricalReward, GaussianReward

HEADS = [CategoricalReward, GaussianReward]
CODES = 3


def labelled(head=CategoricalReward, **options):
    """A tiny model with a head that is far from its start."""
    tiny = TinyModel(length=6)
    reward = head(tiny.decoder.z_shape, **options)
    reward.prepare(tiny.decoder.vocabulary)
    tiny.model = LatentThoughtModel(tiny.model.prior, tiny.decoder, reward=large_weights(reward))
    return tiny


def over_codes(values=3, **options):
    """A model with two one-hot thoughts of three codes, its texts, and every z: (9, 1, 2, 3)."""
    decoder = TinyModel(layers=1, length=6, vocabulary=5).decoder
    prior = CodebookPrior(decoder.z_shape, codes=CODES)
    model = LatentThoughtModel(prior, decoder, reward=CategoricalReward(prior.z_shape, values, **options))
    large_weights(model)
    codes = torch.cartesian_prod(torch.arange(CODES), torch.arange(CODES))
    return model, torch.randint(5, (4, 6)), torch.nn.functional.one_hot(codes, CODES).double()[:, None]


def evidence(model, z, x, **labels):
    """log p(x), or log p(x, r), by enumeration of z, (B,)."""
    joint = LogJoint(model, x, **labels)(z[:, None].expand(-1, len(x), -1, -1, -1))
    return joint.logsumexp(0)


@torch.no_grad()
def test_the_joint_summed_over_labels_is_the_density_of_the_text_and_missing_labels_are_marginal():
    model, x, z = over_codes()
    alone = evidence(model, z, x)
    joint = torch.stack([evidence(model, z, x, r=torch.full((4,), value)) for value in range(3)])
    torch.testing.assert_close(joint.logsumexp(0), alone)
    assert joint.std(0).min() > 1e-2  # the labels matter
    torch.testing.assert_close(evidence(model, z, x, r=torch.full((4,), -1)), alone)
    mixed = evidence(model, z, x, r=torch.tensor([1, -1, -1, 2]))
    torch.testing.assert_close(mixed, torch.stack([joint[1, 0], alone[1], alone[2], joint[2, 3]]))
    # wrong twins of a missing label: the sum of its values' log-probabilities, and a value that is drawn
    log_p = model.reward(z).logits.log_softmax(-1)  # (9, 3)
    at_z = LogJoint(model, x)(z[:, None].expand(-1, 4, -1, -1, -1))
    assert not torch.allclose((at_z + log_p.sum(-1)[:, None]).logsumexp(0), alone, atol=0.1)
    drawn = (at_z + log_p[torch.arange(9), model.reward(z).sample()][:, None]).logsumexp(0)
    assert not torch.allclose(drawn, alone, atol=0.1)


@pytest.mark.parametrize("head", HEADS)
def test_the_site_is_the_heads_log_density_in_bounds_and_in_the_log_joint(head):
    tiny = labelled(head)
    r = torch.tensor([1, 0, 1]) if head is CategoricalReward else torch.tensor([0.5, -1.0, 2.0]).double()
    draws = ELBO(4).draw(tiny.model, tiny.guide, tiny.x, r=r)
    z = draws.z["z"]
    nats = tiny.model.reward(z).log_prob(r.expand(4, 3))
    without = poutine.condition(tiny.model, {"z": z})
    trace = poutine.trace(pyro.plate("particles", 4, dim=-2)(without)).get_trace(tiny.x)
    torch.testing.assert_close(draws.log_likelihood, trace.nodes["x"]["fn"].log_prob(tiny.x) + nats)
    joint = LogJoint(tiny.model, tiny.x, r=r)(z) - LogJoint(tiny.model, tiny.x)(z)
    torch.testing.assert_close(joint, nats)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("bound", [ELBO(4), ImportanceWeighted(4), ImportanceWeighted(4, at_once=2)])
def test_texts_without_a_label_have_the_terms_of_a_model_without_a_head(head, bound):
    tiny = labelled(head)
    plain = LatentThoughtModel(tiny.model.prior, tiny.decoder)
    missing = torch.full((3,), -1) if head is CategoricalReward else torch.full((3,), math.nan).double()
    terms = []
    for model, labels in ((plain, {}), (tiny.model, {}), (tiny.model, {"r": missing})):
        torch.manual_seed(0)
        terms.append(bound.terms(model, tiny.guide, x=tiny.x, **labels).bound)
    assert torch.equal(terms[0], terms[1])
    assert torch.equal(terms[0], terms[2])
    torch.manual_seed(0)
    known = missing.clone()
    known[1] = 1
    some = bound.terms(tiny.model, tiny.guide, x=tiny.x, r=known).bound
    assert torch.equal(some[[0, 2]], terms[0][[0, 2]])
    assert some[1] != terms[0][1]


def test_a_missing_label_has_no_gradient():
    tiny = labelled()
    ELBO().differentiable_loss(tiny.model, tiny.guide, x=tiny.x, r=torch.tensor([-1, -1, -1])).backward()
    assert all(weight.grad is None or not weight.grad.any() for weight in tiny.model.reward.parameters())
    ELBO().differentiable_loss(tiny.model, tiny.guide, x=tiny.x, r=torch.tensor([-1, 1, -1])).backward()
    assert all(weight.grad.any() for weight in tiny.model.reward.parameters())


def test_writing_samples_a_label_of_each_texts_own_thoughts():
    tiny = labelled()
    with torch.no_grad():
        tiny.model.reward.out.weight.mul_(20)
    nodes = poutine.trace(tiny.model).get_trace(batch_size=200).nodes
    p = tiny.model.reward(nodes["z"]["value"])
    assert p.log_prob(nodes["r"]["value"]).mean() > p.log_prob(nodes["r"]["value"].flip(0)).mean() + 0.1
    assert "r" not in poutine.trace(tiny.model).get_trace(tiny.x).nodes
    conditioned = poutine.trace(poutine.condition(tiny.model, {"r": torch.ones(3)})).get_trace(batch_size=3)
    assert conditioned.nodes["r"]["is_observed"]
    assert Sandwich(temperatures=2, chains=2).simulate(tiny.model, 2).z.keys() == {"z"}


def test_a_head_at_its_start_prefers_no_value_and_learns_to():
    tiny = TinyModel(length=6)
    head = CategoricalReward(tiny.decoder.z_shape, hidden=0).double()
    model = LatentThoughtModel(GaussianPrior(tiny.decoder.z_shape).double(), tiny.decoder, reward=head)
    assert torch.equal(head(tiny.z).probs, torch.full((3, 2), 0.5, dtype=torch.float64))
    r = torch.tensor([0, 1, -1])
    svi = DualRateSVI(model, tiny.guide, FastLoop(ELBO(), steps=4), SlowStep(ELBO(), learning_rate=0.05))
    before = copy.deepcopy(head.state_dict())
    for _ in range(5):
        svi.step(tiny.x, r=r)
    assert not torch.equal(before["out.weight"], head.out.weight)
    svi.fit(tiny.x, r=r)
    assert head(tiny.guide.posterior().mean).log_prob(r.clamp(min=0))[:2].min() > math.log(0.5)


def test_the_prompt_is_read_up_to_its_end():
    tiny = labelled(prompt=True)
    head, x = tiny.model.reward, tiny.x
    prompts = torch.tensor([2, 3, 0])
    context = head.context_of(x, prompts)
    torch.testing.assert_close(context[0], head.embedding.weight[x[0, :2]].mean(0))
    assert not context[2].any()
    changed = torch.cat((x[:, :3], (x[:, 3:] + 1) % tiny.decoder.vocabulary), 1)
    assert torch.equal(head.context_of(changed, prompts), context)
    assert not torch.equal(head.context_of(changed, prompts + 1), context)
    terms = ELBO().terms(tiny.model, tiny.guide, x=x, r=torch.tensor([0, 1, 1]), prompts=prompts)
    assert terms.bound.isfinite().all()
    with pytest.raises(InputError, match="reads the prompt, and none is given"):
        ELBO().terms(tiny.model, tiny.guide, x=x, r=torch.tensor([0, 1, 1]))


def test_numbers_are_standardised_by_the_training_labels():
    head = GaussianReward((1, 1, 2)).double()
    values = ["10", "12.5", "15"]
    labels = torch.tensor([0, 1, 2, 2, -1])
    head.prepare_labels(values, labels)
    r = head.of_labels(labels, values)
    torch.testing.assert_close(r[:4], torch.tensor([10, 12.5, 15, 15]).double())
    assert head.known(r).tolist() == [True] * 4 + [False]
    p = head(torch.zeros(1, 1, 1, 2).double())
    torch.testing.assert_close(p.mean.item(), r[:4].mean().item())
    torch.testing.assert_close(p.stddev.item(), r[:4].std().item())


def test_what_does_not_fit_is_refused(tiny):
    with pytest.raises(InputError, match=r"classes=1: expected at least two"):
        CategoricalReward((1, 1, 2), classes=1)
    with pytest.raises(InputError, match=r"3 values \(a, b, c\), the reward head 2: give --reward.classes 3"):
        CategoricalReward((1, 1, 2)).prepare_labels(["a", "b", "c"], torch.tensor([0]))
    with pytest.raises(InputError, match="'good' is no finite number"):
        GaussianReward((1, 1, 2)).prepare_labels(["good", "1"], torch.tensor([0, 1]))
    with pytest.raises(InputError, match="without a spread"):
        GaussianReward((1, 1, 2)).prepare_labels(["1"], torch.tensor([0, 0, -1]))
    with pytest.raises(InputError, match=r"reads z of shape \(1, 1, 2\).*build it with prior.z_shape"):
        LatentThoughtModel(tiny.model.prior, tiny.decoder, reward=CategoricalReward((1, 1, 2)))
    with pytest.raises(InputError, match="a model without a reward head"):
        tiny.model(tiny.x, r=torch.tensor([0, 1, 0]))
    model = LatentThoughtModel(tiny.model.prior, tiny.decoder, reward=CategoricalReward(tiny.decoder.z_shape).double())
    with pytest.raises(InputError, match=r"r has shape \(2,\) for 3 texts"):
        model(tiny.x, r=torch.tensor([0, 1]))
    assert autoregressive_with().reward is None


def test_the_sleep_phase_dreams_texts_with_marginal_labels():
    tiny = labelled()
    guide = AmortisedGuide(tiny.decoder.z_shape)
    guide.prepare(tiny.decoder.vocabulary)
    guide.double()
    bound = ImportanceWeighted(2, gradient=ReweightedWakeSleep(wake=0.0, sleep=1.0))
    guide.start(tiny.x, prior=tiny.model.prior())
    bound.differentiable_loss(tiny.model, guide, x=tiny.x, r=torch.tensor([0, 1, -1])).backward()
    assert any(weight.grad is not None and weight.grad.any() for weight in guide.parameters())
