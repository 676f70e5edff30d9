"""The sample sites of a Pyro trace, and their log-densities per sequence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyro.distributions.util import scale_and_mask
from pyro.poutine import Trace
from pyro.poutine.messenger import Messenger
from torch import Tensor

from ltm_pyro.errors import InputError

PARTICLES, SEQUENCES = -2, -1  # dims of the two plates
LABEL = "r"  # the site of a text's label, which a model with a reward head samples when it writes a text


def sample_sites(trace: Trace) -> list[dict]:
    """The validated sample sites of a trace.

    Raises:
        InputError: for a site that is outside the plate of sequences, or scaled.
    """
    sites = [site for site in trace.nodes.values() if site["type"] == "sample"]
    for site in sites:
        if not any(frame.vectorized and frame.dim == SEQUENCES for frame in site["cond_indep_stack"]):
            raise InputError(
                f"site {site['name']!r} is outside the plate of sequences: a bound per sequence needs every "
                'site within pyro.plate("sequences", B, dim=-1)'
            )
        if not (isinstance(site["scale"], (int, float)) and site["scale"] == 1):
            raise InputError(
                f"the log-probability of site {site['name']!r} is scaled, so that nothing is bounded: "
                "use a plate of the batch's own size and scale the loss outside"
            )
    return sites


def total_log_prob(sites: Iterable[dict], particles: int, like: Tensor) -> Tensor:
    """Sum of the log-probabilities of sites, shape (S, B); zero without a site."""
    zero = like.new_zeros(particles, like.shape[-1])
    return sum((log_prob_of(site).expand_as(zero) for site in sites), zero)


def log_prob_of(site: dict) -> Tensor:
    """The log-probability of a site's value, computed lazily: with a closed-form KL that of z is not needed."""
    if "log_prob" not in site:
        site["log_prob"] = log_prob_at(site, site["value"])
    return site["log_prob"]


def log_prob_at(site: dict, value: Tensor) -> Tensor:
    """Log-probability of another value at a site, shape (S, B)."""
    log_prob = site["fn"].log_prob(value, *site["args"], **site["kwargs"])
    return scale_and_mask(log_prob, 1.0, site["mask"])


def holding(trace: Trace, names: list[str], values: list[Tensor]) -> Trace:
    """The same trace with other values at some sites."""
    held = trace.copy()
    for name, value in zip(names, values, strict=True):
        held.nodes[name] = {**trace.nodes[name], "value": value}
    return held


class Cut(Messenger):
    """Effect handler that detaches samples if `cut`; as the outermost handler, so that a trace records the detached."""

    def __init__(self, cut: bool) -> None:
        super().__init__()
        self.cut = cut

    def _pyro_post_sample(self, msg: Any) -> None:
        if self.cut and not msg["is_observed"]:
            msg["value"] = msg["value"].detach()
