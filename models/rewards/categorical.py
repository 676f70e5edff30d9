"""A reward head for labels with a finite number of values, such as verdicts or attributes."""

from __future__ import annotations

from collections.abc import Sequence

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import Distribution

from ltm_pyro.errors import InputError
from ltm_pyro.models.rewards.abstract import AbstractReward
from ltm_pyro.ranges import bounded, whole

SHOWN = 8  # values that a message names


class CategoricalReward(AbstractReward):
    r"""Categorical reward head, for verdicts and attributes: two values are a verdict.

    .. math:: p_\theta(r = v \mid z, c) = \mathrm{softmax}\big(f_\theta(z, c)\big)_v

    r is the index of a value, from 0; -1 is a missing label. (The classifier of a semi-supervised model: Kingma et al.,
    2014, arXiv 1406.5298, where the label is a parent of the text; here it is a child of z.)

    Args:
        z_shape: (L, K, D).
        classes: number of values that a label can have.
        hidden, pooled, prompt: as of `AbstractReward`.

    Raises:
        InputError: for fewer than two values.

    Example:
        >>> import torch
        >>> head = CategoricalReward((2, 2, 4), classes=3)
        >>> head(torch.zeros(5, 2, 2, 4)).probs.shape
        torch.Size([5, 3])
    """

    @bounded(classes=whole(2))
    def __init__(
        self,
        z_shape: tuple[int, int, int],
        classes: int = 2,
        hidden: int = 64,
        pooled: bool = False,
        prompt: bool = False,
    ) -> None:
        if classes < 2:
            raise InputError(f"classes={classes}: expected at least two values, since one alone tells nothing")
        super().__init__(z_shape, classes, hidden, pooled, prompt)
        self.classes = classes

    def forward(self, z: Tensor, context: Tensor | None = None) -> Distribution:
        return dist.Categorical(logits=self.outputs_of(z, context))

    def known(self, r: Tensor) -> Tensor:
        return r >= 0

    def prepare_labels(self, values: Sequence[str], labels: Tensor) -> None:
        if len(values) != self.classes:
            raise InputError(
                f"the training labels have {len(values)} values ({shown(values)}), the reward head {self.classes}: "
                f"give --reward.classes {max(2, len(values))}"
            )

    @torch.no_grad()
    def set_marginal(self, r: Tensor) -> None:
        """Make p(r | z) the frequencies of these labels, one added to each count, for every z."""
        counts = torch.bincount(r.long(), minlength=self.classes) + 1
        self.out.weight.zero_()
        self.out.bias.copy_((counts / counts.sum()).log())

    def of_labels(self, labels: Tensor, values: Sequence[str]) -> Tensor:
        return labels.long()

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, classes={self.classes}"


def shown(values: Sequence[str]) -> str:
    """Listing of the first values, for a message."""
    return ", ".join([*(str(value)[:40] for value in values[:SHOWN]), *["..."] * (len(values) > SHOWN)])
