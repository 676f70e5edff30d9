"""Parts of weights make up the whole again, and so do the parts of an optimizer's state."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ltm_pyro.training.processes import Processes
from ltm_pyro.training.shards import Shards, _joined

SHAPES = [(3, 5), (7,), (), (2, 3, 1), (1,)]


class World(Processes):
    """One of several processes; `gather` finds what the others hold by asking them for the same."""

    def __init__(self, rank, count):
        super().__init__(SimpleNamespace(num_processes=count, process_index=rank, device=torch.device("cpu")))
        self.waiting = []

    def gather(self, tensor):
        return torch.stack([tensor if rank == self.rank else self.waiting.pop(0) for rank in range(self.count)])


def parameters():
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(shape)) for shape in SHAPES]


def shards_of(count):
    return [Shards(iter(parameters()), World(rank, count)) for rank in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_parts_of_equal_size_make_up_the_whole(count):
    shards = shards_of(count)
    for place, whole in enumerate(parameters()):
        parts = [one.own[place].detach() for one in shards]
        assert len({part.shape for part in parts}) == 1
        assert parts[0].numel() < whole.numel() / count + 1
        assert (parts[0].dim() >= 2) == (whole.dim() >= 2)  # weight decay goes by that
        assert torch.equal(_joined(torch.stack([part.flatten() for part in parts]), whole.shape), whole)


def test_each_parameter_counts_once_and_frozen_ones_stay_whole():
    first, frozen = nn.Parameter(torch.ones(4)), nn.Parameter(torch.ones(4), requires_grad=False)
    shards = Shards(iter([first, frozen, first]), World(0, 2))
    assert [id(whole) for whole in shards.whole] == [id(first)]
    shards.release()
    assert (first.numel(), frozen.numel()) == (0, 4)


def test_weights_are_whole_within_and_gone_behind():
    one, other = shards_of(2)
    one.release()
    one.processes.waiting = [torch.cat([part.detach().flatten() for part in other.own])]
    with one.gathered():
        assert all(map(torch.equal, one.whole, parameters()))
    assert [whole.numel() for whole in one.whole] == [0] * len(SHAPES)


def test_what_was_loaded_whole_is_held_in_parts():
    one, other = shards_of(2)
    for shards in (one, other):
        with torch.no_grad():
            for whole in shards.whole:
                whole.copy_(torch.arange(float(whole.numel())).view(whole.shape))
        shards.take()
    assert one.own[1].tolist() == [0, 1, 2, 3]
    assert other.own[1].tolist() == [4, 5, 6, 0]


def test_the_state_of_an_optimizer_of_parts_is_that_of_one_of_the_whole():
    whole = parameters()

    def stepped(weights, gradients):
        matrices = [weight for weight in weights if weight.dim() >= 2]
        optimizer = torch.optim.AdamW([{"params": matrices}, {"params": [w for w in weights if w.dim() < 2]}])
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        optimizer.step()
        return optimizer.state_dict()

    gradients = [torch.randn_like(weight) for weight in whole]
    expected = stepped(whole, gradients)
    shards = shards_of(2)
    states = [stepped(one.own, [one.part(gradient) for gradient in gradients]) for one in shards]
    values = [value for state in states[1]["state"].values() for name, value in state.items() if name != "step"]
    shards[0].processes.waiting = [value.flatten() for value in values]
    found = shards[0].whole_state(states[0])
    assert found["param_groups"] == expected["param_groups"]
    for number, entries in expected["state"].items():
        assert found["state"][number].keys() == entries.keys()
        for name, value in entries.items():
            assert torch.equal(found["state"][number][name], value)
    again = shards[1].own_state(expected)
    for number, entries in states[1]["state"].items():
        assert all(torch.equal(again["state"][number][name], value) for name, value in entries.items())


@pytest.mark.parametrize("largest", [0.5, 100.0])
def test_the_norm_is_that_of_all_parts(largest):
    one, other = shards_of(2)
    gradients = [torch.randn_like(whole) for whole in one.whole]
    reference = parameters()
    for weight, gradient in zip(reference, gradients, strict=True):
        weight.grad = gradient.clone()
    expected = nn.utils.clip_grad_norm_(reference, largest)
    for shards in (one, other):
        for own, gradient in zip(shards.own, gradients, strict=True):
            own.grad = shards.part(gradient)
    beside = sum(own.grad.square().sum() for own in other.own)
    one.processes.add_up = lambda tensors: tensors[0].add_(beside)
    torch.testing.assert_close(one.clip(largest), expected)
    for own, weight in zip(one.own, reference, strict=True):
        torch.testing.assert_close(own.grad, one.part(weight.grad))
