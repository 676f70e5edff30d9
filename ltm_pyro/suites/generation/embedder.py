"""Embeddings of texts, and MAUVE, a similarity of two sets of embeddings."""

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
FEWEST = 8  # least number of texts for a clustering


class Embedder:
    """Embedder of texts by any model of transformers: the mean of the last hidden states.

    Args:
        spec: a name on the hub, or a local folder.
        device: device of the model.

    Raises:
        InputError: if the model cannot be loaded, or transformers is not installed.
    """

    def __init__(self, spec: str, device: torch.device | str = "cpu") -> None:
        self.tokenizer, self.model = load_pair(spec, "AutoModel", "an embedder")
        self.model, self.device = self.model.to(device).eval(), device
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token

    @torch.no_grad()
    def embed(self, texts: Sequence[str], batch_size: int = 8) -> np.ndarray:
        """Embeddings of texts, shape (N, width)."""
        max_length = min(getattr(self.model.config, "max_position_embeddings", LONGEST), LONGEST)
        parts = []
        for start in range(0, len(texts), batch_size):
            batch = [text or " " for text in texts[start : start + batch_size]]
            inputs = self.tokenizer(batch, padding=True, truncation=True, max_length=max_length, return_tensors="pt")
            ids, mask = inputs["input_ids"].to(self.device), inputs["attention_mask"].to(self.device)
            states = self.model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
            weights = mask[..., None].float()
            parts.append(((states * weights).sum(1) / weights.sum(1).clamp(min=1)).cpu().numpy())
        return np.concatenate(parts)


def mauve_score(written: np.ndarray, real: np.ndarray, seed: int = 0) -> Interval:
    """MAUVE of two sets of embeddings, from 0 to 1 (Pillutla et al., 2021, arXiv 2102.01454), by package mauve-text.

    The interval comes from 20 resampled sets, and is shifted to the value, since duplicates in a resampled set lower
    its score. Value and interval are NaN for fewer than eight texts.

    Args:
        written, real: embeddings of shapes (N, width) and (M, width).
        seed: seed of clustering and resampling.

    Raises:
        InputError: if the package is not installed.
    """
    if min(len(written), len(real)) < FEWEST:
        return Interval(math.nan)
    value = _mauve(written, real, seed)
    generator = np.random.default_rng(seed)

    def resampled(points: np.ndarray) -> np.ndarray:
        return points[generator.integers(len(points), size=len(points))]

    scores = [_mauve(resampled(written), resampled(real), seed) for _ in range(RESAMPLES)]
    low, high = np.quantile(scores, [0.025, 0.975]) - np.mean(scores) + value
    return Interval(value, max(0.0, float(low)), min(1.0, float(high)))


def _mauve(written: np.ndarray, real: np.ndarray, seed: int) -> float:
    mauve = import_extra("mauve", "mauve", "MAUVE")
    with _quiet():
        result = mauve.compute_mauve(p_features=real, q_features=written, seed=seed, verbose=False)
    return float(result.mauve)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Context manager that suppresses all output, also below Python: the clustering repeats its warnings."""
    with contextlib.redirect_stdout(io.StringIO()), open(os.devnull, "w", encoding="utf-8") as sink:
        copies = {stream: os.dup(stream) for stream in (1, 2)}
        try:
            for stream in copies:
                os.dup2(sink.fileno(), stream)
            yield
        finally:
            for stream, copy in copies.items():
                os.dup2(copy, stream)
                os.close(copy)
