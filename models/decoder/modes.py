"""The modes of `torch.compile`."""

from __future__ import annotations

import torch

from ltm_pyro.errors import InputError


def refuse_unknown_mode(mode: str) -> None:
    """Raises InputError for a mode that there is not."""
    modes = sorted(torch._inductor.list_mode_options())
    if mode not in modes:
        raise InputError(f"compile={mode!r}: expected one of {', '.join(modes)}")
