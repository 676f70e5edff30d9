"""The path of tempered densities between q(z) and p(x, z), and its initial samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.poutine.messenger import Messenger
from torch import Tensor, nn
from torch.distributions import biject_to

from ltm_pyro.bounds.draws import Draws
from ltm_pyro.bounds.hamiltonian import Point
from ltm_pyro.errors import InputError


class TemperedPath:
    r"""Path of tempered densities between q(z) and p(x, z), for S chains of each of the B sequences of a batch.

    .. math:: f_\beta(z) = q(z)\, w(z)^\beta, \qquad w(z) = \frac{p(x, z)}{q(z)}

    where q is the prior, so that w is the likelihood, or a guide. The latent sites are concatenated into one vector of
    N numbers.

    Args:
        model: a Pyro program.
        guide: q; the prior if None.
        batch: arguments of both, including the data.
        chains: S.

    Raises:
        InputError: if the model has no latent site, a site's support is not all real numbers, the guide's sites are not
            the model's, nothing is observed, or a site is outside the plate of sequences or scaled.
    """

    def __init__(self, model: nn.Module, guide: nn.Module | None, batch: dict[str, Any], chains: int) -> None:
        self.model, self.guide, self.batch, self.chains = model, guide, batch, chains
        prior = poutine.block(model, hide_fn=lambda site: site["type"] == "sample" and site["is_observed"])
        self.source = prior if guide is None else guide
        draws = self._draws(prior)
        if not draws.z:
            raise InputError("the model has no latent site: its log p(x) is exact, and needs no annealing")
        for name, value in draws.z.items():
            _check_real(name, draws.guide_trace.nodes[name]["fn"], value)
        self.shapes = {name: value.shape[2:] for name, value in draws.z.items()}
        self.sequences = draws.log_likelihood.shape[-1]  # B

    def start(self) -> tuple[Tensor, Tensor]:
        """S fresh samples of q for each sequence, shape (S, B, N), and the standard deviations of q, shape (B, N).

        Standard deviations that q does not define are 1.
        """
        draws = self._draws(self.source)
        if draws.z.keys() != self.shapes.keys():
            raise InputError(
                f"the guide samples {sorted(draws.z)}, the model {sorted(self.shapes)}: annealing from a "
                "guide needs the same sites in both"
            )
        spread = {name: _spread(draws.guide_trace.nodes[name]["fn"], value) for name, value in draws.z.items()}
        return self.joined(draws.z), self.joined(spread).mean(0)

    def at(self, z: Tensor) -> Point:
        """State at z, shape (S, B, N): both parts of the log-densities, and their gradients."""
        finite = z.isfinite().all(-1)
        with torch.enable_grad():
            # distributions may refuse NaN; such points are never accepted
            z_leaf = torch.where(finite[..., None], z, 0.0).detach().requires_grad_()
            draws = self._draws(self._holding(z_leaf))
            start = draws.log_q if self.guide is not None else draws.log_prior
            ratio = draws.log_weight if self.guide is not None else draws.log_likelihood
            (start_slope,) = torch.autograd.grad(start.sum(), z_leaf, retain_graph=True)
            (ratio_slope,) = torch.autograd.grad(ratio.sum(), z_leaf)
        start = torch.where(finite, start.detach(), -torch.inf)
        return Point(z.detach(), start, ratio.detach(), start_slope, ratio_slope)

    def repeated(self, z: Mapping[str, Tensor] | Tensor) -> Tensor:
        """One z for every sequence, (B, *event) by site or of the only site, repeated for S chains, shape (S, B, N).

        Raises:
            InputError: if the sites or their shapes are not the model's.
        """
        sites = z if isinstance(z, Mapping) else dict.fromkeys(self.shapes, z)
        shapes = {name: tuple(value.shape) for name, value in sites.items()}
        expected = {name: (self.sequences, *shape) for name, shape in self.shapes.items()}
        if shapes != expected or (len(expected) > 1 and sites is not z):
            raise InputError(
                f"z has the sites and shapes {shapes}, the model {expected}: give one z for every sequence"
            )
        return self.joined({name: value.expand(self.chains, *value.shape) for name, value in sites.items()})

    def joined(self, sites: Mapping[str, Tensor]) -> Tensor:
        """The latent sites concatenated, shape (S, B, N), from (S, B, *event) each."""
        return torch.cat([sites[name].flatten(2) for name in self.shapes], -1)

    def parted(self, z: Tensor) -> dict[str, Tensor]:
        """The latent sites by name, (S, B, *event) each, from (S, B, N)."""
        parts = z.split([shape.numel() for shape in self.shapes.values()], -1)
        return {name: part.unflatten(-1, shape) for part, (name, shape) in zip(parts, self.shapes.items(), strict=True)}

    def _holding(self, z: Tensor) -> Callable:
        """Guide that returns z: q with its density; or, where q is the prior, a Delta, as the model has the density."""
        sites = self.parted(z)

        def hold(**_: Any) -> None:
            with pyro.plate("sequences", self.sequences, dim=-1):
                for name, value in sites.items():
                    pyro.sample(name, dist.Delta(value, event_dim=value.dim() - 2))

        return hold if self.guide is None else _At(sites)(self.guide)

    def _draws(self, guide: Any) -> Draws:
        return Draws(self.model, guide, (), self.batch, self.chains)


class _At(Messenger):
    """Effect handler that sets the values of sites, as if they had been sampled."""

    def __init__(self, sites: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.sites = sites

    def _pyro_sample(self, msg: Any) -> None:
        if msg["name"] in self.sites:
            msg["value"] = self.sites[msg["name"]]


def _spread(q: Any, like: Tensor) -> Tensor:
    """Standard deviations of a distribution, of its sample's shape; 1 where they are undefined."""
    try:
        spread = q.stddev.expand_as(like)
    except NotImplementedError:
        return torch.ones_like(like)
    return torch.where(spread.isfinite() & (spread > 0), spread, 1.0)


def _check_real(name: str, p: Any, value: Tensor) -> None:
    """Raises InputError unless a site's support is all real numbers, as Hamiltonian trajectories need."""
    try:
        real = not p.support.is_discrete and torch.equal(biject_to(p.support)(value), value)
    except NotImplementedError:  # a support outside the registry, such as that of mixtures
        real = value.is_floating_point()
    if not real:
        raise InputError(
            f"the model samples site {name!r} from {type(p).__name__} with support {p.support}: annealing moves z "
            "along its gradient, which needs continuous sites over all real numbers; use ImportanceWeighted, ChiUpper"
        )
