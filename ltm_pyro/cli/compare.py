"""`ltm compare WHAT`: comparison of bounds, guides, priors or trained models."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from ltm_pyro.errors import InputError
from ltm_pyro.runs.names import did_you_mean

WHAT = {
    "bounds": "bounds and gradient estimators: tightness, gradients, cost, learning curves",
    "guides": "guides on one trained decoder: the four numbers at equal budgets, the split of the gap, cost, curves",
    "models": "trained runs of any kind, in bits per byte: at equal tokens, training compute and time on a device",
    "priors": "priors, each trained at an equal budget: the four numbers, KL, aggregated posterior, cost, samples",
}

USAGE = f"""usage: ltm compare WHAT ...          (ltm compare WHAT --help lists its arguments)

{chr(10).join(f"  {name:15} {summary}" for name, summary in WHAT.items())}
"""


def main(argv: Sequence[str]) -> int:
    """Run `ltm compare`; returns the exit code."""
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0
    subject = argv[0]
    if subject not in WHAT:
        hint = did_you_mean(subject, WHAT)
        raise InputError(f"ltm compare {subject}: {hint}Expected one of {', '.join(WHAT)}, then its arguments")
    return import_module(f"ltm_pyro.cli.compare_{subject}").main(argv[1:])
