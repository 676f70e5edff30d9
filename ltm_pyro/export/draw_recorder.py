"""Recorder of the draws from which an evaluation takes its scores, of all texts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from ltm_pyro.allocation import machine_memory
from ltm_pyro.bounds import Draws
from ltm_pyro.data import Batch
from ltm_pyro.errors import InputError
from ltm_pyro.models import AbstractModel

FLOAT, DOUBLE = 4, 8  # bytes; a code is as wide as a float
DENSITIES = ("log_likelihood", "log_prior", "log_q", "log_weight")


class DrawRecorder:
    """Recorder of z, its densities and the tokens of every batch: an `Evaluator`'s `on_draws`.

    Args:
        model, guide: of the run; the guide holds the posteriors of the batch that is recorded.
        draws: S.
        texts: N, the number of sequences to come.
        keeps_draws: whether draws and densities are kept; otherwise only the means and standard deviations of z.

    Attributes:
        z: draws of q(z), float32 (S, N, L, K, D); of one-hot thoughts the index of the one, int32 (S, N, L, K); None
            without latents, or if draws are not kept.
        mean, sd: of q(z) by text, float32 (N, L, K, D); those of the draws if `is_estimated`; None without latents. Of
            one-hot thoughts the mean holds the probabilities of the codes, and `sd` is None.
        is_estimated: True if q has no mean and no variance in closed form.
        densities: by name, float64 (S, N): `log_likelihood`, log p(x | z); and where q has a density, `log_prior`,
            log p(z), `log_q`, log q(z), and `log_weight`, log p(x, z) - log q(z). Empty if
            draws are not kept, or for a model whose likelihood is an estimate of a bound.
        batches: tokens, mask and previous token of each batch.

    Raises:
        InputError: if the draws would not fit into half of the machine's memory.
    """

    def __init__(self, model: AbstractModel, guide: Any, draws: int, texts: int, keeps_draws: bool = True) -> None:
        self.guide, self.count = guide, texts
        self.has_latents, self.discrete = model.prior is not None, bool(guide.discrete)
        names = DENSITIES if self.has_latents and guide.has_density else DENSITIES[:1] if model.exact else ()
        names = names if keeps_draws else ()
        shape = tuple(guide.z_shape)
        kept = (shape[:2] if self.discrete else shape) if keeps_draws and self.has_latents else ()
        self.size = texts * draws * (DOUBLE * len(names) + bool(kept) * FLOAT * math.prod(kept))
        _refuse_beyond_memory(self.size, draws, texts)
        self.densities = {name: np.empty((draws, texts)) for name in names}
        self.z = np.empty((draws, texts, *kept), np.int32 if self.discrete else np.float32) if kept else None
        self.mean: np.ndarray | None = np.empty((texts, *shape), np.float32) if self.has_latents else None
        self.sd: np.ndarray | None = None if self.discrete or self.mean is None else np.empty_like(self.mean)
        self.is_estimated = False
        self.batches: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._done = 0

    @torch.no_grad()
    def __call__(self, batch: Batch, draws: Draws) -> None:
        """Record one batch; the global random state is left as it was."""
        rows = slice(self._done, self._done + len(batch.x))
        for name, values in self.densities.items():
            values[:, rows] = getattr(draws, name).double().cpu().numpy()
        if "z" in draws.z:
            with torch.random.fork_rng(devices=range(torch.cuda.device_count())):  # some posteriors are traced
                self._record(rows, draws.z["z"], self.guide.posterior())
        mask = torch.ones_like(batch.x, dtype=torch.bool) if batch.mask is None else batch.mask
        self.batches.append((batch.x.cpu().numpy(), mask.cpu().numpy(), batch.previous.cpu().numpy()))
        self._done = rows.stop

    @property
    def tokens(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Token ids, int32 (N, T), mask, bool (N, T), and the token before each text, int32 (N,); padded with 0."""
        width = max(x.shape[1] for x, _, _ in self.batches)
        wide = [[np.pad(part, ((0, 0), (0, width - part.shape[1]))) for part in both] for *both, _ in self.batches]
        x, mask = (np.concatenate(parts) for parts in zip(*wide, strict=True))
        return (
            np.where(mask, x, 0).astype(np.int32),
            mask,
            np.concatenate([b for *_, b in self.batches]).astype(np.int32),
        )

    def _record(self, rows: slice, z: Tensor, q: Distribution) -> None:
        if self.z is not None:
            self.z[:, rows] = (z.argmax(-1) if self.discrete else z.float()).cpu().numpy()
        mean, variance = _closed(q, "mean"), _closed(q, "variance")
        if mean is None or variance is None:
            mean, variance, self.is_estimated = z.mean(0), z.var(0, correction=0), True
        if self.mean is not None:
            self.mean[rows] = mean.float().cpu().numpy()
        if self.sd is not None:
            self.sd[rows] = variance.sqrt().float().cpu().numpy()


def _closed(q: Distribution, name: str) -> Tensor | None:
    """The `mean` or the `variance` of a distribution; None without a closed form."""
    try:
        value: Tensor = getattr(q, name)
    except (NotImplementedError, AttributeError):
        return None
    return value


def _refuse_beyond_memory(size: int, draws: int, texts: int) -> None:
    memory = machine_memory()
    if memory is not None and size > memory / 2:
        raise InputError(
            f"{draws:,} draws of {texts:,} texts take {size / 2**30:,.1f} GiB, and this machine has "
            f"{memory / 2**30:,.0f} GiB: give a smaller --draws or --limit, or a .parquet, which holds means of z alone"
        )
