"""Weights in parts, one for each process, and whole only while a batch is worked on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ltm_pyro.training.processes import Processes, buckets, together


class Shards:
    """Fully sharded data parallelism around Pyro programs: weights, gradients and the optimizer's state in parts.

    Between batches each process holds one part of every weight, of equal size, and the optimizer's state of that part.
    The weights are put together once before a batch's fast loop, and taken apart after its slow step, before which the
    summed gradients are handed out in parts. Torch's `fully_shard` does the same by hooks on a module's forward; here
    a decoder is also called by a distribution's `log_prob`, outside any forward, so that it is done by name.

    The optimizer must treat every number by itself, as SGD, Adam and AdamW do.

    Args:
        parameters: all of them whole, and the same in all processes. They keep their identity.
        processes: all of which make every call here.

    Attributes:
        whole: the parameters that learn, each once.
        own: this process's part of each, (n, 1) of a matrix and (n,) of anything smaller: for the optimizer.
    """

    def __init__(self, parameters: Iterator[nn.Parameter], processes: Processes) -> None:
        self.processes = processes
        self.whole = list(dict.fromkeys(parameter for parameter in parameters if parameter.requires_grad))
        self.shapes = [parameter.shape for parameter in self.whole]
        self.own = [nn.Parameter(self.part(parameter.detach())) for parameter in self.whole]

    def part(self, whole: Tensor) -> Tensor:
        """This process's part of a tensor: a copy."""
        part = self._in_parts(whole)[self.processes.rank].clone()
        return part[:, None] if whole.dim() >= 2 else part

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Within, the weights are whole."""
        self._gather()
        try:
            yield
        finally:
            self.release()

    @torch.no_grad()
    def take(self) -> None:
        """Hold the parts of the weights as they now are, whole."""
        for own, parameter in zip(self.own, self.whole, strict=True):
            own.copy_(self.part(parameter))

    def release(self) -> None:
        """Let go of the whole weights and of their gradients."""
        for parameter in self.whole:
            parameter.grad, parameter.data = None, parameter.data.new_empty(0)

    def reduce(self) -> None:
        """Sum the gradients of whole weights over all processes; each part gets its own, and no whole one stays."""
        gradients = {place: whole.grad for place, whole in enumerate(self.whole) if whole.grad is not None}
        for places in self._buckets(list(gradients)):
            table = torch.cat([self._in_parts(gradients.pop(place)) for place in places], 1)  # (processes, n)
            for place in places:
                self.whole[place].grad = None
            summed = torch.empty_like(table[0])
            with together():
                torch.distributed.reduce_scatter_single(summed, table.flatten())
            for place, part in zip(places, summed.split([self.own[p].numel() for p in places]), strict=True):
                self.own[place].grad = part.view_as(self.own[place]).clone()

    @torch.no_grad()
    def clip(self, largest: float) -> Tensor:
        """Scale the gradients so that their norm over all processes is no larger; returns the norm before."""
        gradients = [own.grad for own in self.own if own.grad is not None]
        square = torch.stack([gradient.square().sum() for gradient in gradients]).sum()
        self.processes.add_up([square])
        norm = square.sqrt()
        for gradient in gradients:
            gradient.mul_((largest / (norm + 1e-6)).clamp(max=1.0))
        return norm

    def whole_state(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The state of the optimizer of `own`, as that of an optimizer of the whole weights; on the CPU."""
        return self._mapped(state, lambda value, own, shape: self._put_together(value, shape).cpu(), parts=True)

    def own_state(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The reverse: this process's part of a whole optimizer's state."""
        return self._mapped(state, lambda value, own, shape: self.part(value), parts=False)

    def _mapped(self, state: Mapping[str, Any], change: Callable[..., Tensor], parts: bool) -> dict[str, Any]:
        """A state dict whose tensors of a weight's size are changed; optimizers number matrices first, as they come."""
        order = sorted(range(len(self.own)), key=lambda place: self.own[place].dim() < 2)
        entries = {}
        for number, values in state["state"].items():
            own, shape = self.own[order[number]], self.shapes[order[number]]
            size = own.shape if parts else shape
            entries[number] = {
                name: change(value, own, shape)
                if isinstance(value, Tensor) and value.shape == size and name != "step"
                else value
                for name, value in values.items()
            }
        return {**state, "state": entries}

    def _gather(self) -> None:
        for places in self._buckets(range(len(self.own))):
            flat = torch.cat([self.own[place].detach().flatten() for place in places])
            table = self.processes.gather(flat)
            for place, columns in zip(places, table.split([self.own[p].numel() for p in places], 1), strict=True):
                self.whole[place].data = _joined(columns, self.shapes[place])

    def _put_together(self, own: Tensor, shape: torch.Size) -> Tensor:
        return _joined(self.processes.gather(own.flatten()), shape)

    def _in_parts(self, whole: Tensor) -> Tensor:
        """(processes, n), the last one filled up with zeros."""
        flat, count = whole.flatten(), self.processes.count
        return nn.functional.pad(flat, (0, -len(flat) % count)).view(count, -1)

    def _buckets(self, places: Iterable[int]) -> list[list[int]]:
        return buckets(places, lambda place: self.shapes[place].numel(), lambda place: self.own[place].dtype)


def _joined(parts: Tensor, shape: torch.Size) -> Tensor:
    """A whole tensor from its parts, (processes, n)."""
    # contiguous also where there is a single number, of which a plain copy would keep any stride
    return parts.flatten()[: shape.numel()].view(shape).clone(memory_format=torch.contiguous_format)
