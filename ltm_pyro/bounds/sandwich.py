"""Log p(x) of simulated data from below and from above."""

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
from ltm_pyro.bounds.tempered_path import TemperedPath
from ltm_pyro.bounds.weights import effective_sample_size, log_mean_exp
from ltm_pyro.errors import InputError
from ltm_pyro.freezing import frozen
from ltm_pyro.ranges import bounded, whole


class Simulated(NamedTuple):
    """Data from the model itself, with the thoughts that they came of: an exact sample of the posterior of each."""

    z: Mapping[str, Tensor] | Tensor  # (B, *event) by site, or the one site's value
    x: Tensor  # (B, *event)


@dataclass(frozen=True)
class Bracket:
    r"""Log p(x) between two numbers, per sequence, in nats.

    Each is a bound in the mean: :math:`\mathbb{E}[\mathrm{lower}] \le \log p(x) \le \mathbb{E}[\mathrm{upper}]`. In
    one run either is on the wrong side by more than b nats with a probability of at most :math:`e^{-b}`.

    Attributes:
        lower, upper: shape (B,).
        acceptance: of the transitions forward and backward, their mean, shape (B,); NaN where there were none.
        effective_sample_size: of the chains forward, shape (B,), from 1 to S.
    """

    lower: Tensor
    upper: Tensor
    acceptance: Tensor
    effective_sample_size: Tensor

    @property
    def width(self) -> Tensor:
        """upper - lower, shape (B,): in the mean, the most that either is away from log p(x)."""
        return self.upper - self.lower


class Sandwich:
    r"""Bidirectional Monte Carlo: log p(x) of simulated data, enclosed by annealing forward and backward.

    .. math:: \mathrm{lower} = \log \tfrac1S \sum_s w_s, \qquad
              \mathrm{upper} = -\log \tfrac1S \sum_s \frac{1}{w'_s}

    (Grosse, Ghahramani and Adams, 2015, arXiv 1511.02543; Wu et al., 2017, arXiv 1611.04273.)
    :math:`w_s` is the weight of a chain annealed from q(z) to the posterior, of mean p(x); :math:`w'_s` that of one
    annealed back from an exact sample of the posterior, whose inverse has the mean 1/p(x). See `Annealing`.

    The exact sample exists where (z, x) were drawn from the model together, and there alone. For real data `lower`
    gives the lower bound; nothing gives an upper one.

    There is one exact sample for each x, and all S chains back start from it. Each of them is then a backward chain
    as it should be, and the mean of 1/w' needs no more to be right: chains that share their start are dependent,
    which costs variance and leaves the expectation. The mean is of the inverses: one of :math:`w'_s` is a looser bound.

    q is the prior, or a guide, fitted to x without a look at the simulated z. A guide near the posterior needs fewer
    temperatures; one that is narrower than the posterior, as fitted mean-field Gaussians are, may need more than the
    prior does, since the chains back begin where it has hardly any density.

    The model runs about 2 · temperatures · leapfrog_steps times on S · B sequences, forward and backward pass, half
    as often for `lower`, and a little more for the tuning. Its weights get no gradient. Noise comes from torch's global
    generator.

    Args:
        temperatures: T, intervals between the temperatures. The more, the narrower.
        leapfrog_steps: of each of the T - 1 transitions.
        chains: S, in either direction.
        schedule: of the temperatures, `sigmoid` or `linear`.
        tuning: temperatures of the preliminary run that finds step sizes, each met twice.
        listener: for progress: called with `tuning`, `forward` or `backward`, the transitions made, and how many there
            will be.

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
        """Draw z, and x of it, for a batch of sequences.

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
        return Simulated(values, x)

    @torch.no_grad()
    def bracket(
        self,
        model: nn.Module,
        simulated: Simulated | tuple[Mapping[str, Tensor] | Tensor, Tensor] | int,
        guide: nn.Module | None = None,
        **batch: Any,
    ) -> Bracket:
        """Enclose log p(x) of simulated data.

        Args:
            model: a Pyro program.
            simulated: from `simulate`: z and the x that was drawn of it, by the model as it is now and with the same
                further arguments; or B, to simulate as many.
            guide: where the chains forward begin; the prior if None.
            batch: further arguments of model and guide. A mask may only leave out the end of a sequence.

        Raises:
            InputError: also if z does not fit the model's sites, or the mask leaves out tokens that are read.
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
        """A lower bound in the mean, for any data, shape (B,), in nats per sequence.

        Args:
            model: a Pyro program.
            guide: where the chains begin; the prior if None.
            batch: arguments of model and guide, with the data: x, mask, previous.
        """
        with frozen(_held(model, guide)):
            annealing = self._anneal(TemperedPath(model, guide, batch, self.chains))
            return self.lower_value(annealing.forward().log_weight)

    def lower_value(self, log_w: Tensor) -> Tensor:
        """The lower bound, from the log-weights of the chains forward, (S, B) -> (B,)."""
        return log_mean_exp(log_w)

    def upper_value(self, log_w: Tensor) -> Tensor:
        """The upper bound, from the log-weights of the chains back, (S, B) -> (B,)."""
        return -log_mean_exp(-log_w)

    def _anneal(self, path: TemperedPath) -> Annealing:
        return Annealing(path, self.temperatures, self.schedule, self.leapfrog_steps, self.tuning, self.listener)

    def __repr__(self) -> str:
        return (
            f"Sandwich(temperatures={self.temperatures}, leapfrog_steps={self.leapfrog_steps}, chains={self.chains}, "
            f"schedule={self.schedule!r})"
        )


def _check_mask(mask: Tensor | None) -> None:
    """Tokens that are read but not scored came of z too, so that z is no sample of the posterior given the others."""
    if mask is not None and bool((mask[..., 1:] & ~mask[..., :-1]).any()):
        raise InputError(
            "the mask leaves out tokens before others that are scored: a simulated z is an exact sample of the "
            "posterior only if all that came of it is scored, ends apart; use lower(), or a mask of ends alone"
        )


def _held(*programs: Any) -> Iterator[Tensor]:
    """Every parameter of some programs: no gradient is wanted but along z."""
    names = ("parameters", "local_parameters")
    return chain.from_iterable(getattr(program, name, list)() for program in programs for name in names)
