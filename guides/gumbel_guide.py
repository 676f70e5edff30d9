"""The base class of Gumbel-softmax guides."""

from __future__ import annotations

from abc import abstractmethod

import pyro.distributions as dist

from ltm_pyro.errors import InputError
from ltm_pyro.guides.code_guide import AbstractCodeGuide
from ltm_pyro.guides.gumbel_categorical import GumbelCategorical
from ltm_pyro.ranges import POSITIVE, bounded


class AbstractGumbelGuide(AbstractCodeGuide):
    """Base class of guides over codes by Gumbel noise, with the gradient of a softmax of the same noise.

    Args:
        z_shape: (L, K, C) with C codes.
        temperature: tau.

    Raises:
        InputError: if the temperature is not positive.
    """

    @bounded(temperature=POSITIVE)
    def __init__(self, z_shape: tuple[int, int, int], temperature: float = 1.0) -> None:
        super().__init__(z_shape)
        if not temperature > 0:
            raise InputError(f"temperature={temperature}: expected a positive number")
        self.temperature = temperature

    @property
    @abstractmethod
    def hard(self) -> bool:
        """Whether samples are codes; otherwise they are values of the softmax."""

    def posterior(self) -> dist.Distribution:
        return GumbelCategorical(self.logits, self.temperature, self.hard).to_event(2)

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}, temperature={self.temperature}"
