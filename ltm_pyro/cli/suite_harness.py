"""`ltm evaluate RUN --suite harness`: tasks of lm-evaluation-harness."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ltm_pyro.cli.arguments import parse, refuse_below
from ltm_pyro.cli.suites import folder_of
from ltm_pyro.errors import InputError
from ltm_pyro.optional import import_extra
from ltm_pyro.runs.console import say
from ltm_pyro.runs.loading import add_device, add_trust_code, load, open_run
from ltm_pyro.runs.progress import Progress
from ltm_pyro.runs.results_folder import ComparisonFolder, commit
from ltm_pyro.suites.settings import settings_of
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace
    from lm_eval.tasks import TaskManager

    from ltm_pyro.suites.harness.model import HarnessModel

FOLDER = "evaluation/harness"
SHARES = ("acc", "acc_norm", "exact_match")  # of questions that are answered rightly
TASKS = "Scores that are shares, by task and measure. Bars: one standard error over questions."
SECONDS = 15.0  # between two times that what is done is kept
UNFINISHED = "Interrupted: of each task its first questions alone, as many as had all their answers."
Known = dict[str, list[dict[str, Any]]]  # answers by request


def main(words: Sequence[str]) -> int:
    """Evaluate; returns the exit code."""
    options = parse(_parser(), words)
    refuse_below(options, draws=1, limit=1, fast_steps=0, seed=0, num_fewshot=0)
    import_extra("lm_eval", "harness", "this suite")
    run = open_run(options.run, options.trust_code)
    folder = folder_of(run, FOLDER, options, _parser(), settings_of(run, options))
    known: Known = folder.done() if options.resume else {}
    folder.begin(["evaluate", *words])
    model, manager = _model(run, options, known, _keeper(folder, known)), _tasks(options)
    try:
        results = _evaluate(model, manager, options, options.tasks, options.limit)
    except KeyboardInterrupt:
        say(f"interrupted: {len(known)} answers are kept; the same command with --resume goes on")
        folder.keep(known)
        if results := _so_far(model, manager, options):
            _finish(folder, results, run, options, [UNFINISHED, *_cut(model)])
        raise
    finally:
        folder.keep(known)
    _finish(folder, results, run, options, _cut(model))
    return 0


def _parser() -> ArgumentParser:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="ltm evaluate RUN --suite harness", exit_on_error=False, description=__doc__)
    parser.add_argument("run", help="the run's folder")
    parser.add_argument("--suite", default="harness", help="this one")
    parser.add_argument("--tasks", nargs="+", required=True, help="by name; lm-evaluation-harness lists them")
    parser.add_argument(
        "--include_path", type=str | None, default=None, help="a folder with tasks of your own, in YAML"
    )
    parser.add_argument(
        "--num_fewshot", type=int | None, default=None, help="demonstrations; the task's own if left out"
    )
    parser.add_argument("--limit", type=int | None, default=None, help="the most questions of each task")
    parser.add_argument("--draws", type=int, default=16, help="S, samples of z for each context")
    parser.add_argument("--fast_steps", type=int | None, default=None, help="fast steps of the fit; enough if left out")
    parser.add_argument("--checkpoint", default="best", help="best, latest, or a step")
    parser.add_argument("--seed", type=int, default=0, help="of demonstrations and all noise")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted evaluation")
    add_trust_code(parser)
    add_device(parser)
    return parser


def _keeper(folder: ComparisonFolder, known: Known) -> Any:
    """What is told of every answer: it is shown, and now and then what there is by then is kept."""
    kept, shown = [time.monotonic()], [Progress(0)]

    def listen(done: int, total: int) -> None:
        if done <= 1 or shown[0].total != total:  # requests of another kind
            shown[0] = Progress(total)
        shown[0].update(done, "answers")
        if done == total:
            shown[0].clear()
        if time.monotonic() - kept[0] > SECONDS:
            kept[0] = time.monotonic()
            folder.keep(known)

    return listen


def _model(run: Run, options: Namespace, known: Known, listener: Any) -> HarnessModel:
    from ltm_pyro.suites.harness.model import HarnessModel

    blueprint, _ = load(run, options.checkpoint)
    blueprint = blueprint.with_fast_steps(options.fast_steps)
    return HarnessModel(run, blueprint, options.draws, options.seed, known, listener)


def _tasks(options: Namespace) -> TaskManager:
    """What lm-evaluation-harness knows.

    Raises:
        InputError: for a task that it does not.
    """
    from lm_eval.tasks import TaskManager

    if options.include_path:
        own = TaskManager(include_path=options.include_path, include_defaults=False)
        if set(options.tasks) <= set(own.all_subtasks):
            return own  # without the ten seconds in which all others are read
    manager = TaskManager(include_path=options.include_path)
    unknown = [task for task in options.tasks if task not in manager.all_tasks]
    if unknown:
        raise InputError(
            f"--tasks {unknown[0]}: lm-evaluation-harness has no such task; give --include_path, a folder with its YAML"
        )
    return manager


def _evaluate(
    model: HarnessModel, manager: TaskManager, options: Namespace, tasks: Sequence[str], limit: int | None
) -> dict[str, Any]:
    """What lm-evaluation-harness says.

    Raises:
        InputError: for a task whose data is not to be had.
    """
    from lm_eval import evaluator, simple_evaluate

    evaluator.get_git_commit_hash = commit  # theirs lets git complain to the terminal where there is no repository
    try:
        results: dict[str, Any] = simple_evaluate(
            model,
            tasks=list(tasks),
            num_fewshot=options.num_fewshot,
            limit=limit,
            task_manager=manager,
            log_samples=False,
            bootstrap_iters=1000,
            random_seed=options.seed,
            numpy_random_seed=options.seed,
            torch_random_seed=options.seed,
            fewshot_random_seed=options.seed,
        )
    except (ConnectionError, FileNotFoundError, OSError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"the data of {', '.join(tasks)} cannot be had: {reason}. Give a task over local files by --include_path"
        ) from error
    return results


def _so_far(model: HarnessModel, manager: TaskManager, options: Namespace) -> dict[str, Any]:
    """Of each task the results of as many first questions as have all their answers; empty if none has."""
    counts, model.listener = model.answered(), lambda done, total: None
    model.asked = model.cut = 0
    found: dict[str, Any] = {}
    for task, count in counts.items():
        if count:
            own = _evaluate(model, manager, options, [task], count)
            for part in ("results", "n-shot", "n-samples"):
                found.setdefault(part, {}).update(own[part])
    return found


def _cut(model: HarnessModel) -> list[str]:
    """What is to be said of contexts that were too long, and of text that the tokenizer does not keep."""
    told = f"{model.cut} of {model.asked} contexts were too long, and lost their first tokens."
    return [*([told] if model.cut else []), *filter(None, [model.round_trip.remark()])]


def _finish(
    folder: ComparisonFolder, results: dict[str, Any], run: Run, options: Namespace, further: Sequence[str]
) -> None:
    from ltm_pyro.files import finite
    from ltm_pyro.plots import plot_task_scores, save_figure
    from ltm_pyro.tables import section

    records = list(_records(results))
    rows = [[r["task"], r["measure"], _value(r), str(r["shots"]), f"{r['questions']:,}"] for r in records]
    z = run.config.model == "latent-thought"
    how = f"thoughts fitted on what stands before, mean over {options.draws} draws" if z else "exact"
    notes = [
        "± one standard error, by lm-evaluation-harness; in brackets Wilson's 95 % interval of a share of right "
        f"answers. Probabilities of a continuation: {how}; of a whole text: "
        + ("the importance-weighted bound." if z else "exact."),
        *further,
    ]
    header = ["task", "measure", "value", "shots", "questions"]
    folder.write("harness.json", json.dumps(finite(results.get("results", {})), indent=2, default=str) + "\n")

    def draw() -> list[str]:
        panel, height = partial(plot_task_scores, records), 0.35 * len(records) + 0.8
        return [path.name for path in save_figure(folder.path / "tasks", [panel], TASKS, height)]

    folder.finish(section("Tasks", [header, *rows], notes), records, draw)


def _value(record: dict[str, Any]) -> str:
    """A task's number with its error; a share of right answers with its interval."""
    from ltm_pyro.evaluation.shares import wilson
    from ltm_pyro.tables import number, with_error

    if record["measure"] not in SHARES or not record["questions"]:
        return with_error(record["value"], record["standard_error"])
    low, high = wilson(record["value"], record["questions"])
    return f"{number(record['value'])} [{number(low)}, {number(high)}]"


def _records(results: dict[str, Any]) -> Any:
    for task, own in results["results"].items():
        for name, value in own.items():
            measure, comma, kind = name.partition(",")
            if comma and not measure.endswith("_stderr"):
                error = own.get(f"{measure}_stderr,{kind}")
                yield {
                    "task": task,
                    "measure": measure,
                    "value": float(value),
                    "standard_error": float(error) if isinstance(error, (int, float)) else None,
                    "shots": results.get("n-shot", {}).get(task, 0),
                    "questions": results.get("n-samples", {}).get(task, {}).get("effective", 0),
                }
