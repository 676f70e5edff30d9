"""Functions of the log-weights of S particles, per sequence."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def log_mean_exp(log_w: Tensor) -> Tensor:
    """Log of the mean weight of each sequence, (S, ...) -> (...)."""
    return log_w.logsumexp(0) - math.log(len(log_w))


def effective_sample_size(log_w: Tensor) -> Tensor:
    """Effective sample size (Σw)² / Σw², (S, B) -> (B,)."""
    return 1 / log_w.softmax(0).square().sum(0)


def leave_one_out(log_w: Tensor) -> Tensor:
    """Log-weights without each particle in turn, (S, B) -> (S - 1, S, B); the second index is the one left out."""
    count = len(log_w)
    kept = ~torch.eye(count, dtype=torch.bool, device=log_w.device)  # (left out, kept)
    return log_w.expand(count, *log_w.shape)[kept].view(count, count - 1, -1).transpose(0, 1)
