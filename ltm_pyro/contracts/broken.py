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
    """A decoder, prior, guide or bound does not keep its contract; the message says what does not hold."""


def require(holds: bool, message: str) -> None:
    """Raises BrokenContractError with a message unless something holds."""
    if not holds:
        raise BrokenContractError(message)


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Whatever somebody's class raises here is a broken contract, told with the line that it comes from.

    Args:
        what: the call, for the message.
    """
    try:
        yield
    except (BrokenContractError, InputError):
        raise
    except Exception as error:  # of code that is not ours
        reason = " ".join(str(error).split())[:LONGEST]
        raise BrokenContractError(f"{what} raises {type(error).__name__}: {reason}{_place(error)}") from error


def a(value: object) -> str:
    """A value's type as a message names it, with the shape of a tensor."""
    shape = f" of shape {tuple(value.shape)}" if isinstance(value, Tensor) else ""
    return f"a {type(value).__name__}{shape}"


def _place(error: Exception) -> str:
    """The last line of an error's trace that is in no library, as ` (FILE, line N)`; empty if there is none."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((PACKAGE, "<")) and not any(name in frame.filename for name in LIBRARIES):
            return f" ({Path(frame.filename).name}, line {frame.lineno})"
    return ""
