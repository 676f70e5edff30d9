"""Thoughts from a posterior that the fast loop fits to a prompt and a wanted label."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.generation.rewarded.batch import prompt_batch
from ltm_pyro.inference import FastLoop
from ltm_pyro.models import AbstractModel


def tilted_thoughts(model: AbstractModel, guide: Any, fast: FastLoop, prompts: Tensor, r: Tensor) -> Tensor:
    r"""z ~ q, with q fitted to the posterior that the label tilts, shape (N, L, K, D).

    .. math:: q \approx p(z \mid x_{\text{prompt}}, r) \propto p(z)\, p(x_{\text{prompt}} \mid z)\, p(r \mid z)

    within the guide's family: ordinary inference with one more observed site. The fit's ELBO bounds
    :math:`\log p(x_{\text{prompt}}, r)`.

    Args:
        prompts: token ids, shape (N, P); P may be 0. Each has its own inference.
        r: the wanted labels, shape (N,).

    Raises:
        InputError: for a model without a reward head, or a guide without local parameters, whose q depends on the text
            alone.
    """
    batch = {**prompt_batch(model, prompts), "r": r}
    fast.fit(model, guide, **batch)
    if not guide.local_parameters():
        raise InputError(
            f"{type(guide).__name__} has no local parameters, so that no label moves its posteriors: choose among "
            "candidates of z (best or weights), or sample by langevin"
        )
    with torch.no_grad():
        return guide(**batch)
