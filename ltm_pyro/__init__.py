"""Latent Thought Models as Pyro programs: priors, guides and bounds are swapped in one line.

Shapes are written with one legend everywhere: S particles, B sequences, T tokens, L layers,
K thoughts a layer, D width, H heads, V vocabulary. A bound is in nats per sequence, higher is better.

Names are imported at first use, so that a program can set up its process before torch is loaded.
"""

from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ltm_pyro.version import __version__ as __version__

if TYPE_CHECKING:
    from ltm_pyro.bounds import *  # noqa: F403
    from ltm_pyro.errors import InputError as InputError
    from ltm_pyro.front import TrainedRun as TrainedRun
    from ltm_pyro.front import load as load
    from ltm_pyro.front import merged as merged
    from ltm_pyro.front import recipe as recipe
    from ltm_pyro.front import train as train
    from ltm_pyro.guides import *  # noqa: F403
    from ltm_pyro.inference import DualRateSVI as DualRateSVI
    from ltm_pyro.inference import FastLoop as FastLoop
    from ltm_pyro.inference import NaturalGradient as NaturalGradient
    from ltm_pyro.inference import NonFiniteError as NonFiniteError
    from ltm_pyro.inference import SlowStep as SlowStep
    from ltm_pyro.models import *  # noqa: F403

_WHOLE = ("bounds", "guides", "models", "models.priors")  # packages whose `__all__` is exported here
_BUT = {"Draws", "MaskedSequence"}  # names of theirs that are internal to bounds and models
_SOME = {  # single names of other packages
    "InputError": "errors",
    "DualRateSVI": "inference",
    "FastLoop": "inference",
    "NaturalGradient": "inference",
    "NonFiniteError": "inference",
    "SlowStep": "inference",
    "TrainedRun": "front",
    "load": "front",
    "merged": "front",
    "recipe": "front",
    "train": "front",
}
_PACKAGES = ("bounds", "guides", "models", "errors", "inference", "front", "studies", "suites")

if not TYPE_CHECKING:  # with `__getattr__` a type checker would accept any name

    def __getattr__(name: str) -> Any:
        if name in _PACKAGES:
            return import_module(f"{__name__}.{name}")
        if name == "__all__":
            return sorted({*_SOME, *(offered for part in _WHOLE for offered in _part(part).__all__)} - _BUT)
        packages = () if name in _BUT or name.startswith("_") or find_spec(f"{__name__}.{name}") else _WHOLE
        for part in [_SOME[name]] if name in _SOME else packages:
            if name in _SOME or name in _offered(part):
                globals()[name] = value = getattr(_part(part), name)
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def _part(name: str) -> ModuleType:
        return import_module(f"{__name__}.{name}")

    def _offered(part: str) -> Iterable[str]:
        """Names that a package exports; while it is being imported, those defined so far, for the base of a class."""
        module = _part(part)
        return getattr(module, "__all__", vars(module))

    def __dir__() -> list[str]:
        return sorted({*globals(), *__getattr__("__all__"), *_PACKAGES})
