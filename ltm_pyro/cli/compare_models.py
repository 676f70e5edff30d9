"""`ltm compare models`: trained runs of any kind, at equal tokens, compute and time."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.cli.arguments import parse, refuse_below
from ltm_pyro.errors import InputError
from ltm_pyro.runs.console import say
from ltm_pyro.runs.loading import add_trust_code, load, open_run
from ltm_pyro.runs.names import slug
from ltm_pyro.runs.result_folders import comparison_folder
from ltm_pyro.runs.results_folder import ComparisonFolder
from ltm_pyro.runs.scored_text import add_corpus_at, held_out_text
from ltm_pyro.runs.scoring import score_run
from ltm_pyro.training.held_out import RunText, refuse_other_held_out
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from ltm_pyro.evaluation import Evaluation
    from ltm_pyro.studies.models import Course

BUDGETS = "Validation cost of each run in bits per byte against what training has spent. Costs: lower is better."
EPILOG = """All runs must hold out the same documents. They may have tokenizers of their own: all that is compared is
in bits per byte. Speed is what each run measured while it trained: let them train on one machine, with nothing beside,
or give --measure: then all of them are measured here, a step of each in turn.
"""


def main(words: Sequence[str]) -> int:
    """Compare; returns the exit code."""
    options = parse(_parser(), words)
    refuse_below(options, budgets=1, measure=0, draws=1, limit=1, seed=0)
    runs = _named(options.runs, options.trust_code)
    device = options.device_name or _device()
    courses, left_out = _courses(runs)
    runs = {course.name: runs[course.name] for course in courses}
    texts = {name: held_out_text(run, options) for name, run in runs.items()}
    for text in list(texts.values())[1:]:
        refuse_other_held_out(next(iter(texts.values())), text)
    settings = {k: v for k, v in options.as_dict().items() if k not in ("out", "config", "corpus_at", "trust_code")}
    place = Path("comparisons") / f"models-{'-'.join(map(slug, runs))}"
    folder = comparison_folder(place, options, _parser(), {**settings, "device_name": device})
    folder.begin(["compare", "models", *words])
    evaluations: dict[str, Evaluation] = {}
    try:
        if options.measure:
            courses = _measured(courses, runs, options)
        for name, text in texts.items():
            evaluations[name] = _evaluate(text, options)
    except KeyboardInterrupt:
        say(f"interrupted: {len(evaluations)} of {len(runs)} runs were scored on the held-out text")
        _finish(folder, courses, left_out, options.budgets, evaluations, device)
        raise
    _finish(folder, courses, left_out, options.budgets, evaluations, device)
    return 0


def _parser() -> ArgumentParser:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="ltm compare models", exit_on_error=False, description=__doc__, epilog=EPILOG)
    parser.add_argument("runs", nargs="+", help="the runs' folders; the first is what the others are compared with")
    parser.add_argument("--budgets", type=int, default=4, help="of each kind, at equal ratios")
    parser.add_argument("--device_name", type=str | None, default=None, help="of what the runs were trained on")
    parser.add_argument(
        "--measure",
        type=int,
        nargs="?",
        const=15,
        default=0,
        help="rounds in which each run takes a training step here; their median is its speed, not that of its log",
    )
    add_corpus_at(parser)
    parser.add_argument("--checkpoint", default="best", help="best, latest, or a step")
    parser.add_argument("--draws", type=int, default=16, help="S, samples of z, or of what is masked, per sequence")
    parser.add_argument("--limit", type=int | None, default=None, help="the most held-out sequences to score")
    parser.add_argument("--seed", type=int, default=0, help="of all noise")
    parser.add_argument(
        "--out", type=str | None, default=None, help="where to; comparisons/models-RUN-RUN... if left out"
    )
    add_trust_code(parser, "the runs name")
    return parser


def _named(folders: Sequence[str], trust_code: bool) -> dict[str, Run]:
    """The runs by the shortest names that tell them apart."""
    names = [Path(folder).resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = list(folders)
    if len(set(names)) < len(names):
        raise InputError("a run is named twice: give each once")
    return {name: open_run(folder, trust_code) for name, folder in zip(names, folders, strict=True)}


def _courses(runs: dict[str, Run]) -> tuple[list[Course], list[str]]:
    """The courses of the runs that can be compared, and of each other one why it cannot."""
    from ltm_pyro.studies.models import NothingBoundsError, course_of

    courses, left_out = [], []
    for name, run in runs.items():
        try:
            courses.append(course_of(name, run.metrics.read(), *run.assemble()))
        except NothingBoundsError as error:
            say(f"left out: {error}")
            left_out.append(str(error))
    if not courses:
        raise InputError("; ".join(left_out))
    return courses, left_out


def _measured(courses: Sequence[Course], runs: dict[str, Run], options: Namespace) -> list[Course]:
    """The same courses at the speeds that are measured now."""
    from ltm_pyro.runs.speed import measured_speeds

    speeds = measured_speeds(runs, options.measure, options.corpus_at)
    return [course.at_speeds(speeds[course.name]) for course in courses]


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


def _evaluate(text: RunText, options: Namespace) -> Evaluation:
    blueprint, device = load(text.run, options.checkpoint)
    sizes = {"draws": options.draws, "limit": options.limit, "seed": options.seed}
    return score_run(text.run, blueprint, device, text.held_out, **sizes)


def _finish(
    folder: ComparisonFolder,
    courses: Sequence[Course],
    left_out: Sequence[str],
    budgets: int,
    evaluations: dict[str, Evaluation],
    device: str,
) -> None:
    from ltm_pyro.plots import plot_budgets, save_figure
    from ltm_pyro.studies.models import SPENT, budget_records, budget_table, final_table

    table = budget_table(courses, budgets, device, left_out)
    pieces = {name: [evaluation.to_dict()] for name, evaluation in evaluations.items()}
    if evaluations:
        table += "\n\n" + final_table(evaluations, next(iter(evaluations)))
    if speeds := [{"run": c.name, "round": n, "tokens_per_second": s} for c in courses for n, s in enumerate(c.speeds)]:
        pieces["measured speed"] = speeds
    if pieces:
        folder.keep(pieces)

    points = {course.name: course.points for course in courses}

    def draw() -> list[str]:
        panels: list[Any] = [partial(plot_budgets, points, device=device, by=by) for by in SPENT]
        return [path.name for path in save_figure(folder.path / "budgets", panels, BUDGETS, columns=3)]

    folder.finish(table, budget_records(courses, budgets), draw)
