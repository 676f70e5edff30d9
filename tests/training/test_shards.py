"""Weights that several processes move together, whole or in shards, move as those of one process do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from bag_decoder import BagDecoder
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor
from worlds import LOST, in_processes

from benchmarks.sharding.traffic import Traffic, bytes_held
from ltm_pyro import (
    ELBO,
    Decoder,
    FastLoop,
    GaussianPrior,
    LatentThoughtModel,
    MeanFieldGuide,
    MixturePrior,
    MLPTransport,
    SemiAmortisedGuide,
    SlowStep,
)
from ltm_pyro.errors import InputError
from ltm_pyro.training import shards
from ltm_pyro.training.checkpoints import Checkpoints
from ltm_pyro.training.components import RunComponents
from ltm_pyro.training.observers import GradientAverage
from ltm_pyro.training.processes import LostProcessError
from ltm_pyro.training.replicas import Replicas
from ltm_pyro.training.shards import Shards

ROOT = Path(__file__).parents[2]
LENGTH, BATCH = 12, 4


def with_scalar(components):
    """The components with weights of a single number, of which one takes part, a frozen one and one without use."""
    model = components.model
    model.temperature = nn.Parameter(torch.ones(()))
    model.frozen = nn.Parameter(torch.ones(5), requires_grad=False)
    model.unused = nn.Parameter(torch.ones(3))
    unembed = model.decoder.unembed
    model.decoder.unembed = lambda h: unembed(h) * model.temperature
    return components


def transformer(width=16, **slow):
    """A Transformer with tied embeddings, a prior that learns, and a guide whose encoder does."""
    torch.manual_seed(0)
    decoder = Decoder(vocabulary=30, width=width, layers=2, heads=2, thoughts=2, length=LENGTH, window=4)
    model = LatentThoughtModel(MixturePrior(decoder.z_shape, components=3), decoder)
    guide = SemiAmortisedGuide(decoder.z_shape, vocabulary=30, width=16, blocks=1, heads=2)
    return RunComponents(model, guide, FastLoop(ELBO(), 2), SlowStep(ELBO(), 0.01, **slow))


def bag(clip=0.0):
    """A decoder of a user's own behind a transport; the gradient is above 1, so that any clipping acts.

    Shards are multiples of eight numbers: the kernel of AdamW rounds what is left over otherwise.
    """
    torch.manual_seed(0)
    decoder = BagDecoder(32, LENGTH, size=16)
    transport = MLPTransport(decoder.z_shape, layers=1, hidden=16)
    model = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder, transport)
    guide = MeanFieldGuide(decoder.z_shape)
    return with_scalar(RunComponents(model, guide, FastLoop(ELBO(), 2), SlowStep(ELBO(), 0.01, clip=clip)))


def clipped():
    return bag(clip=0.1)


def averaging():
    return transformer(observer=GradientAverage())


X = torch.randint(2, 30, (BATCH, LENGTH), generator=torch.Generator().manual_seed(1))


def slices(numbers, count, step):
    """Slices of a batch, each with noise of its own."""
    for number in numbers:
        torch.manual_seed(100 * step + number)
        yield {"x": X.chunk(count)[number]}


def alone(components, count, steps=range(3)):
    """Weights and optimizer state of one process that works through all slices."""
    svi = components.svi()
    for step in steps:
        svi.step_in_slices(slices(range(count), count, step), X.numel())
    return state_of(components.state_dict(), svi.slow.optimizer.state_dict())


def state_of(weights, optimizer):
    """Plain tensors by name."""
    found = {name: weight.detach().clone() for name, weight in weights.items()}
    found |= {(number, name): value for number, of in optimizer["state"].items() for name, value in of.items()}
    return found


def assert_same(found, expected, everywhere):
    """Bit for bit, or, unless they are so `everywhere`, but for the rounding of kernels by the place in memory.

    Gathered weights lie in one buffer; without AVX-512 a Transformer's gradient then differs in its last digit.
    """
    if everywhere or torch.backends.cpu.get_cpu_capability() == "AVX512":
        assert [name for name, value in expected.items() if not torch.equal(found[name], value)] == []
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=2e-5, msg=str(name))


class Joined:
    """One of several processes that train components together."""

    def __init__(self, kind, components, processes):
        self.components, self.processes, self.svi = components, processes, components.svi()
        self.distributed = kind(components.module(), processes)
        self.svi.slow.distribute(self.distributed)

    def learn(self, steps=range(3)):
        for step in steps:
            self.step(step)
        return self

    def step(self, step):
        own = slices([self.processes.rank], self.processes.count, step)
        if isinstance(self.distributed, Replicas):
            return self.svi.step_in_slices(own, X.numel(), self.processes)
        with self.distributed.gathered():
            return self.svi.step_in_slices(own, X.numel(), self.processes)

    def whole(self):
        """Weights and the optimizer's state, as they are saved."""
        optimizer = self.svi.slow.optimizer.state_dict()
        if isinstance(self.distributed, Replicas):
            return self.components.state_dict(), optimizer
        return self.distributed.state_dict(), self.distributed.whole_state(optimizer)


@pytest.mark.parametrize("kind", [Replicas, Shards])
@pytest.mark.parametrize("make", [transformer, bag])
def test_two_processes_equal_one_bit_for_bit(kind, make, monkeypatch):
    """Weights tied, frozen, without use, of a single number, of one row; in several buckets."""
    monkeypatch.setattr(shards, "BUCKET", 1000)
    expected = alone(make(), 2)
    found, _ = in_processes(2, lambda processes: state_of(*Joined(kind, make(), processes).learn().whole()))
    assert found.keys() == expected.keys()
    assert_same(found, expected, kind is Replicas or make is bag)


@pytest.mark.parametrize("kind", [Replicas, Shards])
@pytest.mark.parametrize(("count", "make"), [(2, clipped), (2, averaging), (4, transformer)])
def test_processes_equal_one_but_for_the_order_of_sums(kind, count, make):
    """Those of the norm, of an observer's passes, and of more than two gradients."""
    expected = alone(make(), count)
    found, *_ = in_processes(count, lambda processes: state_of(*Joined(kind, make(), processes).learn().whole()))
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=2e-5, msg=str(name))


@pytest.mark.parametrize("make", [transformer, bag])
def test_one_goes_on_where_shards_have_stopped_and_shards_where_one_has(make, tmp_path):
    """Through the files of a checkpoint, which is the same whoever has written it."""
    expected = alone(make(), 2, range(4))

    def first_half(processes):
        weights, optimizer = Joined(Shards, make(), processes).learn(range(2)).whole()
        if processes.first:
            Checkpoints(tmp_path / "shards").save(2, weights, {"slow": {"optimizer": optimizer, "taken": 2}})

    in_processes(2, first_half)
    saved = Checkpoints(tmp_path / "shards").load(tmp_path / "shards" / "step-00000002")
    components = make()
    svi = components.svi()
    components.load_state_dict(saved.weights)
    svi.slow.load_state_dict(saved.state["slow"])
    Checkpoints(tmp_path / "one").save(2, components.state_dict(), {"slow": svi.slow.state_dict()})
    names = ("model.safetensors", "training-state.json", "training-state.safetensors")
    for name in names:
        one, other = (tmp_path / kind / "step-00000002" / name for kind in ("one", "shards"))
        assert one.read_bytes() == other.read_bytes()
    for step in range(2, 4):
        svi.step_in_slices(slices(range(2), 2, step), X.numel())
    after = state_of(components.state_dict(), svi.slow.optimizer.state_dict())
    assert_same(after, expected, make is bag)

    def second_half(processes):
        joined = Joined(Shards, make(), processes)
        checkpoint = Checkpoints(tmp_path / "one").load(tmp_path / "one" / "step-00000002")
        joined.distributed.load_state_dict(checkpoint.weights)
        slow = checkpoint.state["slow"]
        slow["optimizer"] = joined.distributed.own_state(slow["optimizer"], joined.svi.slow.optimizer)
        joined.svi.slow.load_state_dict(slow)
        return state_of(*joined.learn(range(2, 4)).whole())

    found, _ = in_processes(2, second_half)
    assert_same(found, expected, make is bag)


def held(processes):
    """Bytes of weights and of the optimizer's state between batches; and of whole weights, which should have gone."""
    joined = Joined(Shards, transformer(width=64), processes)
    with joined.distributed.gathered():
        whole = joined.distributed.parameters()
        assert sum(weight.untyped_storage().nbytes() for weight in whole) > 1e5
    joined.learn(range(1))
    left = sum(weight.untyped_storage().nbytes() for weight in whole if not isinstance(weight, DTensor))
    return bytes_held(joined.components.global_parameters(), joined.svi.slow.optimizer), left


@pytest.mark.parametrize("count", [2, 4])
def test_each_process_holds_its_share_of_weights_and_optimizer(count):
    components = transformer(width=64)
    svi = components.svi()
    svi.step(X)
    whole = bytes_held(components.global_parameters(), svi.slow.optimizer)
    for share, left in in_processes(count, held):
        assert share == pytest.approx(whole / count, rel=0.1)
        assert left == 0


def sent(processes):
    """Bytes that travel in a fast loop, in the slow pass, and in the step."""
    counts = {}
    for name, make, kind in [
        ("replicas", transformer, Replicas),
        ("shards", transformer, Shards),
        ("averaging", averaging, Shards),
        ("bag", bag, Shards),
    ]:
        joined = Joined(kind, make(), processes).learn(range(1))
        with joined.distributed.gathered() if kind is Shards else Traffic():
            joined.svi.slow.begin()
            inputs = next(slices([processes.rank], processes.count, 1))
            with Traffic() as fast:
                joined.svi.fit(**inputs, observers=joined.svi.observers)
            with Traffic() as slow:
                observers = joined.svi.weight_observers
                terms = joined.svi.slow.gradient(
                    joined.svi.model, joined.svi.guide, tokens=X.numel(), observers=observers, **inputs
                )
            with Traffic() as step:
                joined.svi.slow.apply(terms, processes)
        counts[name] = fast.bytes, slow.bytes, step.bytes
    return counts


def sent_with_hooks(processes):
    """Bytes that travel in a fast loop whose decoder has FSDP2's own hooks, with gradients reduced in every pass."""
    components = bag()
    decoder = components.model.decoder
    fully_shard(
        decoder, mesh=init_device_mesh("cpu", (processes.count,)), ignored_params={components.model.temperature}
    )
    for method in ("features", "unembed", "forward"):
        register_fsdp_forward_method(decoder, method)
    with Traffic() as fast:
        components.svi().fit(X.chunk(processes.count)[processes.rank])
    return fast.bytes


def test_nothing_is_sent_before_all_gradients_are_there():
    for counts in in_processes(2, sent):
        for fast, slow, step in counts.values():
            assert (fast, slow) == (0, 0)
            assert step > 1000


def test_what_is_sent_within_a_fast_loop_would_be_noticed():
    assert all(count > 0 for count in in_processes(2, sent_with_hooks))


WAITS = {
    "gathered": lambda distributed: distributed.gathered().__enter__(),
    "reduce": lambda distributed: distributed.reduce(),
    "clip": lambda distributed: distributed.clip(1.0),
    "state_dict": lambda distributed: distributed.state_dict(),
}


@pytest.mark.parametrize(("kind", "place"), [(Replicas, "reduce"), *((Shards, place) for place in WAITS)])
def test_a_process_that_dies_is_told_of_wherever_the_others_wait_for_it(kind, place):
    def work(processes):
        distributed = Joined(kind, bag(), processes).learn(range(1)).distributed
        if (kind, place) == (Shards, "reduce"):
            distributed.gathered().__enter__()
        for weight in distributed.parameters():
            weight.grad = torch.zeros_like(weight)
        if not processes.first:
            os._exit(1)
        with pytest.raises(LostProcessError, match=r"^another process of this run has ended or does not answer \("):
            WAITS[place](distributed)
        return True

    assert in_processes(2, work) == [True, LOST]


class Plain(torch.optim.AdamW):
    """An optimizer that knows nothing of `DTensor`s."""

    def step(self, closure=None):
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.grad += torch.zeros(weight.shape)


def test_an_optimizer_that_does_not_take_shards_is_refused():
    def work(processes):
        components = bag()
        components.slow.make_optimizer = Plain
        with pytest.raises(InputError, match=r"^Plain does not go with --train.shard true, where weights are DTensors"):
            Joined(Shards, components, processes).learn(range(1))

    in_processes(2, work)


def test_weights_of_a_single_process_ask_for_no_engine():
    code = (
        "import sys, ltm_pyro.training.trainer\n"
        "print([name for name in ('shards', 'replicas') if f'ltm_pyro.training.{name}' in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("largest", [0.5, 1e4])
def test_the_norm_is_that_of_all_shards(largest):
    weights = [weight for weight in bag().module().parameters() if weight.requires_grad]
    for number, weight in enumerate(weights):
        weight.grad = torch.full_like(weight, float(number))
    expected = nn.utils.clip_grad_norm_(weights, largest)

    def clipped_gradients(processes):
        distributed = Shards(bag().module(), processes)
        with distributed.gathered():
            for number, weight in enumerate(distributed.parameters()):
                weight.grad = torch.full_like(weight, number / processes.count)
            distributed.reduce()
            norm = distributed.clip(largest)
            gradients = [weight.grad for weight in distributed.parameters()]
            return norm, [g.full_tensor() if isinstance(g, DTensor) else g for g in gradients]

    for norm, gradients in in_processes(2, clipped_gradients):
        torch.testing.assert_close(norm, expected)
        torch.testing.assert_close(gradients, [weight.grad for weight in weights])
