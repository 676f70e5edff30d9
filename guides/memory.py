"""A guide that remembers: a text's posterior begins where its last one ended."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.optim import Optimizer

from ltm_pyro.errors import InputError
from ltm_pyro.guides.abstract import AbstractGuide
from ltm_pyro.guides.mean_field import MeanFieldGuide
from ltm_pyro.guides.posterior_store import PosteriorStore
from ltm_pyro.instances import require_maker
from ltm_pyro.ranges import bounded, whole

ZShape = tuple[int, int, int]


class MemoryGuide(AbstractGuide):
    """Another guide, whose posteriors are kept from one epoch to the next, so that few fast steps go a long way.

    While training, what the fast loop has fitted for a text is kept when it ends, as float32, and is where the same
    text starts when it comes again. The optimizer of the fast loop starts anew all the same: with a posterior that is
    nearly there, a smaller `fast.learning_rate` suits than from the prior. A text is known by its scored tokens, so
    that no batch needs to say which texts it holds; equal texts share a posterior. In evaluation mode nothing is read
    or kept: every posterior is then found from the start alone, as the other guide finds it.

    A text takes 4 bytes for each of its local numbers, and room is made as texts come. Around `MeanFieldGuide`, with 2
    L K D numbers, that is 3 kB in the default recipe and 98 kB in the paper's small one: the 1 GiB that is the most
    without a `capacity` holds 350,000 and 10,900 texts. With room for fewer texts than there are to train on, most are
    forgotten before they come again, and the memory is of no use; training then says so. Checkpoints hold the memory,
    and are larger by as much; a resumed run goes on with it bit for bit.

    Args:
        z_shape: (L, K, D).
        guide: makes the other guide from z_shape: a class, or a callable.
        capacity: the most texts that are kept; the one fitted longest ago makes room. None is what 1 GiB holds.
        path: a folder on a disk, to keep them in a nameless file there instead of memory, which has its whole size from
            the first text on. The file is gone when the process ends.

    Raises:
        InputError: if the other guide learns through its refinement, whose start would not be its own; from `start`,
            if it has no local parameters.

    Example:
        >>> guide = MemoryGuide((2, 4, 8), MeanFieldGuide, capacity=1000)
        >>> guide.start(torch.zeros(3, 16, dtype=torch.long))
        >>> [row.shape for row in guide.local_parameters()]
        [torch.Size([3, 2, 4, 8]), torch.Size([3, 2, 4, 8])]
    """

    @bounded(capacity=whole(1))
    def __init__(
        self,
        z_shape: ZShape,
        guide: Callable[[ZShape], AbstractGuide] = MeanFieldGuide,
        capacity: int | None = None,
        path: str | None = None,
    ) -> None:
        super().__init__(z_shape)
        require_maker("guide", guide, "MeanFieldGuide")
        self.guide = guide(self.z_shape)
        if self.guide.needs_unrolled:
            raise InputError(
                f"{type(self.guide).__name__} learns how to start, by through='refinement'; a memory would start it "
                "elsewhere. Give it through='own', or leave the memory out"
            )
        self.memory = PosteriorStore(capacity, path)
        self.fast_particles = self.guide.fast_particles
        self._texts: list[bytes] = []

    @property
    def discrete(self) -> bool:  # type: ignore[override]
        return self.guide.discrete

    @property
    def step_size(self) -> float:  # type: ignore[override]
        return self.guide.step_size

    @property
    def has_density(self) -> bool:  # type: ignore[override]
        return self.guide.has_density

    @property
    def family(self) -> str:
        return self.guide.family

    def prepare(self, vocabulary: int) -> None:
        self.guide.prepare(vocabulary)

    def start(self, x: Tensor, mask: Tensor | None = None, prior: Distribution | None = None) -> None:
        self.guide.start(x, mask, prior)
        self.rows = len(x)
        rows = self.guide.local_parameters()
        if not rows:
            raise InputError(
                f"{type(self.guide).__name__} has no local parameters, so that there is nothing to remember: use it "
                "without MemoryGuide"
            )
        self._texts = texts_of(x, mask) if self.training else []
        known, kept = self.memory.read(self._texts)
        if known:
            with torch.no_grad():
                for row, part in zip(rows, kept.split([row[0].numel() for row in rows], 1), strict=True):
                    row[known] = part.view(-1, *row.shape[1:]).to(row)

    def after_fit(self, log_joint: Callable[[Tensor], Tensor]) -> None:
        self.guide.after_fit(log_joint)
        if self._texts:
            self.memory.write(self._texts, torch.cat([row.detach().flatten(1) for row in self.local_parameters()], 1))

    def status(self) -> str:
        if not self.memory.forgotten:
            return ""
        return (
            f"MemoryGuide is full with {len(self.memory):,} texts and has forgotten {self.memory.forgotten:,} to make "
            "room for others: they start anew when they come again. Give it a larger capacity"
        )

    def local_parameters(self) -> list[Tensor]:
        return self.guide.local_parameters()

    def fast_optimizer(self, given: Callable[..., Optimizer]) -> Callable[..., Optimizer]:
        return self.guide.fast_optimizer(given)

    @property
    def is_sampler(self) -> bool:  # type: ignore[override]
        return self.guide.is_sampler

    @property
    def has_natural_step(self) -> bool:
        return self.guide.has_natural_step

    def natural_step(self, rate: float) -> None:
        self.guide.natural_step(rate)

    def natural_norm(self) -> Tensor:
        return self.guide.natural_norm()

    def backward_guide(self, loss: Callable[[], Tensor]) -> None:
        self.guide.backward_guide(loss)

    def forward(
        self,
        x: Tensor | None = None,
        mask: Tensor | None = None,
        batch_size: int | None = None,
        previous: Tensor | None = None,
    ) -> Tensor | None:
        """As the other guide does."""
        return self.guide(x, mask, batch_size, previous)


def texts_of(x: Tensor, mask: Tensor | None = None) -> list[bytes]:
    """128 bits for every text that tell it from all others, made of its scored tokens."""
    tokens, scored = x.cpu(), None if mask is None else mask.cpu()
    rows = [row if scored is None else row[scored[place]] for place, row in enumerate(tokens)]
    return [hashlib.blake2b(row.contiguous().numpy().tobytes(), digest_size=16).digest() for row in rows]
