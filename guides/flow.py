"""A normalizing-flow guide: another guide's posterior, transformed by a learned flow."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.distributions import Distribution, constraints

from ltm_pyro.errors import InputError
from ltm_pyro.guides.abstract import AbstractGuide
from ltm_pyro.instances import require_maker
from ltm_pyro.known_classes import known_class
from ltm_pyro.optional import import_zuko
from ltm_pyro.ranges import bounded, whole

Z_DIMS = 3  # L, K and D
INITIAL_SHRINKAGE = 0.01  # of the last layers' weights: close to the identity, with a gradient for the layers before


class Flowed(TorchDistribution):
    """Push-forward of a base distribution through a flow, batch (B,), event (L, K, D).

    Args:
        base: the base distribution, of the same shape.
        inverse: zuko's transform from z, flattened, to the base's sample u.
    """

    arg_constraints: dict = {}  # noqa: RUF012  (the base class's own declaration)
    support: Any = constraints.independent(constraints.real, Z_DIMS)
    has_rsample = True

    def __init__(self, base: Distribution, inverse: Any, validate_args: bool | None = None) -> None:
        self.base, self.inverse = base, inverse
        super().__init__(base.batch_shape, base.event_shape, validate_args=validate_args)

    def expand(self, batch_shape: torch.Size, _instance: Flowed | None = None) -> Flowed:
        """The same distribution with a larger batch shape."""
        return Flowed(self.base.expand(batch_shape), self.inverse, self._validate_args)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:  # noqa: B008  (the base class's signature)
        """Reparameterised samples, shape (*sample_shape, *batch_shape, L, K, D)."""
        u = self.base.rsample(sample_shape)
        with torch.autocast(u.device.type, enabled=False):  # so that samples and density use the same map
            return self.inverse.inv(u.flatten(-Z_DIMS)).view_as(u)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats, shape (...), from z of shape (..., L, K, D)."""
        if self._validate_args:
            self._validate_sample(value)
        with torch.autocast(value.device.type, enabled=False):  # in bf16 this would no longer be a density
            u, log_determinant = self.inverse.call_and_ladj(value.flatten(-Z_DIMS))
            return self.base.log_prob(u.view_as(value)) + log_determinant


class FlowGuide(AbstractGuide):
    r"""Normalizing flow of affine coupling layers (RealNVP) over another guide's posterior.

    .. math:: z = f(u), \quad u \sim q_0(u), \qquad
              \log q(z) = \log q_0(u) - \log\left|\det \frac{\partial f}{\partial u}\right|

    The base's parameters are local, and fitted to every text; f is shared by all texts, learned with the weights of the
    model, and fixed in the fast loop. f starts close to the identity, hence q close to the base's start. The networks
    read and write all of z: they hold about `transforms` x `hidden` x 3/2 L K D weights. The KL has no closed form, and
    is sampled. The natural gradient is the base's, since f is one-to-one. (Rezende and Mohamed, 2015, arXiv 1505.05770;
    the layers are those of Dinh et al., 2017, arXiv 1605.08803.)

    Args:
        z_shape: (L, K, D).
        base: the name of a guide of ltm_pyro, or a class or callable from z_shape to a guide. The guide needs a
            density, reparameterised samples, and a method `posterior`, as the Gaussian ones have.
        options: further arguments of the base, by name.
        transforms: number of coupling layers; two transform every dimension once.
        hidden: width of each network's two hidden layers.

    Raises:
        InputError: if zuko is not installed (`pip install 'ltm-pyro[flows]'`), for a base without these, or for
            sizes that are not positive.
    """

    @bounded(transforms=whole(1), hidden=whole(1))
    def __init__(
        self,
        z_shape: tuple[int, int, int],
        base: str | Callable[..., Any] = "MeanFieldGuide",
        options: dict[str, Any] | None = None,
        transforms: int = 4,
        hidden: int = 64,
    ) -> None:
        super().__init__(z_shape)
        if transforms < 1 or hidden < 1:
            raise InputError(f"transforms={transforms}, hidden={hidden}: expected positive sizes")
        if not isinstance(base, str):
            require_maker("base", base, "MeanFieldGuide")
        self.transforms, self.hidden = transforms, hidden
        self.base = _make(base, self.z_shape, options or {})
        self.inverse = _couplings(math.prod(self.z_shape), transforms, hidden)

    def prepare(self, vocabulary: int) -> None:
        self.base.prepare(vocabulary)

    def start(self, x: Tensor, mask: Tensor | None = None, prior: Distribution | None = None) -> None:
        self.base.start(x, mask, prior)
        self.rows = len(x)

    def local_parameters(self) -> list[Tensor]:
        return self.base.local_parameters()

    @property
    def has_natural_step(self) -> bool:
        return self.base.has_natural_step

    def natural_step(self, rate: float) -> None:
        self.base.natural_step(rate)

    def natural_norm(self) -> Tensor:
        return self.base.natural_norm()

    def posterior(self) -> Flowed:
        """Posterior q(z), batch (B,), event (L, K, D)."""
        return Flowed(self.base.posterior(), self.inverse())

    def __repr__(self) -> str:  # zuko's own draws random numbers, which would change later samples
        return f"FlowGuide({self.base}, transforms={self.transforms}, hidden={self.hidden})"


def _make(base: str | Callable[..., Any], z_shape: tuple[int, int, int], options: dict[str, Any]) -> Any:
    make: Any = _find(base) if isinstance(base, str) else base
    try:
        guide = make(z_shape, **options)
    except TypeError as error:
        raise InputError(f"base={base!r} cannot be made with {options}: {error}") from error
    no_after_fit = type(guide).after_fit is AbstractGuide.after_fit  # its log_joint would be of z, not of u
    has_posterior = getattr(type(guide), "posterior", AbstractGuide.posterior) is not AbstractGuide.posterior
    if not (has_posterior and no_after_fit and guide.has_density) or guide.discrete:
        raise InputError(
            f"base={base!r} cannot be the base of a flow: expected a guide with continuous thoughts, a density and a "
            "method `posterior`, and without `after_fit`; take MeanFieldGuide, LowRankGuide or another Gaussian"
        )
    return guide


def _find(base: str) -> type[AbstractGuide]:
    """The guide class of a name in `ltm_pyro.guides`, or of an import path."""
    guide_class = known_class(base if "." in base else f"ltm_pyro.guides.{base}", (AbstractGuide,))
    if guide_class is None:
        raise InputError(
            f"base={base!r} is no guide of ltm_pyro: expected a name, such as LowRankGuide, or, in Python, a class or "
            "callable of your own"
        )
    return guide_class


def _couplings(features: int, layers: int, hidden: int) -> nn.Module:
    """Coupling layers: each keeps every second dimension, from which a network computes the map of the others."""
    zuko = import_zuko()
    sizes = {"hidden_features": (hidden, hidden), "activation": nn.SiLU}
    held = torch.arange(features) % 2 == 1
    couplings = [
        zuko.flows.coupling.GeneralCouplingTransform(features, mask=held if layer % 2 else ~held, **sizes)
        for layer in range(layers)
    ]
    with torch.no_grad():
        for coupling in couplings:  # with a single dimension there is no network, only the parameters of a map
            for parameter in (coupling.phi if features == 1 else coupling.hyper[-1]).parameters():
                parameter.mul_(INITIAL_SHRINKAGE)
    return zuko.lazy.LazyComposedTransform(*couplings)
