"""Classes of ltm_pyro, torch and Pyro by name, without importing anything."""

from __future__ import annotations

import sys
from collections.abc import Iterator

PACKAGES = ("ltm_pyro", "torch", "pyro")


def known_class(path: str, bases: tuple[type, ...]) -> type | None:
    """A class of ltm_pyro, torch or Pyro that derives from one of the bases, by its import path; else None.

    Only modules that are imported already are searched (and ltm_pyro itself), and of each only its own names. A path
    through another module (``torch.os.system``), a function, and a class of another package that one of ours imports
    give None.
    """
    module, _, name = path.rpartition(".")
    if module.split(".")[0] not in PACKAGES or module not in sys.modules:
        return None
    holder = sys.modules[module]
    late = module == PACKAGES[0] and name in holder.__all__  # a name that ltm_pyro imports at first use
    value = getattr(holder, name) if late else vars(holder).get(name)
    return value if isinstance(value, type) and issubclass(value, bases) and is_known(value) else None


def is_known(cls: type) -> bool:
    """True if a class is defined by ltm_pyro, torch or Pyro."""
    return cls.__module__.split(".")[0] in PACKAGES


def classes_named(name: str, bases: tuple[type, ...]) -> list[type]:
    """Every imported class of this name that is one of the bases or derives from one."""
    return [cls for cls in dict.fromkeys(_below(bases)) if cls.__name__ == name]


def public_path(cls: type) -> str:
    """Import path by which a file names a class: from `ltm_pyro` itself if it is exported there."""
    public = f"{PACKAGES[0]}.{cls.__name__}"
    return public if known_class(public, (cls,)) is cls else f"{cls.__module__}.{cls.__qualname__}"


def _below(bases: tuple[type, ...]) -> Iterator[type]:
    for base in bases:
        yield base
        yield from _below(tuple(base.__subclasses__()))
