"""Data sets of the Hugging Face hub, written ``hf:NAME[:CONFIG[:SPLIT]]``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ltm_pyro.data.document import Document
from ltm_pyro.data.fields import Convert, as_text, find_field, value_at
from ltm_pyro.errors import InputError

PREFIX = "hf:"
ROWS = 1000  # in a batch


class HubName(NamedTuple):
    """A data set of the hub, with its configuration and split."""

    name: str
    config: str | None
    split: str

    def __str__(self) -> str:
        config = f", configuration {self.config}" if self.config else ""
        return f"{self.name} ({self.split} split{config})"


def parse_hub_name(spec: str) -> HubName:
    """Parse ``hf:NAME``, ``hf:NAME:CONFIG``, ``hf:NAME:CONFIG:SPLIT`` or ``hf:NAME::SPLIT``; by default split train.

    Raises:
        InputError: if there is no name, or there are too many parts.
    """
    parts = spec.removeprefix(PREFIX).split(":")
    if not parts[0] or len(parts) > 3:
        raise InputError(f"{spec!r} names no data set of the hub; expected hf:NAME, hf:NAME:CONFIG or hf:NAME::SPLIT")
    name, config, split = (*parts, "", "")[:3]
    return HubName(name, config or None, split or "train")


def read_hub(spec: str, field: str | None = None, convert: Convert = as_text) -> Iterator[Document]:
    """The rows of a data set on the hub, one document each, without empty rows; they are read from disk as needed.

    Raises:
        InputError: if the data set could not be loaded, with the attempt and the alternative without the hub.
    """
    source = parse_hub_name(spec)
    rows = load_hub(source)
    path = find_field(_fields(rows.features), field, f"the data set {source}")
    name = ".".join(path)
    groups = rows.select_columns([path[0]]).iter(batch_size=ROWS)
    empty = True
    for row, value in enumerate(value for group in groups for value in group[path[0]]):
        text = convert(value_at(value, path[1:]), f"{source}, row {row}, field {name!r}")
        if text.strip():
            empty = False
            yield Document(text, f"{spec}:{row}", f"{spec}:{row}")
    if empty:
        raise InputError(f"the field {name!r} of the data set {source} holds no text: every row is empty")


def _fields(features: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a data set by name, those of a nested object as a mapping again."""
    return {name: _fields(kind) if isinstance(kind, Mapping) else {} for name, kind in features.items()}


def load_hub(source: HubName):  # type: ignore[no-untyped-def]  # datasets.Dataset, which is imported below
    import datasets

    try:
        return datasets.load_dataset(source.name, source.config, split=source.split)
    except Exception as error:  # the library raises a dozen unrelated types here, opaque ones among them
        reason = str(error).strip().split("\n")[0] or "no reason given"
        raise InputError(
            f"tried to load {source} from the Hugging Face hub: {type(error).__name__}: {reason}. "
            "Check the name and the network, or give the path of a local file instead "
            "(.txt, .jsonl, .json, .csv, .parquet, or a folder of them)"
        ) from error
