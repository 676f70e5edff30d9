"""Several processes that train one model together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ltm_pyro.bounds import Terms
from ltm_pyro.errors import InputError

if TYPE_CHECKING:
    from accelerate import Accelerator

PATIENCE = timedelta(hours=2)  # others wait while the first process validates, or reads the corpus
BUCKET = 2**24  # numbers that are taken at once: few enough not to need much memory, enough not to wait for each


class LostProcessError(RuntimeError):
    """Another process has ended, or did not answer in time."""


class Processes:
    """All processes of a run, as one of them sees them; a single one needs nobody and waits for nobody.

    Every process reads the same batches and works on slices of its own. Posteriors stay where they are. The weights
    are the same in all: `Replicas` sums their gradients once per slow step, or `Shards` where each process has a part.

    Every call but the properties is one that all processes must make.

    Args:
        accelerator: which knows of them.

    Raises:
        LostProcessError: from every call, where another process has gone.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        self.count, self.rank = accelerator.num_processes, accelerator.process_index
        self.device = accelerator.device

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    @property
    def several(self) -> bool:
        return self.count > 1

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Put the sum over all processes in the place of each tensor, bit for bit the same in all of them."""
        if self.several:
            _in_place(torch.distributed.all_reduce, tensors)

    def share(self, tensors: Sequence[Tensor]) -> None:
        """Put what the first process holds in the place of each tensor."""
        if self.several:
            _in_place(partial(torch.distributed.broadcast, src=0), tensors)

    def gather(self, tensor: Tensor) -> Tensor:
        """The tensors of all processes, of one shape, side by side in a new first dimension."""
        if not self.several:
            return tensor[None]
        found = [torch.empty_like(tensor) for _ in range(self.count)]
        with together():
            torch.distributed.all_gather(found, tensor.contiguous())
        return torch.stack(found)

    def join(self, terms: Terms) -> Terms:
        """The terms of all processes, one after another, in the order of the batch."""
        parts = terms.tensors()
        table = torch.cat([part.double().view(len(part), -1) for part in parts.values()], 1)
        columns = iter(self.gather(table).flatten(0, 1).unbind(1))
        joined: dict[str, Any] = {}
        for name, part in parts.items():
            width = part[0].numel()
            joined[name] = torch.stack([next(columns) for _ in range(width)], 1).view(-1, *part.shape[1:]).to(part)
        return replace(terms, **joined)

    def largest(self, number: int) -> int:
        """The largest of the numbers that the processes give."""
        return number if not self.several else int(self.gather(torch.tensor(number, device=self.device)).max())

    def text_of_first(self, text: str) -> str:
        """The text that the first process gives, of 4096 bytes at most."""
        if not self.several:
            return text
        letters = torch.zeros(4096, dtype=torch.uint8, device=self.device)
        own = torch.tensor(list(text.encode()), dtype=torch.uint8)
        letters[: len(own)] = own.to(self.device)
        return bytes(self.gather(letters)[0].tolist()).rstrip(b"\0").decode()

    def refuse_different(self, what: str, value: str) -> None:
        """Raises InputError, in all processes, unless all give the same text."""
        import hashlib

        digest = hashlib.blake2b(value.encode(), digest_size=7).digest()
        found = self.gather(torch.tensor(int.from_bytes(digest, "big"), device=self.device))
        if (found != found[0]).any():
            raise InputError(
                f"{what} is not the same in all {self.count} processes; this is number {self.rank}, with {value}. "
                "Give all of them the same files and the same arguments"
            )

    def first_unlike(self, tensors: Mapping[str, Tensor]) -> str | None:
        """The name of the first tensor that is not, bit for bit, the same in all processes; None if all are."""
        if not tensors:
            return None
        sums = self.gather(torch.stack([_checksum(tensor) for tensor in tensors.values()]))  # (processes, tensors)
        unlike = (sums != sums[0]).any(0).tolist()
        return next((name for name, differs in zip(tensors, unlike, strict=True) if differs), None)

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """Within, the first process does alone what the others then find done."""
        if self.several and not self.first:
            self.wait()
        yield
        if self.several and self.first:
            self.wait()

    def wait(self) -> None:
        """Until all are here."""
        self.largest(0)


@contextmanager
def together() -> Iterator[None]:
    """Within, all processes do something together.

    Raises:
        LostProcessError: if one does not come.
    """
    try:
        yield
    except RuntimeError as error:
        said = re.sub(r"^\[\S+\] ", "", str(error)).splitlines()[0].split(". ")[0]
        raise LostProcessError(f"another process of this run has ended or does not answer ({said})") from error


def _checksum(tensor: Tensor) -> Tensor:
    """A whole number that depends on every bit and its place, and on no order of summation."""
    every = tensor.detach().clone(memory_format=torch.contiguous_format).view(-1).view(torch.uint8)
    total = torch.zeros((), dtype=torch.int64, device=tensor.device)
    for first in range(0, len(every), BUCKET):
        part = every[first : first + BUCKET].long()
        total += (part * torch.arange(first + 1, first + 1 + len(part), device=part.device)).sum()
    return total


@torch.no_grad()
def _in_place(collective: Callable[[Tensor], object], tensors: Sequence[Tensor]) -> None:
    """Put what a collective makes of each tensor in its place."""
    for tensor in tensors:
        dense = tensor.detach().contiguous()
        with together():
            collective(dense)
        if not tensor.is_contiguous():
            tensor.copy_(dense)
