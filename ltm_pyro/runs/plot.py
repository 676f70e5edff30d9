"""Learning curves of several runs in one figure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from ltm_pyro.errors import InputError
from ltm_pyro.files import write_text
from ltm_pyro.plots.learning_curves import Against, Curve
from ltm_pyro.ranges import in_range, whole
from ltm_pyro.runs.arguments import Argument, Out, TrustCode
from ltm_pyro.runs.figures import FIGURES, draw_curves
from ltm_pyro.runs.loading import open_run
from ltm_pyro.tables import to_csv
from ltm_pyro.training.learning_curve import POINTS, learning_curve


@in_range
def plot(
    runs: Annotated[Sequence[str], Argument(metavar="RUN")],
    *,
    against: Against = "tokens",
    out: Out = None,
    points: Annotated[int, whole(1)] = POINTS,
    trust_code: TrustCode = False,
) -> list[Path]:
    """Learning curves of several runs in one figure; runs may still be training.

    Args:
        runs: folders of runs, finished or not.
        against: the cost on the horizontal axis.
        out: the figures' folder; figures/ of the first run if left out.
        points: the most training points per run.

    Returns:
        The paths of the figures and of their points, as JSON and CSV.

    Raises:
        InputError: if a folder is no run or is named twice, or a run has not taken a step.
    """
    folders = [Path(name) for name in runs]
    curves = _curves(folders, points, trust_code)
    stem = Path(out or folders[0] / FIGURES) / f"curves-{against}"
    return [*draw_curves(curves, stem, against), *_write_points(curves, stem)]


def _curves(folders: Sequence[Path], points: int, trust_code: bool) -> dict[str, Curve]:
    """The curves by run: by the folders' names if these differ, else by their paths."""
    whole_paths = [folder.resolve() for folder in folders]
    if len(set(whole_paths)) < len(whole_paths):
        raise InputError(f"a run is named twice among {', '.join(map(str, folders))}: name each once")
    alike = len({path.name for path in whole_paths}) < len(whole_paths)
    curves: dict[str, Curve] = {}
    for folder, path in zip(folders, whole_paths, strict=True):
        curve = learning_curve(open_run(folder, trust_code).metrics.read(), points)
        if not curve:
            raise InputError(f"{folder} has nothing to draw yet: its metrics.jsonl has no training step")
        curves[str(folder) if alike else path.name] = curve
    return curves


def _write_points(curves: Mapping[str, Curve], stem: Path) -> list[Path]:
    points = [{"run": name, **point} for name, curve in curves.items() for point in curve]
    texts = {".json": json.dumps(points, indent=1) + "\n", ".csv": to_csv(points)}
    for ending, text in texts.items():
        write_text(stem.with_suffix(ending), text)
    return [stem.with_suffix(ending) for ending in texts]
