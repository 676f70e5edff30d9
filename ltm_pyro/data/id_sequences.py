"""Sequences from given token ids (a Dataset, a DataLoader or lists), and a tokenizer whose text is ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ltm_pyro.data.batches import Batches
from ltm_pyro.data.sequences import Batch, Sequences
from ltm_pyro.data.tokenizer import END, Tokenizer
from ltm_pyro.errors import InputError

NO_TEXT = "token ids were given and no text, so that there are no bytes to count"
NAMES = ("x", "input_ids"), ("mask", "attention_mask")  # keys of a mapping


def id_sequences(given: Any, vocabulary: int, bos_id: int, length: int) -> Sequences:
    """Sequences of token ids, from any of several containers.

    Args:
        given: `Sequences` or `Batches`, which are used as they are; or a Dataset, a DataLoader or any other iterable of
            ids (T,), of batches (B, T), of mappings with `x` or `input_ids` and, if padded, `mask` or
            `attention_mask`, or of tuples whose first item is one of these.
        vocabulary: V.
        bos_id: the id before each sequence.
        length: the most tokens of a sequence.

    Raises:
        InputError: for anything else, ids outside the vocabulary, an empty sequence, or one that is too long.
    """
    if isinstance(given, Batches):
        return given.sequences
    if isinstance(given, Sequences):
        return given
    rows = [row for item in _items(given) for row in _rows(item)]
    if not rows:
        raise InputError("batches hold no sequence of token ids: give one or more")
    for number, row in enumerate(rows):
        if not 0 < len(row) <= length:
            raise InputError(f"sequence {number} has {len(row)} tokens: expected 1 to {length}, the decoder's length")
    tokens = np.concatenate(rows)
    if tokens.min() < 0 or tokens.max() >= vocabulary:
        raise InputError(f"token ids go from {tokens.min()} to {tokens.max()}: expected 0 to {vocabulary - 1}")
    sizes = [len(row) for row in rows]
    return Sequences(
        tokens=tokens.astype(np.uint16 if vocabulary <= 2**16 else np.uint32),
        byte_counts=np.zeros(len(tokens), dtype=np.uint16),
        bounds=np.concatenate([[0], np.cumsum(sizes)]),
        previous=np.full(len(rows), bos_id, dtype=np.int64),
        names=[f"sequence {number}" for number in range(len(rows))],
        length=length,
        pad=bos_id,
        fixed=False,
        lost=NO_TEXT,
    )


def id_tokenizer(vocabulary: int, eos_id: int) -> Tokenizer:
    """A tokenizer whose text is ids, as `12 7 9`, for sequences that are no text.

    Args:
        vocabulary: V.
        eos_id: the id at the end of a sequence, and before one.
    """
    import tokenizers

    names = {END if number == eos_id else str(number): number for number in range(vocabulary)}
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(names, unk_token=END))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    backend.add_special_tokens([END])
    return Tokenizer(backend)


def parted(sequences: Sequences, share: float, seed: int) -> tuple[Sequences, Sequences]:
    """Random split of sequences into training and held-out ones, the latter a share of all.

    Raises:
        InputError: if one of the two parts would be empty.
    """
    held_out = round(share * len(sequences))
    if not 0 < held_out < len(sequences):
        raise InputError(f"{len(sequences)} sequences are too few to hold out {share:.0%} of them: give `validation`")
    order = np.random.default_rng(seed).permutation(len(sequences))
    return _part(sequences, np.sort(order[held_out:])), _part(sequences, np.sort(order[:held_out]))


def _part(sequences: Sequences, ids: np.ndarray) -> Sequences:
    starts, stops = sequences.bounds[ids], sequences.bounds[ids + 1]
    places = np.concatenate([np.arange(*both) for both in zip(starts, stops, strict=True)])
    return Sequences(
        tokens=sequences.tokens[places],
        byte_counts=sequences.byte_counts[places],
        bounds=np.concatenate([[0], np.cumsum(stops - starts)]),
        previous=np.asarray(sequences.previous[ids]),
        names=[sequences.name(int(number)) for number in ids],
        length=sequences.length,
        pad=sequences.pad,
        fixed=sequences.fixed,
        lost=sequences.lost,
        annotations=sequences.annotations.of(ids),
    )


def _items(given: Any) -> Iterator[Any]:
    if isinstance(given, Tensor | np.ndarray):
        yield given
    elif isinstance(given, Iterable) and not isinstance(given, str | Mapping):
        yield from given
    elif hasattr(given, "__getitem__") and hasattr(given, "__len__") and not isinstance(given, str | Mapping):
        yield from (given[number] for number in range(len(given)))
    else:
        raise InputError(
            f"batches is a {type(given).__name__}: expected Batches, Sequences, a Dataset, a DataLoader or a list of "
            "token ids"
        )


def _rows(item: Any) -> Iterator[np.ndarray]:
    """The sequences of one item, without padding."""
    ids, mask = _ids_and_mask(item)
    ids = ids[None] if ids.ndim == 1 else ids
    mask = mask[None] if mask is not None and mask.ndim == 1 else mask
    if ids.ndim != 2 or ids.dtype.kind not in "iu" or (mask is not None and mask.shape != ids.shape):
        shape = "" if mask is None else f" with a mask {mask.shape}"
        raise InputError(f"batches hold {ids.dtype} {ids.shape}{shape}: expected whole numbers, (T,) or (B, T)")
    for number, row in enumerate(ids):
        yield (row if mask is None else row[mask[number].astype(bool)]).astype(np.int64)


def _ids_and_mask(item: Any) -> tuple[np.ndarray, np.ndarray | None]:
    if isinstance(item, Batch):
        return np.asarray(item.x), None if item.mask is None else np.asarray(item.mask)
    if isinstance(item, Mapping):
        values = [next((item[name] for name in names if name in item), None) for names in NAMES]
        if values[0] is None:
            raise InputError(f"batches hold mappings of {', '.join(map(str, item))}: expected `x` or `input_ids`")
        return _array(values[0]), None if values[1] is None else _array(values[1])
    if isinstance(item, tuple) or (isinstance(item, Sequence) and item and isinstance(item[0], Tensor)):
        return _ids_and_mask(item[0])
    return _array(item), None


def _array(ids: Any) -> np.ndarray:
    try:
        return np.asarray(ids.detach().cpu() if isinstance(ids, torch.Tensor) else ids)
    except (TypeError, ValueError) as error:
        raise InputError(f"batches hold a {type(ids).__name__}, which is no array of token ids: {error}") from error
