"""The densities between q(z) and p(x, z), and where chains begin."""

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
    r"""The densities between q(z) and p(x, z) for one batch, at S points for each of its B sequences.

    .. math:: f_\beta(z) = q(z)\, w(z)^\beta, \qquad w(z) = \frac{p(x, z)}{q(z)}

    where q is the prior, so that w is the likelihood, or a guide. Latent sites are laid side by side in one vector of N
    numbers.

    Args:
        model: a Pyro program.
        guide: q; the prior if None.
        batch: arguments of both, the data among them.
        chains: S.

    Raises:
        InputError: if the model has no latent site, a site is not over all real numbers, the guide has other sites than
            the model, nothing is observed, or a site is outside the plate of sequences or scaled.
    """

    def __init__(self, model: nn.Module, guide: nn.Module | None, batch: dict[str, Any], chains: int) -> None:
        self.model, self.guide, self.batch, self.chains = model, guide, batch, chains
        prior = poutine.block(model, hide_fn=lambda site: site["type"] == "sample" and site["is_observed"])
        self.source = prior if guide is None else guide
        drawn = self._draws(prior)
        if not drawn.z:
            raise InputError("the model has no latent site: its log p(x) is exact, and needs no annealing")
        for name, value in drawn.z.items():
            _check_real(name, drawn.guide_trace.nodes[name]["fn"], value)
        self.shapes = {name: value.shape[2:] for name, value in drawn.z.items()}
        self.sequences = drawn.log_likelihood.shape[-1]  # B

    def start(self) -> tuple[Tensor, Tensor]:
        """S fresh samples of q for each sequence, shape (S, B, N), and the standard deviations of q, shape (B, N).

        The latter are 1 where q does not say.
        """
        drawn = self._draws(self.source)
        if drawn.z.keys() != self.shapes.keys():
            raise InputError(
                f"the guide samples {sorted(drawn.z)}, the model {sorted(self.shapes)}: a chain that starts from a "
                "guide needs the same sites in both"
            )
        spread = {name: _spread(drawn.guide_trace.nodes[name]["fn"], value) for name, value in drawn.z.items()}
        return self.joined(drawn.z), self.joined(spread).mean(0)

    def at(self, z: Tensor) -> Point:
        """Both parts of every log-density, and their slopes, at z of shape (S, B, N)."""
        finite = z.isfinite().all(-1)
        with torch.enable_grad():
            # no distribution is asked about NaN, and no such point is ever accepted
            z_leaf = torch.where(finite[..., None], z, 0.0).detach().requires_grad_()
            draws = self._draws(self._holding(z_leaf))
            start = draws.log_q if self.guide is not None else draws.log_prior
            ratio = draws.log_weight if self.guide is not None else draws.log_likelihood
            (start_slope,) = torch.autograd.grad(start.sum(), z_leaf, retain_graph=True)
            (ratio_slope,) = torch.autograd.grad(ratio.sum(), z_leaf)
        start = torch.where(finite, start.detach(), -torch.inf)
        return Point(z.detach(), start, ratio.detach(), start_slope, ratio_slope)

    def repeated(self, z: Mapping[str, Tensor] | Tensor) -> Tensor:
        """One z of every sequence, (B, *event) by site or of the only one, for all S chains, shape (S, B, N).

        Raises:
            InputError: if the sites or their shapes are not the model's.
        """
        sites = z if isinstance(z, Mapping) else dict.fromkeys(self.shapes, z)
        given = {name: tuple(value.shape) for name, value in sites.items()}
        expected = {name: (self.sequences, *shape) for name, shape in self.shapes.items()}
        if given != expected or (len(expected) > 1 and sites is not z):
            raise InputError(f"z has the sites and shapes {given}, the model {expected}: give one z for every sequence")
        return self.joined({name: value.expand(self.chains, *value.shape) for name, value in sites.items()})

    def joined(self, sites: Mapping[str, Tensor]) -> Tensor:
        """The latent sites side by side, shape (S, B, N), from (S, B, *event) each."""
        return torch.cat([sites[name].flatten(2) for name in self.shapes], -1)

    def parted(self, z: Tensor) -> dict[str, Tensor]:
        """The latent sites by name, (S, B, *event) each, from (S, B, N)."""
        parts = z.split([shape.numel() for shape in self.shapes.values()], -1)
        return {name: part.unflatten(-1, shape) for part, (name, shape) in zip(parts, self.shapes.items(), strict=True)}

    def _holding(self, z: Tensor) -> Callable:
        """A guide that "draws" z: q itself, or where that is the prior one of no density, since the model has it."""
        sites = self.parted(z)

        def hold(**_: Any) -> None:
            with pyro.plate("sequences", self.sequences, dim=-1):
                for name, value in sites.items():
                    pyro.sample(name, dist.Delta(value, event_dim=value.dim() - 2))

        return hold if self.guide is None else _At(sites)(self.guide)

    def _draws(self, guide: Any) -> Draws:
        return Draws(self.model, guide, (), self.batch, self.chains)


class _At(Messenger):
    """Puts values at sites, as if they had been drawn, and leaves the rest of a site to the plates around it."""

    def __init__(self, sites: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.sites = sites

    def _pyro_sample(self, msg: Any) -> None:
        if msg["name"] in self.sites:
            msg["value"] = self.sites[msg["name"]]


def _spread(q: Any, like: Tensor) -> Tensor:
    """The standard deviations of a distribution where it has them, 1 elsewhere, of one shape with its sample."""
    try:
        spread = q.stddev.expand_as(like)
    except NotImplementedError:
        return torch.ones_like(like)
    return torch.where(spread.isfinite() & (spread > 0), spread, 1.0)


def _check_real(name: str, p: Any, value: Tensor) -> None:
    """Hamiltonian trajectories pass through all real numbers, so that a site must be defined at each of them."""
    try:
        real = not p.support.is_discrete and torch.equal(biject_to(p.support)(value), value)
    except NotImplementedError:  # unknown to the registry: mixtures are, of real numbers
        real = value.is_floating_point()
    if not real:
        raise InputError(
            f"the model samples site {name!r} from {type(p).__name__} with support {p.support}: annealing moves z "
            "along its gradient, which needs continuous sites over all real numbers; use ImportanceWeighted, ChiUpper"
        )
