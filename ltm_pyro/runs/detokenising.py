"""Text from the tokens of a writer, as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from ltm_pyro.data import Tokenizer


def pieces(tokenizer: Tokenizer, prompt: Iterable[int], written: Iterator[Tensor]) -> Iterator[str]:
    """Each piece of one text behind its prompt, as soon as its characters are whole.

    Args:
        prompt: token ids, (P,).
        written: the text's tokens, shape (1,) each.
    """
    from ltm_pyro.data import StreamDecoder

    decoder = StreamDecoder(tokenizer, prompt)
    for token in written:
        if int(token) != tokenizer.eos_id:
            yield decoder.feed(int(token))
    yield decoder.flush()


def whole_texts(tokenizer: Tokenizer, prompts: Tensor, written: Iterator[Tensor]) -> Iterator[str]:
    """Texts of one batch behind their prompts, in order, each as soon as it and those before it are over.

    Args:
        prompts: token ids, shape (N, P).
        written: the next token of each text, shape (N,).
    """
    columns: list[list[int]] = []
    before, given = prompts.tolist(), 0
    for column in written:
        columns.append(column.tolist())
        while given < len(before) and columns[-1][given] == tokenizer.eos_id:
            yield _decoded(tokenizer, before[given], columns, given)
            given += 1
    for row in range(given, len(before)):
        yield _decoded(tokenizer, before[row], columns, row)


def shown_prompt(tokenizer: Tokenizer, prompt: str, ids: Iterable[int]) -> str:
    """A prompt as a text begins with it: without white space at its end that the tokenizer has dropped."""
    bare = prompt.rstrip()
    return bare if tokenizer.decode(ids) == bare else prompt


def _decoded(tokenizer: Tokenizer, prompt: Sequence[int], columns: list[list[int]], row: int) -> str:
    from ltm_pyro.data import continuation

    ids = takewhile(lambda token: token != tokenizer.eos_id, (column[row] for column in columns))
    return continuation(tokenizer, prompt, ids)
