"""Thoughts chosen among candidates from q(z | prompt) by the reward head, without writing a text."""

from __future__ import annotations

from typing import Any, Literal, get_args

import pyro
import torch
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.generation.rewarded.batch import prompt_batch, reward_of
from ltm_pyro.inference import FastLoop
from ltm_pyro.models import AbstractModel

Rule = Literal["best", "weights"]


@torch.no_grad()
def candidate_thoughts(
    model: AbstractModel,
    guide: Any,
    fast: FastLoop,
    prompts: Tensor,
    r: Tensor,
    candidates: int = 32,
    rule: Rule = "best",
) -> Tensor:
    r"""One of n candidates of z for each text, shape (N, L, K, D); a candidate costs one pass of the head.

    .. math:: z_i \sim q(z \mid x_{\text{prompt}}), \qquad w_i = p(r \mid z_i) \Big/ \sum_j p(r \mid z_j)

    `best` takes the candidate of the largest weight: a maximum, not a sample, which follows the head where it errs the
    more candidates there are. `weights` draws one by the weights (sampling-importance-resampling), which for many
    candidates is a sample from :math:`q(z \mid x_{\text{prompt}})\, p(r \mid z)`, normalised. With one candidate both
    are a draw from q. Without a prompt q is the prior.

    Args:
        prompts: token ids, shape (N, P); P may be 0. Each has its own inference.
        r: the wanted labels, shape (N,).
        candidates: n.
        rule: `best` or `weights`.

    Raises:
        InputError: for a model without a reward head, fewer than one candidate, or another rule.
    """
    if candidates < 1 or rule not in get_args(Rule):
        raise InputError(
            f"candidates={candidates}, rule={rule!r}: expected one or more candidates, and one of "
            f"{', '.join(get_args(Rule))}"
        )
    batch = prompt_batch(model, prompts)
    z = posterior_thoughts(model, guide, fast, prompts, batch, candidates)
    scores = reward_of(model).log_prob(z, r, batch["x"], batch.get("prompts"))  # (n, N)
    chosen = scores.argmax(0) if rule == "best" else torch.distributions.Categorical(logits=scores.T).sample()
    return z[chosen, torch.arange(len(chosen), device=z.device)]


@torch.no_grad()
def posterior_thoughts(
    model: AbstractModel, guide: Any, fast: FastLoop, prompts: Tensor, batch: dict[str, Any], count: int
) -> Tensor:
    """z ~ q(z | prompt), or z ~ p(z) without a prompt, shape (`count`, N, L, K, D), with one fit for each prompt.

    Args:
        batch: as `prompt_batch` returns it for these prompts.
        count: draws of each posterior.
    """
    if not prompts.shape[1]:
        assert model.prior is not None
        return model.prior().sample((count, len(prompts)))
    fast.fit(model, guide, **batch)
    with pyro.plate("particles", count, dim=-2):
        return guide(**batch)
