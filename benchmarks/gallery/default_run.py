"""Figures of the default run: `python -m benchmarks.gallery.default_run RUN` keeps their records.

The records are the points of the run's learning curve and what its figures show of `ltm inspect RUN`, rounded to six
digits, in `docs/figures/default.json`. The table of the inspection is printed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.timing.records import commit_of, rounded
from ltm_pyro.evaluation import Score
from ltm_pyro.evaluation.inspection.figures import drawings
from ltm_pyro.plots import Drawing
from ltm_pyro.runs.figures import learning_drawing

RECORDS = "default.json"
KEYS = ("elbo", "importance_weighted")


def default_run(folder: Path) -> list[Drawing]:
    """Drawings of the records in a folder; none if there are no records."""
    if not (folder / RECORDS).exists():
        return []
    record = json.loads((folder / RECORDS).read_text(encoding="utf-8"))
    probe, dial, reading = record["probe"], record["dial"], record["reading"]
    inspection: Any = SimpleNamespace(
        ids=record["names"],
        kl=np.array(record["kl"])[..., None],  # (L, K, 1)
        probe=[_score(nats, probe["tokens"]) for nats in probe["free"]],
        probe_bound=[_score(nats, probe["tokens"]) for nats in probe["paid"]],
        places=np.array(record["map"]["places"]),
        shares=record["map"]["shares"],
    )
    points = [
        SimpleNamespace(steps=point["steps"], **{key: _score(point[key], dial["tokens"]) for key in KEYS})
        for point in dial["points"]
    ]
    texts = [SimpleNamespace(reading=SimpleNamespace(attention=np.array(reading["shares"])))]
    details: Any = SimpleNamespace(dial=points, way=[], texts=texts)
    found = [learning_drawing({"": record["learning"]})]
    found += drawings(inspection, details, record["names"], reading["words"])
    return [drawing._replace(name=f"default-{drawing.name}") for drawing in found]


def _score(nats: list[float], tokens: list[int]) -> Score:
    return Score("", np.array(nats), np.array(tokens), np.array(tokens))


def keep(run: str, folder: Path, limit: int = 64) -> Path:
    """Inspect a run and write the records of its figures; returns their path."""
    from ltm_pyro.data import token_texts
    from ltm_pyro.plots.token_level import FIRST
    from ltm_pyro.runs.inspection import inspect
    from ltm_pyro.training.learning_curve import learning_curve

    found = inspect(run, limit=limit)
    inspection, details = found.inspection, found.details
    assert inspection is not None
    print(found.table())
    words = token_texts(found.run.tokenizer, details.texts[0].tokens)
    record: dict[str, Any] = {
        "commit": commit_of(Path(__file__).parent),
        "names": [found.text.sequences.name(place) for place in inspection.ids],
        "learning": learning_curve(found.run.metrics.read()),
        "kl": inspection.kl.sum(-1).tolist(),
        "probe": {
            "tokens": inspection.probe[0].tokens.tolist(),
            "free": [score.nats.tolist() for score in inspection.probe],
            "paid": [score.nats.tolist() for score in inspection.probe_bound],
        },
        "map": {"places": inspection.places.tolist(), "shares": list(inspection.shares)},
        "dial": {
            "tokens": details.dial[0].elbo.tokens.tolist(),
            "points": [
                {"steps": point.steps, **{key: getattr(point, key).nats.tolist() for key in KEYS}}
                for point in details.dial
            ],
        },
        "reading": {"words": words[:FIRST], "shares": details.texts[0].reading.attention[..., :FIRST].tolist()},
    }
    path = folder / RECORDS
    path.write_text(json.dumps(rounded(record), ensure_ascii=False) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    print(keep(sys.argv[1], Path(__file__).parents[2] / "docs" / "figures"))
