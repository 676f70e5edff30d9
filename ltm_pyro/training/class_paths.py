"""Check of the class paths in the arguments of a run, before anything is imported."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from importlib import import_module
from types import UnionType
from typing import TYPE_CHECKING, Any, NamedTuple, Union, get_args, get_origin

from pyro.infer.autoguide import AutoGuide, AutoMessenger
from torch import nn
from torch.optim import Optimizer

from ltm_pyro.bounds import AbstractGradient, AbstractObjective, AbstractSchedule
from ltm_pyro.errors import InputError
from ltm_pyro.guides import AbstractGuide
from ltm_pyro.inference import WeightObserver
from ltm_pyro.known_classes import PACKAGES, classes_named, is_known, known_class
from ltm_pyro.models import AbstractDecoder, AbstractPrior, AbstractReward, AbstractTransport
from ltm_pyro.training.decoder_arguments import normal_form
from ltm_pyro.training.observers import GradientAverage  # noqa: F401  (a name that `slow.observer` may give)
from ltm_pyro.training.parse_errors import no_such_class
from ltm_pyro.training.removed_arguments import without_removed

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

FAMILIES = (
    *(AbstractDecoder, AbstractPrior, AbstractTransport, AbstractGuide, AbstractReward, WeightObserver),
    *(AbstractObjective, AbstractGradient, AbstractSchedule, Optimizer),
)
NETWORKS = ("ltm_pyro.", "torch.nn.")  # modules that may define a class for an argument of type nn.Module
GUIDES = (AbstractGuide, AutoGuide, AutoMessenger)  # bases for arguments of the type `str | Callable[..., Any]`
SPEC = ("class_path", "init_args")
NOWHERE = object()  # the type hint of an argument that a file cannot give
PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
WORD = re.compile(r"(?!- )[\w .+/-]*")  # text that YAML never parses as a mapping or a list
DEEPEST, LARGEST = 16, 2000  # levels and values of the arguments of a run


class NamedClass(NamedTuple):
    """A class of another package than ltm_pyro, torch and Pyro, and the argument that names it."""

    argument: str
    path: str

    def __str__(self) -> str:
        return f"{self.argument} {self.path}"


class Arguments(NamedTuple):
    """Arguments of a run whose class paths have been checked, and the classes of other packages among them."""

    values: dict[str, Any]
    foreign: list[NamedClass]


def checked_arguments(parser: ArgumentParser, given: Mapping[str, Any], trust_code: bool = False) -> Arguments:
    """Check every class path among the arguments of a run; without consent nothing is imported or called.

    The signatures of the surrounding classes determine which arguments may name a class, and its base class. A class
    path, or text that could be read as one, is refused in any other argument.

    Args:
        parser: one with the arguments of `build.add_arguments`.
        given: plain values, as a YAML file holds them: mappings, lists, text, numbers.
        trust_code: import classes of other packages. A path to anything other than a class of the required kind is
            then refused too.

    Returns:
        A copy of the arguments, with dotted names nested and without removed arguments; only this copy may be parsed.

    Raises:
        InputError: for a path to no class of the required kind, a class in an argument that takes none, and arguments
            that have other types, are too many or too deeply nested, or were removed.
    """
    walk = _Walk(trust_code)
    values = _plain(given)
    if "decoder" in values:
        values["decoder"] = normal_form(values["decoder"])
    values = without_removed(values)
    walk.arguments(values, _hints_of(parser), "")
    return Arguments(values, walk.foreign)


class _Walk:
    """A walk through nested arguments together with their type hints."""

    def __init__(self, trust_code: bool) -> None:
        self.trust_code = trust_code
        self.foreign: list[NamedClass] = []

    def arguments(self, given: Mapping[str, Any], hints: Mapping[str, Any], within: str) -> None:
        """Check arguments by name; those of a group are nested."""
        for name, value in given.items():
            inner = {key.removeprefix(f"{name}."): hint for key, hint in hints.items() if key.startswith(f"{name}.")}
            if within + name == "decoder" and isinstance(value, dict) and "class_path" in value:
                self._decoder(value)
            elif name in hints and not inner:
                self._argument(value, hints[name], within + name)
            elif inner and isinstance(value, dict):
                self.arguments(value, inner, f"{within}{name}.")
            elif inner and value is not None:
                raise InputError(f"{within}{name} {value}: expected arguments by name, not the path of a file of them")
            else:
                _refuse_classes(value, within + name, strict=True)  # an unknown argument, which the parser reports

    def _decoder(self, spec: Mapping[str, Any]) -> None:
        """Check a decoder and its arguments; its class may differ from the parser's."""
        path = spec["class_path"]
        if isinstance(path, str) and path.isidentifier():  # paths of known classes are complete by now
            raise InputError(no_such_class("decoder", path, AbstractDecoder))
        self._named(spec, (AbstractDecoder,), "decoder")

    def _argument(self, value: Any, hint: Any, name: str) -> None:
        bases = tuple(_bases(hint))
        if hint is NOWHERE and value not in (None, False):  # the values that --print_config writes
            raise InputError(f"{name} {value}: this is an argument of the command line, not of a file: leave it out")
        if isinstance(value, str) and bases and not _is_number(value):
            self._named({"class_path": value}, bases, name)
        elif isinstance(value, dict) and bases and "class_path" in value:
            self._named(value, bases, name)
        elif not (isinstance(value, str) and _is_text(hint)):
            _refuse_classes(value, name, strict="Any" not in str(hint))

    def _named(self, spec: Mapping[str, Any], bases: tuple[type, ...], name: str) -> None:
        """Check a class and its arguments."""
        path, extra = spec["class_path"], sorted(set(spec) - set(SPEC))
        if extra or not isinstance(path, str):
            raise InputError(f"{name} {path}: expected a class_path and its init_args, not {', '.join(extra) or path}")
        before = len(self.foreign)
        cls = self._class(path, bases, name)
        init_args = spec.get("init_args")
        if isinstance(init_args, dict) and cls is not None:
            self.arguments(init_args, _hints(cls), f"{name}.")
        elif init_args is not None and len(self.foreign) == before:  # no consent covers these arguments
            _refuse_classes(init_args, f"{name}.init_args", strict=True)

    def _class(self, path: str, bases: tuple[type, ...], name: str) -> type | None:
        """The class of a path, if it is one of ltm_pyro, torch or Pyro; one of another package is noted as foreign."""
        for cls in classes_named(path, bases) if "." not in path else [known_class(path, bases)]:
            if cls is not None and not is_known(cls):
                path = f"{cls.__module__}.{cls.__qualname__}"
            elif cls is not None and (bases != (nn.Module,) or cls.__module__.startswith(NETWORKS)):
                return cls
        if path.isidentifier():
            return None  # a short name of no known class, which the parser reports
        if not PATH.fullmatch(path):
            raise InputError(no_such_class(name, path[:100], bases[0]))
        if bases == GUIDES:
            raise InputError(f"{name} {path}: expected a guide of ltm_pyro or of pyro.infer.autoguide, by its name")
        if path.split(".")[0] in PACKAGES:
            raise InputError(no_such_class(name, path, bases[0]))
        self.foreign.append(NamedClass(name, path))
        if self.trust_code:
            _import(path, bases, name)
        return None


def _import(path: str, bases: tuple[type, ...], name: str) -> None:
    """Import the class of a path; if that fails, the parser reports it."""
    module, _, class_name = path.rpartition(".")
    try:
        cls = getattr(import_module(module), class_name)
    except (ImportError, AttributeError, SyntaxError):
        return
    if not isinstance(cls, type) or not issubclass(cls, bases):
        raise InputError(no_such_class(name, path, bases[0]))


def _bases(hint: Any) -> Iterator[type]:
    """The base classes that a type hint admits for a class given as the value."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Union or origin is UnionType:
        for member in inner:
            yield from _bases(member)
    elif origin is Callable or origin is type:
        yield from GUIDES if inner[-1] is Any else _bases(inner[-1])
    elif origin is None and isinstance(hint, type) and (hint is nn.Module or issubclass(hint, FAMILIES)):
        yield hint


def _is_text(hint: Any) -> bool:
    """True if a value of this type is plain text."""
    return hint is None or hint is str or set(get_args(hint)) == {str, type(None)}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text in ("null", "true", "false")
    return True


def _refuse_classes(value: Any, name: str, strict: bool) -> None:
    """Refuse values that a parser could read as a class: a mapping with a class path, or text that may contain one.

    Args:
        value: plain values.
        name: the argument's name.
        strict: refuse import paths too.
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "class_path":
                raise InputError(
                    f"{name}: the class {inner} is given where none is expected, or to a class that is not named: "
                    "leave it out, or give the outer class as class_path and its arguments as init_args"
                )
            _refuse_classes(inner, f"{name}.{key}", strict)
    elif isinstance(value, list):
        for inner in value:
            _refuse_classes(inner, name, strict)
    elif isinstance(value, str) and (not WORD.fullmatch(value) or (strict and PATH.fullmatch(value))):
        raise InputError(f"{name} {value[:100]!r}: expected a number or a word")


@lru_cache(maxsize=256)
def _hints(cls: type) -> Mapping[str, Any]:
    """The parser's type hints of a class's arguments, by name."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(cls, fail_untyped=False)
    return _hints_of(parser)


def _hints_of(parser: ArgumentParser) -> dict[str, Any]:
    kinds = ("ActionTypeHint", "_StoreAction")  # the others load files, print help, or stand for a group
    actions = [action for action in parser._actions if not action.dest.endswith(".help")]
    return {a.dest: getattr(a, "_typehint", None) if type(a).__name__ in kinds else NOWHERE for a in actions}


def _plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of arguments with dotted names nested.

    Raises:
        InputError: for types that YAML does not have, too many values, or values nested too deeply.
    """
    return _Copy().of(arguments, 0)


class _Copy:
    """Copier of nested plain values, with limits on their number and depth."""

    def __init__(self) -> None:
        self.values = 0

    def of(self, value: Any, depth: int) -> Any:
        self.values += 1
        if depth > DEEPEST or self.values > LARGEST:
            raise InputError(f"expected at most {LARGEST} arguments, nested {DEEPEST} deep")
        if isinstance(value, (list, tuple)):
            return [self.of(inner, depth + 1) for inner in value]
        if isinstance(value, dict):
            return self._mapping(value, depth)
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        raise InputError(f"expected text, numbers and lists of them, not {type(value).__name__}")

    def _mapping(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        copy: dict[str, Any] = {}
        for key, inner in value.items():
            if not isinstance(key, str) or key.startswith("__"):
                raise InputError(f"{key!r} is no name of an argument: expected text without leading underscores")
            first, _, remainder = key.partition(".")
            nested = self.of({remainder: inner} if remainder else inner, depth + 1)
            both = isinstance(nested, dict) and isinstance(copy.get(first), dict)
            copy[first] = {**copy[first], **nested} if both else nested
        return copy
