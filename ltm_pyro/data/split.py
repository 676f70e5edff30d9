"""Holding out documents for validation."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from ltm_pyro.data.document import Document
from ltm_pyro.errors import InputError

BOUNDARIES = ("\n\n", "\n", " ")


def split(
    documents: Sequence[Document], validation: float = 0.05, seed: int = 0
) -> tuple[list[Document], list[Document]]:
    """Divide documents into training and validation, whole groups to one side.

    The groups are ordered by a hash of seed and group, and the first of them are held out, so which ones they are
    does not depend on the order of the documents. Both sides keep the order the documents came in.

    A corpus of a single group, such as one text file, has no groups to hold out: there the last part of the text is
    held out, cut at the paragraph, line or word boundary nearest to the share asked for (anywhere, where there is
    none near), whatever the seed.

    Args:
        documents: the corpus.
        validation: the share to hold out: of the groups, or of the characters of a single group.
        seed: another seed holds out other groups.

    Returns:
        Training and validation documents, at least one each.

    Raises:
        InputError: the share is not between 0 and 1, or there is too little text to divide.
    """
    if not 0 < validation < 1:
        raise InputError(f"validation is {validation}; expected a share between 0 and 1, such as 0.05")
    groups = {_group(document) for document in documents}
    if len(groups) < 2:
        return _split_tail(documents, validation)
    ordered = sorted(groups, key=lambda group: hashlib.sha256(f"{seed}\0{group}".encode()).digest())
    count = min(max(round(validation * len(ordered)), 1), len(ordered) - 1)
    held_out = set(ordered[:count])
    train = [document for document in documents if _group(document) not in held_out]
    return train, [document for document in documents if _group(document) in held_out]


def _group(document: Document) -> str:
    return document.group or document.name


def _split_tail(documents: Sequence[Document], validation: float) -> tuple[list[Document], list[Document]]:
    """Cut the documents of one group, taken as one text, so that its last part is held out."""
    characters = sum(len(document.text) for document in documents)
    before = characters - max(round(validation * characters), 1)
    train: list[Document] = []
    for index, document in enumerate(documents):
        if before < len(document.text):
            at = _boundary(document.text, before)
            head = document._replace(text=document.text[:at])
            tail = document._replace(text=document.text[at:], name=f"{document.name} (tail)")
            train = _filled([*train, head])
            held_out = _filled([tail, *documents[index + 1 :]])
            if train and held_out:
                return train, held_out
            break
        train.append(document)
        before -= len(document.text)
    raise InputError(
        f"the corpus has {characters} characters in {len(documents)} document(s): too few to hold out "
        f"{validation:.0%} for validation. Give more text"
    )


def _boundary(text: str, target: int) -> int:
    """The end of the paragraph, line or word nearest to `target`, at most half the held-out tail away from it."""
    reach = (len(text) - target) // 2
    for mark in BOUNDARIES:
        earlier = text.rfind(mark, max(target - reach, 0), target)
        later = text.find(mark, target, target + reach)
        ends = [found + len(mark) for found in (earlier, later) if found >= 0]
        if ends:
            return min(ends, key=lambda end: abs(end - target))
    return target


def _filled(documents: list[Document]) -> list[Document]:
    return [document for document in documents if document.text.strip()]
