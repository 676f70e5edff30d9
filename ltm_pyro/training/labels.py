"""Labels of texts as a model's reward head takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ltm_pyro.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ltm_pyro.data import Batch, Sequences
    from ltm_pyro.models import AbstractModel

LABEL = "Name the field of the labels by --data.label FIELD (--data.mode documents)"


def prepare_labels(model: AbstractModel, training: Sequences) -> None:
    """Prepare a model's reward head for the labels of the training texts; nothing for a model without a head.

    Raises:
        InputError: if the texts have no labels or no prompts that the head reads, or it cannot learn the labels.
    """
    if model.reward is None:
        return
    labels, values = training.annotations.labels, training.annotations.values
    if labels is None or not (labels >= 0).any():
        raise InputError(f"{type(model.reward).__name__} learns labels, and no training text has one. {LABEL}")
    if model.reward.prompt and training.annotations.prompts is None:
        raise InputError(
            f"{type(model.reward).__name__} reads prompts, and the texts have none: name their field by --data.prompt "
            "FIELD, or leave --reward.prompt out"
        )
    model.reward.prepare_labels(values, torch.from_numpy(labels.astype("int64")))


def labelled_inputs(model: AbstractModel, batch: Batch, values: Sequence[str]) -> dict[str, Any]:
    """Arguments of model and guide for learning a batch: `batch.inputs`, and with a reward head its labels as r.

    Args:
        model: that learns.
        batch: of training texts.
        values: the values of the labels.
    """
    if model.reward is None or batch.labels is None:
        return batch.inputs
    return {**batch.inputs, "r": model.reward.of_labels(batch.labels, values), **prompts_of(model, batch.prompts)}


def prompts_of(model: AbstractModel, prompts: torch.Tensor | None) -> dict[str, Any]:
    """The argument `prompts` of a model whose reward head reads prompts; nothing for other models."""
    return {"prompts": prompts} if model.reward is not None and model.reward.prompt else {}
