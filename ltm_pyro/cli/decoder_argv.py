"""The decoder's class on a command line, which is determined before anything else is parsed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from ltm_pyro.cli.class_arguments import given, read
from ltm_pyro.errors import InputError
from ltm_pyro.models import AbstractDecoder, Decoder
from ltm_pyro.runs.config import recipe
from ltm_pyro.training.class_paths import checked_arguments
from ltm_pyro.training.consent import consented
from ltm_pyro.training.decoder_arguments import OPTION, decoder_class
from ltm_pyro.training.decoder_settings import decoder_path
from ltm_pyro.training.run import run_parser

CLASS = re.compile(r"[A-Za-z_][\w.]*")


class Choice(NamedTuple):
    """The class of the decoder, and its source.

    Attributes:
        cls: the class.
        named: True if the words name it, so that arguments of a file or a recipe do not apply.
    """

    cls: type[AbstractDecoder]
    named: bool = False

    def argv(self, argv: Sequence[str]) -> list[str]:
        """The words without the one that names the class, for the parser of this class."""
        others: list[str] = []
        words = iter(argv)
        for word in words:
            option, equals, value = word.partition("=")
            if option == OPTION:
                following = [] if equals else [*islice(words, 1)]
                others += [] if _is_class("".join(following) or value) else [word, *following]
            else:
                others.append(word)
        return others

    def of_file(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """A file's arguments, without those of a decoder of another class."""
        unfit = "decoder" in values and (self.named or decoder_class(decoder_path(values["decoder"])) is not self.cls)
        return {name: value for name, value in values.items() if not (unfit and name == "decoder")}


USUAL = Choice(Decoder)


def chosen_decoder(argv: Sequence[str], trust_code: bool) -> Choice:
    """The class of `--decoder CLASS`; else that of the last file with a decoder; else that of the recipe.

    A class named by the words is imported; a class named by a file needs consent.

    Raises:
        InputError: for a class that is no decoder, or one of a file without consent.
    """
    if named := [value for value in given(argv, OPTION) if _is_class(value)]:
        checked = checked_arguments(run_parser(), {"decoder": named[-1]}, trust_code=True)
        return Choice(_imported(checked.values["decoder"]), named=True)
    for path in reversed(given(argv, "--config")):
        if settings := {name: value for name, value in read(path).items() if name.split(".")[0] == "decoder"}:
            consent = consented(run_parser(), settings, Path(path), trust_code)
            return Choice(_imported(consent.values["decoder"]))
    return Choice(_imported(recipe(named_recipe(argv)).get("decoder")))


def named_recipe(argv: Sequence[str]) -> str:
    """The recipe that the words name; `tiny` if they name none."""
    return ["tiny", *given(argv, "--recipe")][-1]


def _imported(decoder: Any) -> type[AbstractDecoder]:
    path = decoder_path(decoder)
    try:
        return decoder_class(path)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"--decoder {path}: {error}. Start the command in the folder that holds the code of a class of your own"
        ) from error
    except SyntaxError as error:
        raise InputError(f"{error.filename}, line {error.lineno} does not parse as Python: {error.msg}") from error


def _is_class(value: str) -> bool:
    """True if the value of `--decoder` names a class; else it is a file of arguments, or the arguments themselves."""
    return CLASS.fullmatch(value) is not None and not Path(value).is_file()
