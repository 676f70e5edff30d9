"""A check of the contract of a transport."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ltm_pyro.contracts import check_thoughts
from ltm_pyro.testing.priors import scattered

SHAPES = (((2, 3, 8), (2, 3, 8)), ((2, 3, 4), (2, 3, 8)))  # of z and of thoughts, of equal widths and of others


def check_transport(make: Callable[[tuple[int, int, int], tuple[int, int, int]], Any], seed: int = 0) -> None:
    """Assert that a transport keeps its contract, for thoughts as wide as z and for wider ones.

    T(z0) has its shape, with particles too, is finite, has a gradient, is the same at every call, and depends on its
    own z0 alone; the transport moves between dtypes, and its state dict restores it.

    Args:
        make: the constructor of the transport from z_shape and thought_shape, such as its class.
        seed: of weights and values; the global random state is restored.

    Raises:
        AssertionError: if one of these does not hold.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for z_shape, thought_shape in SHAPES:
            transport = scattered(make(z_shape, thought_shape))
            check_thoughts(transport, seed)
            _check_state(transport, make(z_shape, thought_shape).double())


@torch.no_grad()
def _check_state(transport: Any, other: Any) -> None:
    other.load_state_dict(transport.state_dict())
    z = torch.randn(5, *transport.z_shape, dtype=torch.float64)
    same = torch.equal(transport(z), other(z))
    assert same, "its thoughts change with state_dict() and load_state_dict(): register all of its tensors"
    for dtype in (torch.float32, torch.float64, torch.float32):
        found = transport.to(dtype)(z.to(dtype)).dtype
        assert found == dtype, f"moved to {dtype} it returns {found}: hold its tensors as parameters or buffers"
