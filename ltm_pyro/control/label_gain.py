"""The gain of a reward head on held-out labels, with the control: a head that is fitted to shuffled labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ltm_pyro.bounds.weights import log_mean_exp
from ltm_pyro.control.head_fit import HeadFit, fit_head, fresh_head
from ltm_pyro.control.labelled_draws import LabelledDraws
from ltm_pyro.models import AbstractReward
from ltm_pyro.tables import aligned, with_error

SHUFFLES = 4  # permutations of the training labels, each with a head of its own; their mean is reported
ROWS = {
    "own": "the run's head",
    "again": "the same head, fitted to draws of q alone",
    "shuffled": "the same, training labels shuffled",
    "marginal": "frequencies of the training labels, no z",
}
NUMERIC = {**ROWS, "marginal": "Gaussian of the training labels, no z"}


@dataclass(frozen=True)
class LabelGain:
    r"""Costs of the labels of M held-out texts under four predictions, in nats a label.

    .. math:: -\log \tfrac1S \sum_s p(r \mid z_s), \qquad z_s \sim q(z \mid x)

    with q fitted to the text alone, so that no label leaks. Each is the cost of a normalised prediction of r, a proper
    score, though with an approximate q none is a bound on :math:`\log p(r \mid x)`.

    Attributes:
        nats: cost by name, (M,) each: `own`, the run's head; `again`, a head of the same class fitted to posteriors of
            training texts alone; `shuffled`, the mean of such heads fitted to shuffled labels; `marginal`, the
            distribution of the training labels without z.
        right: likewise, whether the likeliest value is the label, from 0 to 1; empty for numbers.
        training: number of training texts.
    """

    nats: dict[str, np.ndarray]
    right: dict[str, np.ndarray]
    training: int

    def gain(self, name: str) -> tuple[float, float]:
        """Gain of a prediction over `marginal`, nats a label, and its paired standard error; NaN for one text."""
        return _mean(self.nats["marginal"] - self.nats[name])

    def records(self) -> list[dict[str, Any]]:
        """A flat dictionary for each prediction."""
        found = []
        for name, nats in self.nats.items():
            (cost, error), (gain, gain_error) = _mean(nats), self.gain(name)
            record = {"prediction": name, "nats": cost, "error": error, "gain": gain, "gain_error": gain_error}
            if name in self.right:
                record["accuracy"], record["accuracy_error"] = _mean(self.right[name])
            found.append({**record, "texts": len(nats), "training_texts": self.training})
        return found

    def table(self) -> str:
        """The numbers as Markdown that can be read in a terminal."""
        accuracy = bool(self.right)
        labels = ROWS if accuracy else NUMERIC
        head = ("prediction of a held-out label", "nats/label", "gain over no z, nats", *["accuracy"] * accuracy)
        rows = []
        for record in self.records():
            gain = "0" if record["prediction"] == "marginal" else _signed(record["gain"], record["gain_error"])
            row = (labels[record["prediction"]], with_error(record["nats"], record["error"]), gain)
            rows.append((*row, with_error(record["accuracy"], record["accuracy_error"], 3)) if accuracy else row)
        return "\n".join([*aligned([head, *rows]), "", *self._notes()])

    def _notes(self) -> list[str]:
        count, (wrong, error) = len(self.nats["own"]), self.gain("shuffled")
        return [
            f"{count:,} labelled held-out texts, heads fitted to {self.training:,} training texts; ± one standard "
            "error over texts, gains paired. q is fitted to the text alone.",
            f"The run's head: {verdict(*self.gain('own'))}.",
            f"The control, shuffled labels: {_signed(wrong, error)} nats, {verdict(wrong, error)}.",
        ]


def verdict(gain: float, error: float) -> str:
    """Verdict in words on a gain over the marginal distribution, by two standard errors."""
    if math.isnan(error):
        return "one text alone, which has no error"
    if abs(gain) <= 2 * error:
        return "within two standard errors of no gain"
    return "above no gain, the thoughts tell of the label" if gain > 0 else "worse than a prediction without thoughts"


def measure_labels(
    own: AbstractReward,
    training: LabelledDraws,
    held_out: LabelledDraws,
    vocabulary: int,
    settings: HeadFit | None = None,
    seed: int = 0,
) -> LabelGain:
    """Measure a run's reward head on held-out texts, with heads fitted anew to true and to shuffled labels.

    Args:
        own: the run's head.
        training, held_out: draws of the posteriors of labelled texts.
        vocabulary: V, for a head that reads prompts.
        settings: of the fits.
        seed: of fits and permutations; the global random state is left as it was.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        start = fresh_head(own, vocabulary, training.r)

        def fitted(draws: LabelledDraws, number: int) -> AbstractReward:
            return fit_head(fresh_head(own, vocabulary, training.r), draws, settings, seed + number)

        again = fitted(training, 0)
        shuffled = [fitted(training.shuffled(generator), 1 + number) for number in range(SHUFFLES)]
    heads = {"own": [own], "again": [again], "shuffled": shuffled, "marginal": [start]}
    nats = {name: np.mean([_cost(head, held_out) for head in group], 0) for name, group in heads.items()}
    right = {name: np.mean([_right(head, held_out) for head in group], 0) for name, group in heads.items()}
    return LabelGain(nats, {} if own.numeric else right, len(training.r))


@torch.no_grad()
def _cost(head: AbstractReward, draws: LabelledDraws) -> np.ndarray:
    return -log_mean_exp(draws.log_prob(head).double()).numpy()


@torch.no_grad()
def _right(head: AbstractReward, draws: LabelledDraws) -> np.ndarray:
    """Whether the likeliest value, in the mean over draws, is the label, (N,); zeros for numbers."""
    if head.numeric:
        return np.zeros(len(draws.r))
    p: Any = head(draws.z, head.context_of(draws.x, draws.prompts))
    likeliest: Tensor = p.probs.mean(0).argmax(-1)
    return (likeliest == draws.r).double().numpy()


def _mean(values: np.ndarray) -> tuple[float, float]:
    error = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return float(values.mean()), float(error)


def _signed(mean: float, error: float) -> str:
    return f"{'+' if mean >= 0 else ''}{with_error(mean, error)}"
