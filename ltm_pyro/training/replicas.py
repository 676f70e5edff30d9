"""Whole weights in each process, whose gradients are summed by PyTorch's `DistributedDataParallel`."""

# No postponed annotations: `register_comm_hook` looks at those of `_sum`.
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed import GradBucket
from torch.futures import Future
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from ltm_pyro.training.processes import Processes, together


class Replicas:
    """Data parallelism around Pyro programs, by `torch.nn.parallel.DistributedDataParallel`.

    The wrapper sums gradients only in the backward pass of its own forward pass. Here it wraps a `_Reduction` instead
    of the decoder, because a Pyro program calls any method of a decoder, and the fast loop runs many backward passes
    for each slow step. The passes of the `_Reduction` run once per slow step, when all gradients exist.

    Args:
        module: module with all weights, the same in all processes.
        processes: group of processes; every method here is collective.
    """

    def __init__(self, module: nn.Module, processes: Processes) -> None:
        self.module = module
        with together():
            self.reduction = DistributedDataParallel(
                _Reduction(self.parameters()), init_sync=False, gradient_as_bucket_view=True
            )
        self.reduction.register_comm_hook(None, _sum)

    def parameters(self) -> list[nn.Parameter]:
        """The weights that learn, each once."""
        return [weight for weight in self.module.parameters() if weight.requires_grad]

    def reduce(self) -> None:
        """Sum the gradients over all processes; a weight that has none in any of them keeps none."""
        without = [weight for weight in self.parameters() if weight.grad is None]
        with together():
            self.reduction().backward()
        for weight in without:
            weight.grad = None

    def clip(self, largest: float) -> Tensor:
        """Scale the gradients so that their norm is no larger; returns the norm before."""
        return nn.utils.clip_grad_norm_(self.parameters(), largest)

    def step(self, optimizer: Optimizer) -> None:
        """Take the optimizer's step, the same in all processes."""
        optimizer.step()


class _Reduction(nn.Module):
    """Module with empty passes, whose backward pass reaches every weight.

    Args:
        weights: that learn.
    """

    def __init__(self, weights: list[nn.Parameter]) -> None:
        super().__init__()
        self.weights = nn.ParameterList(weights)

    def forward(self) -> Tensor:
        """A number that depends on all weights, and whose gradient by them is nothing."""
        return _Touched.apply(*self.weights)


class _Touched(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *weights: Tensor) -> Tensor:
        ctx.count = len(weights)
        return weights[0].new_zeros(())

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[None, ...]:
        return (None,) * ctx.count


def _sum(state: None, bucket: GradBucket) -> Future[Tensor]:
    """The sum of a bucket over all processes: `DistributedDataParallel` by itself takes the mean."""
    work = torch.distributed.all_reduce(bucket.buffer(), async_op=True)
    return work.get_future().then(lambda done: done.value()[0])
