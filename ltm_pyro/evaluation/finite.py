"""Numbers of a table are numbers, or there is no table."""

from __future__ import annotations

from typing import Any

import numpy as np

from ltm_pyro.errors import InputError


def refuse_non_finite(what: str, values: Any) -> None:
    """Refuse NaN and infinities where a table would claim a number.

    Args:
        what: the number, as a table calls it.
        values: of it, a sequence (or batch row) first.

    Raises:
        InputError: saying how many sequences have no such number, and the first of them.
    """
    rows = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    bad = np.flatnonzero(~np.isfinite(rows).all(1))
    if len(bad):
        first = rows[bad[0]][~np.isfinite(rows[bad[0]])][0]
        raise InputError(
            f"{what}: not a finite number for {len(bad):,} of {len(rows):,} sequences (number {bad[0] + 1}: {first}), "
            "and a table of it would say nothing. The model's or the guide's sizes leave what float32 holds: try "
            "another --checkpoint, or train with a smaller learning rate or a wider posterior"
        )
