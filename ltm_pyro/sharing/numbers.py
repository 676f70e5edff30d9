"""Machine-readable numbers of an evaluation: their file in the copy of a run, and their entry in the model card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict

from ltm_pyro.data.hub import PREFIX, parse_hub_name
from ltm_pyro.data.sources import BUILT_IN, sources_of
from ltm_pyro.errors import InputError
from ltm_pyro.files import read_json

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

LONGEST = 200  # characters of a label or a name
BOUNDS = ("elbo", "importance_weighted", "prior", "predictive", "prior_predictive", "exact", "diffusion")
METRICS = {  # type of the metric: its unit and its standard error's name
    "nats_per_token": ("nats/token", "standard_error"),
    "bits_per_byte": ("bits/byte", "bits_per_byte_error"),
    "perplexity": ("perplexity per token", "perplexity_error"),
}


class ScoreRecord(TypedDict):
    """One score in the JSON of `ltm evaluate`; numbers that are not finite are None."""

    label: str
    is_bound: bool
    nats_per_token: float | None
    standard_error: float | None
    bits_per_byte: float | None
    bits_per_byte_error: float | None
    perplexity: float | None
    perplexity_error: float | None
    sequences: int
    tokens: int
    bytes: int


class _Scores(TypedDict):
    scores: dict[str, ScoreRecord]


class _Content(TypedDict):
    about: str
    evaluation: _Scores


def copy_numbers(path: Path, place: Path) -> None:
    """Copy the JSON of an evaluation without its arguments, which may hold paths; nothing if it is no evaluation."""
    if (content := _read(path)) is not None:
        kept = {name: content[name] for name in ("about", "evaluation", "baseline") if name in content}
        place.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def eval_results(path: Path, corpus: str | None) -> list[EvalResult]:
    """Entries of the hub's `model-index` for the bounds of an evaluation; none without its file.

    Each score gives three metrics, `nats_per_token`, `bits_per_byte` and `perplexity`, lower is better. The arguments
    of a metric are the score's name, its unit, the standard error and the size of the text. Numbers that are no bounds,
    and those of a decoder's twins, are left out.

    Args:
        path: the JSON in the copy of a run.
        corpus: the run's setting; the scored text is the held-out part of it.
    """
    from huggingface_hub import EvalResult

    content = _read(path)
    scores: dict[str, ScoreRecord] = {} if content is None else content["evaluation"]["scores"]
    return [
        EvalResult(
            task_type="text-generation",
            task_name="Held-out likelihood of text",
            **_dataset(corpus),
            metric_type=metric,
            metric_name=f"{_plain(scores[name]['label'])} ({unit})",
            metric_value=value,
            metric_args={
                "score": name,
                "unit": unit,
                "standard_error": scores[name][error],  # type: ignore[literal-required]
                "sequences": scores[name]["sequences"],
                "tokens": scores[name]["tokens"],
                "bytes": scores[name]["bytes"],
            },
        )
        for name in BOUNDS
        if name in scores and scores[name]["is_bound"]
        for metric, (unit, error) in METRICS.items()
        if (value := scores[name][metric]) is not None  # type: ignore[literal-required]
    ]


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        content: dict[str, Any] = read_json(path, _Content)
    except InputError:  # of a suite, or of another version: the table remains
        return None
    return content


def _dataset(corpus: str | None) -> dict[str, Any]:
    """The data set in the hub's terms: its own split if it is on the hub, of which a part was held out here."""
    sources = sources_of(corpus)
    held_out = {"part": "held out from training"}
    if len(sources) == 1 and sources[0].startswith(PREFIX):
        source = parse_hub_name(sources[0])
        named = {"dataset_type": source.name, "dataset_name": source.name, "dataset_split": source.split}
        return {**named, "dataset_config": source.config, "dataset_args": held_out}
    if sources == [BUILT_IN] or not sources:
        named = {"dataset_type": BUILT_IN, "dataset_name": "State of the Union addresses"}
    else:
        joined = _plain(", ".join(source if source.startswith(PREFIX) else Path(source).name for source in sources))
        named = {"dataset_type": joined, "dataset_name": joined}
    return {**named, "dataset_split": "held-out", "dataset_args": held_out}


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)[:LONGEST]
