"""Contestants of the benchmark: a frozen decoder of ours, and transformers' own model, on the same tokens."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from ltm_pyro import ELBO, FastLoop, GaussianPrior, LatentThoughtModel, MeanFieldGuide, PretrainedDecoder
from ltm_pyro.models.decoder.pretrained.decoder import ARGUMENT, Precision
from ltm_pyro.pretrained import find_source, load_model

AGREEMENT = {"float32": 1e-4, "bfloat16": 2e-2}  # of two means of nats per token


def decoder_of(name: str, injection: str, length: int, dtype: Precision = "float32", **more: Any) -> PretrainedDecoder:
    """Our decoder on a frozen model."""
    return PretrainedDecoder(name, injection=injection, length=length, bos_id=0, dtype=dtype, **more).eval()


def model_of(name: str, dtype: Precision = "float32") -> Any:
    """Transformers' own model, in evaluation mode."""
    return load_model(find_source(name), "AutoModelForCausalLM", getattr(torch, dtype), ARGUMENT)


def inputs_of(x: Tensor) -> Tensor:
    """Input tokens from which texts are predicted: token 0, and all tokens but the last."""
    return torch.cat((torch.zeros_like(x[:, :1]), x[:, :-1]), 1)


class Scoring:
    """Nats per token of texts by both, from the same inputs; none forms a gradient or keeps keys and values.

    Args:
        name: of the model.
        x: texts, shape (B, T).
        dtype: of the weights.

    Raises:
        ArithmeticError: if they do not agree.
    """

    def __init__(self, name: str, x: Tensor, dtype: Precision) -> None:
        self.decoder, self.model, self.x = decoder_of(name, "none", x.shape[1], dtype), model_of(name, dtype), x
        ours, theirs = self.ours(), self.theirs()
        if not abs(ours - theirs) < AGREEMENT[dtype]:
            raise ArithmeticError(f"{dtype}: {ours:.5f} nats per token by ours, {theirs:.5f} by transformers")

    @torch.no_grad()
    def ours(self) -> float:
        return float(-self.decoder.token_log_prob(self.x).mean())

    @torch.no_grad()
    def theirs(self) -> float:
        return float(loss_of(self.model, self.x, input_ids=inputs_of(self.x)))


def loss_of(model: Any, x: Tensor, **inputs: Tensor) -> Tensor:
    """Transformers' own loss of texts; its labels are the tokens that follow the inputs."""
    loss: Tensor = model(**inputs, labels=x, shift_labels=x, use_cache=False).loss
    return loss


class FastStep:
    """One step of the fast loop on a frozen decoder: q starts at the prior and is moved once.

    Args:
        decoder: with thoughts.
        x: texts, shape (B, T).
    """

    def __init__(self, decoder: PretrainedDecoder, x: Tensor) -> None:
        self.model = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder)
        self.step = partial(FastLoop(ELBO(), steps=1).fit, self.model, MeanFieldGuide(decoder.z_shape), x)

    def __call__(self) -> None:
        self.step()


class FullStep:
    """One training step of transformers' model: forward, its own loss, backward on all weights, and AdamW.

    Args:
        model: learns.
        x: texts, shape (B, T).
    """

    def __init__(self, model: Any, x: Tensor) -> None:
        self.model, self.x = model, x
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)

    def __call__(self) -> None:
        self.optimizer.zero_grad()
        loss_of(self.model, self.x, input_ids=inputs_of(self.x)).backward()
        self.optimizer.step()


class GradientOfInputs:
    """Forward and backward of transformers' frozen model with respect to its input embeddings, by its own loss.

    Args:
        model: its weights are frozen.
        x: texts, shape (B, T).
    """

    def __init__(self, model: Any, x: Tensor) -> None:
        self.model, self.x = model.requires_grad_(False), x

    def __call__(self) -> None:
        embeddings = self.model.get_input_embeddings()(inputs_of(self.x)).requires_grad_()
        loss_of(self.model, self.x, inputs_embeds=embeddings).backward()
