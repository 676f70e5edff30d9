"""Contracts of inference: all that it asks of a model, of a prior and of a guide, and the default of each member.

A part need not derive from anything. `model_of`, `prior_of` and `guide_of` give a part itself where it has all members,
and else the part with the defaults of those that it lacks; nothing else in inference asks whether a member exists.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Protocol, cast, runtime_checkable

from torch import Tensor, nn
from torch.distributions import Distribution
from torch.optim import Optimizer

from ltm_pyro.errors import InputError


class Prior(Protocol):
    """A prior p(z). Its thoughts are not compared with the guide's where it does not say what they are."""

    @abstractmethod
    def __call__(self) -> Distribution:
        """p(z), event shape (L, K, D)."""

    @property
    def z_shape(self) -> tuple[int, int, int] | None:
        """(L, K, D)."""
        return None

    @property
    def discrete(self) -> bool | None:
        """Whether its thoughts are one-hot."""
        return None


class Model(Protocol):
    """A Pyro model with sites `z` and `x`. Required: its call, and `parameters`, as every `nn.Module` has them."""

    @abstractmethod
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Sample the sites, given the batch."""

    @abstractmethod
    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """The weights."""

    @property
    def prior(self) -> Prior | None:
        """Of the site `z`; None where the guide is not to start at a prior."""
        return None

    def checked_batch(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The batch as the model takes it; raises InputError for one that is not the model's."""
        return x, mask


class Guide(Protocol):
    """A posterior q(z | x) with local parameters γ. Required: `start`, `local_parameters`, and a Pyro guide's call."""

    @abstractmethod
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Sample the site `z`, given the batch."""

    @abstractmethod
    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """The global parameters, which the slow step moves."""

    @abstractmethod
    def start(self, x: Tensor, mask: Tensor | None = None, prior: Distribution | None = None) -> None:
        """Begin a batch with fresh local parameters."""

    @abstractmethod
    def local_parameters(self) -> list[Tensor]:
        """The local parameters γ, shape (B, ...) each, which the fast loop moves."""

    @property
    def z_shape(self) -> tuple[int, int, int] | None:
        """(L, K, D); not compared with the prior's if None."""
        return None

    @property
    def discrete(self) -> bool | None:
        """Whether z is one-hot; not compared with the prior's if None."""
        return None

    @property
    def has_density(self) -> bool:
        """Whether log q(z) is known; else the bound claims nothing."""
        return True

    @property
    def step_size(self) -> float:
        """The factor on the fast loop's learning rate."""
        return 1.0

    @property
    def fast_particles(self) -> int | None:
        """The samples that the fast loop takes, each of which moves by its own objective; None leaves that open."""
        return None

    @property
    def is_sampler(self) -> bool:
        """Whether the fast loop's steps are a sampler's, so that tables take no more of them."""
        return False

    @property
    def has_natural_step(self) -> bool:
        """Whether there are `natural_step` and `natural_norm`."""
        return False

    @property
    def needs_unrolled(self) -> bool:
        """Whether it learns through the fast loop's steps, of which `set_unrolled` is given the `UnrolledLoop`."""
        return False

    def fast_optimizer(self, given: Callable[..., Optimizer]) -> Callable[..., Optimizer]:
        """The constructor of the fast loop's optimizer, from parameters and `lr`."""
        return given

    def set_unrolled(self, unrolled: Any) -> None:
        """Take the noted steps at the end of a fast loop."""

    def after_fit(self, log_joint: Callable[[Tensor], Tensor]) -> None:
        """Called after a fit with log p(x, z) of the batch."""

    def backward_guide(self, loss: Callable[[], Tensor]) -> None:
        """Called in every slow step after its `backward`, to add gradients of the global parameters."""

    def natural_step(self, rate: float) -> None:
        """Move the local parameters along the natural gradient."""
        raise InputError(f"{type(self).__name__} has no natural gradient in closed form: choose another fast.optimizer")

    def natural_norm(self) -> Tensor:
        """The squared length of the natural gradient by the family's own measure, shape (B,), in nats."""
        raise InputError(
            f"{type(self).__name__} has no natural gradient whose length it tells (natural_norm): choose another "
            "fast.optimizer, or give it no max_kl"
        )


@runtime_checkable
class GuideOptimizer(Protocol):
    """An optimizer of local parameters that asks the guide for its steps, as `NaturalGradient` does."""

    def attend(self, guide: Guide) -> None:
        """Take the steps of this guide."""


def model_of(part: object) -> Model:
    """A model with all that inference asks of one."""
    return cast(Model, _complete(part, Model))


def prior_of(part: object) -> Prior:
    """A prior with all that inference asks of one."""
    return cast(Prior, _complete(part, Prior))


def guide_of(part: object) -> Guide:
    """A guide with all that inference asks of one."""
    return cast(Guide, _complete(part, Guide))


def is_guide(part: object) -> bool:
    """Whether it is a guide, and no model."""
    return hasattr(part, "local_parameters")


def _complete(part: object, contract: type) -> object:
    own = all(hasattr(part, name) for name in vars(contract) if not name.startswith("_"))
    return part if own else _Completed(part, contract)


class _Completed:
    """A part with a contract's defaults in the place of the members that the part lacks."""

    def __init__(self, part: Any, contract: type) -> None:
        self._part, self._contract = part, contract

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._part(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        default = vars(self._contract).get(name)
        if hasattr(self._part, name) or getattr(default, "__isabstractmethod__", default is None):
            return getattr(self._part, name)  # its own error, where it lacks what is required
        return default.__get__(self._part)  # type: ignore[union-attr]  # a property's value, or a bound method
