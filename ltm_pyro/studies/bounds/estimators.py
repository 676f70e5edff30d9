"""Estimators by name: pairs of a bound and a gradient estimator."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

from ltm_pyro import bounds as b
from ltm_pyro.bounds import AbstractGradient, AbstractObjective
from ltm_pyro.errors import InputError

Make = Callable[[int], AbstractObjective]


@dataclass(frozen=True)
class Estimator:
    """Pair of a bound and a gradient estimator, at any S that the pair allows.

    Attributes:
        name: name in tables.
        bound: name of the bound, shared by estimators that differ only in the gradient.
        make: function from S to the objective; raises InputError for an S that is not allowed.
        only: the single S of an estimator that was given as an object.
    """

    name: str
    bound: str
    make: Make
    only: int | None = None

    def at(self, particles: int) -> AbstractObjective:
        """Objective with S particles, or with the only S."""
        return self.make(self.only or particles)

    def allowed(self, particles: Iterable[int]) -> list[AbstractObjective]:
        """Objectives for all S in `particles` that the pair allows."""
        objectives = []
        for count in (self.only,) if self.only else particles:
            try:
                objectives.append(self.make(count))
            except InputError:
                continue
        return objectives


class _Named(NamedTuple):
    """Entry of `BOUNDS`: constructor from S, a number and a gradient, and the usual numbers."""

    make: Callable[[int, Any, AbstractGradient | None], AbstractObjective]
    numbers: tuple[float, ...] = ()  # numbers used by "all"; the first is the default
    has_gradient: bool = True


GRADIENTS: dict[str, Callable[[], AbstractGradient]] = {
    "stl": b.StickingTheLanding,
    "dreg": b.DoublyReparameterised,
    "vimco": b.VIMCO,
    "score": b.ScoreFunction,
    "covariance": b.Covariance,
}
BOUNDS: dict[str, _Named] = {
    "elbo": _Named(lambda s, n, g: b.ELBO(particles=s, gradient=g)),
    "iwae": _Named(lambda s, n, g: b.ImportanceWeighted(particles=s, gradient=g)),
    "renyi": _Named(lambda s, n, g: b.Renyi(alpha=n, particles=s, gradient=g), (0.5, 2, -1)),
    "tvo": _Named(lambda s, n, g: b.Thermodynamic(particles=s, intervals=int(n), gradient=g), (10,)),
    "tvo-right": _Named(
        lambda s, n, g: b.Thermodynamic(particles=s, intervals=int(n), side="right", gradient=g), (10,)
    ),
    "jvi": _Named(lambda s, n, g: b.Jackknife(particles=s, order=int(n), gradient=g), (1, 2)),  # type: ignore[arg-type]
    "miwae": _Named(lambda s, n, g: b.MultiplyImportanceWeighted(particles=s, groups=int(n), gradient=g), (2,)),
    "piwae": _Named(lambda s, n, g: b.PartiallyImportanceWeighted(particles=s, groups=int(n), gradient=g), (2,)),
    "ciwae": _Named(lambda s, n, g: b.CombinedImportanceWeighted(particles=s, elbo_weight=n, gradient=g), (0.5,)),
    "cubo": _Named(lambda s, n, g: b.ChiUpper(particles=s, order=n, gradient=g), (2,)),
    "rws": _Named(
        lambda s, n, g: b.ImportanceWeighted(particles=s, gradient=b.ReweightedWakeSleep(doubly=g is not None))
    ),
    "kl": _Named(lambda s, n, g: b.KLWeighted(kl_weight=n, particles=s, gradient=g), (0.1,)),
    "free-bits": _Named(lambda s, n, g: b.FreeBits(nats=n, particles=s), (0.1,), has_gradient=False),
    "capacity": _Named(lambda s, n, g: b.TargetCapacity(capacity=n, particles=s), (10,), has_gradient=False),
    "info-vae": _Named(lambda s, n, g: b.InfoVAE(alpha=n, particles=s), (0.9,), has_gradient=False),
}
NAME = re.compile(
    rf"({'|'.join(sorted(BOUNDS, key=len, reverse=True))})(-?\d+(?:\.\d+)?)?(?:-({'|'.join(GRADIENTS)}))?"
)

ALONG_A_PATH = (
    "elbo", "elbo-stl", "iwae", "iwae-dreg", "iwae-vimco", "renyi0.5-dreg", "tvo", "tvo-covariance", "jvi1",
    "miwae-dreg", "piwae-dreg", "cubo", "rws",
)  # fmt: skip
WITHOUT_A_PATH = (
    "elbo-score", "iwae-score", "iwae-vimco", "renyi0.5-vimco", "tvo-covariance", "jvi1-vimco", "miwae-vimco",
    "cubo-score", "rws",
)  # fmt: skip


def default_estimators(reparameterised: bool) -> list[Estimator]:
    """Default estimators, for guides with and without rsample."""
    return named_estimators(ALONG_A_PATH if reparameterised else WITHOUT_A_PATH)


def named_estimators(names: Iterable[str]) -> list[Estimator]:
    """Estimators by name, `BOUND[NUMBER][-GRADIENT]`; `all` stands for every valid pair.

    Args:
        names: names such as `elbo-stl`, `iwae-dreg`, `renyi0.5`, `miwae4`; or the import path of a class that takes
            `particles`.

    Raises:
        InputError: for an unknown name, with similar names; for an invalid pair, with the reason.
    """
    expanded = [entry for name in names for entry in (all_names() if name == "all" else [name])]
    return [_named(name) for name in dict.fromkeys(expanded)]


def as_estimators(given: Mapping[str, AbstractObjective | Make]) -> list[Estimator]:
    """Estimators from objects, each at its S, and from functions or classes that take S."""
    estimators = []
    for name, objective in given.items():
        if isinstance(objective, AbstractObjective):
            estimators.append(Estimator(name, name, partial(_same, objective), objective.particles))
        elif callable(objective):
            estimators.append(Estimator(name, name, objective))
        else:
            raise InputError(f"estimators[{name!r}] is a {type(objective).__name__}: expected a bound, or S -> bound")
    return estimators


def all_names() -> list[str]:
    """Names of all valid pairs, with the usual numbers."""
    names = []
    for bound, entry in BOUNDS.items():
        for number in [f"{number:g}" for number in entry.numbers] if bound in ("renyi", "jvi", "kl") else [""]:
            ends = [""] if not entry.has_gradient else ["", "-dreg"] if bound == "rws" else ["", *_suffixes()]
            names += [bound + number + end for end in ends if _makes_sense(bound + number + end)]
    return names


def _named(name: str) -> Estimator:
    match = NAME.fullmatch(name)
    if match is None:
        return _imported(name)
    bound, number, gradient = match.groups()
    entry = BOUNDS[bound]
    value = float(number) if number else entry.numbers[0] if entry.numbers else None
    if (number and not entry.numbers) or (gradient and not entry.has_gradient):
        raise _unknown(name)
    if bound == "rws" and gradient not in (None, "dreg"):
        raise _unknown(name)
    make = GRADIENTS[gradient] if gradient else None
    estimator = Estimator(
        name, "iwae" if bound == "rws" else bound + (number or ""), partial(_make, entry, value, make)
    )
    if not estimator.allowed((1, 2, 4, 8, *_divisible(value))):
        estimator.at(8)  # raises the error with the reason
    return estimator


def _make(entry: _Named, number: Any, gradient: Callable[[], AbstractGradient] | None, particles: int) -> Any:
    return entry.make(particles, number, gradient() if gradient else None)


def _divisible(number: float | None) -> tuple[int, ...]:
    return (2 * int(number),) if number and number >= 1 else ()


def _imported(path: str) -> Estimator:
    module, _, name = path.rpartition(".")
    if not re.fullmatch(r"[A-Za-z_][\w.]*", module):
        raise _unknown(path)
    try:
        make = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InputError(f"estimator {path!r} cannot be imported: {error}") from error
    return Estimator(path, path, lambda particles: make(particles=particles))


def _unknown(name: str) -> InputError:
    near = difflib.get_close_matches(name, all_names(), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return InputError(
        f"unknown estimator {name!r}: {hint}A name is BOUND[NUMBER][-GRADIENT] or `all`. Bounds: {', '.join(BOUNDS)}. "
        f"Gradients: {', '.join(GRADIENTS)}"
    )


def _suffixes() -> list[str]:
    return [f"-{gradient}" for gradient in GRADIENTS]


def _makes_sense(name: str) -> bool:
    try:
        _named(name).at(8)
    except InputError:
        return False
    return True


def _same(objective: AbstractObjective, particles: int) -> AbstractObjective:
    return objective
