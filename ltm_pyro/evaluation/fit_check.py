"""Convergence check of the fit of q: the reduction of the ELBO's cost by a longer fit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from ltm_pyro.evaluation.log_weights import under_posterior
from ltm_pyro.evaluation.score import ratio_error
from ltm_pyro.inference import FastLoop, TableFit

TOLERANCE = 0.003  # nats/token that a longer fit may still gain
LEAST_LONGER = TableFit().steps // 2  # least steps of a longer fit: twice a very short fit would prove little


@dataclass(frozen=True)
class FitCheck:
    """Settings of the fit of q, and the gain of a longer fit of the same texts.

    Attributes:
        steps: fast steps; 0 for a guide without local parameters.
        optimizer: optimizer of q's rows; empty for a guide without local parameters.
        longer: steps of the longer fit; None if there was none.
        gain: reduction of the ELBO's cost by the longer fit, nats per token; noise may make it negative.
        gain_error: standard error of the gain over sequences, paired.
        sequences: number of sequences that were fitted again.
    """

    steps: int
    optimizer: str = ""
    longer: int | None = None
    gain: float = math.nan
    gain_error: float = math.nan
    sequences: int = 0

    @property
    def converged(self) -> bool | None:
        """True if a longer fit gains no more than the tolerance, else False.

        None without a longer fit, and where a gain within the tolerance is not within it with two standard errors more.
        """
        if self.longer is None:
            return None
        if self.gain > TOLERANCE:
            return False
        return True if self.gain + 2 * self.gain_error <= TOLERANCE else None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; None replaces NaN."""
        plain = {name: None if value != value else value for name, value in asdict(self).items()}
        return {**plain, "tolerance": TOLERANCE, "converged": self.converged}

    @property
    def note(self) -> str:
        """Sentence below a table, with the remedy."""
        if not self.optimizer:
            return "No fast step fits q to a text: the guide's weights alone determine q."
        fitted = f"fitted in {self.steps} fast steps of {self.optimizer}"
        if self.longer is None:
            return f"q was {fitted}; the gain of a longer fit was not measured."
        error = "" if math.isnan(self.gain_error) else f" ± {self.gain_error:.4f}"
        gain = (
            f"{self.longer} steps take {self.gain:+.4f}{error} nats/token off the ELBO's cost "
            f"({self.sequences} of the sequences; tolerance {TOLERANCE})"
        )
        if self.converged is None:
            return f"Whether q has converged cannot be told from so few sequences: {fitted}, and {gain}."
        if self.converged:
            return f"q has converged: {fitted}, and {gain}."
        unclear = ", or more sequences, since the error is as large" if self.gain <= 2 * self.gain_error else ""
        return f"q has not converged: {fitted}, and {gain}. Give --fast_steps {self.longer} or more{unclear}."


def note_on_gains(gains: Mapping[str, tuple[float, float]]) -> list[str]:
    """Note below a table of several models on the gains of longer fits; no line if no gain was measured.

    Args:
        gains: `FitCheck.gain` and `gain_error` by the model's name.
    """
    if not gains:
        return []
    unconverged = {name: pair for name, pair in gains.items() if pair[0] > TOLERANCE}
    largest = max(gain for gain, _ in gains.values())
    if not unconverged:
        return [
            f"A longer fit of q takes at most {largest:+.4f} nats/token off an ELBO's cost (tolerance {TOLERANCE})."
        ]
    listing = "; ".join(f"{name} {gain:+.4f} ± {error:.4f}" for name, (gain, error) in unconverged.items())
    return [f"q has not converged: a longer fit takes nats/token off the ELBO's cost: {listing}. Take more steps."]


def fit_of(guide: Any, fast: FastLoop) -> FitCheck:
    """Settings of the fit of a guide that has been started, without a longer fit."""
    if not guide.local_parameters():
        return FitCheck(0)
    return FitCheck(fast.steps, type(fast.make_optimizer(guide)).__name__)


def longer_than(steps: int) -> int:
    """Steps of the longer fit: twice as many, and at least half the steps of `TableFit`."""
    return max(2 * steps, LEAST_LONGER)


def gain_of_longer(
    model: Any, guide: Any, fast: FastLoop, draws: int = 16, at_once: int = 8, **batch: Any
) -> np.ndarray:
    """Reduction of the ELBO's cost by a longer fit, nats per sequence, shape (B,).

    Both fits are scored with fresh noise, so that the gain is unbiased. The global random state is left as it was.

    Args:
        model, guide: the guide is reinitialised.
        fast: the fast loop of the table.
        draws, at_once: samples of z, and samples in one pass.
        batch: the model's arguments.
    """
    costs = []
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        for steps in (fast.steps, longer_than(fast.steps)):
            fast.lasting(steps).fit(model, guide, **batch)
            fitted = under_posterior(model, guide, draws, at_once, **batch)
            costs.append((fitted.kl - fitted.log_likelihood.mean(0)).double().cpu())
    return (costs[0] - costs[1]).numpy()


def checked(fit: FitCheck, gain: np.ndarray, tokens: np.ndarray) -> FitCheck:
    """Fit with the gain that `gain_of_longer` measured, from nats and tokens of each sequence, shape (N,)."""
    mean = float(gain.sum() / tokens.sum())
    longer = longer_than(fit.steps)
    return replace(fit, longer=longer, gain=mean, gain_error=ratio_error(gain, tokens), sequences=len(gain))
