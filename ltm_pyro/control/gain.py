"""The gain of a control's prior on held-out texts, as a difference of ELBOs in nats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ltm_pyro.control.flow_fit import log_density
from ltm_pyro.control.posterior_draws import PosteriorDraws
from ltm_pyro.control.prior import ControlPrior
from ltm_pyro.evaluation.score import ratio_error
from ltm_pyro.tables import aligned, with_error

SHUFFLES = 8  # permutations of the held-out values, whose mean is reported
Estimate = tuple[float, float]  # a mean and its standard error


@dataclass(frozen=True)
class ControlGain:
    r"""Differences of ELBOs of M held-out texts, each a sum over the sequences of a text, in nats.

    With q as it was fitted under p(z), the ELBO under another prior :math:`\tilde p` differs by
    :math:`\mathbb{E}_q[\log \tilde p(z) - \log p(z)]`, estimated by draws of q. It is also the ELBO's least
    difference: a q fitted under :math:`\tilde p` would be no worse there.

    Attributes:
        sequences: the number of each text's sequences, (M,).
        kl: KL(q || p(z)), (M,).
        given, without, shuffled: the difference with p(z | value), with the same flow fitted without a condition, and
            with p(z | value of another text at random), (M,) each.
        entropy: of the values among the held-out texts, nats; the most that a condition gains on the best prior
            without one.
    """

    sequences: np.ndarray
    kl: np.ndarray
    given: np.ndarray
    without: np.ndarray
    shuffled: np.ndarray
    entropy: float

    def mean(self, nats: np.ndarray) -> Estimate:
        """Mean in nats a sequence, with its standard error over texts."""
        return float(nats.sum() / self.sequences.sum()), ratio_error(nats, self.sequences)

    @property
    def of_condition(self) -> Estimate:
        """Gain of the condition: p(z | value) against the same flow without one, paired."""
        return self.mean(self.given - self.without)

    @property
    def of_wrong_values(self) -> Estimate:
        """The same with shuffled values, which have nothing to gain."""
        return self.mean(self.shuffled - self.without)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        columns = {"kl": self.kl, "given": self.given, "without": self.without, "shuffled": self.shuffled}
        estimates = {name: self.mean(nats) for name, nats in columns.items()}
        estimates |= {"of_condition": self.of_condition, "of_wrong_values": self.of_wrong_values}
        numbers = {name: {"nats": mean, "error": error} for name, (mean, error) in estimates.items()}
        return {"texts": len(self.kl), "sequences": int(self.sequences.sum()), "entropy": self.entropy, **numbers}

    def table(self, field: str, unit: str = "text") -> str:
        """The numbers as Markdown that can be read in a terminal.

        Args:
            field: the name of the condition.
            unit: the name of a sequence: `text` or `window`.
        """
        zero = np.zeros_like(self.kl)
        rows = [("p(z), the run's prior", zero), ("the same flow without a condition", self.without)]
        rows += [(f"p(z|{field})", self.given), (f"p(z|{field}), values shuffled", self.shuffled)]
        head = ("prior of the thoughts", f"KL of q, nats/{unit}", "ELBO above that with p(z)")
        cells = [(name, _shown(self.mean(self.kl - nats)), _shown(self.mean(nats), "+")) for name, nats in rows]
        cells[0] = (*cells[0][:2], "0")
        return "\n".join([*aligned([head, *cells]), "", *self._notes(field, unit)])

    def _notes(self, field: str, unit: str) -> list[str]:
        texts, sequences = len(self.kl), int(self.sequences.sum())
        parts = "" if texts == sequences else f" in {sequences:,} {unit}s"
        gain, wrong = self.of_condition, self.of_wrong_values
        return [
            f"{texts:,} held-out text{'s' * (texts != 1)}{parts}; ± one standard error over texts, differences paired.",
            f"Gain of the condition, p(z|{field}) - the same flow without it: {_shown(gain, '+')} nats/{unit}: "
            f"{verdict(*gain)}.",
            f"The same with shuffled values: {_shown(wrong, '+')} nats/{unit}.",
            f"Entropy of the values: {self.entropy:.4f} nats, the most that a condition can add to the best prior "
            "without one.",
        ]


def verdict(gain: float, error: float) -> str:
    """Verdict in words on the gain of a condition, by two standard errors."""
    if math.isnan(error):
        return "one text alone, which has no error"
    if abs(gain) <= 2 * error:
        return "within two standard errors of zero, so that the condition is not shown to tell anything"
    return "above zero, the condition tells this much" if gain > 0 else "below zero, the condition misleads the flow"


def measure_gain(
    draws: PosteriorDraws,
    texts: Sequence[int] | np.ndarray,
    given: tuple[ControlPrior, Tensor],
    without: ControlPrior,
    names: Sequence[str],
    seed: int = 0,
) -> ControlGain:
    """Measure a fitted control's prior on held-out texts.

    Args:
        draws: of the posteriors of N sequences.
        texts: the text of each sequence by its number, 0 to M - 1, (N,).
        given: p(z | value), and the value of each text as its condition takes it, (M, ...).
        without: the same flow fitted without a condition.
        names: the value of each text, (M,).
        seed: of the permutations.
    """
    of_text = torch.as_tensor(np.asarray(texts), dtype=torch.long)
    prior, values = given
    generator = torch.Generator().manual_seed(seed)

    def nats(densities: Tensor) -> np.ndarray:
        """Mean over draws, summed over the sequences of each text."""
        return np.bincount(of_text.numpy(), densities.double().mean(0).numpy(), minlength=len(names))

    def difference(prior: ControlPrior, values: Tensor) -> np.ndarray:
        return nats(log_density(prior, draws.z, values[of_text]).double() - draws.log_prior)

    orders = [torch.randperm(len(names), generator=generator) for _ in range(SHUFFLES)]
    shares = np.unique(list(names), return_counts=True)[1] / len(names)
    return ControlGain(
        sequences=np.bincount(of_text.numpy(), minlength=len(names)),
        kl=nats(draws.log_q.double() - draws.log_prior),
        given=difference(prior, values),
        without=difference(without, values),
        shuffled=np.mean([difference(prior, values[order]) for order in orders], 0),
        entropy=float(-(shares * np.log(shares)).sum()),
    )


def _shown(estimate: Estimate, sign: str = "") -> str:
    mean, error = estimate
    return f"{'+' if sign and mean >= 0 else ''}{with_error(mean, error)}"
