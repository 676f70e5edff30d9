"""The values of a field beside the text of a corpus, by document."""

from __future__ import annotations

from collections.abc import Sequence

from ltm_pyro.data.corpus import Corpus
from ltm_pyro.data.fields import MISSING, as_value
from ltm_pyro.data.sources import Source


def field_values(spec: Source | Sequence[Source] | None, field: str) -> dict[str, str]:
    """The value of a field for each document that has one, by the document's name.

    Args:
        spec: the corpus, as for `read_corpus`.
        field: the field; within an object ``meta.label`` or ``/meta/label``. Numbers, truth values and dates are text
            here.

    Raises:
        NoFieldError: if a file, or a row, has no such field; `names` are those that it has.
        InputError: as `read_corpus`.
    """
    documents = Corpus(spec, field, as_value)
    return {document.name: document.text for document in documents if document.text != MISSING}
