"""Pyro's autoguides, with a row of parameters per sequence."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
from pyro import poutine
from pyro.infer import autoguide as autoguides
from torch import Tensor
from torch.distributions import Distribution, TransformedDistribution, biject_to, identity_transform

from ltm_pyro.errors import InputError
from ltm_pyro.guides.abstract import AbstractGuide
from ltm_pyro.guides.moments import moments
from ltm_pyro.guides.points import Points
from ltm_pyro.instances import require_maker
from ltm_pyro.known_classes import known_class
from ltm_pyro.ranges import POSITIVE, bounded

INSTEAD = {  # alternatives to autoguides that flatten all latent variables of a batch into one vector
    "AutoDiagonalNormal": "autoguide AutoNormal, or MeanFieldGuide",
    "AutoMultivariateNormal": "FullCovarianceGuide with unit='z'",
    "AutoLowRankMultivariateNormal": "LowRankGuide",
    "AutoGaussian": "FullCovarianceGuide with unit='z'",
    "AutoNormalizingFlow": "FlowGuide",
    "AutoStructured": "FullCovarianceGuide or LayerChainedGuide",
    "AutoIAFNormal": "FlowGuide",
    "AutoLaplaceApproximation": "LaplaceGuide",
    "AutoDiscreteParallel": "CategoricalGuide",
}


class AutoGuideAdapter(AbstractGuide):
    """Adapter from a Pyro autoguide to a guide with a row of local parameters per sequence.

    The autoguide is constructed again for every batch, on a model with the site `z` alone, so that its parameters are
    local: outside of Pyro's parameter store, of `parameters()` and of checkpoints. In this model `z` is Gaussian, with
    the prior's mean and standard deviations, which are the autoguide's initial values (`AutoNormal` has a single
    initial scale: the mean of the standard deviations).

    Autoguides with separate parameters for the sequences of a batch are supported: `AutoNormal`, `AutoDelta` (points,
    without a density), `AutoNormalMessenger`, `AutoHierarchicalNormalMessenger`, `AutoRegressiveMessenger`, and classes
    of your own of the kind. Those that flatten a batch into one vector are refused: a sequence's posterior would depend
    on its batch mates, and there would be one density for the whole batch.

    Args:
        z_shape: (L, K, D).
        autoguide: the name of a class of `pyro.infer.autoguide`, or a class or callable from a model to an autoguide.
        init_scale: the initial standard deviation; None takes the prior's.
        options: further arguments of the autoguide, by name.

    Raises:
        InputError: for an unknown name, an autoguide that couples sequences, or, from `start`, arguments that the
            autoguide does not take.

    Example:
        >>> import torch
        >>> guide = AutoGuideAdapter((2, 4, 8), autoguide="AutoNormal")
        >>> guide.start(torch.zeros(3, 16, dtype=torch.long))
        >>> [row.shape for row in guide.local_parameters()]
        [torch.Size([3, 2, 4, 8]), torch.Size([3, 2, 4, 8])]
    """

    @bounded(init_scale=POSITIVE)
    def __init__(
        self,
        z_shape: tuple[int, int, int],
        autoguide: str | Callable[..., Any] = "AutoNormal",
        init_scale: float | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(z_shape)
        if init_scale is not None and not init_scale > 0:
            raise InputError(f"init_scale={init_scale}: expected a positive number")
        if not isinstance(autoguide, str):
            require_maker("autoguide", autoguide, "pyro.infer.autoguide.AutoNormal")
        self.make = _find(autoguide) if isinstance(autoguide, str) else autoguide
        self.name = getattr(self.make, "__name__", type(self.make).__name__)
        if self.name in INSTEAD:
            raise InputError(
                f"{self.name} makes one vector of all sequences of a batch, so that the posterior of a sequence would "
                f"depend on its batch mates: take {INSTEAD[self.name]}"
            )
        self.init_scale, self.options = init_scale, options or {}
        self._draws_points(self.name == "AutoDelta")
        self._made: tuple[Any] | None = None  # a tuple, so that its parameters are not this module's

    def start(self, x: Tensor, mask: Tensor | None = None, prior: Distribution | None = None) -> None:
        mean, sigma = (moment.expand(self.z_shape) for moment in moments(prior, x.device))
        rows = mean.expand(len(x), *self.z_shape).clone()

        def thoughts() -> None:  # a Gaussian for the prior, as an autoguide needs moments, which some priors lack
            with pyro.plate("sequences", len(x), dim=-1):
                pyro.sample("z", dist.Normal(mean, sigma).to_event(3))

        arguments = {"init_loc_fn": autoguides.init_to_value(values={"z": rows}), **self.options}
        if "init_scale" in inspect.signature(self.make).parameters:
            arguments.setdefault("init_scale", float(sigma.mean()) if self.init_scale is None else self.init_scale)
        try:
            with pyro.settings.context(module_local_params=True):
                self._made = (self.make(thoughts, **arguments),)
            q = self.posterior()
        except (TypeError, ValueError, NotImplementedError) as error:
            raise InputError(f"{self.name} cannot be made for the site `z`: {error}") from error
        self.rows = len(x)
        self._check(q, len(x))
        self._draws_points(isinstance(q, Points))

    def local_parameters(self) -> list[Tensor]:
        return [] if self._made is None else list(self._made[0].parameters())

    def _draws_points(self, points: bool) -> None:
        self.has_density, self.fast_particles = not points, 1 if points else None

    def posterior(self) -> Distribution:
        """Distribution of `z` in a blocked run of the autoguide, batch (B,), event (L, K, D)."""
        assert self._made is not None
        with poutine.block(), pyro.settings.context(module_local_params=True):
            sites = poutine.trace(self._made[0]).get_trace().nodes
        if "z" not in sites:
            raise ValueError("the autoguide does not sample the site `z`")
        fn, auxiliary = sites["z"]["fn"], sites.get("z_unconstrained")
        if isinstance(fn, dist.Delta) and auxiliary is None:
            return Points(fn.v[:, None])
        if isinstance(fn, dist.Delta):  # AutoNormal samples an auxiliary site, and passes the value on as a Delta
            support = self._made[0].prototype_trace.nodes["z"]["fn"].support
            fn = dist.TransformedDistribution(auxiliary["fn"], [biject_to(support)])
        return _peeled(fn)

    def _check(self, q: Distribution, batch: int) -> None:
        """Raises InputError unless q and every parameter have one row per sequence."""
        shapes = [tuple(row.shape) for row in self.local_parameters()]
        apart = q.batch_shape == (batch,) and all(shape[:1] == (batch,) for shape in shapes)
        if not apart or q.event_shape != self.z_shape:
            raise InputError(
                f"{self.name} has parameters of shapes {shapes} and a posterior of batch {tuple(q.batch_shape)}, event "
                f"{tuple(q.event_shape)} for {batch} sequences of z of shape {self.z_shape}: expected a row for each "
                "sequence. Take an autoguide with separate parameters for each sequence, such as AutoNormal"
            )

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}, autoguide={self.name}"


def _peeled(fn: Distribution) -> Distribution:
    """The base distribution if all transforms are identities, so that the KL may have a closed form."""
    if not isinstance(fn, TransformedDistribution):
        return fn
    trivial = all(getattr(transform, "base_transform", transform) == identity_transform for transform in fn.transforms)
    return fn.base_dist if trivial else fn


def _find(name: str) -> Callable[..., Any]:
    """The autoguide class of a name in `pyro.infer.autoguide`, or of an import path."""
    path = name if "." in name else f"{autoguides.__name__}.{name}"
    autoguide_class = known_class(path, (autoguides.AutoGuide, autoguides.AutoMessenger))
    if autoguide_class is None:
        raise InputError(
            f"autoguide={name!r} is no class of pyro.infer.autoguide: expected a name, such as AutoNormal or "
            "AutoDelta, or, in Python, a class or callable of your own"
        )
    return autoguide_class
