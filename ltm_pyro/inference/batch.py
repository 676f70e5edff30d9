"""Checks of a model, a guide and a batch before inference begins."""

from __future__ import annotations

from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.inference.contracts import Guide, Prior, guide_of, is_guide, model_of, prior_of
from ltm_pyro.instances import described, refuse_class


def checked_batch(model: object, guide: object, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
    """Validated token ids, as int64, and mask of a batch, without synchronisation with the device.

    Raises:
        InputError: for a batch that the model refuses, or a guide that does not fit the model.
    """
    refuse_unfit(model, guide)
    return model_of(model).checked_batch(x, mask)


def refuse_unfit(model: object, guide: object) -> None:
    """Raises InputError for a class instead of an object, a model as a guide, or thoughts of different shapes."""
    for argument, part in (("model", model), ("guide", guide)):
        refuse_class(argument, part)
    if not is_guide(guide) or is_guide(model):
        raise InputError(
            f"model is {described(model)} and guide is {described(guide)}: expected a model and a guide in this order; "
            "a guide has start() and local_parameters()"
        )
    prior = model_of(model).prior
    if prior is not None:
        _refuse_other_thoughts(prior_of(prior), guide_of(guide), type(prior).__name__, type(guide).__name__)


def _refuse_other_thoughts(prior: Prior, guide: Guide, prior_name: str, guide_name: str) -> None:
    shape, expected = guide.z_shape, prior.z_shape
    if shape is None:
        return
    if expected is not None and tuple(shape) != tuple(expected):
        raise InputError(
            f"the guide draws z of shape {tuple(shape)}, the prior models {tuple(expected)}: build the guide with "
            "model.prior.z_shape"
        )
    if None not in (prior.discrete, guide.discrete) and prior.discrete != guide.discrete:
        kinds = ("one-hot", "continuous") if prior.discrete else ("continuous", "one-hot")
        raise InputError(
            f"{prior_name} has {kinds[0]} thoughts, {guide_name} draws {kinds[1]} ones: take "
            + (
                "CategoricalGuide or another guide over codes"
                if prior.discrete
                else "MeanFieldGuide or another Gaussian"
            )
        )
