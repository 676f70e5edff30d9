"""Protocols of inference: the members that it needs of a model, a prior and a guide, with their defaults.

A part need not derive from any class. `model_of`, `prior_of` and `guide_of` return a part itself if it has all members,
and else a wrapper with the defaults of the missing ones; no other code of inference tests for members.
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
    """Prior p(z). Thoughts are compared with the guide's only where `z_shape` or `discrete` is given."""

    @abstractmethod
    def __call__(self) -> Distribution:
        """The distribution p(z), event shape (L, K, D)."""

    @property
    def z_shape(self) -> tuple[int, int, int] | None:
        """The event shape (L, K, D); not compared with the guide's if None."""
        return None

    @property
    def discrete(self) -> bool | None:
        """Whether z is one-hot; not compared with the guide's if None."""
        return None


class Model(Protocol):
    """Pyro model with sites `z` and `x`. Required: a call, and `parameters`, as of any `nn.Module`."""

    @abstractmethod
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Sample the sites, given the batch."""

    @abstractmethod
    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """The weights θ."""

    @property
    def prior(self) -> Prior | None:
        """The prior of the site `z`; None if the guide does not start at a prior."""
        return None

    def checked_batch(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Validated token ids and mask of a batch; raises InputError for a batch that the model refuses."""
        return x, mask


class Guide(Protocol):
    """Guide q(z | x) with local parameters γ. Required: `start`, `local_parameters`, and the call of a Pyro guide."""

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
        """The event shape (L, K, D); not compared with the prior's if None."""
        return None

    @property
    def discrete(self) -> bool | None:
        """Whether z is one-hot; not compared with the prior's if None."""
        return None

    @property
    def has_density(self) -> bool:
        """Whether log q(z) is known; otherwise the bound claims nothing."""
        return True

    @property
    def step_size(self) -> float:
        """The factor on the fast loop's learning rate."""
        return 1.0

    @property
    def fast_particles(self) -> int | None:
        """The number of samples in the fast loop, each with its own objective; None leaves it to the objective."""
        return None

    @property
    def is_sampler(self) -> bool:
        """Whether the fast loop's steps are a sampler's, which tables take as in training."""
        return False

    @property
    def has_natural_step(self) -> bool:
        """Whether the guide has `natural_step` and `natural_norm`."""
        return False

    @property
    def needs_unrolled(self) -> bool:
        """Whether the guide learns through the fast loop's steps, which `set_unrolled` receives."""
        return False

    def fast_optimizer(self, given: Callable[..., Optimizer]) -> Callable[..., Optimizer]:
        """The constructor of the fast loop's optimizer, from parameters and `lr`."""
        return given

    def set_unrolled(self, unrolled: Any) -> None:
        """Hook that receives the recorded steps of a fast loop, an `UnrolledLoop`."""

    def after_fit(self, log_joint: Callable[[Tensor], Tensor]) -> None:
        """Hook called after a fit with log p(x, z) of the batch."""

    def backward_guide(self, loss: Callable[[], Tensor]) -> None:
        """Hook called in every slow step after its `backward`, to add gradients of the global parameters."""

    def natural_step(self, rate: float) -> None:
        """Move the local parameters along the natural gradient."""
        raise InputError(f"{type(self).__name__} has no natural gradient in closed form: choose another fast.optimizer")

    def natural_norm(self) -> Tensor:
        """The squared norm of the natural gradient in the Fisher metric, shape (B,), in nats."""
        raise InputError(
            f"{type(self).__name__} does not implement natural_norm: choose another fast.optimizer, or give it no "
            "max_kl"
        )


@runtime_checkable
class GuideOptimizer(Protocol):
    """Optimizer of local parameters whose steps the guide implements, such as `NaturalGradient`."""

    def attend(self, guide: Guide) -> None:
        """Set the guide that implements the steps."""


def model_of(part: object) -> Model:
    """The model, with the defaults of missing members of `Model`."""
    return cast(Model, _complete(part, Model))


def prior_of(part: object) -> Prior:
    """The prior, with the defaults of missing members of `Prior`."""
    return cast(Prior, _complete(part, Prior))


def guide_of(part: object) -> Guide:
    """The guide, with the defaults of missing members of `Guide`."""
    return cast(Guide, _complete(part, Guide))


def is_guide(part: object) -> bool:
    """Whether a part is a guide: it has `local_parameters`."""
    return hasattr(part, "local_parameters")


def _complete(part: object, contract: type) -> object:
    complete = all(hasattr(part, name) for name in vars(contract) if not name.startswith("_"))
    return part if complete else _Completed(part, contract)


class _Completed:
    """Wrapper of a part, with a protocol's defaults for the members that the part lacks."""

    def __init__(self, part: Any, contract: type) -> None:
        self._part, self._contract = part, contract

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._part(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        default = vars(self._contract).get(name)
        if hasattr(self._part, name) or getattr(default, "__isabstractmethod__", default is None):
            return getattr(self._part, name)  # the part's own AttributeError for a missing required member
        return default.__get__(self._part)  # type: ignore[union-attr]  # a property's value, or a bound method
