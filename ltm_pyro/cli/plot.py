"""`ltm plot`: what runs have learned by when, one beside the other; runs that are still training too."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ltm_pyro.cli.arguments import parse, refuse_below
from ltm_pyro.errors import InputError
from ltm_pyro.files import write_text
from ltm_pyro.plots.learning_curves import Against, Curve
from ltm_pyro.runs.figures import FIGURES, draw_curves
from ltm_pyro.runs.loading import add_trust_code, open_run
from ltm_pyro.training.learning_curve import POINTS, learning_curve

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser


def main(words: Sequence[str]) -> int:
    """Draw; returns the exit code."""
    options = parse(_parser(), words)
    refuse_below(options, limit=1)
    folders = [Path(name) for name in options.runs]
    curves = _curves(folders, options.limit, options.trust_code)
    stem = Path(options.out or folders[0] / FIGURES) / f"curves-{options.against}"
    paths = draw_curves(curves, stem, options.against)
    paths += _write_points(curves, stem)
    sys.stdout.write("".join(f"{path}\n" for path in paths))
    return 0


def _curves(folders: Sequence[Path], limit: int, trust_code: bool) -> dict[str, Curve]:
    """The runs' curves by the shortest names that tell them apart.

    Raises:
        InputError: if one is no run, stands there twice, or has not taken a step.
    """
    whole = [folder.resolve() for folder in folders]
    if len(set(whole)) < len(whole):
        raise InputError(f"a run is named twice among {', '.join(map(str, folders))}: name each once")
    alike = len({path.name for path in whole}) < len(whole)
    curves: dict[str, Curve] = {}
    for given, path in zip(folders, whole, strict=True):
        curve = learning_curve(open_run(given, trust_code).metrics.read(), limit)
        if not curve:
            raise InputError(f"{given} has nothing to draw yet: its metrics.jsonl has no training step")
        curves[str(given) if alike else path.name] = curve
    return curves


def _write_points(curves: dict[str, Curve], stem: Path) -> list[Path]:
    """The points of the figures as JSON and CSV, beside them."""
    from ltm_pyro.tables import to_csv

    points = [{"run": name, **point} for name, curve in curves.items() for point in curve]
    texts = {".json": json.dumps(points, indent=1) + "\n", ".csv": to_csv(points)}
    for ending, text in texts.items():
        write_text(stem.with_suffix(ending), text)
    return [stem.with_suffix(ending) for ending in texts]


def _parser() -> ArgumentParser:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="ltm plot", exit_on_error=False, description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folders of runs, finished or not")
    parser.add_argument("--against", type=Against, default="tokens", help="what was spent: the horizontal axis")
    parser.add_argument("--out", help="the figures' folder; figures/ of the first run if left out")
    parser.add_argument("--limit", type=int, default=POINTS, help="at most how many training points a run")
    add_trust_code(parser, "the runs name")
    return parser
