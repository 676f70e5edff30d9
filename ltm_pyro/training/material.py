"""What a run reads: its tokenizer and its sequences, made from the corpus in one repeatable way."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from ltm_pyro.errors import InputError

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from ltm_pyro.data import Document, Sequences, Tokenizer


class Material(NamedTuple):
    """The sequences to learn from and those held out, and the tokenizer of both."""

    tokenizer: Tokenizer
    training: Sequences
    validation: Sequences

    @property
    def fingerprint(self) -> str:
        """Identifies the sequences: equal corpora, splits and tokenizers have equal ones."""
        digest = hashlib.sha256()
        for sequences in (self.training, self.validation):
            digest.update(sequences.tokens.tobytes() + sequences.bounds.tobytes())
        return digest.hexdigest()[:16]


def prepare(config: Namespace, tokenizer: Tokenizer | None = None) -> Material:
    """Read, split, tokenize and cut a run's corpus.

    Args:
        config: a run's configuration.
        tokenizer: the run's, if it has one already; else it is loaded or trained as the configuration says.
    """
    from ltm_pyro import data

    training, validation = read_split(config)
    if tokenizer is None:
        tokenizer = _tokenizer(config, training)
    mode, length = config.data.mode, config.data.length
    cut = [data.cut(mode, part, tokenizer, length) for part in (training, validation)]
    for part, name in zip(cut, ("training", "validation"), strict=True):
        if not len(part):
            raise InputError(f"the corpus gives no {name} sequence: it is too small, give more text")
    return Material(tokenizer, *cut)


def read_split(config: Namespace) -> tuple[list[Document], list[Document]]:
    """The documents of a run's corpus to learn from, and those held out."""
    from ltm_pyro import data

    documents = data.read_corpus(corpus_of(config), config.data.field)
    seed = config.train.seed if config.data.seed is None else config.data.seed
    return data.split(documents, config.data.validation, seed)


def corpus_of(config: Namespace) -> str | list[str] | None:
    """The corpus as `read_corpus` takes it: several paths are joined by commas on the command line."""
    named = config.get("corpus") or ""
    parts = named.split(",")
    return parts if len(parts) > 1 else named or None


def _tokenizer(config: Namespace, training: list[Document]) -> Tokenizer:
    from ltm_pyro import data

    if config.data.tokenizer is not None:
        return data.Tokenizer.load(config.data.tokenizer)
    return data.train_tokenizer((document.text for document in training), config.data.vocabulary)
