"""Decoding of generated tokens to text while they are generated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from ltm_pyro.data import Tokenizer


def pieces(tokenizer: Tokenizer, prompt: Iterable[int], written: Iterator[Tensor]) -> Iterator[str]:
    """Pieces of one text after its prompt, each as soon as its characters are complete.

    Args:
        prompt: token ids, (P,).
        written: the generated tokens, shape (1,) each.
    """
    from ltm_pyro.data import StreamDecoder

    decoder = StreamDecoder(tokenizer, prompt)
    for token in written:
        if int(token) != tokenizer.eos_id:
            yield decoder.feed(int(token))
    yield decoder.flush()


def whole_texts(tokenizer: Tokenizer, prompts: Tensor, written: Iterator[Tensor]) -> Iterator[str]:
    """Texts of one batch after their prompts, in order, each as soon as it and all before it have ended.

    Args:
        prompts: token ids, shape (N, P).
        written: the next token of each text, shape (N,).
    """
    columns: list[list[int]] = []
    before, finished = prompts.tolist(), 0
    for column in written:
        columns.append(column.tolist())
        while finished < len(before) and columns[-1][finished] == tokenizer.eos_id:
            yield _decoded(tokenizer, before[finished], columns, finished)
            finished += 1
    for row in range(finished, len(before)):
        yield _decoded(tokenizer, before[row], columns, row)


def shown_prompt(tokenizer: Tokenizer, prompt: str, ids: Iterable[int]) -> str:
    """The prompt as it is shown: without white space at its end if the tokenizer dropped that."""
    bare = prompt.rstrip()
    return bare if tokenizer.decode(ids) == bare else prompt


def _decoded(tokenizer: Tokenizer, prompt: Sequence[int], columns: list[list[int]], row: int) -> str:
    from ltm_pyro.data import continuation

    ids = takewhile(lambda token: token != tokenizer.eos_id, (column[row] for column in columns))
    return continuation(tokenizer, prompt, ids)
