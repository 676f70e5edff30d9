"""The error of a broken contract."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from ltm_pyro.errors import InputError

PACKAGE = f"{Path(__file__).parents[1]}/"
LIBRARIES = ("site-packages", "dist-packages")
LONGEST = 300  # characters of another library's message


class BrokenContractError(AssertionError):
    """Error of a decoder, prior, guide or bound that breaks its contract; the message names the broken rule."""


def require(holds: bool, message: str) -> None:
    """Raises BrokenContractError with the message unless a condition holds."""
    if not holds:
        raise BrokenContractError(message)


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Context that turns any error of a user's class into a BrokenContractError with the line of its source.

    Args:
        what: the call, for the message.
    """
    try:
        yield
    except (BrokenContractError, InputError):
        raise
    except Exception as error:  # from the user's code
        reason = " ".join(str(error).split())[:LONGEST]
        raise BrokenContractError(f"{what} raises {type(error).__name__}: {reason}{_place(error)}") from error


def a(value: object) -> str:
    """Name of a value's type for messages, with the shape of a tensor."""
    shape = f" of shape {tuple(value.shape)}" if isinstance(value, Tensor) else ""
    return f"a {type(value).__name__}{shape}"


def _place(error: Exception) -> str:
    """Last line of an error's traceback outside of libraries, as ` (FILE, line N)`; empty if there is none."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((PACKAGE, "<")) and not any(name in frame.filename for name in LIBRARIES):
            return f" ({Path(frame.filename).name}, line {frame.lineno})"
    return ""
