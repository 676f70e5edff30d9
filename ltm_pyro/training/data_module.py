"""The data of a run: its tokenizer and its sequences, derived reproducibly from the corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from annotated_types import Ge
from typing_extensions import NotRequired, TypedDict

from ltm_pyro.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jsonargparse import Namespace

    from ltm_pyro.data import DividedCorpus, RowFields, Sequences, Tokenizer
    from ltm_pyro.data.divided import Rule

HELD_OUT, DIGEST, LABELS = "held_out", "corpus_digest", "labels"  # of data.json
REFINED = "refined"  # of data.json: the run that this one was refined from, whose held-out text it has


class Counts(TypedDict):
    """Size of one part of a corpus, in sequences, tokens and bytes."""

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
    labels: NotRequired[list[str]]
    corpus: NotRequired[str]
    given: NotRequired[bool]
    refined: NotRequired[str]


class DataModule(NamedTuple):
    """The training and held-out sequences of a run, and their tokenizer.

    `remark` is a message about how the corpus was read, usually empty; `notes` are entries for data.json that identify
    the held-out part.
    """

    tokenizer: Tokenizer
    training: Sequences
    validation: Sequences
    kept_fingerprint: str | None = None
    remark: str = ""
    notes: dict[str, Any] = {}  # noqa: RUF012  # read, never written to

    @property
    def fingerprint(self) -> str:
        """Hash of the sequences: equal corpora, splits and tokenizers have equal fingerprints."""
        from ltm_pyro import data

        return self.kept_fingerprint or data.fingerprint(self.training, self.validation)


def prepare_data(
    config: Namespace,
    tokenizer: Tokenizer | None = None,
    rule: Rule | None = None,
    values: Sequence[str] | None = None,
) -> DataModule:
    """Read, split, tokenize and cut a run's corpus, or load the result of an earlier call from the cache.

    Args:
        config: a run's configuration; `data.cache` is the folder of the cache.
        tokenizer: of the run, if it has one already; else it is loaded or trained according to the configuration.
        rule: the rule that chooses the held-out part; `ltm_pyro.data.divide` if None.
        values: the labels that the run knows; those of the corpus if None.
    """
    divided = divided_corpus(config, rule, values)
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
        return {}  # a division by names, which is not recorded
    labels = {LABELS: list(divided.values)} if divided.values else {}
    return {DIGEST: divided.outline.digest, HELD_OUT: divided.division.to_dict(), **labels}


def divided_corpus(config: Namespace, rule: Rule | None = None, values: Sequence[str] | None = None) -> DividedCorpus:
    """The corpus of a configuration, divided by `rule` with the configuration's share and seed.

    Args:
        config: a run's configuration.
        rule: as `prepare_data` takes it.
        values: the labels that the run knows; those of the corpus if None.
    """
    from ltm_pyro import data

    documents = data.corpus_of_fields(corpus_of(config), row_fields(config))
    return data.DividedCorpus(
        documents,
        config.data.validation,
        _split_seed(config),
        data.Cache.at(config.data.cache),
        rule or data.divide,
        values,
        scores_prompts(config),
    )


def scores_prompts(config: Namespace) -> bool:
    """True if the tokens of prompts are scored, as evidence for z; False if prompts are context alone."""
    return bool(config.data.prompt_is == "evidence")


def row_fields(config: Namespace, field: str = "") -> RowFields:
    """The fields of a run's corpus.

    Args:
        config: a run's configuration.
        field: another field of the text or the answer; the configuration's if empty.
    """
    from ltm_pyro.data import RowFields

    data = config.data
    text = field or data.answer or data.field
    return RowFields(text or None, data.prompt or None, data.label or None, data.separator)


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
