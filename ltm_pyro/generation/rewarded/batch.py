"""Batches of prompts, which may be empty, with the wanted labels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.models import AbstractModel, AbstractReward


def reward_of(model: AbstractModel) -> AbstractReward:
    """The model's reward head; raises InputError if it has none."""
    if model.prior is None or model.reward is None:
        raise InputError(
            f"this {type(model).__name__} has no reward head, so that no label can be wanted: make "
            "LatentThoughtModel(prior, decoder, reward=CategoricalReward(prior.z_shape)) and train it on labels"
        )
    return model.reward


def prompt_batch(model: AbstractModel, prompts: Tensor) -> dict[str, Any]:
    """Arguments of model and guide for prompts, shape (N, P); the text of an empty one is a token that is not scored.

    Raises:
        InputError: if the model has no reward head.
    """
    reward, (rows, length) = reward_of(model), prompts.shape
    batch: dict[str, Any] = {"x": prompts, "mask": None}
    if not length:
        x = prompts.new_full((rows, 1), model.decoder.bos_id)
        batch = {"x": x, "mask": torch.zeros_like(x, dtype=torch.bool)}
    if reward.prompt:
        batch["prompts"] = prompts.new_full((rows,), length)
    return batch
