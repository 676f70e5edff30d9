"""Commands of `ltm` made from functions: parameters become arguments, docstring and annotations become the help."""

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
OURS = "command"  # the parameter that receives the command line, so that results state how to repeat them


class Command:
    """A command that calls a function with the arguments of a command line.

    Parameters before `*` in the signature are positional, all others are options. A sequence takes several values, a
    mapping several NAME=VALUE, a flag none; the arguments of a dataclass are `--NAME.ARGUMENT`. jsonargparse's
    `add_function_arguments` does not support optional positionals or options with several values.

    Args:
        function: the library's function.
        name: the command, `ltm ...`.
        show: prints the function's result and returns the exit code, or None for 0; nothing is shown if None.
        names: options whose name differs from that of their parameter, by parameter.
        prepare: a function from the parsed arguments to those of the call.
        presets: a function from the words to defaults by option; those of a dataclass have dotted names.
        besides: options that are no parameters, for the help alone: the arguments of `add_argument` by name.
        device: True if the command has `--device`.
        others: the parameter that receives all words that are no options of the function; `prepare` parses them.
        inner: parameters without an option, which `prepare` may set.
        usage: the text after the command's name in the usage line.
        epilog: the text below the help.
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
        arguments = self.prepare(self.read(argv))
        if OURS in inspect.signature(self.function).parameters:
            arguments[OURS] = [*takewhile(str.islower, self.name.split()[1:]), *argv]
        result = self.function(**arguments)
        return (self.show(result) if self.show else None) or 0

    def read(self, argv: Sequence[str]) -> dict[str, Any]:
        """The function's arguments, parsed from a command line.

        Raises:
            InputError: for words that cannot be parsed, or a number outside its range.
        """
        refuse_renamed(self.name, argv)
        argv, others = self._divided(argv)
        options = parse(self.parser(argv), argv)
        values = {name: _value(name, hint, options[self.names.get(name, name)]) for name, hint in self._hints().items()}
        for name, number, limits in outside(values, ranges_of(self.function)):
            raise InputError(f"--{self.names.get(name, name)} {number}: expected {limits.missed(number)}")
        return values if self.others is None else {**values, self.others: others}

    def _divided(self, argv: Sequence[str]) -> tuple[list[str], list[str]]:
        """The words that are the function's options and their values, and all other words if the function takes any."""
        if self.others is None:
            return list(argv), []
        room = {f"--{self.names.get(name, name)}": _values(hint) for name, hint in self._hints().items()}
        options: list[str] = []
        others: list[str] = []
        left = 0.0  # values that the last option may still take
        for word in argv:
            option, equals, _ = word.partition("=")
            if option in room or word in ("-h", "--help"):
                left = 0 if equals else room.get(option, 0)
                options.append(word)
            elif left and not word.startswith("--"):
                left -= 1
                options.append(word)
            else:
                left = 0
                others.append(word)
        return options, others

    def parser(self, argv: Sequence[str] = ()) -> ArgumentParser:
        """The parser of this command, with the presets of a command line as defaults."""
        about = parse_docstring(self.function.__doc__ or "")
        helps = {item.arg_name: " ".join((item.description or "").split()).rstrip(".") for item in about.params}
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
            _add(parser, parameter, self.names.get(name, name), hint, helps.get(name))
        for name, options in self.besides.items():
            parser.add_argument(f"--{name}", **options)
        if self.device:
            add_device(parser)
        positional = [word for word in positional if word not in self.name.split()]
        parser.usage = " ".join([self.name, self.usage or " ".join([*positional, "[--ARGUMENT VALUE ...]"])])
        parser.set_defaults(dict(self.presets(argv)))
        return parser

    def _hints(self) -> dict[str, Any]:
        """The annotation of each parameter that has an argument on the command line."""
        excluded = (OURS, self.others, *self.inner)
        return {name: hint for name, hint in hints_of(self.function).items() if name not in excluded}


class _Help(RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Help formatter that keeps the lines of an epilog as they are."""


def _add(parser: ArgumentParser, parameter: inspect.Parameter, name: str, hint: Any, text: str | None) -> None:
    """Add one parameter to a parser."""
    kind, about = _parts(hint)
    if is_dataclass(kind):
        parser.add_class_arguments(kind, name, instantiate=False)
        return
    kinds = {"type": str if PathLike[str] in get_args(kind) else _plain(hint)}
    options: dict[str, Any] = {"help": text or about.description, **kinds}
    if about.metavar:
        options["metavar"] = about.metavar
    if get_origin(kind) in SEVERAL:
        options |= {"nargs": "+", "type": item if (item := get_args(kind)[0]) in (int, float) else str}
    elif about.alone is True:
        options["action"] = "store_true"
        del options["type"]
    elif about.alone is not None:
        options |= {"nargs": "?", "const": about.alone}
    required = parameter.default is parameter.empty
    if not required:
        default = parameter.default
        options["default"] = list(default) if isinstance(default, tuple | Mapping) else default
    if parameter.kind is parameter.KEYWORD_ONLY:
        name, options = f"--{name}", {"required": required, **options}
    elif not required:
        options = {"nargs": "?", **options}
    parser.add_argument(name, **options)


def _values(hint: Any) -> float:
    """Number of values that an option may take."""
    kind, about = _parts(hint)
    return math.inf if get_origin(kind) in SEVERAL else 0 if about.alone is True else 1


def _in_usage(name: str, hint: Any, default: Any) -> str:
    several = get_origin(_parts(hint)[0]) in SEVERAL
    shown = f"{name.upper().removesuffix('S')} ..." if several else name.upper()
    return shown if default is inspect.Parameter.empty else f"[{shown}]"


def _parts(hint: Any) -> tuple[Any, Argument]:
    """The type within an annotation, without None, and the `Argument` in its metadata."""
    kind, metadata = _plain(hint), getattr(hint, "__metadata__", ())
    if get_origin(kind) in (Union, UnionType):
        member, *more = (inner for inner in get_args(kind) if inner is not type(None))
        kind = kind if more else member
    return kind, next((item for item in metadata if isinstance(item, Argument)), Argument())


def _plain(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _value(name: str, hint: Any, parsed: Any) -> Any:
    """A parsed value in the type that the parameter takes."""
    kind, about = _parts(hint)
    if isinstance(parsed, Namespace):
        return kind(**{key: tuple(item) if isinstance(item, list) else item for key, item in vars(parsed).items()})
    if get_origin(kind) is not Mapping:
        return parsed
    for pair in parsed:
        if "=" not in pair:
            raise InputError(f"--{name} {pair}: expected {about.metavar}")
    return dict(pair.split("=", 1) for pair in parsed)
