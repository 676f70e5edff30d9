"""Data sets of the Hugging Face hub, written ``hf:NAME[:CONFIG[:SPLIT]]``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ltm_pyro.data.document import Document
from ltm_pyro.data.fields import as_text, find_field, value_at
from ltm_pyro.errors import InputError

PREFIX = "hf:"
ROWS = 1000  # at once


class HubName(NamedTuple):
    """A data set of the hub, with the part that is wanted."""

    name: str
    config: str | None
    split: str

    def __str__(self) -> str:
        config = f", configuration {self.config}" if self.config else ""
        return f"{self.name} ({self.split} split{config})"


def parse_hub_name(spec: str) -> HubName:
    """``hf:NAME``, ``hf:NAME:CONFIG``, ``hf:NAME:CONFIG:SPLIT`` or ``hf:NAME::SPLIT``; the split is train unless named.

    Raises:
        InputError: there is no name, or there are too many parts.
    """
    parts = spec.removeprefix(PREFIX).split(":")
    if not parts[0] or len(parts) > 3:
        raise InputError(f"{spec!r} names no data set of the hub; expected hf:NAME, hf:NAME:CONFIG or hf:NAME::SPLIT")
    name, config, split = (*parts, "", "")[:3]
    return HubName(name, config or None, split or "train")


def read_hub(spec: str, field: str | None = None) -> Iterator[Document]:
    """The rows of a hub data set, a document each, empty rows left out; they stay on disk until they are asked for.

    Raises:
        InputError: it could not be loaded; the message says what was tried and what works without the hub.
    """
    wanted = parse_hub_name(spec)
    rows = load_hub(wanted)
    path = find_field(_fields(rows.features), field, f"the data set {wanted}")
    name = ".".join(path)
    groups = rows.select_columns([path[0]]).iter(batch_size=ROWS)
    empty = True
    for row, value in enumerate(value for group in groups for value in group[path[0]]):
        text = as_text(value_at(value, path[1:]), f"{wanted}, row {row}, field {name!r}")
        if text.strip():
            empty = False
            yield Document(text, f"{spec}:{row}", f"{spec}:{row}")
    if empty:
        raise InputError(f"the field {name!r} of the data set {wanted} holds no text: every row is empty")


def _fields(features: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a data set by name, those within an object as a mapping again."""
    return {name: _fields(kind) if isinstance(kind, Mapping) else {} for name, kind in features.items()}


def load_hub(wanted: HubName):  # type: ignore[no-untyped-def]  # datasets.Dataset, which is not imported up here
    import datasets

    try:
        return datasets.load_dataset(wanted.name, wanted.config, split=wanted.split)
    except Exception as error:  # the library raises a dozen unrelated types here, opaque ones among them
        reason = str(error).strip().split("\n")[0] or "no reason given"
        raise InputError(
            f"tried to load {wanted} from the Hugging Face hub: {type(error).__name__}: {reason}. "
            "Check the name and the network, or give the path of a local file instead "
            "(.txt, .jsonl, .json, .csv, .parquet, or a folder of them)"
        ) from error
