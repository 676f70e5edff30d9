"""The sample sites of a Pyro trace, as bounds per sequence need them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyro.distributions.util import scale_and_mask
from pyro.poutine import Trace
from pyro.poutine.messenger import Messenger
from torch import Tensor

from ltm_pyro.errors import InputError

PARTICLES, SEQUENCES = -2, -1  # dims of the two plates


def sample_sites(trace: Trace) -> list[dict]:
    """The sample sites of a trace, each of them checked.

    Raises:
        InputError: for one that is outside the plate of sequences, or scaled.
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
    """Log-probabilities of some sites, added up, shape (S, B); zero where there are none."""
    zero = like.new_zeros(particles, like.shape[-1])
    return sum((log_prob_of(site).expand_as(zero) for site in sites), zero)


def log_prob_of(site: dict) -> Tensor:
    """The log-probability of a site's value, computed when first asked for: a closed-form KL needs none of z's."""
    if "log_prob" not in site:
        site["log_prob"] = log_prob_at(site, site["value"])
    return site["log_prob"]


def log_prob_at(site: dict, value: Tensor) -> Tensor:
    """log q of another value at a site, shape (S, B)."""
    log_prob = site["fn"].log_prob(value, *site["args"], **site["kwargs"])
    return scale_and_mask(log_prob, 1.0, site["mask"])


def holding(trace: Trace, names: list[str], values: list[Tensor]) -> Trace:
    """The same trace with other values at some sites."""
    held = trace.copy()
    for name, value in zip(names, values, strict=True):
        held.nodes[name] = {**trace.nodes[name], "value": value}
    return held


class Cut(Messenger):
    """Cuts every sample from what it was made of, if asked to. It stands outside, so that a trace keeps the cut one."""

    def __init__(self, cut: bool) -> None:
        super().__init__()
        self.cut = cut

    def _pyro_post_sample(self, msg: Any) -> None:
        if self.cut and not msg["is_observed"]:
            msg["value"] = msg["value"].detach()
