"""The usage of codes, and the re-seeding of dead ones."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ltm_pyro.errors import InputError


class CodeReset(NamedTuple):
    """Indices of the re-seeded codes, and of the code that each was copied from, shape (dead,) each."""

    dead: Tensor
    sources: Tensor


class CodeUsage(nn.Module):
    r"""Usage u of each of C codes: a running mean over batches of posteriors.

    .. math:: u \leftarrow d\,u + (1 - d)\, \frac{1}{BLK} \sum_{b,l,k} q(z_{blk}), \qquad
              \text{perplexity} = \exp\Big(-\sum_c u_c \log u_c\Big)

    The perplexity is C where all codes are used alike, and 1 where a single one is. (van den Oord et al., 2017,
    arXiv 1711.00937, appendix A.1, for the running mean.) The counts go to the checkpoint.

    Args:
        codes: C.
        decay: d, between 0 and 1; 0 counts the last batch alone.

    Raises:
        InputError: for fewer than one code, or a decay outside [0, 1).
    """

    total: Tensor
    weight: Tensor

    def __init__(self, codes: int, decay: float = 0.99) -> None:
        super().__init__()
        if codes < 1 or not 0 <= decay < 1:
            raise InputError(f"codes={codes}, decay={decay}: expected 1 code or more, and 0 <= decay < 1")
        self.codes, self.decay = codes, decay
        self.register_buffer("total", torch.zeros(codes))
        self.register_buffer("weight", torch.zeros(()))

    @torch.no_grad()
    def add(self, q: Tensor) -> None:
        """Add a batch to the running mean: probabilities of a guide's posteriors, or one-hot codes, shape (..., C)."""
        if q.shape[-1] != self.codes:
            raise InputError(f"q has {q.shape[-1]} codes in its last dimension: expected {self.codes}")
        mean = q.detach().flatten(0, -2).mean(0).to(self.total)
        self.total.mul_(self.decay).add_((1 - self.decay) * mean)
        self.weight.mul_(self.decay).add_(1 - self.decay)

    @property
    def frequencies(self) -> Tensor:
        """Usage of each code, shape (C,), with a sum of 1.

        Raises:
            InputError: before anything was counted.
        """
        if not self.weight > 0:
            raise InputError("no code has been counted: call add(q) with a guide's probabilities first")
        return self.total / self.weight

    @property
    def perplexity(self) -> float:
        """Perplexity of the usage: C if all codes are used equally, 1 if a single one is used."""
        return torch.special.entr(self.frequencies).sum().exp().item()

    def dead(self, threshold: float = 0.1) -> Tensor:
        """Mask of the codes used less often than this fraction of their equal share 1/C, shape (C,)."""
        return dead_codes(self.frequencies, threshold)

    def summary(self, threshold: float = 0.1) -> str:
        """One line with the numbers of used and dead codes, and the perplexity."""
        dead = int(self.dead(threshold).sum())
        return f"{self.codes - dead} of {self.codes} codes used, {dead} dead, perplexity {self.perplexity:.1f}"

    def extra_repr(self) -> str:
        return f"codes={self.codes}, decay={self.decay}"


def dead_codes(frequencies: Tensor, threshold: float = 0.1) -> Tensor:
    """Mask of the codes used less often than this fraction of their equal share 1/C, shape (C,)."""
    return frequencies < threshold / len(frequencies)


@torch.no_grad()
def reset_dead_codes(
    rows: Tensor,
    frequencies: Tensor,
    threshold: float = 0.1,
    noise: float = 0.1,
    generator: torch.Generator | None = None,
) -> CodeReset:
    """Re-seed dead codes from used ones plus noise, in place.

    A used code is copied with a probability proportional to its usage; the noise makes the copies differ.

    Args:
        rows: vectors of the codes, shape (C, D), changed in place; `projection.weight.T` of a model.
        frequencies: how often each code is used, shape (C,).
        threshold: as in `CodeUsage.dead`.
        noise: standard deviation of the noise in each dimension, relative to that of the used codes' vectors.
        generator: of the random numbers, on the CPU; the default one if None.

    Returns:
        The re-seeded codes and their sources, for `CodebookPrior.adopt`.

    Raises:
        InputError: if no code is used, or rows and frequencies disagree about C.
    """
    if len(rows) != len(frequencies):
        raise InputError(
            f"{len(rows)} rows, {len(frequencies)} frequencies: expected one of each for every code; the rows are "
            "projection.weight.T"
        )
    usage = frequencies.detach().cpu().double()  # the same draws on every device
    dead = dead_codes(usage, threshold)
    if dead.all():
        raise InputError(f"threshold={threshold}: no code's usage reaches threshold / C, so that there is none to copy")
    dead_ids = dead.nonzero().squeeze(-1)  # (dead,)
    if not len(dead_ids):
        return CodeReset(dead_ids.to(rows.device), dead_ids.to(rows.device))
    sources = torch.multinomial(usage * ~dead, len(dead_ids), replacement=True, generator=generator)
    jitter = torch.randn(len(dead_ids), rows.shape[1], generator=generator).to(rows)
    dead_ids, sources, used = dead_ids.to(rows.device), sources.to(rows.device), (~dead).to(rows.device)
    rows[dead_ids] = rows[sources] + noise * rows[used].std(0, correction=0) * jitter
    return CodeReset(dead_ids, sources)
