"""The log-joint log p(x, z) of a batch, as a function of z."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.distributions.util import scale_and_mask
from pyro.poutine.messenger import Messenger
from torch import Tensor, nn

from ltm_pyro.inference.prefix_cache import PrefixCache


class LogJoint:
    r"""Log-joint (unnormalised log-posterior) of every sequence, :math:`\log p(x \mid z) + \log p(z)`, in nats.

    If the batch has labels r, :math:`\log p(r \mid z)` of those that are known is added.

    A distribution with a method `for_learning` is replaced by the result. Computations that do not depend on z are done
    once, so that the model's weights must not change.

    Args:
        model: with sites `z` and `x`, and `r` if it has a reward head.
        x, mask, kwargs: the batch.
    """

    def __init__(self, model: nn.Module, x: Tensor, mask: Tensor | None = None, **kwargs: Any) -> None:
        self.model, self.batch = model, {"x": x, "mask": mask, **kwargs}
        self._shared = PrefixCache()

    def __call__(self, z: Tensor) -> Tensor:
        """Log-joint of z, (B, *event) -> (B,), or (S, B, *event) -> (S, B), differentiable in z."""
        batch_shape = z.shape[:-3]
        plate = pyro.plate("particles", len(z), dim=-2) if len(batch_shape) == 2 else nullcontext()
        with self._shared, plate, _Held(z):
            trace = poutine.trace(self.model).get_trace(**self.batch)
        nodes = trace.nodes
        sites = [nodes["z"], nodes["x"], *(site for name, site in nodes.items() if name == "r" and site["is_observed"])]
        return torch.stack([_log_prob(site).expand(batch_shape) for site in sites]).sum(0)


class _Held(Messenger):
    """Effect handler that sets the site `z` to a value without observing it."""

    def __init__(self, z: Tensor) -> None:
        super().__init__()
        self.z = z

    def _pyro_sample(self, msg: Any) -> None:
        if msg["name"] == "z":
            msg["value"], msg["done"] = self.z, True


def _log_prob(site: dict[str, Any]) -> Tensor:
    """Log-density of a site's value; zero where the site is masked, as that of a missing label."""
    return scale_and_mask(_density(site["fn"]).log_prob(site["value"]), 1.0, site["mask"])


def _density(fn: Any) -> Any:
    return fn.for_learning() if hasattr(fn, "for_learning") else fn
