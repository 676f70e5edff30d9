"""Refusal of NaN and infinite values in tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from ltm_pyro.errors import InputError


def refuse_non_finite(what: str, values: Any) -> None:
    """Raise an error if values for a table are NaN or infinite.

    Args:
        what: label of the values in the table.
        values: array with sequences (or batch rows) on its first axis.

    Raises:
        InputError: with the number of affected sequences and the first bad value.
    """
    rows = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    bad = np.flatnonzero(~np.isfinite(rows).all(1))
    if len(bad):
        first = rows[bad[0]][~np.isfinite(rows[bad[0]])][0]
        raise InputError(
            f"{what}: not a finite number for {len(bad):,} of {len(rows):,} sequences (number {bad[0] + 1}: {first}), "
            "so there is no table. Values of the model or of the guide exceed the range of float32: try another "
            "--checkpoint, or train with a smaller learning rate or a wider posterior"
        )
