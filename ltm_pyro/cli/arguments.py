"""Parsing a command line, with errors that say what might have been meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from inspect import isabstract
from typing import TYPE_CHECKING

from ltm_pyro.bounds import AbstractBound
from ltm_pyro.errors import InputError
from ltm_pyro.guides import AbstractGuide
from ltm_pyro.models import AbstractPrior

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

FAMILIES = {"prior": AbstractPrior, "guide": AbstractGuide, "bound": AbstractBound}


def parse(parser: ArgumentParser, words: Sequence[str]) -> Namespace:
    """Parse a command line.

    Raises:
        InputError: for anything that cannot be parsed, with the names that come near.
    """
    from jsonargparse import ArgumentError

    try:
        return parser.parse_args(list(words))
    except (ArgumentError, TypeError, ValueError) as error:
        raise InputError(_explain(parser, " ".join(str(error).split()))) from error


def _explain(parser: ArgumentParser, message: str) -> str:
    for family, base in FAMILIES.items():
        if re.search(rf'"[\w.]*{family}"|--[\w.]*{family}\b', message):
            known = sorted(cls.__name__ for cls in _concrete(base))
            word = message.split()[-1].rsplit(".", 1)[-1]
            return f"{message}. {_near(word, known)}Known ones: {', '.join(known)}; or the import path of your own class"
    for option in re.findall(r"--[\w.-]+", message):
        options = [name for action in parser._actions for name in action.option_strings if name.startswith("--")]
        if option not in options:
            return f"{message}. {_near(option, options)}`{parser.prog} --help` lists all arguments"
    return f"{message}. `{parser.prog} --help` lists all arguments"


def _near(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=3)
    return f"Did you mean {' or '.join(near)}? " if near else ""


def _concrete(base: type) -> set[type]:
    below = {sub for cls in base.__subclasses__() for sub in {cls, *_concrete(cls)}}
    return {cls for cls in below if not isabstract(cls)}
