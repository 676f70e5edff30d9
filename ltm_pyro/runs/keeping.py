"""Saving of results that have been shown, with an error that says so if they cannot be saved."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ltm_pyro.errors import InputError


class NotKeptError(Exception):
    """Results that were shown could not be saved. As with `tee`, the exit code is 1."""


@contextmanager
def keeping() -> Iterator[None]:
    """Context manager in which results that have been shown are saved.

    Raises:
        NotKeptError: if they cannot be saved.
    """
    sys.stdout.flush()  # so that the results come before an error message
    try:
        yield
    except (InputError, OSError) as error:
        raise NotKeptError(f"{reason_of(error)}. The results are shown above, but not saved") from error


def reason_of(error: InputError | OSError) -> str:
    """Reason why a file could not be written, as a clause without a full stop."""
    if isinstance(error, InputError):
        return str(error).rstrip(".")
    return f"{error.filename or 'a file'} cannot be written: {error.strerror or error}"
