"""The prior of a conditional flow at one context."""

from __future__ import annotations

from torch import Tensor

from ltm_pyro.models.priors.abstract import AbstractPrior
from ltm_pyro.models.priors.conditional_flow import ConditionalFlow
from ltm_pyro.models.priors.distribution import ThoughtDistribution


class ConditionedPrior(AbstractPrior):
    r"""Prior p(z | c) of a `ConditionalFlow` at one context c, for every text alike.

    A trained model with this prior in the place of its own writes texts of that condition, and fits q to a prompt
    under it.

    Args:
        flow: the conditional flow.
        context: c, shape (C,).

    Raises:
        InputError: for a context of another shape.
    """

    context: Tensor

    def __init__(self, flow: ConditionalFlow, context: Tensor) -> None:
        super().__init__(flow.z_shape)
        flow(context)  # which checks its width
        self.flow = flow
        self.register_buffer("context", context.detach().clone())

    def forward(self) -> ThoughtDistribution:
        return self.flow(self.context)

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}"
