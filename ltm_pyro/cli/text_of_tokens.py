"""Text from the tokens of a writer, as they come."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from ltm_pyro.data import Tokenizer


def pieces(tokenizer: Tokenizer, prompt: str, written: Iterator[Tensor]) -> Iterator[str]:
    """The prompt, and then each piece of one text as soon as its characters are whole.

    Args:
        written: the text's tokens, shape (1,) each.
    """
    from ltm_pyro.data import StreamDecoder

    decoder = StreamDecoder(tokenizer)
    yield prompt
    for token in written:
        if int(token) != tokenizer.end:
            yield decoder.feed(int(token))
    yield decoder.flush()


def whole_texts(tokenizer: Tokenizer, prompt: str, written: Iterator[Tensor], count: int) -> Iterator[str]:
    """Texts of one batch in order, each as soon as it and those before it are over.

    Args:
        written: the next token of each text, shape (N,).
        count: N.
    """
    columns: list[list[int]] = []
    given = 0
    for column in written:
        columns.append(column.tolist())
        while given < count and columns[-1][given] == tokenizer.end:
            yield prompt + _decoded(tokenizer, columns, given)
            given += 1
    for row in range(given, count):
        yield prompt + _decoded(tokenizer, columns, row)


def _decoded(tokenizer: Tokenizer, columns: list[list[int]], row: int) -> str:
    return tokenizer.decode(takewhile(lambda token: token != tokenizer.end, (column[row] for column in columns)))
