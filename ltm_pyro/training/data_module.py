"""The data of a run: its tokenizer and its sequences, made from the corpus in one repeatable way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from annotated_types import Ge
from typing_extensions import NotRequired, TypedDict

from ltm_pyro.errors import InputError

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from ltm_pyro.data import DividedCorpus, Sequences, Tokenizer
    from ltm_pyro.data.divided import Rule

HELD_OUT, DIGEST = "held_out", "corpus_digest"  # of data.json


class Counts(TypedDict):
    """How much there is of one part of a corpus."""

    sequences: Annotated[int, Ge(0)]
    tokens: Annotated[int, Ge(0)]
    bytes: Annotated[int, Ge(0)]


class DataRecord(TypedDict):
    """The content of a run's `data.json`."""

    fingerprint: str
    training: Counts
    validation: Counts
    held_out: NotRequired[dict[str, Any]]
    corpus_digest: NotRequired[str]
    corpus: NotRequired[str]
    given: NotRequired[bool]


class DataModule(NamedTuple):
    """The sequences to learn from and those held out, and the tokenizer of both.

    `remark` says what a user should know of how they were read; mostly nothing. `notes` name what is held out, for
    data.json.
    """

    tokenizer: Tokenizer
    training: Sequences
    validation: Sequences
    kept_fingerprint: str | None = None
    remark: str = ""
    notes: dict[str, Any] = {}  # noqa: RUF012  # read, never written to

    @property
    def fingerprint(self) -> str:
        """Identifies the sequences: equal corpora, splits and tokenizers have equal ones."""
        from ltm_pyro import data

        return self.kept_fingerprint or data.fingerprint(self.training, self.validation)


def prepare_data(config: Namespace, tokenizer: Tokenizer | None = None, rule: Rule | None = None) -> DataModule:
    """Read, split, tokenize and cut a run's corpus, or find the result where an earlier call has kept it.

    Args:
        config: a run's configuration; `data.cache` says where results are kept.
        tokenizer: the run's, if it has one already; else it is loaded or trained as the configuration says.
        rule: what is held out; `ltm_pyro.data.divide` if left out.
    """
    divided = divided_corpus(config, rule)
    if tokenizer is None:
        tokenizer = _tokenizer(config, divided)
    cut = divided.cut(config.data.mode, tokenizer, config.data.length)
    for part, name in ((cut.training, "training"), (cut.validation, "validation")):
        if not len(part):
            raise InputError(f"the corpus gives no {name} sequence: it is too small, give more text")
    remarks = [*divided.corpus.remarks, *([divided.remark] if divided.remark else [])]
    return DataModule(tokenizer, *cut, remark="; ".join(remarks), notes=_notes(divided))


def _notes(divided: DividedCorpus) -> dict[str, Any]:
    from ltm_pyro import data

    if not isinstance(divided.division, data.Division):
        return {}  # of an earlier version, which did not note it
    return {DIGEST: divided.outline.digest, HELD_OUT: divided.division.to_dict()}


def divided_corpus(config: Namespace, rule: Rule | None = None) -> DividedCorpus:
    """The corpus of a configuration, divided as it says, or by another rule."""
    from ltm_pyro import data

    cache = data.Cache.at(config.data.cache)
    documents = data.Corpus(corpus_of(config), config.data.field or None)
    return data.DividedCorpus(documents, config.data.validation, _split_seed(config), cache, rule or data.divide)


def corpus_of(config: Namespace) -> str | list[str] | None:
    """The corpus as `read_corpus` takes it: several paths are joined by commas on the command line."""
    from ltm_pyro.data.sources import divide

    named = config.get("corpus") or None
    sources = divide(named) if named else []
    return sources if len(sources) > 1 else named


def _split_seed(config: Namespace) -> int:
    return config.train.seed if config.data.seed is None else config.data.seed


def _tokenizer(config: Namespace, divided: DividedCorpus) -> Tokenizer:
    from ltm_pyro import data

    if config.data.tokenizer is not None:
        return data.Tokenizer.load(config.data.tokenizer)
    return divided.train_tokenizer(config.data.vocabulary)
