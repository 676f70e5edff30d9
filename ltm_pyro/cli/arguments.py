"""Reading a command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ltm_pyro.errors import InputError
from ltm_pyro.ranges import LARGEST, SEED

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace


def parse(parser: ArgumentParser, words: Sequence[str]) -> Namespace:
    """Parse a command line.

    Raises:
        InputError: for anything that cannot be parsed, with the names that come near.
    """
    from jsonargparse import ArgumentError

    from ltm_pyro.training.parse_errors import explain

    try:
        return parser.parse_args(list(words))
    except SyntaxError as error:  # in a module that an import path leads to
        raise InputError(f"{error.filename}, line {error.lineno} does not parse as Python: {error.msg}") from error
    except (ArgumentError, TypeError, ValueError) as error:
        raise InputError(f"{explain(parser, error)} `{parser.prog} --help` lists all arguments") from error


def refuse_below(options: Namespace, **least: int) -> None:
    """Refuse numbers that are too small, or beyond every size; None stands for a default and passes.

    Raises:
        InputError: naming the argument.
    """
    for name, smallest in least.items():
        number, most = options[name], SEED.most if name == "seed" else LARGEST
        if number is not None and number < smallest:
            raise InputError(f"--{name} {number}: expected {smallest} or more")
        if number is not None and not number <= most:
            raise InputError(f"--{name} {number}: expected {most} or less")
