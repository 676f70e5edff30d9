"""Texts as points, and how far two sets of them are from one another."""

from __future__ import annotations

import contextlib
import io
import math
import os
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from ltm_pyro.optional import import_extra
from ltm_pyro.suites.generation.bootstrap import Interval
from ltm_pyro.suites.generation.judge import load_pair

LONGEST = 512
RESAMPLES = 20
FEWEST = 8  # texts, below which there is nothing to cluster


class Embedder:
    """Any model of transformers: a text is the mean of its last hidden states.

    Args:
        spec: a name on the hub, or a local folder.
        device: where it works.

    Raises:
        InputError: if it cannot be loaded, or transformers is not installed.
    """

    def __init__(self, spec: str, device: torch.device | str = "cpu") -> None:
        self.tokenizer, self.model = load_pair(spec, "AutoModel", "an embedder")
        self.model, self.device = self.model.to(device).eval(), device
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token

    @torch.no_grad()
    def embed(self, texts: Sequence[str], batch_size: int = 8) -> np.ndarray:
        """Points, shape (N, width)."""
        most = min(getattr(self.model.config, "max_position_embeddings", LONGEST), LONGEST)
        parts = []
        for begun in range(0, len(texts), batch_size):
            some = [text or " " for text in texts[begun : begun + batch_size]]
            inputs = self.tokenizer(some, padding=True, truncation=True, max_length=most, return_tensors="pt")
            ids, mask = inputs["input_ids"].to(self.device), inputs["attention_mask"].to(self.device)
            states = self.model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
            weights = mask[..., None].float()
            parts.append(((states * weights).sum(1) / weights.sum(1).clamp(min=1)).cpu().numpy())
        return np.concatenate(parts)


def mauve_score(written: np.ndarray, real: np.ndarray, seed: int = 0) -> Interval:
    """MAUVE of two sets of points, from 0 to 1 (Pillutla et al., 2021, arXiv 2102.01454), by the package mauve-text.

    Its interval is of resampled sets, 20 times, moved to where the value is: a set that holds texts twice has a lower
    score than one that does not. Both are NaN for fewer than eight texts.

    Args:
        written, real: shapes (N, width) and (M, width).
        seed: of clustering and resampling.

    Raises:
        InputError: if the package is not installed.
    """
    if min(len(written), len(real)) < FEWEST:
        return Interval(math.nan)
    value = _mauve(written, real, seed)
    choose = np.random.default_rng(seed)

    def resampled(points: np.ndarray) -> np.ndarray:
        return points[choose.integers(len(points), size=len(points))]

    again = [_mauve(resampled(written), resampled(real), seed) for _ in range(RESAMPLES)]
    low, high = np.quantile(again, [0.025, 0.975]) - np.mean(again) + value
    return Interval(value, max(0.0, float(low)), min(1.0, float(high)))


def _mauve(written: np.ndarray, real: np.ndarray, seed: int) -> float:
    mauve = import_extra("mauve", "mauve", "MAUVE")
    with _quiet():
        found = mauve.compute_mauve(p_features=real, q_features=written, seed=seed, verbose=False)
    return float(found.mauve)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Lets nothing be shown: the clustering warns of few points twenty times a row, some of it past Python."""
    with contextlib.redirect_stdout(io.StringIO()), open(os.devnull, "w", encoding="utf-8") as nowhere:
        kept = {stream: os.dup(stream) for stream in (1, 2)}
        try:
            for stream in kept:
                os.dup2(nowhere.fileno(), stream)
            yield
        finally:
            for stream, copy in kept.items():
                os.dup2(copy, stream)
                os.close(copy)
