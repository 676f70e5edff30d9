"""Corpora whose rows have several fields: a prompt and its answer, a text and its label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import NamedTuple, Protocol

from ltm_pyro.data.content import HEX_DIGITS, content_hash
from ltm_pyro.data.corpus import Corpus
from ltm_pyro.data.document import Document
from ltm_pyro.data.fields import MISSING, NoFieldError, as_text, as_value
from ltm_pyro.data.sources import BUILT_IN, Source, sources_of
from ltm_pyro.errors import InputError

MARK = "\0"  # before every text, so that an empty one is read too, and all fields of a row stay aligned


class Documents(Protocol):
    """A corpus that can be iterated over again, with messages about the way in which it was read."""

    @property
    def remarks(self) -> list[str]: ...
    def __iter__(self) -> Iterator[Document]: ...


class RowFields(NamedTuple):
    """The fields of a corpus's rows.

    Args:
        text: the field of the text, or of the answer to the prompt; ``text`` if None.
        prompt: the field of the prompt; None for texts without one.
        label: the field of the label; None for texts without one.
        separator: characters between prompt and answer; they belong to the prompt.
    """

    text: str | None = None
    prompt: str | None = None
    label: str | None = None
    separator: str = "\n"


def corpus_of_fields(spec: Source | Sequence[Source] | None, fields: RowFields) -> Documents:
    """The documents of a corpus, with their prompts and labels if their fields are named.

    Args:
        spec: as for `read_corpus`.
        fields: the fields to read.
    """
    plain = fields.prompt is None and fields.label is None
    return Corpus(spec, fields.text) if plain else RowCorpus(spec, fields)


class RowCorpus:
    """The rows of a corpus as documents, read anew at each iteration.

    The text of a document is its prompt, the separator and its answer. All answers to one prompt are of one group, so
    that a prompt is never on both sides of a split. A row without an answer, or without its prompt, is left out; one
    without a label has the label None.

    Args:
        spec: as for `read_corpus`; not the built-in corpus, which has no fields.
        fields: the fields to read.

    Raises:
        InputError: for the built-in corpus, and, while iterating, for a field that is missing.
    """

    def __init__(self, spec: Source | Sequence[Source] | None, fields: RowFields) -> None:
        if BUILT_IN in sources_of(spec):
            option = "--data.prompt" if fields.prompt is not None else "--data.label"
            raise InputError(f"the built-in corpus has no fields: give a corpus with them, or leave {option} out")
        self._fields = fields
        self._texts = Corpus(spec, fields.text, _marked)
        self._prompts = None if fields.prompt is None else Corpus(spec, fields.prompt, _marked)
        self._labels = None if fields.label is None else Corpus(spec, fields.label, as_value)
        self._left_out = 0

    @property
    def remarks(self) -> list[str]:
        """Messages about the files, and the number of rows that were left out, one line each."""
        left_out = f"{self._left_out:,} rows without a text or a prompt are left out"
        return [*self._texts.remarks, *([left_out] if self._left_out else [])]

    def __iter__(self) -> Iterator[Document]:
        text_option = "--data.field" if self._prompts is None else "--data.answer"
        texts = _naming(self._texts, text_option)
        prompts = repeat(None) if self._prompts is None else _naming(self._prompts, "--data.prompt")
        labels = repeat(None) if self._labels is None else _naming(self._labels, "--data.label")
        self._left_out = 0
        for text, prompt, label in zip(texts, prompts, labels):  # noqa: B905  # `repeat` has no end
            document = self._document(text, prompt, label)
            if document is None:
                self._left_out += 1
            else:
                yield document

    def _document(self, text: Document, prompt: Document | None, label: Document | None) -> Document | None:
        answer = text.text.removeprefix(MARK)
        value = None if label is None or label.text == MISSING else label.text
        if not answer.strip():
            return None
        if prompt is None:
            return text._replace(text=answer, label=value)
        question = prompt.text.removeprefix(MARK)
        if not question.strip():
            return None
        document = answered(question, answer, self._fields.separator, text.name)
        group = f"{content_hash(document.text[: document.prompt]):0{HEX_DIGITS}x}"
        return document._replace(group=group, label=value)


def answered(prompt: str, answer: str, separator: str, name: str) -> Document:
    """The document of a prompt, with the separator at its end, and its answer."""
    beginning = joined_prompt(prompt, separator)
    return Document(beginning + answer, name, prompt=len(beginning))


def joined_prompt(prompt: str, separator: str) -> str:
    """A prompt that ends with the separator, which is added unless it is there."""
    return prompt if prompt.endswith(separator) else prompt + separator


def _marked(value: object, where: str) -> str:
    return MARK + as_text(value, where)


def _naming(documents: Corpus, option: str) -> Iterator[Document]:
    """Documents of one field; a missing field is reported with the option that names it."""
    try:
        yield from documents
    except NoFieldError as error:
        raise InputError(f"{error.found} Name the one to read: {option} NAME") from error
