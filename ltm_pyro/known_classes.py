"""Classes of ltm_pyro, torch and Pyro by name, without importing anything."""

from __future__ import annotations

import sys
from collections.abc import Iterator

PACKAGES = ("ltm_pyro", "torch", "pyro")


def known_class(path: str, bases: tuple[type, ...]) -> type | None:
    """A class of ltm_pyro, torch or Pyro that derives from one of the bases, by its import path; None if it is none.

    It is looked up in modules that are imported already (and in ltm_pyro itself), and no further than the module's own
    names: a path through another module (``torch.os.system``), a function, or a class of another package that one of
    ours imports is none.
    """
    module, _, name = path.rpartition(".")
    if module.split(".")[0] not in PACKAGES or module not in sys.modules:
        return None
    holder = sys.modules[module]
    late = module == PACKAGES[0] and name in holder.__all__  # whose parts are imported when they are asked for
    found = getattr(holder, name) if late else vars(holder).get(name)
    return found if isinstance(found, type) and issubclass(found, bases) and is_known(found) else None


def is_known(cls: type) -> bool:
    """Whether a class is defined by ltm_pyro, torch or Pyro."""
    return cls.__module__.split(".")[0] in PACKAGES


def classes_named(name: str, bases: tuple[type, ...]) -> list[type]:
    """Every imported class of this name that derives from one of the bases, or is one."""
    return [cls for cls in dict.fromkeys(_below(bases)) if cls.__name__ == name]


def public_path(cls: type) -> str:
    """The import path that a file names a class by: under `ltm_pyro` itself where it is offered there."""
    public = f"{PACKAGES[0]}.{cls.__name__}"
    return public if known_class(public, (cls,)) is cls else f"{cls.__module__}.{cls.__qualname__}"


def _below(bases: tuple[type, ...]) -> Iterator[type]:
    for base in bases:
        yield base
        yield from _below(tuple(base.__subclasses__()))
