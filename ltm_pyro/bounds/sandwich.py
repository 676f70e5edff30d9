"""Bidirectional Monte Carlo: lower and upper bounds on log p(x) of simulated data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import torch
from pyro import poutine
from pyro.poutine.util import prune_subsample_sites
from torch import Tensor, nn

from ltm_pyro.bounds.annealing import Annealing, Listener, Schedule
from ltm_pyro.bounds.sites import LABEL
from ltm_pyro.bounds.tempered_path import TemperedPath
from ltm_pyro.bounds.weights import effective_sample_size, log_mean_exp
from ltm_pyro.errors import InputError
from ltm_pyro.freezing import frozen
from ltm_pyro.ranges import bounded, whole


class Simulated(NamedTuple):
    """Data simulated by the model, with the latents z that generated them: an exact posterior sample for each x."""

    z: Mapping[str, Tensor] | Tensor  # (B, *event) by site, or the one site's value
    x: Tensor  # (B, *event)


@dataclass(frozen=True)
class Bracket:
    r"""Lower and upper bound on log p(x), per sequence, in nats.

    Both are bounds in the mean: :math:`\mathbb{E}[\mathrm{lower}] \le \log p(x) \le \mathbb{E}[\mathrm{upper}]`. In
    a single run, each is on the wrong side by more than b nats with a probability of at most :math:`e^{-b}`.

    Attributes:
        lower, upper: shape (B,).
        acceptance: mean acceptance of the forward and backward transitions, shape (B,); NaN where there are none.
        effective_sample_size: of the forward chains, shape (B,), from 1 to S.
    """

    lower: Tensor
    upper: Tensor
    acceptance: Tensor
    effective_sample_size: Tensor

    @property
    def width(self) -> Tensor:
        """Width upper - lower, shape (B,): in the mean, the largest distance of either bound from log p(x)."""
        return self.upper - self.lower


class Sandwich:
    r"""Bidirectional Monte Carlo: bounds on log p(x) of simulated data, by forward and backward annealing.

    .. math:: \mathrm{lower} = \log \tfrac1S \sum_s w_s, \qquad
              \mathrm{upper} = -\log \tfrac1S \sum_s \frac{1}{w'_s}

    (Grosse, Ghahramani and Adams, 2015, arXiv 1511.02543; Wu et al., 2017, arXiv 1611.04273.)
    :math:`w_s` is the weight of a chain annealed from q(z) to the posterior, of mean p(x); :math:`w'_s` that of one
    annealed back from an exact sample of the posterior, whose inverse has the mean 1/p(x). See `Annealing`.

    An exact posterior sample is known only where (z, x) were drawn from the model together. For real data `lower` gives
    the lower bound; there is no upper one.

    There is one exact sample for each x, from which all S backward chains start. Each is a valid backward chain, so
    that the mean of 1/w' has the right expectation; chains with a common start are dependent, which costs variance
    only. The mean is of the inverses: a mean of :math:`w'_s` gives a looser bound.

    q is the prior, or a guide, fitted to x without access to the simulated z. A guide near the posterior needs fewer
    temperatures; one that is narrower than the posterior, as fitted mean-field Gaussians are, may need more than the
    prior, since the backward chains start where it has hardly any density.

    The model runs about 2 · temperatures · leapfrog_steps times, forward and backward pass, on S · B sequences, half as
    often for `lower`, and a little more for the tuning. Its weights get no gradient. Noise comes from torch's global
    generator.

    Args:
        temperatures: T, the number of intervals between temperatures; more make the bracket narrower.
        leapfrog_steps: of each of the T - 1 transitions.
        chains: S, in either direction.
        schedule: of the temperatures, `sigmoid` or `linear`.
        tuning: temperatures of the preliminary run that tunes step sizes, which passes each twice.
        listener: a callback for progress, called with `tuning`, `forward` or `backward`, the transitions made, and
            their total.

    Raises:
        InputError: for a number that is not positive, or an unknown schedule; from the methods, for a model with
            discrete latent sites, scaled ones, sites outside the plate of sequences, or none.

    Example:
        >>> from ltm_pyro.models.exact import LinearGaussian
        >>> bracket = Sandwich(temperatures=20, chains=2).bracket(LinearGaussian(), 3)
        >>> bracket.lower.shape, bracket.upper.shape
        (torch.Size([3]), torch.Size([3]))
    """

    @bounded(temperatures=whole(1), leapfrog_steps=whole(1), chains=whole(1), tuning=whole(0))
    def __init__(
        self,
        temperatures: int = 1000,
        leapfrog_steps: int = 10,
        chains: int = 4,
        schedule: Schedule = "sigmoid",
        tuning: int = 100,
        listener: Listener | None = None,
    ) -> None:
        numbers = {"temperatures": temperatures, "leapfrog_steps": leapfrog_steps, "chains": chains, "tuning": tuning}
        for name, number in numbers.items():
            if number < 1:
                raise InputError(f"{name}={number}: expected 1 or more")
        if schedule not in ("sigmoid", "linear"):
            raise InputError(f"schedule={schedule!r}: expected 'sigmoid' or 'linear'")
        self.temperatures, self.leapfrog_steps, self.chains = temperatures, leapfrog_steps, chains
        self.schedule, self.tuning, self.listener = schedule, tuning, listener

    @torch.no_grad()
    def simulate(self, model: nn.Module, batch_size: int, **batch: Any) -> Simulated:
        """Sample z and x from the model, for a batch of sequences.

        Args:
            model: a Pyro program whose data are its site `x`.
            batch_size: B.
            batch: further arguments of the model.

        Raises:
            InputError: if the batch is empty or there is no such site.
        """
        if batch_size < 1:
            raise InputError(f"batch_size={batch_size}: expected 1 or more sequences")
        trace = prune_subsample_sites(poutine.trace(model).get_trace(batch_size=batch_size, **batch))
        values = {name: trace.nodes[name]["value"] for name in trace.stochastic_nodes}
        if "x" not in values:
            raise InputError(f"the model samples {sorted(values)}: expected its data at a site named 'x'")
        x = values.pop("x")
        values.pop(LABEL, None)  # marginal in log p(x)
        return Simulated(values, x)

    @torch.no_grad()
    def bracket(
        self,
        model: nn.Module,
        simulated: Simulated | tuple[Mapping[str, Tensor] | Tensor, Tensor] | int,
        guide: nn.Module | None = None,
        **batch: Any,
    ) -> Bracket:
        """Lower and upper bounds on log p(x) of simulated data.

        Args:
            model: a Pyro program.
            simulated: the result of `simulate`, by the model with its current weights and the same further arguments;
                or B, to simulate as many.
            guide: the distribution at which the forward chains start; the prior if None.
            batch: further arguments of model and guide. A mask may only leave out the end of a sequence.

        Raises:
            InputError: also if z does not fit the model's sites, or the mask leaves out tokens before scored ones.
        """
        _check_mask(batch.get("mask"))
        z, x = self.simulate(model, simulated, **batch) if isinstance(simulated, int) else simulated
        with frozen(_held(model, guide)):
            path = TemperedPath(model, guide, {"x": x, **batch}, self.chains)
            exact = path.repeated(z)
            annealing = self._anneal(path)
            forward, backward = annealing.forward(), annealing.backward(exact)
        return Bracket(
            lower=self.lower_value(forward.log_weight),
            upper=self.upper_value(backward.log_weight),
            acceptance=(forward.acceptance + backward.acceptance) / 2,
            effective_sample_size=effective_sample_size(forward.log_weight),
        )

    @torch.no_grad()
    def lower(self, model: nn.Module, guide: nn.Module | None = None, **batch: Any) -> Tensor:
        """Lower bound on log p(x) in the mean, for any data, shape (B,), in nats per sequence.

        Args:
            model: a Pyro program.
            guide: the distribution at which the chains start; the prior if None.
            batch: arguments of model and guide, with the data: x, mask, previous.
        """
        with frozen(_held(model, guide)):
            annealing = self._anneal(TemperedPath(model, guide, batch, self.chains))
            return self.lower_value(annealing.forward().log_weight)

    def lower_value(self, log_w: Tensor) -> Tensor:
        """Lower bound from the log-weights of the forward chains, (S, B) -> (B,)."""
        return log_mean_exp(log_w)

    def upper_value(self, log_w: Tensor) -> Tensor:
        """Upper bound from the log-weights of the backward chains, (S, B) -> (B,)."""
        return -log_mean_exp(-log_w)

    def _anneal(self, path: TemperedPath) -> Annealing:
        return Annealing(path, self.temperatures, self.schedule, self.leapfrog_steps, self.tuning, self.listener)

    def __repr__(self) -> str:
        return (
            f"Sandwich(temperatures={self.temperatures}, leapfrog_steps={self.leapfrog_steps}, chains={self.chains}, "
            f"schedule={self.schedule!r})"
        )


def _check_mask(mask: Tensor | None) -> None:
    """Raises InputError for a mask under which the simulated z is no posterior sample given the scored tokens."""
    if mask is not None and bool((mask[..., 1:] & ~mask[..., :-1]).any()):
        raise InputError(
            "the mask leaves out tokens before scored ones, which also depend on the simulated z: it is then no exact "
            "sample of the posterior given the scored tokens; use lower(), or a mask that leaves out ends only"
        )


def _held(*programs: Any) -> Iterator[Tensor]:
    """All parameters of the programs, which need no gradient."""
    names = ("parameters", "local_parameters")
    return chain.from_iterable(getattr(program, name, list)() for program in programs for name in names)
