"""The prior of a control: p(z | value), a conditional flow behind the contexts of values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from ltm_pyro.control.conditions import ThoughtCondition, ValueCondition
from ltm_pyro.models.priors import ConditionalFlow, ThoughtDistribution

Condition = Literal["values", "thoughts"]


@dataclass(frozen=True)
class FlowSizes:
    """Sizes of a control's prior: C, the width of a context, and the arguments of `ConditionalFlow`."""

    context: int = 16
    transforms: int = 4
    hidden: int = 64
    bins: int = 8


class ControlPrior(nn.Module):
    r"""Density of thoughts given a value, :math:`p(z \mid c)` with the context :math:`c = \mathrm{condition}(value)`.

    Args:
        condition: contexts of values, such as a `ValueCondition`.
        flow: the flow given a context.
    """

    def __init__(self, condition: nn.Module, flow: ConditionalFlow) -> None:
        super().__init__()
        self.condition, self.flow = condition, flow

    def forward(self, values: Tensor) -> ThoughtDistribution:
        """p(z | value), batch (N,), event (L, K, D), of N values as the condition takes them."""
        distribution: ThoughtDistribution = self.flow(self.condition(values))
        return distribution


def new_prior(condition: Condition, z_shape: tuple[int, int, int], values: int, sizes: FlowSizes) -> ControlPrior:
    """A control's prior with initial weights.

    Args:
        condition: `values` for a learned context of each value, `thoughts` for contexts of any text.
        z_shape: (L, K, D).
        values: number of values with a context of their own.
        sizes: of the flow.

    Raises:
        InputError: if zuko is not installed.
    """
    flow = ConditionalFlow(z_shape, sizes.context, sizes.transforms, sizes.hidden, sizes.bins)
    if condition == "values":
        return ControlPrior(ValueCondition(values, sizes.context), flow)
    return ControlPrior(ThoughtCondition(z_shape, sizes.context), flow)
