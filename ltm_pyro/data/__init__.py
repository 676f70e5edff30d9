"""Data: corpora, the validation split, tokenizers, token sequences and batches.

Shapes: B sequences, T tokens, V vocabulary. `datasets`, `tokenizers`, pandas and pyarrow are
imported only when they are used.
"""

from ltm_pyro.data.batches import Batches, in_order
from ltm_pyro.data.cache import Cache
from ltm_pyro.data.corpus import Corpus, describe, read_corpus
from ltm_pyro.data.cutting import TextSequences, cut, documents, text_sequences, windows
from ltm_pyro.data.divided import DividedCorpus, fingerprint
from ltm_pyro.data.division import Division
from ltm_pyro.data.document import Document
from ltm_pyro.data.field_values import field_values
from ltm_pyro.data.id_sequences import id_sequences, id_tokenizer, parted
from ltm_pyro.data.row_fields import RowFields, answered, corpus_of_fields, joined_prompt
from ltm_pyro.data.sequences import Batch, Sequences
from ltm_pyro.data.split import divide, split
from ltm_pyro.data.split_by_name import divide_by_name
from ltm_pyro.data.streaming import StreamDecoder, continuation, token_texts
from ltm_pyro.data.tokenizer import Tokenizer, train_tokenizer

__all__ = [
    "Batch",
    "Batches",
    "Cache",
    "Corpus",
    "DividedCorpus",
    "Division",
    "Document",
    "RowFields",
    "Sequences",
    "StreamDecoder",
    "TextSequences",
    "Tokenizer",
    "answered",
    "continuation",
    "corpus_of_fields",
    "cut",
    "describe",
    "divide",
    "divide_by_name",
    "documents",
    "field_values",
    "fingerprint",
    "id_sequences",
    "id_tokenizer",
    "in_order",
    "joined_prompt",
    "parted",
    "read_corpus",
    "split",
    "text_sequences",
    "token_texts",
    "train_tokenizer",
    "windows",
]
