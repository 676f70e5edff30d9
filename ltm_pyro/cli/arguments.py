"""Parsing of a command line."""

from __future__ import annotations

from collections.abc import Sequence

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from ltm_pyro.errors import InputError
from ltm_pyro.training.parse_errors import explain


def parse(parser: ArgumentParser, argv: Sequence[str]) -> Namespace:
    """Parse a command line.

    Raises:
        InputError: for words that cannot be parsed, with suggestions of near names.
    """
    try:
        return parser.parse_args(list(argv))
    except SyntaxError as error:  # in the module of an import path
        raise InputError(f"{error.filename}, line {error.lineno} does not parse as Python: {error.msg}") from error
    except (ArgumentError, TypeError, ValueError) as error:
        raise InputError(f"{explain(parser, error)} `{parser.prog} --help` lists all arguments") from error


def add_device(parser: ArgumentParser) -> None:
    """Add `--device` to a parser, for its help; `ltm` itself reads the option before it calls a command."""
    parser.add_argument(
        "--device", type=str | None, default=None, help="cpu, cuda, cuda:1; a GPU if there is one, if left out"
    )
