"""What is asked of a model, a guide and a batch before inference begins."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.instances import described, refuse_class


def checked_batch(model: Any, guide: Any, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
    """The batch as the model takes it; token ids are then int64. No device is waited for.

    Raises:
        InputError: for a batch that is not the model's, or a guide that does not fit the model.
    """
    refuse_unfit(model, guide)
    check = getattr(model, "checked_batch", None)
    return (x, mask) if check is None else check(x, mask)


def refuse_unfit(model: Any, guide: Any) -> None:
    """Raises InputError for a class in the place of an object, a model as a guide, or thoughts of different shapes."""
    for argument, part in (("model", model), ("guide", guide)):
        refuse_class(argument, part)
    if not hasattr(guide, "local_parameters") or hasattr(model, "local_parameters"):
        raise InputError(
            f"model is {described(model)} and guide is {described(guide)}: expected a model and a guide in this order; "
            "a guide has start() and local_parameters()"
        )
    prior = getattr(model, "prior", None)
    if prior is not None:
        _refuse_other_thoughts(prior, guide)


def _refuse_other_thoughts(prior: Any, guide: Any) -> None:
    shape, expected = getattr(guide, "z_shape", None), getattr(prior, "z_shape", None)
    if shape is not None and expected is not None and tuple(shape) != tuple(expected):
        raise InputError(
            f"the guide draws z of shape {tuple(shape)}, the prior models {tuple(expected)}: build the guide with "
            "model.prior.z_shape"
        )
    discrete = getattr(prior, "discrete", None)
    if shape is not None and discrete is not None and getattr(guide, "discrete", discrete) != discrete:
        kinds = ("one-hot", "continuous") if discrete else ("continuous", "one-hot")
        raise InputError(
            f"{type(prior).__name__} has {kinds[0]} thoughts, {type(guide).__name__} draws {kinds[1]} ones: take "
            + ("CategoricalGuide or another over codes" if discrete else "MeanFieldGuide or another over numbers")
        )
