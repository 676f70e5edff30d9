"""Weights, gradients and the optimizer's state in shards, by PyTorch's FSDP2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import accumulate, groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, set_model_state_dict
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Shard, distribute_tensor
from torch.optim import Optimizer

from ltm_pyro.errors import InputError
from ltm_pyro.training.processes import BUCKET, Processes, together


class Shards:
    """Fully sharded data parallelism around Pyro programs, by `torch.distributed.fsdp.fully_shard`.

    Between batches each process holds a shard of every weight that learns, and the optimizer's state of that shard. The
    weights are gathered once before a batch's fast loop. After its slow pass the summed gradients are scattered.

    `fully_shard` puts its hooks around the forward and the backward pass of one module. Here that module is a
    `_Reduction` instead of the decoder, because a Pyro program calls any method of a decoder, and the fast loop runs
    many backward passes for each slow step. The passes of the `_Reduction` run once per slow step, when all gradients
    exist. So the fast loop has no hooks and sends nothing, and the decoder may be of any class.

    FSDP2 has no shards of a single number (shape `()`): those are the same in all processes, as frozen weights are.

    The optimizer must treat every number by itself, as SGD, Adam and AdamW do, and take `DTensor`s.

    Args:
        module: holds all weights, whole and the same in all processes.
        processes: all of which make every call here.
    """

    def __init__(self, module: nn.Module, processes: Processes) -> None:
        self.module, self.processes = module, processes
        mesh = init_device_mesh(processes.device.type, (processes.count,))
        shared = [weight for weight in self.parameters() if weight.dim()]
        self.reductions = [self._sharded(bucket, mesh) for bucket in _buckets(shared)]

    def parameters(self) -> list[nn.Parameter]:
        """The weights that learn, each once: whole within `gathered`, and else this process's shards as `DTensor`s."""
        return [weight for weight in self.module.parameters() if weight.requires_grad]

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Within, the weights are whole, up to `reduce`; behind, they are in shards, and no gradient is left."""
        with together():
            for reduction in self.reductions:
                reduction.unshard()
        try:
            yield
        finally:
            for weight in self.parameters():
                weight.grad = None
            for reduction in self.reductions:
                reduction.reshard()

    def reduce(self) -> None:
        """Sum the gradients over all processes, and scatter them; of the weights, too, only the shards stay."""
        self.processes.add_up([w.grad for w in self.parameters() if not w.dim() and w.grad is not None])
        for reduction in self.reductions:
            with together():
                reduction(torch.zeros((), device=self.processes.device, requires_grad=True)).backward()

    def clip(self, largest: float) -> Tensor:
        """Scale the gradients so that their norm over all processes is no larger; returns the norm before."""
        with together():
            norm = nn.utils.clip_grad_norm_(self.parameters(), largest)
            return norm.full_tensor() if isinstance(norm, DTensor) else norm

    def step(self, optimizer: Optimizer) -> None:
        """Take the optimizer's step on the shards.

        Raises:
            InputError: if it does not take `DTensor`s.
        """
        try:
            optimizer.step()
        except (NotImplementedError, RuntimeError) as error:
            if "DTensor" not in str(error):
                raise
            raise InputError(
                f"{type(optimizer).__name__} does not go with --train.shard true, where weights are DTensors: make its "
                f"state by torch.zeros_like of a weight, or take another optimizer ({str(error).splitlines()[0]})"
            ) from error

    def replicated(self) -> dict[str, Tensor]:
        """The state that every process has for itself: frozen weights, buffers and single numbers."""
        return {name: value for name, value in self.module.state_dict().items() if not isinstance(value, DTensor)}

    def state_dict(self) -> dict[str, Any]:
        """The whole weights and buffers by name, on the CPU of the first process; the others get nothing."""
        with together():
            whole = get_model_state_dict(self.module, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
        first_names: dict[nn.Parameter, str] = {}  # tied weights stay one tensor
        for name, weight in self.module.named_parameters(remove_duplicate=False):
            if name in whole:
                whole[name] = whole[first_names.setdefault(weight, name)]
        return whole

    def load_state_dict(self, weights: Mapping[str, Any]) -> None:
        """Take this process's shards of whole weights; raises RuntimeError if names or shapes differ."""
        set_model_state_dict(self.module, dict(weights), options=StateDictOptions(full_state_dict=True))

    def whole_state(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The state of an optimizer of shards as that of an optimizer of the whole weights, on the CPU."""

        def whole(value: Any) -> Any:
            return value.full_tensor().cpu() if isinstance(value, DTensor) else value

        with together():
            entries = {number: {name: whole(v) for name, v in of.items()} for number, of in state["state"].items()}
        return {**state, "state": entries}

    def own_state(self, state: Mapping[str, Any], optimizer: Optimizer) -> dict[str, Any]:
        """The reverse: this process's shards of the state of an optimizer of the whole weights."""
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]

        def own(value: Any, like: Tensor) -> Any:
            if not (isinstance(like, DTensor) and isinstance(value, Tensor) and value.shape == like.shape):
                return value
            return distribute_tensor(value.to(like.device), like.device_mesh, like.placements, src_data_rank=None)

        entries = {
            number: {name: own(value, weights[number]) for name, value in of.items()}
            for number, of in state["state"].items()
        }
        return {**state, "state": entries}

    def _sharded(self, weights: list[nn.Parameter], mesh: DeviceMesh) -> Any:
        """The `_Reduction` of some weights, an `FSDPModule`; they are in shards from now on."""
        others = set(self.module.parameters()).difference(weights)
        reduction = fully_shard(
            _Reduction(self.module),
            mesh=mesh,
            reshard_after_forward=False,
            shard_placement_fn=self._placement,
            ignored_params=others,
        )
        reduction.set_gradient_divide_factor(1.0)  # a sum, and no mean
        reduction.set_force_sum_reduction_for_comms(True)  # gloo has no other
        return reduction

    def _placement(self, weight: nn.Parameter) -> Shard:
        """The first dimension that the processes can share equally; the first of all if there is none."""
        return Shard(next((dim for dim, size in enumerate(weight.shape) if size % self.processes.count == 0), 0))


class _Reduction(nn.Module):
    """The pass around which `fully_shard` puts its hooks: it computes nothing, and its backward reduces gradients.

    Args:
        module: a part of this one, so that `fully_shard` finds every place where a weight is kept.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, anchor: Tensor) -> Tensor:
        """A copy of a number that has a gradient."""
        return anchor.clone()


def _buckets(weights: list[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Weights that travel together: of one dtype, as FSDP2 wants it, and few enough not to need much memory."""
    totals = accumulate(weight.numel() for weight in weights)
    placed = groupby(zip(weights, totals, strict=True), lambda pair: (pair[0].dtype, pair[1] // BUCKET))
    return [[weight for weight, _ in bucket] for _, bucket in placed]
