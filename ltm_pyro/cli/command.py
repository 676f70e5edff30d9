"""A command of `ltm` from a function: its parameters are the arguments, its docstring and its annotations the help."""

from __future__ import annotations

import inspect
import math
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from itertools import takewhile
from os import PathLike
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from docstring_parser import parse as parse_docstring
from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace

from ltm_pyro.cli.arguments import add_device, parse
from ltm_pyro.cli.renamed import refuse_renamed
from ltm_pyro.errors import InputError
from ltm_pyro.ranges import hints_of, outside, ranges_of
from ltm_pyro.runs.arguments import Argument

SEVERAL = (list, Sequence, Mapping)
OURS = "command"  # the parameter that takes the command itself, so that results say how they can be repeated


class Command:
    """Calls a function with the arguments that a command line gives it.

    What stands before `*` in the signature is positional, all else an option. A sequence takes several values, a
    mapping several NAME=VALUE, a flag none; the arguments of a dataclass are `--NAME.ARGUMENT`. That is more than
    jsonargparse's `add_function_arguments` makes of a signature, which knows no positional that may be left out and
    no option with several values.

    Args:
        function: of the library.
        name: of the command, `ltm ...`.
        show: prints what the function returns; returns the exit code, or None for 0. Nothing is shown if None.
        names: of options that are not those of their parameters.
        prepare: makes other arguments of those that were read.
        presets: gives defaults for a command line, by option, those of a dataclass behind a dot.
        besides: options that are no parameters, for the help alone: the arguments of `add_argument` by name.
        device: whether it works on one.
        others: the parameter that takes all words that are no options of the function, which `prepare` reads.
        inner: parameters that no option gives, but `prepare` may.
        usage: what follows the command's name in its help.
        epilog: below the help.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        show: Callable[[Any], int | None] | None = None,
        *,
        names: Mapping[str, str] | None = None,
        prepare: Callable[[dict[str, Any]], dict[str, Any]] = dict,
        presets: Callable[[Sequence[str]], Mapping[str, Any]] = lambda argv: {},
        besides: Mapping[str, Mapping[str, Any]] | None = None,
        device: bool = True,
        others: str | None = None,
        inner: Sequence[str] = (),
        usage: str | None = None,
        epilog: str | None = None,
    ) -> None:
        self.function, self.name, self.show = function, name, show
        self.names, self.prepare, self.presets = names or {}, prepare, presets
        self.besides, self.device, self.epilog = besides or {}, device, epilog
        self.others, self.inner, self.usage = others, inner, usage

    def __call__(self, argv: Sequence[str]) -> int:
        """Call the function; returns the exit code."""
        given = self.prepare(self.read(argv))
        if OURS in inspect.signature(self.function).parameters:
            given[OURS] = [*takewhile(str.islower, self.name.split()[1:]), *argv]
        result = self.function(**given)
        return (self.show(result) if self.show else None) or 0

    def read(self, argv: Sequence[str]) -> dict[str, Any]:
        """The function's arguments.

        Raises:
            InputError: for words that cannot be parsed, or a number outside its range.
        """
        refuse_renamed(self.name, argv)
        argv, others = self._divided(argv)
        options = parse(self.parser(argv), argv)
        given = {name: _value(name, hint, options[self.names.get(name, name)]) for name, hint in self._hints().items()}
        for name, number, limits in outside(given, ranges_of(self.function)):
            raise InputError(f"--{self.names.get(name, name)} {number}: expected {limits.missed(number)}")
        return given if self.others is None else {**given, self.others: others}

    def _divided(self, argv: Sequence[str]) -> tuple[list[str], list[str]]:
        """The function's own options with their values, and all other words, where the function takes any."""
        if self.others is None:
            return list(argv), []
        room = {f"--{self.names.get(name, name)}": _values(hint) for name, hint in self._hints().items()}
        own: list[str] = []
        others: list[str] = []
        left = 0.0  # values that the option before may still take
        for word in argv:
            option, equals, _ = word.partition("=")
            if option in room or word in ("-h", "--help"):
                left = 0 if equals else room.get(option, 0)
                own.append(word)
            elif left and not word.startswith("--"):
                left -= 1
                own.append(word)
            else:
                left = 0
                others.append(word)
        return own, others

    def parser(self, argv: Sequence[str] = ()) -> ArgumentParser:
        """The parser of a command line."""
        about = parse_docstring(self.function.__doc__ or "")
        said = {one.arg_name: " ".join((one.description or "").split()).rstrip(".") for one in about.params}
        parser = ArgumentParser(
            prog=self.name,
            exit_on_error=False,
            description=about.description,
            epilog=self.epilog,
            formatter_class=_Help,
        )
        positional = []
        for name, hint in self._hints().items():
            parameter = inspect.signature(self.function).parameters[name]
            if parameter.kind is not parameter.KEYWORD_ONLY:
                positional.append(_in_usage(name, hint, parameter.default))
            _add(parser, parameter, self.names.get(name, name), hint, said.get(name))
        for name, given in self.besides.items():
            parser.add_argument(f"--{name}", **given)
        if self.device:
            add_device(parser)
        positional = [one for one in positional if one not in self.name.split()]
        parser.usage = " ".join([self.name, self.usage or " ".join([*positional, "[--ARGUMENT VALUE ...]"])])
        parser.set_defaults(dict(self.presets(argv)))
        return parser

    def _hints(self) -> dict[str, Any]:
        """The annotation of each parameter that a command line can give."""
        apart = (OURS, self.others, *self.inner)
        return {name: hint for name, hint in hints_of(self.function).items() if name not in apart}


class _Help(RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Leaves the lines of an epilog as they are."""


def _add(parser: ArgumentParser, parameter: inspect.Parameter, name: str, hint: Any, said: str | None) -> None:
    """Add one parameter to a parser."""
    kind, about = _parts(hint)
    if is_dataclass(kind):
        parser.add_class_arguments(kind, name, instantiate=False)
        return
    kinds = {"type": str if PathLike[str] in get_args(kind) else _plain(hint)}
    given: dict[str, Any] = {"help": said or about.description, **kinds}
    if about.metavar:
        given["metavar"] = about.metavar
    if get_origin(kind) in SEVERAL:
        given |= {"nargs": "+", "type": item if (item := get_args(kind)[0]) in (int, float) else str}
    elif about.alone is True:
        given["action"] = "store_true"
        del given["type"]
    elif about.alone is not None:
        given |= {"nargs": "?", "const": about.alone}
    required = parameter.default is parameter.empty
    if not required:
        default = parameter.default
        given["default"] = list(default) if isinstance(default, tuple | Mapping) else default
    if parameter.kind is parameter.KEYWORD_ONLY:
        name, given = f"--{name}", {"required": required, **given}
    elif not required:
        given = {"nargs": "?", **given}
    parser.add_argument(name, **given)


def _values(hint: Any) -> float:
    """How many words may follow an option."""
    kind, about = _parts(hint)
    return math.inf if get_origin(kind) in SEVERAL else 0 if about.alone is True else 1


def _in_usage(name: str, hint: Any, default: Any) -> str:
    several = get_origin(_parts(hint)[0]) in SEVERAL
    shown = f"{name.upper().removesuffix('S')} ..." if several else name.upper()
    return shown if default is inspect.Parameter.empty else f"[{shown}]"


def _parts(hint: Any) -> tuple[Any, Argument]:
    """The type within an annotation, without None, and the annotation's metadata."""
    kind, said = _plain(hint), getattr(hint, "__metadata__", ())
    if get_origin(kind) in (Union, UnionType):
        one, *more = (inner for inner in get_args(kind) if inner is not type(None))
        kind = kind if more else one
    return kind, next((one for one in said if isinstance(one, Argument)), Argument())


def _plain(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _value(name: str, hint: Any, given: Any) -> Any:
    """The value that was read, as the parameter takes it."""
    kind, about = _parts(hint)
    if isinstance(given, Namespace):
        return kind(**{key: tuple(one) if isinstance(one, list) else one for key, one in vars(given).items()})
    if get_origin(kind) is not Mapping:
        return given
    for pair in given:
        if "=" not in pair:
            raise InputError(f"--{name} {pair}: expected {about.metavar}")
    return dict(pair.split("=", 1) for pair in given)
