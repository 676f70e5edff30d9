"""A guide with a memory: the posterior of a text starts from its fit in the last epoch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.optim import Optimizer

from ltm_pyro.errors import InputError
from ltm_pyro.guides.abstract import AbstractGuide
from ltm_pyro.guides.abstract_encoder import SupportsDecode
from ltm_pyro.guides.mean_field import MeanFieldGuide
from ltm_pyro.guides.posterior_store import PosteriorStore
from ltm_pyro.instances import require_maker
from ltm_pyro.ranges import bounded, whole

ZShape = tuple[int, int, int]


class MemoryGuide(AbstractGuide):
    """Warm starts for another guide: the fitted posterior of a text is its start in the next epoch.

    In training, the local parameters of a text are stored after the fast loop, as float32, and are its initial values
    when the text comes again, so that few fast steps suffice. The optimizer's state is not stored. Close to the optimum
    a smaller `fast.learning_rate` suits than from the prior. The key of a text is a hash of its scored tokens, so that
    batches need no ids of texts; equal texts share a posterior. In evaluation mode nothing is read or stored: every
    posterior starts as in the other guide.

    A text takes 4 bytes for each of its local parameters, and memory grows as texts come. With `MeanFieldGuide`, which
    has 2 L K D local parameters, that is 3 kB in the default recipe and 98 kB in the paper's small one: 1 GiB, the
    limit without a `capacity`, holds 350,000 and 10,900 texts. With room for fewer texts than the training set has,
    most are forgotten before they come again, and the memory is of no use; training then reports it. Checkpoints
    contain the memory, and are larger by its size; a resumed run continues with it bit for bit.

    Args:
        z_shape: (L, K, D).
        guide: a class or callable that constructs the other guide from z_shape.
        capacity: the largest number of stored texts; the one fitted longest ago makes room. None is what fits in 1 GiB.
        path: a folder on a disk, to store them in an unnamed file there instead of memory. The file has its full size
            from the first text on, and is deleted when the process ends.

    Raises:
        InputError: if the other guide learns through its refinement, which the memory would start elsewhere; from
            `start`, if the other guide has no local parameters.

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
                f"{type(self.guide).__name__} learns its initial values by through='refinement', which a memory would "
                "replace. Give it through='own', or leave the memory out"
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

    def attach_tokenizer(self, tokenizer: SupportsDecode) -> None:
        self.guide.attach_tokenizer(tokenizer)

    def prepare(self, vocabulary: int) -> None:
        self.guide.prepare(vocabulary)

    def start(self, x: Tensor, mask: Tensor | None = None, prior: Distribution | None = None) -> None:
        self.guide.start(x, mask, prior)
        self.rows = len(x)
        rows = self.guide.local_parameters()
        if not rows:
            raise InputError(
                f"{type(self.guide).__name__} has no local parameters, so that there is nothing to store: use it "
                "without MemoryGuide"
            )
        self._texts = texts_of(x, mask) if self.training else []
        indices, stored = self.memory.read(self._texts)
        if indices:
            with torch.no_grad():
                for row, part in zip(rows, stored.split([row[0].numel() for row in rows], 1), strict=True):
                    row[indices] = part.view(-1, *row.shape[1:]).to(row)

    def after_fit(self, log_joint: Callable[[Tensor], Tensor]) -> None:
        self.guide.after_fit(log_joint)
        if self._texts:
            self.memory.write(self._texts, torch.cat([row.detach().flatten(1) for row in self.local_parameters()], 1))

    def status(self) -> str:
        if not self.memory.forgotten:
            return ""
        return (
            f"MemoryGuide is full with {len(self.memory):,} texts and has forgotten {self.memory.forgotten:,} to make "
            "room for others, which will start afresh when they come again. Give it a larger capacity"
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
        r: Tensor | None = None,
        prompts: Tensor | None = None,
    ) -> Tensor | None:
        """Sample the site `z` from the other guide."""
        return self.guide(x, mask, batch_size, previous, r, prompts)


def texts_of(x: Tensor, mask: Tensor | None = None) -> list[bytes]:
    """Keys of texts: a hash of 128 bits of the scored tokens of each."""
    tokens, scored = x.cpu(), None if mask is None else mask.cpu()
    rows = [row if scored is None else row[scored[index]] for index, row in enumerate(tokens)]
    return [hashlib.blake2b(row.contiguous().numpy().tobytes(), digest_size=16).digest() for row in rows]
