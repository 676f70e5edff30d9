"""Pictures of the repository that can be drawn again, and their drawings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.gallery.default_run import default_run
from benchmarks.gallery.studies import bounds, guides, latent_value, priors, scale
from benchmarks.timing.drawings import drawing
from ltm_pyro.plots import Drawing

ROOT = Path(__file__).parents[2]
STUDIES: dict[str, Callable[[Path], list[Drawing]]] = {
    "docs/figures": default_run,
    "benchmarks/compare-bounds": bounds,
    "benchmarks/compare-guides": guides,
    "benchmarks/compare-priors": priors,
    "benchmarks/latent_value/results/tinystories-2-seeds": latent_value,
    "benchmarks/scale/results/fast-steps": scale,
    "benchmarks/scale/results/widths": scale,
    "benchmarks/semi-amortised": guides,
}


def pictures(root: Path = ROOT) -> Iterator[tuple[Path, Drawing]]:
    """Path without suffix and drawing of each stored picture that has records.

    A study may have more drawings than stored pictures: these alone are drawn again.

    Args:
        root: folder of the repository.
    """
    for name, drawings in STUDIES.items():
        folder = root / name
        for found in drawings(folder):
            if (folder / f"{found.name}.png").exists():
                yield folder / found.name, found
    for path in sorted((root / "benchmarks").rglob("*.json")):
        if path.with_suffix(".png").exists():
            measured = drawing(json.loads(path.read_text(encoding="utf-8")))
            if measured is not None:
                yield path.with_suffix(""), measured
