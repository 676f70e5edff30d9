"""Notation of the classes in a comparison: a class, its arguments in brackets, and further arguments of its runs."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Sequence
from typing import NamedTuple

from ltm_pyro.cli.run_arguments import named_settings, settings_of
from ltm_pyro.errors import InputError
from ltm_pyro.studies.variants import Variant, refuse_alike


class NamedClass(NamedTuple):
    """A prior or a guide to compare: its class, by name or import path, its arguments as text, and further words.

    Example:
        >>> name = parse_named("prior", "MixturePrior(components=4, unit=layer)")
        >>> name.argv
        ['--prior', 'MixturePrior', '--prior.components=4', '--prior.unit=layer']
        >>> parse_named("prior", "CodebookPrior(codes=16) --guide StraightThroughGuide").argv[-2:]
        ['--guide', 'StraightThroughGuide']
    """

    role: str
    path: str
    arguments: tuple[tuple[str, str], ...] = ()
    further: tuple[str, ...] = ()
    option: str = ""  # that names it, for messages; --ROLEs if empty

    def __str__(self) -> str:
        arguments = ", ".join(f"{key}={value}" for key, value in self.arguments)
        return " ".join([f"{self.path}({arguments})" if arguments else self.path, *self.further])

    @property
    def argv(self) -> list[str]:
        """The words of `ltm train` for this class."""
        options = [f"--{self.role}.{key}={value}" for key, value in self.arguments]
        return [f"--{self.role}", self.path, *options, *self.further]


def parse_all(role: str, texts: Sequence[str]) -> list[NamedClass]:
    """The classes to compare, parsed in order.

    Args:
        role: `prior` or `guide`.
        texts: as `parse_named` takes them.

    Raises:
        InputError: for a text that is no class with arguments, or a class that is named twice.
    """
    names = [parse_named(role, text) for text in texts]
    refuse_alike(role, [str(name) for name in names])
    return names


def variants_of(names: Sequence[NamedClass], argv: Sequence[str]) -> list[Variant]:
    """Changes that each class makes in the settings of a run.

    Args:
        names: of the classes.
        argv: words of `ltm train` for all of them.

    Raises:
        InputError: for arguments that `ltm train` refuses.
    """
    return [_variant(name, argv) for name in names]


def _variant(name: NamedClass, argv: Sequence[str]) -> Variant:
    try:
        return Variant(str(name), named_settings(name.argv, settings_of([*argv, *name.argv])))
    except InputError as error:
        raise InputError(f"{name.option or f'--{name.role}s'} {name}: {error}") from error


def parse_named(role: str, text: str, option: str = "") -> NamedClass:
    """Parse `CLASS` or `CLASS(name=value, ...)`, optionally followed by arguments of `ltm train` for this class alone.

    Raises:
        InputError: for any other text.
    """
    where = f"{option or f'--{role}s'} {text}"
    expected = f"{where}: expected a class, or a class with arguments as in 'MyClass(size=4)'"
    named, *further = re.split(r"\s+(?=--)", text.strip(), maxsplit=1)
    try:
        argv = shlex.split(" ".join(further))
        tree = ast.parse(named, mode="eval").body
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error
    except SyntaxError as error:
        raise InputError(f"{expected}, in quotes, since the shell interprets brackets") from error
    call = tree if isinstance(tree, ast.Call) else ast.Call(tree, [], [])
    path = ast.unparse(call.func)
    if not re.fullmatch(r"[\w.]+", path) or not isinstance(call.func, ast.Name | ast.Attribute):
        raise InputError(expected)
    if call.args or any(keyword.arg is None for keyword in call.keywords):
        raise InputError(f"{expected}; give every argument by its name")
    arguments = tuple((str(keyword.arg), _value(keyword.value)) for keyword in call.keywords)
    return NamedClass(role, path, arguments, tuple(argv), option)


def _value(node: ast.expr) -> str:
    """A value as YAML, the format in which `ltm train` reads values."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool)):
        return {None: "null", True: "true", False: "false"}[node.value]
    return ast.unparse(node)
