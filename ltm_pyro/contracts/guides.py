"""Quick checks of a guide."""

from __future__ import annotations

from typing import Any

import torch
from pyro import poutine
from torch import Tensor
from torch.distributions import Distribution

from ltm_pyro.contracts.broken import a, asking, require


def check_rows(guide: Any, x: Tensor, prior: Distribution | None, dtype: torch.dtype | None = None) -> None:
    """Assert that `start` creates local parameters that the fast loop can move, one row per sequence.

    Args:
        guide: the guide, which the check starts on the batch.
        x: token ids, shape (B, T).
        prior: p(z).
        dtype: of p(z), which local parameters must have; None skips the check.
    """
    guide.rows = None
    with torch.no_grad(), asking("start(x, mask, prior)"):
        guide.start(x, None, prior=prior)
    count = len(x)
    require(guide.rows == count, f"start() must set rows to {count}, not {guide.rows}: set self.rows = len(x)")
    with asking("local_parameters()"):
        rows = list(guide.local_parameters())
        shared = {id(parameter) for parameter in guide.parameters()}
    for row in rows:
        _check_row(row, count, dtype)
        require(
            id(row) not in shared,
            "a local parameter is among parameters(), which are global: hold it as a plain tensor",
        )


def _check_row(row: Any, count: int, dtype: torch.dtype | None) -> None:
    require(isinstance(row, Tensor), f"local_parameters() holds {a(row)}: expected tensors")
    shape = tuple(row.shape)
    require(
        row.dim() > 0 and len(row) == count,
        f"a local parameter of shape {shape} has no row for each sequence: expected ({count}, ...)",
    )
    require(
        row.is_leaf,
        "a local parameter is no leaf: hold the tensor itself, not a function of it (.requires_grad_() last)",
    )
    require(row.requires_grad, "a local parameter does not require a gradient: the fast loop cannot move it")
    require(
        dtype in (None, row.dtype),
        f"a local parameter of shape {shape} is of {row.dtype}, p(z) of {dtype}: begin with self.at_prior(x, prior), "
        "or make it like prior.mean",
    )


def check_posterior(guide: Any, x: Tensor, z_shape: tuple[int, ...], dtype: torch.dtype | None = None) -> None:
    """Assert that a started guide draws each z from its own sequence's rows alone, and that gradients reach them.

    Args:
        guide: a guide that has passed `check_rows` on the same batch.
        x: token ids, shape (B, T).
        z_shape: (L, K, D).
        dtype: of p(z), which z must have; None skips the check.
    """
    site = _drawn(guide, x)
    z, expected = site["value"], (len(x), *z_shape)
    require(tuple(z.shape) == expected, f"the guide draws z of shape {tuple(z.shape)}, expected {expected}")
    require(dtype in (None, z.dtype), f"the guide draws z of {z.dtype}, p(z) is of {dtype}: both must be the same")
    require(bool(z.isfinite().all()), "the guide draws z that is not finite, right after start()")
    log_q = _log_density(site, len(x)) if guide.has_density else z.new_zeros(len(x))
    rows = list(guide.local_parameters())
    if rows:
        _check_gradients(z.flatten(1).sum(1) + log_q, rows)
        _check_batch_mates(guide, x, rows)


def _drawn(guide: Any, x: Tensor) -> dict[str, Any]:
    """The site `z` of the guide's call on a batch."""
    with torch.enable_grad(), asking("the guide's call, or its posterior(),"):
        nodes = poutine.trace(guide).get_trace(x).nodes
    sites = [name for name, node in nodes.items() if node["type"] == "sample" and not _is_plate(node)]
    require(sites == ["z"], f"the guide samples {', '.join(sites) or 'nothing'}: expected the one site z")
    return dict(nodes["z"])


def _is_plate(node: dict[str, Any]) -> bool:
    return type(node["fn"]).__name__ == "_Subsample"


def _log_density(site: dict[str, Any], count: int) -> Tensor:
    """Log-density of the drawn z, differentiable in the parameters of q alone."""
    with torch.enable_grad(), asking("log_prob of q(z)"):
        log_q: Tensor = site["fn"].log_prob(site["value"].detach())
    shape = tuple(log_q.shape)
    require(
        shape == (count,),
        f"log q(z) has shape {shape}, expected ({count},): one event is all of (L, K, D), .to_event(3)",
    )
    require(bool(log_q.isfinite().all()), "log q(z) is not finite at its own samples, right after start()")
    return log_q


def _check_gradients(outputs: Tensor, rows: list[Tensor]) -> None:
    require(
        outputs.requires_grad, "z and log q(z) are detached from the local parameters: the fast loop cannot move them"
    )
    slopes = torch.autograd.grad(outputs.sum(), rows, allow_unused=True)
    for row, slope in zip(rows, slopes, strict=True):
        require(
            slope is not None,
            f"no gradient reaches a local parameter of shape {tuple(row.shape)}, so that the fast loop leaves it where "
            "it was: q does not use it, or a detach() stands between",
        )


def _check_batch_mates(guide: Any, x: Tensor, rows: list[Tensor]) -> None:
    """Check that the first sequence's draw, at fixed noise, does not change with all other rows."""
    before = _first(guide, x)
    with torch.no_grad():
        for row in rows:
            row[1:] += 0.1 * torch.randn_like(row[1:])
    _refuse_other(before, _first(guide, x))


def _first(guide: Any, x: Tensor) -> Tensor:
    """The first sequence's z at fixed noise, and its log q(z)."""
    torch.manual_seed(0)
    site = _drawn(guide, x)
    z = site["value"].detach()
    log_q = _log_density(site, len(x)).detach() if guide.has_density else z.new_zeros(len(x))
    return torch.cat((z[0].flatten(), log_q[:1]))


def _refuse_other(before: Tensor, after: Tensor) -> None:
    same = torch.allclose(before, after, rtol=1e-4, atol=1e-5)
    require(same, "a sequence's posterior changes with its batch mates: its rows must not touch one another")


def check_reading(guide: Any, x: Tensor, other: Tensor, prior: Distribution | None) -> None:
    """Assert that a guide's start on a text does not depend on its batch mates.

    Args:
        guide: the guide, which the check starts on both batches, with the same noise.
        x, other: token ids, shape (B, T), the first row the same.
        prior: p(z).
    """
    firsts = []
    for batch in (x, other):
        torch.manual_seed(0)
        with torch.no_grad():
            guide.start(batch, None, prior=prior)
        firsts.append(_first(guide, batch))
    _refuse_other(*firsts)
