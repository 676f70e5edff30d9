"""The prior of a control: p(z | value), a conditional flow behind the contexts of values."""

from __future__ import annotations

from torch import Tensor, nn

from ltm_pyro.models.priors import ConditionalFlow, ThoughtDistribution


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
