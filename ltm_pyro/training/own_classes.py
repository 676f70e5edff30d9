"""Contracts of classes that are not the library's own, checked before any work is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import nn

from ltm_pyro.contracts import (
    BrokenContractError,
    asking,
    check_causality,
    check_distribution,
    check_expansion,
    check_features,
    check_posterior,
    check_reading,
    check_repetition,
    check_rows,
    check_terms,
    check_value,
    require,
)
from ltm_pyro.errors import InputError
from ltm_pyro.training.components import RunComponents

LIBRARIES = ("ltm_pyro", "torch", "pyro", "zuko")
TEXTS = 3


def is_own(thing: Any) -> bool:
    """Whether the class of an object, or of a part of it, is somebody's own."""
    parts = [*(thing.modules() if isinstance(thing, nn.Module) else [thing]), getattr(thing, "gradient", None)]
    return any(part is not None and type(part).__module__.split(".")[0] not in LIBRARIES for part in parts)


def made(argument: str, make: Callable[..., Any], *arguments: Any, base: str = "z_shape", **named: Any) -> Any:
    """An object of a class that is named by an argument.

    Args:
        argument: its name.
        make: the class, or what makes one.
        arguments, named: of its constructor.
        base: the arguments of its base class's constructor, for the message.

    Raises:
        InputError: if it cannot be made, or has not called its base class's constructor.
    """
    with _told(argument, make):
        with asking("it"):
            thing = make(*arguments, **named)
        whole = not isinstance(thing, nn.Module) or "_parameters" in vars(thing)
        require(whole and hasattr(thing, "z_shape"), f"its __init__ must begin with super().__init__({base})")
    return thing


def check_own_classes(components: RunComponents, length: int) -> None:
    """The cheap part of `ltm_pyro.testing` on a run's decoder, prior, guide and bounds.

    Only those are checked that are somebody's own. The objects keep their values, and torch its random
    numbers.

    Args:
        components: of a run, on the CPU.
        length: T, of a text.

    Raises:
        InputError: for what a class does not keep.
    """
    model, guide, fast, slow = components
    with torch.random.fork_rng(devices=[]):
        if is_own(model.decoder):
            with _told("--decoder", model.decoder):
                _check_decoder(deepcopy(model.decoder))
        if model.prior is not None and is_own(model.prior):
            with _told("--prior", model.prior):
                _check_prior(deepcopy(model.prior))
        if model.prior is not None and is_own(guide):
            with _told("--guide", guide):
                _check_guide(deepcopy(guide), model.prior, length)
        for argument, bound in (("--fast.bound", fast.bound), ("--slow.bound", slow.bound)):
            if is_own(bound):
                with _told(argument, bound):
                    _check_bound(deepcopy(bound))


def _check_decoder(decoder: Any) -> None:
    decoder.eval()
    check_features(decoder)
    check_causality(decoder)


def _check_prior(prior: Any) -> None:
    check_distribution(prior)
    check_expansion(prior, torch.get_default_dtype())
    check_repetition(prior)


def _check_guide(guide: Any, prior: Any, length: int) -> None:
    with torch.no_grad():
        p = prior()
    dtype = p.sample().dtype
    x = torch.zeros(TEXTS, length, dtype=torch.long)
    other = torch.cat((x[:1], x[1:] + 1))
    check_rows(guide, x, p, dtype)
    check_posterior(guide, x, prior.z_shape, dtype)
    check_reading(guide, x, other, p)


def _check_bound(bound: Any) -> None:
    check_value(bound)
    check_terms(bound)


@contextmanager
def _told(argument: str, what: Any) -> Iterator[None]:
    """A broken contract as the user's error, with the argument that named the class."""
    try:
        yield
    except BrokenContractError as error:
        raise InputError(f"{argument} {_class_name(what)}: {error}") from error


def _class_name(what: Any) -> str:
    """Of an object, a class, or a command line's `partial` that makes one."""
    classes = [part for part in (what, *getattr(what, "args", ())) if isinstance(part, type)]
    return classes[0].__name__ if classes else type(what).__name__
