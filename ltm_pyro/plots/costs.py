"""Common sign of all figures: a cost, lower is better."""

from __future__ import annotations

import textwrap

UPWARDS = ("elbo", "importance_weighted", "log_likelihood", "exact", "diffusion", "from_prior")
NAMES = {
    "elbo": "−ELBO",
    "importance_weighted": "−importance-weighted bound",
    "predictive": "predictive cost, second half or answer",
    "prior": "−log p(x), z from the prior",
    "from_prior": "−log p(x), z from the prior",
    "log_likelihood": "−log p(x | z)",
    "exact": "−log p(x), exact",
    "diffusion": "−diffusion ELBO",
    "kl": "KL(q ‖ p)",
}
LOWER = "Costs: lower is better."
HIGHER = "Scores: higher is better."


def cost(number: str, value: float) -> float:
    """Convert a number of a run's log or of a comparison of bounds into a cost.

    Logs and comparisons of bounds hold bounds of log p(x), higher is better; tables and figures hold their negative.
    A number that is a cost already, such as a KL, is unchanged.

    Args:
        number: key of the number, such as `elbo`.
        value: recorded value.
    """
    return -value if number in UPWARDS else value


def cost_label(number: str, unit: str = "nats/token") -> str:
    """Label of an axis of costs: name and unit, on two lines if they are long."""
    return textwrap.fill(f"{NAMES[number]}, {unit}", 24)
