"""Whether the q behind a table has converged: what a longer fit still closes."""

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

TOLERANCE = 0.003  # nats/token that a longer fit may still close
LEAST_LONGER = TableFit().steps // 2  # steps of a longer fit: twice too few would say little


@dataclass(frozen=True)
class FitCheck:
    """How q was fitted, and what a longer fit of the same texts closes.

    Attributes:
        steps: fast steps; 0 where nothing is local to a text.
        optimizer: of q's rows; empty where nothing is local.
        longer: steps of the longer fit; None if there was none.
        gain: what it takes off the ELBO's cost, nats per token; noise may make it negative.
        gain_error: its standard error over sequences, paired.
        sequences: how many of them were fitted again.
    """

    steps: int
    optimizer: str = ""
    longer: int | None = None
    gain: float = math.nan
    gain_error: float = math.nan
    sequences: int = 0

    @property
    def converged(self) -> bool | None:
        """Whether a longer fit takes off no more than the tolerance; None where that was not measured."""
        return None if self.longer is None else self.gain <= TOLERANCE

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain numbers, for JSON; None where nothing was measured."""
        plain = {name: None if value != value else value for name, value in asdict(self).items()}
        return {**plain, "tolerance": TOLERANCE, "converged": self.converged}

    @property
    def note(self) -> str:
        """In words, with the remedy."""
        if not self.optimizer:
            return "No fast step fits q to a text: it is what its guide's weights say."
        how = f"fitted in {self.steps} fast steps of {self.optimizer}"
        if self.longer is None:
            return f"q was {how}; what a longer fit would change was not measured."
        error = "" if math.isnan(self.gain_error) else f" ± {self.gain_error:.4f}"
        closes = (
            f"{self.longer} steps take {self.gain:+.4f}{error} nats/token off the ELBO's cost "
            f"({self.sequences} of the sequences; tolerance {TOLERANCE})"
        )
        if self.converged:
            return f"q has converged: {how}, and {closes}."
        unclear = ", or more sequences, since the error is as large" if self.gain <= 2 * self.gain_error else ""
        return f"q has not converged: {how}, and {closes}. Give --fast_steps {self.longer} or more{unclear}."


def note_on_gains(gains: Mapping[str, tuple[float, float]]) -> list[str]:
    """One line below a table of several models about the gains of longer fits; none where nothing was measured.

    Args:
        gains: by name, as `FitCheck.gain` and `gain_error`.
    """
    if not gains:
        return []
    late = {name: both for name, both in gains.items() if both[0] > TOLERANCE}
    most = max(gain for gain, _ in gains.values())
    if not late:
        return [f"A longer fit of q takes at most {most:+.4f} nats/token off an ELBO's cost (tolerance {TOLERANCE})."]
    named = "; ".join(f"{name} {gain:+.4f} ± {error:.4f}" for name, (gain, error) in late.items())
    return [f"q has not converged: a longer fit takes nats/token off the ELBO's cost: {named}. Take more steps."]


def fit_of(guide: Any, fast: FastLoop) -> FitCheck:
    """How a guide that has been started is fitted, without a longer fit."""
    if not guide.local_parameters():
        return FitCheck(0)
    return FitCheck(fast.steps, type(fast.make_optimizer(guide)).__name__)


def longer_than(steps: int) -> int:
    """Steps of the longer fit: twice as many, and no fewer than half of what tables take by themselves."""
    return max(2 * steps, LEAST_LONGER)


def gain_of_longer(
    model: Any, guide: Any, fast: FastLoop, draws: int = 16, at_once: int = 8, **batch: Any
) -> np.ndarray:
    """Reduction of the ELBO's cost by a longer fit, nats per sequence, shape (B,).

    Both fits are scored with fresh noise, so that nothing is biased. The global random state is left as it was.

    Args:
        model, guide: the guide is started anew.
        fast: the loop of the table.
        draws, at_once: samples of z, and how many in one pass.
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
    """The same fit with what `gain_of_longer` found for some sequences of so many tokens."""
    mean = float(gain.sum() / tokens.sum())
    longer = longer_than(fit.steps)
    return replace(fit, longer=longer, gain=mean, gain_error=ratio_error(gain, tokens), sequences=len(gain))
