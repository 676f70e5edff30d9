"""The one sign of all figures: a cost, which is lower where a model is better."""

from __future__ import annotations

UPWARDS = ("elbo", "importance_weighted", "log_likelihood", "exact", "diffusion", "from_prior")
NAMES = {
    "elbo": "−ELBO",
    "importance_weighted": "−importance-weighted bound",
    "predictive": "predictive cost, second half",
    "prior": "−log p(x), z from the prior",
    "from_prior": "−log p(x), z from the prior",
    "log_likelihood": "−log p(x | z)",
    "exact": "−log p(x), exact",
    "diffusion": "−diffusion ELBO",
    "kl": "KL(q ‖ p)",
}
LOWER = "Costs: lower is better."


def cost(number: str, value: float) -> float:
    """A number of a run's log or of a comparison of bounds, turned into a cost.

    Logs and comparisons of bounds hold bounds of log p(x), higher is better; tables and figures hold their negative.
    What is a cost already, such as a KL, stays as it is.

    Args:
        number: its key, such as `elbo`.
        value: as recorded.
    """
    return -value if number in UPWARDS else value


def cost_label(number: str, unit: str = "nats/token") -> str:
    """The label of an axis of costs: name and unit, on two lines if they are long."""
    name = NAMES[number]
    return f"{name},{chr(10) if len(name) > 20 else ' '}{unit}"
