"""The classes that the arguments of a run name, checked before anything is imported."""

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
from ltm_pyro.models import AbstractDecoder, AbstractPrior
from ltm_pyro.training.decoder_arguments import normal_form
from ltm_pyro.training.observers import GradientAverage  # noqa: F401  (a name that `slow.observer` may give)
from ltm_pyro.training.parse_errors import no_such_class
from ltm_pyro.training.removed_arguments import without_removed

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

FAMILIES = (
    *(AbstractDecoder, AbstractPrior, AbstractGuide, WeightObserver),
    *(AbstractObjective, AbstractGradient, AbstractSchedule, Optimizer),
)
NETWORKS = ("ltm_pyro.", "torch.nn.")  # where a class that has to be a plain network may be defined
GUIDES = (AbstractGuide, AutoGuide, AutoMessenger)  # what arguments of the type `str | Callable[..., Any]` make
SPEC = ("class_path", "init_args")
NOWHERE = object()  # the type hint of what a file cannot give
PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
WORD = re.compile(r"(?!- )[\w .+/-]*")  # text that no reader of YAML takes for a mapping or a list
DEEPEST, LARGEST = 16, 2000  # levels and values of the arguments of a run


class NamedClass(NamedTuple):
    """A class that is none of ltm_pyro's, torch's or Pyro's, and the argument that names it."""

    argument: str
    path: str

    def __str__(self) -> str:
        return f"{self.argument} {self.path}"


class Arguments(NamedTuple):
    """Arguments of a run in which every class path has been looked at, and the classes of other packages among them."""

    values: dict[str, Any]
    foreign: list[NamedClass]


def checked_arguments(parser: ArgumentParser, given: Mapping[str, Any], trust_code: bool = False) -> Arguments:
    """Look at every class path among the arguments of a run; nothing is imported or called unless that is consented to.

    Every place where a class may stand is known from the signatures of the classes around it, and so is what the
    class has to derive from. A class path, or what could be read as one, is refused in any other place.

    Args:
        parser: one that `components.add_arguments` has seen.
        given: as a YAML file holds them: mappings, lists, text, numbers.
        trust_code: import classes of other packages. A path that leads to anything but a class of the kind that its
            place takes is refused then too.

    Returns:
        A copy of the arguments, those behind dots nested, without removed ones; only this copy is to be parsed.

    Raises:
        InputError: for a path that leads to no class of the kind that its place takes, for a class in a place that
            takes none, and for arguments of other types, too many or too deep, or removed.
    """
    walk = _Walk(trust_code)
    values = _plain(given)
    if "decoder" in values:
        values["decoder"] = normal_form(values["decoder"])
    values = without_removed(values)
    walk.arguments(values, _hints_of(parser), "")
    return Arguments(values, walk.foreign)


class _Walk:
    """A walk through nested arguments beside the type hints of what takes them."""

    def __init__(self, trust_code: bool) -> None:
        self.trust_code = trust_code
        self.foreign: list[NamedClass] = []

    def arguments(self, given: Mapping[str, Any], hints: Mapping[str, Any], within: str) -> None:
        """Look at arguments by name; those of a group are nested."""
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
                _refuse_classes(value, within + name, strict=True)  # unknown, which the parser will say

    def _decoder(self, spec: Mapping[str, Any]) -> None:
        """Look at a decoder and its arguments, which may be of another class than the parser's."""
        path = spec["class_path"]
        if isinstance(path, str) and path.isidentifier():  # that of a known one is whole by now
            raise InputError(no_such_class("decoder", path, AbstractDecoder))
        self._named(spec, (AbstractDecoder,), "decoder")

    def _argument(self, value: Any, hint: Any, name: str) -> None:
        bases = tuple(_bases(hint))
        if hint is NOWHERE and value not in (None, False):  # --print_config writes what was not given as such
            raise InputError(f"{name} {value}: this is of the command line, and has no place in a file: leave it out")
        if isinstance(value, str) and bases and not _is_number(value):
            self._named({"class_path": value}, bases, name)
        elif isinstance(value, dict) and bases and "class_path" in value:
            self._named(value, bases, name)
        elif not (isinstance(value, str) and _is_text(hint)):
            _refuse_classes(value, name, strict="Any" not in str(hint))

    def _named(self, spec: Mapping[str, Any], bases: tuple[type, ...], name: str) -> None:
        """Look at a class and its arguments."""
        path, others = spec["class_path"], sorted(set(spec) - set(SPEC))
        if others or not isinstance(path, str):
            raise InputError(f"{name} {path}: expected a class_path and its init_args, not {', '.join(others) or path}")
        before = len(self.foreign)
        cls = self._class(path, bases, name)
        given = spec.get("init_args")
        if isinstance(given, dict) and cls is not None:
            self.arguments(given, _hints(cls), f"{name}.")
        elif given is not None and len(self.foreign) == before:  # no consent covers what stands there
            _refuse_classes(given, f"{name}.init_args", strict=True)

    def _class(self, path: str, bases: tuple[type, ...], name: str) -> type | None:
        """The class that a path leads to, if it may be looked at."""
        for cls in classes_named(path, bases) if "." not in path else [known_class(path, bases)]:
            if cls is not None and not is_known(cls):
                path = f"{cls.__module__}.{cls.__qualname__}"
            elif cls is not None and (bases != (nn.Module,) or cls.__module__.startswith(NETWORKS)):
                return cls
        if path.isidentifier():
            return None  # a short name of none, which who takes it will say
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
    """Import the class of a path; where that fails, the parser will say so in its own words."""
    module, _, own = path.rpartition(".")
    try:
        found = getattr(import_module(module), own)
    except (ImportError, AttributeError, SyntaxError):
        return
    if not isinstance(found, type) or not issubclass(found, bases):
        raise InputError(no_such_class(name, path, bases[0]))


def _bases(hint: Any) -> Iterator[type]:
    """The classes from which a class may derive where a value of this type is expected."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Union or origin is UnionType:
        for member in inner:
            yield from _bases(member)
    elif origin is Callable or origin is type:
        yield from GUIDES if inner[-1] is Any else _bases(inner[-1])
    elif isinstance(hint, type) and (hint is nn.Module or issubclass(hint, FAMILIES)):
        yield hint


def _is_text(hint: Any) -> bool:
    """Whether a value of this type is text that is taken as it is."""
    return hint is None or hint is str or set(get_args(hint)) == {str, type(None)}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text in ("null", "true", "false")
    return True


def _refuse_classes(value: Any, name: str, strict: bool) -> None:
    """Refuse values that a reader could take for a class: a mapping with a path, and text in which one may hide.

    Args:
        value: plain values.
        name: of the argument.
        strict: refuse import paths too.
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "class_path":
                raise InputError(
                    f"{name}: the class {inner} stands where none is expected, or beside one that is not named: leave "
                    "it out, or name the class around it by class_path and its arguments by init_args"
                )
            _refuse_classes(inner, f"{name}.{key}", strict)
    elif isinstance(value, list):
        for inner in value:
            _refuse_classes(inner, name, strict)
    elif isinstance(value, str) and (not WORD.fullmatch(value) or (strict and PATH.fullmatch(value))):
        raise InputError(f"{name} {value[:100]!r}: expected a number or a word")


@lru_cache(maxsize=256)
def _hints(cls: type) -> Mapping[str, Any]:
    """The type hints of a class's arguments by name, as the parser has them."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(cls, fail_untyped=False)
    return _hints_of(parser)


def _hints_of(parser: ArgumentParser) -> dict[str, Any]:
    kinds = ("ActionTypeHint", "_StoreAction")  # the others load files, print help, or stand for a group
    actions = [action for action in parser._actions if not action.dest.endswith(".help")]
    return {a.dest: getattr(a, "_typehint", None) if type(a).__name__ in kinds else NOWHERE for a in actions}


def _plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments with those behind dots nested, as copies.

    Raises:
        InputError: for other types than YAML's own, too many values or too deep ones.
    """
    return _Copy().of(arguments, 0)


class _Copy:
    """Copies nested plain values, as many as a run can have."""

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
                raise InputError(f"{key!r} is no name of an argument")
            first, _, rest = key.partition(".")
            held = self.of({rest: inner} if rest else inner, depth + 1)
            both = isinstance(held, dict) and isinstance(copy.get(first), dict)
            copy[first] = {**copy[first], **held} if both else held
        return copy
