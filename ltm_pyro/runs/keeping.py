"""Results are shown first and kept then; where they cannot be kept, that is said."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ltm_pyro.errors import InputError


class NotKeptError(Exception):
    """Results that were shown could not be written down. As with `tee`, the exit code is 1."""


@contextmanager
def keeping() -> Iterator[None]:
    """Within, what has been shown is written down.

    Raises:
        NotKeptError: if it cannot be.
    """
    sys.stdout.flush()  # so that the results stand before the complaint
    try:
        yield
    except (InputError, OSError) as error:
        raise NotKeptError(f"{reason_of(error)}. What was found is shown above, and not kept") from error


def reason_of(error: InputError | OSError) -> str:
    """Why something could not be written, as a clause."""
    if isinstance(error, InputError):
        return str(error).rstrip(".")
    return f"{error.filename or 'a file'} cannot be written: {error.strerror or error}"
