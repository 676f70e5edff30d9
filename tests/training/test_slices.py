"""Slices of a batch give, together, what the batch gives."""

import math
from types import SimpleNamespace

import pytest
import torch
from runs import checkpoint, metrics, train, write_corpus
from toys import TinyModel, autoregressive_with

from ltm_pyro import ELBO, DualRateSVI, EmptyGuide, FastLoop, MAPGuide, SlowStep
from ltm_pyro.bounds import Terms
from ltm_pyro.data import Batch
from ltm_pyro.errors import InputError
from ltm_pyro.guides import CategoricalGuide, MemoryGuide
from ltm_pyro.inference import NonFiniteError
from ltm_pyro.models import CodebookPrior, EnergyPrior, ExemplarPrior
from ltm_pyro.training.slices import count_slices, part_of, refuse_unshared

Z_SHAPE = (2, 2, 16)


def batch_of(tiny, rows=6):
    """A batch whose sequences are of all lengths."""
    x = tiny.texts(rows)
    mask = torch.arange(x.shape[1]) < torch.arange(4, 4 + 2 * rows, 2)[:, None]
    return Batch(x, mask, torch.arange(rows), torch.arange(10, 10 + rows), mask.long())


def svi_with(guide, **slow):
    torch.manual_seed(0)
    tiny = TinyModel()
    model = autoregressive_with() if guide is EmptyGuide else tiny.model
    guide = guide(tiny.decoder.z_shape).double()
    return tiny, DualRateSVI(model, guide, FastLoop(ELBO(), 3), SlowStep(ELBO(), **slow))


def slices_of(batch, slices):
    return (part_of(batch, number, slices).inputs for number in range(slices))


@pytest.mark.parametrize("guide", [MAPGuide, EmptyGuide])
@pytest.mark.parametrize("slices", [2, 3, 6])
def test_slices_give_the_gradient_and_the_terms_of_the_whole_batch(guide, slices):
    whole, parts = svi_with(guide, clip=0.5), svi_with(guide, clip=0.5)
    batch = batch_of(whole[0])
    for step in range(3):
        expected = whole[1].step(**batch.inputs)
        terms = parts[1].step_in_slices(slices_of(batch, slices), int(batch.mask.sum()))
        torch.testing.assert_close(terms.objective, expected.objective, rtol=1e-9, atol=0)
        gradients = [[p.grad for p in svi.slow.parameters] for _, svi in (whole, parts)]
        assert sum(gradient is not None for gradient in gradients[0]) > 10
        torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-6, atol=1e-12, msg=f"step {step}")
    for one, other in zip(whole[1].slow.parameters, parts[1].slow.parameters, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-7, atol=1e-9)
    assert parts[1].slow.taken == 3


class Twin:
    """Another process that works on the very same slices."""

    def __init__(self):
        self.calls = []

    def add_up(self, tensors):
        self.calls.append(len(tensors))
        for tensor in tensors:
            tensor.mul_(2)

    def join(self, terms):
        return Terms.cat([terms, terms])


def test_processes_are_synchronised_once_a_slow_step_and_give_the_step_of_all_slices():
    (tiny, svi), (_, twin) = svi_with(MAPGuide), svi_with(MAPGuide)
    batch, others = batch_of(tiny), Twin()
    for learning in (svi, twin):
        unused = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
        learning.slow.prepare([*learning.model.parameters(), unused])
    inputs = [part_of(batch, number, 3).inputs for number in range(3)]
    tokens = 2 * int(batch.mask.sum())
    expected = svi.step_in_slices(inputs * 2, tokens)
    terms = twin.step_in_slices(inputs, tokens, others)
    torch.testing.assert_close(terms.objective, expected.objective)
    for one, other in zip(svi.slow.parameters, twin.slow.parameters, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-11)
    weights = len(svi.slow.parameters)
    assert others.calls == [1, weights - sum(p.grad is None for p in twin.slow.parameters)]
    assert torch.equal(unused, torch.ones(3, dtype=torch.float64))  # not even decayed: nothing asked it to move


def test_slices_keep_no_posterior_but_their_own():
    tiny, svi = svi_with(MAPGuide)
    batch = batch_of(tiny)
    svi.step_in_slices(slices_of(batch, 3), int(batch.mask.sum()))
    assert [len(row) for row in svi.guide.local_parameters()] == [2]


def test_a_slice_that_is_not_finite_leaves_the_weights_alone_and_names_its_rows():
    tiny, svi = svi_with(EmptyGuide)
    batch = batch_of(tiny)
    before = [parameter.detach().clone() for parameter in svi.slow.parameters]
    objective = svi.slow.bound.terms

    class Spoiled(ELBO):
        def terms(self, model, guide, x, **kwargs):
            terms = objective(model, guide, x=x, **kwargs)
            if (kwargs["previous"] == 3).any():
                terms.objective[0] = math.nan
            return terms

    svi.slow.bound = Spoiled()
    with pytest.raises(NonFiniteError) as caught:
        svi.step_in_slices(slices_of(batch, 2), int(batch.mask.sum()))
    assert (~caught.value.terms.objective.isfinite()).nonzero().flatten().tolist() == [3]
    assert all(torch.equal(p, old) for p, old in zip(svi.slow.parameters, before, strict=True))


def test_parts_are_consecutive_and_equal(tiny):
    batch = batch_of(tiny)
    parts = [part_of(batch, number, 3) for number in range(3)]
    assert [part.ids.tolist() for part in parts] == [[10, 11], [12, 13], [14, 15]]
    for name in (name for name, part in zip(Batch._fields, batch, strict=True) if part is not None):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(batch, name))
    assert part_of(batch._replace(mask=None), 1, 2).mask is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((16, 1, 3), "3 processes x train.accumulate=1 make 3 equal slices.*batch_size=16.*--train.batch_size 15"),
        ((2, 4, 1), "4 equal slices.*give --train.batch_size 4,"),
        ((16, 4, 1, 6), "only 6 training sequences.*at most 6 that is a multiple of 4"),
    ],
)
def test_what_cannot_be_cut_is_refused_with_the_remedy(arguments, message):
    with pytest.raises(InputError, match=message):
        count_slices(*arguments)


def test_what_can_be_cut_is_counted():
    assert [count_slices(16, 4, 2), count_slices(16, 1, 1, sequences=5), count_slices(16, 2, 1, 6)] == [8, 1, 2]


def components(prior=None, guide=EmptyGuide):
    return SimpleNamespace(model=SimpleNamespace(prior=prior and prior(Z_SHAPE)), guide=guide(Z_SHAPE))


@pytest.mark.parametrize("prior", [CodebookPrior, ExemplarPrior])
def test_a_prior_that_looks_at_whole_batches_is_refused(prior):
    refuse_unshared(components(prior), slices=1, processes=1)
    with pytest.raises(InputError, match=rf"{prior.__name__} needs .* 2 slices here: .*--train.accumulate 1"):
        refuse_unshared(components(prior), slices=2, processes=1)


def test_a_memory_is_refused_in_several_processes_and_only_there():
    refuse_unshared(components(guide=MemoryGuide), slices=2, processes=1)
    with pytest.raises(InputError, match=r"MemoryGuide .* 2 processes"):
        refuse_unshared(components(guide=MemoryGuide), slices=2, processes=2)


def test_what_learns_by_gradients_alone_is_not_refused():
    for prior in (None, EnergyPrior):
        refuse_unshared(components(prior, CategoricalGuide), slices=4, processes=2)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus") / "corpus.jsonl")


def test_a_run_in_slices_is_the_run_of_whole_batches(corpus, tmp_path):
    for accumulate in (1, 4):
        folder = tmp_path / str(accumulate)
        assert train(corpus, folder, "--guide", "MAPGuide", data__mode="documents", train__accumulate=accumulate) == 0
    one, other = (checkpoint(tmp_path / name) for name in ("1", "4"))
    for name, weight in one.weights.items():
        torch.testing.assert_close(other.weights[name], weight, rtol=0, atol=2e-4, msg=name)
    assert one.state["batches"] == other.state["batches"]
    for record, expected in zip(metrics(tmp_path / "4"), metrics(tmp_path / "1"), strict=True):
        assert (record["step"], record.get("tokens")) == (expected["step"], expected.get("tokens"))
        if "objective" in expected:
            assert record["objective"] == pytest.approx(expected["objective"], rel=1e-4)


def test_slices_that_do_not_fit_are_refused_before_anything_is_made(corpus, tmp_path, capsys):
    assert train(corpus, tmp_path / "run", train__accumulate=3) == 2
    assert "train.batch_size=4 is not a multiple of it: give --train.batch_size 3," in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
