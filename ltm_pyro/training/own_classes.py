"""Contract checks of classes from outside the library, made before training."""

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
    check_thoughts,
    check_value,
    require,
)
from ltm_pyro.errors import InputError
from ltm_pyro.training.components import RunComponents

LIBRARIES = ("ltm_pyro", "torch", "pyro", "zuko", "transformers", "peft")
TEXTS = 3


def is_own(component: Any) -> bool:
    """True if the class of an object, or of one of its modules, is from outside the library."""
    modules = component.modules() if isinstance(component, nn.Module) else [component]
    parts = [*modules, getattr(component, "gradient", None)]
    return any(part is not None and type(part).__module__.split(".")[0] not in LIBRARIES for part in parts)


def made(argument: str, make: Callable[..., Any], *arguments: Any, base: str = "z_shape", **named: Any) -> Any:
    """Construct an object of a class that an argument of the command line names.

    Args:
        argument: the argument's name.
        make: the class, or a function that makes an object of it.
        arguments, named: of its constructor.
        base: the arguments of its base class's constructor, for the message.

    Raises:
        InputError: if the object cannot be made, or its constructor does not call that of its base class.
    """
    with _contract_errors(argument, make):
        with asking("it"):
            instance = make(*arguments, **named)
        initialised = not isinstance(instance, nn.Module) or "_parameters" in vars(instance)
        require(initialised and hasattr(instance, "z_shape"), f"its __init__ must begin with super().__init__({base})")
    return instance


def check_own_classes(components: RunComponents, length: int) -> None:
    """Run the cheap checks of `ltm_pyro.testing` on a run's decoder, prior, transport, guide and bounds.

    Only classes from outside the library are checked. The objects and torch's random state are unchanged.

    Args:
        components: of a run, on the CPU.
        length: T, of a text.

    Raises:
        InputError: for a broken contract.
    """
    model, guide, fast, slow = components
    with torch.random.fork_rng(devices=[]):
        if is_own(model.decoder):
            with _contract_errors("--decoder", model.decoder):
                _check_decoder(deepcopy(model.decoder))
        if model.prior is not None and is_own(model.prior):
            with _contract_errors("--prior", model.prior):
                _check_prior(deepcopy(model.prior))
        transport = getattr(model, "transport", None)
        if transport is not None and is_own(transport):
            with _contract_errors("--transport", transport):
                check_thoughts(deepcopy(transport))
        if model.prior is not None and is_own(guide):
            with _contract_errors("--guide", guide):
                _check_guide(deepcopy(guide), model.prior, length)
        for argument, bound in (("--fast.bound", fast.bound), ("--slow.bound", slow.bound)):
            if is_own(bound):
                with _contract_errors(argument, bound):
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
    changed = torch.cat((x[:1], x[1:] + 1))
    check_rows(guide, x, p, dtype)
    check_posterior(guide, x, prior.z_shape, dtype)
    check_reading(guide, x, changed, p)


def _check_bound(bound: Any) -> None:
    check_value(bound)
    check_terms(bound)


@contextmanager
def _contract_errors(argument: str, component: Any) -> Iterator[None]:
    """Context manager that turns a broken contract into an InputError naming the argument and the class."""
    try:
        yield
    except BrokenContractError as error:
        raise InputError(f"{argument} {_class_name(component)}: {error}") from error


def _class_name(component: Any) -> str:
    """Name of the class of an object, of a class, or of the class in a `partial` of the command line."""
    classes = [part for part in (component, *getattr(component, "args", ())) if isinstance(part, type)]
    return classes[0].__name__ if classes else type(component).__name__
