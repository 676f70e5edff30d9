"""Suite `harness`: evaluates tasks of lm-evaluation-harness on a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from ltm_pyro.errors import InputError
from ltm_pyro.optional import import_extra
from ltm_pyro.ranges import in_range, whole
from ltm_pyro.runs.arguments import (
    Call,
    Checkpoint,
    Draws,
    FastSteps,
    Limit,
    Resume,
    RunFolder,
    Seed,
    TrustCode,
)
from ltm_pyro.runs.console import say
from ltm_pyro.runs.loading import load, open_run
from ltm_pyro.runs.progress import Progress
from ltm_pyro.runs.result_folders import comparison_folder
from ltm_pyro.runs.results_folder import ComparisonFolder, commit
from ltm_pyro.suites.harness.report import finish
from ltm_pyro.suites.result import SuiteResult
from ltm_pyro.suites.settings import settings_of

if TYPE_CHECKING:
    from lm_eval.tasks import TaskManager

    from ltm_pyro.suites.harness.model import HarnessModel

FOLDER = "evaluation/harness"
SECONDS = 15.0  # between two saves of the answers
UNFINISHED = "Interrupted: only the first questions of each task, up to the first without all its answers."
Known = dict[str, list[dict[str, Any]]]  # answers by request


@in_range
def evaluate(
    run: RunFolder,
    *,
    tasks: Sequence[str],
    include_path: str | None = None,
    num_fewshot: Annotated[int | None, whole(0)] = None,
    limit: Limit = None,
    draws: Draws = 16,
    fast_steps: FastSteps = None,
    checkpoint: Checkpoint = "best",
    seed: Seed = 0,
    resume: Resume = False,
    trust_code: TrustCode = False,
    command: Sequence[str] = (),
) -> SuiteResult:
    """Evaluate tasks of lm-evaluation-harness.

    After an interrupt, the results so far are shown and kept in the run's folder.

    Args:
        tasks: names of tasks; lm-evaluation-harness lists them.
        include_path: a folder with your own tasks, in YAML.
        num_fewshot: number of demonstrations; the task's default if left out.
        limit: largest number of questions of each task.
        draws: S, samples of z for each context.
        seed: seed of demonstrations and of all noise.
        resume: continue an interrupted evaluation.
        command: command that repeats the evaluation.
        run, fast_steps, checkpoint, trust_code: as `ltm_pyro.runs.arguments` describes them.

    Raises:
        InputError: if lm-evaluation-harness is not installed, or for an unknown task, or a task whose data cannot be
            loaded.
    """
    call = Call(evaluate, locals())
    import_extra("lm_eval", "harness", "this suite")
    opened = open_run(run, trust_code)
    from ltm_pyro.suites.harness.model import HarnessModel  # opens a socket when imported

    folder = comparison_folder(opened.folder / FOLDER, call, settings_of(opened, call), opened)
    known: Known = folder.done() if resume else {}
    folder.begin(command)
    components, _ = load(opened, checkpoint)
    listener = _keeper(folder, known)
    model = HarnessModel(opened, components.with_fast_steps(fast_steps), draws, seed, known, listener)
    ask = partial(_evaluate, model, _manager(tasks, include_path), num_fewshot=num_fewshot, seed=seed)
    try:
        results = ask(tasks, limit)
    except KeyboardInterrupt:
        say(f"interrupted: {len(known)} answers are kept; the same command with --resume continues")
        folder.keep(known)
        if results := _so_far(model, ask):
            finish(folder, results, opened, draws, [UNFINISHED, *_cut(model)])
        raise
    finally:
        folder.keep(known)
    return finish(folder, results, opened, draws, _cut(model))


def _keeper(folder: ComparisonFolder, known: Known) -> Callable[[int, int], None]:
    """Listener that shows the progress of answers, and saves them now and then."""
    saved, progress = [time.monotonic()], [Progress(0)]

    def listen(done: int, total: int) -> None:
        if done <= 1 or progress[0].total != total:  # requests of another kind
            progress[0] = Progress(total)
        progress[0].update(done, "answers")
        if done == total:
            progress[0].clear()
        if time.monotonic() - saved[0] > SECONDS:
            saved[0] = time.monotonic()
            folder.keep(known)

    return listen


def _manager(tasks: Sequence[str], include_path: str | None) -> TaskManager:
    """Task manager of lm-evaluation-harness.

    Raises:
        InputError: for a task that the manager does not know.
    """
    from lm_eval.tasks import TaskManager

    if include_path:
        local = TaskManager(include_path=include_path, include_defaults=False)
        if set(tasks) <= set(local.all_subtasks):
            return local  # saves the ten seconds of reading all other tasks
    manager = TaskManager(include_path=include_path)
    unknown = [task for task in tasks if task not in manager.all_tasks]
    if unknown:
        raise InputError(
            f"--tasks {unknown[0]}: lm-evaluation-harness has no such task; give --include_path, a folder with its YAML"
        )
    return manager


def _evaluate(
    model: HarnessModel,
    manager: TaskManager,
    tasks: Sequence[str],
    limit: int | None,
    num_fewshot: int | None,
    seed: int,
) -> dict[str, Any]:
    """Results of lm-evaluation-harness.

    Raises:
        InputError: for a task whose data cannot be loaded.
    """
    from lm_eval import evaluator, simple_evaluate

    evaluator.get_git_commit_hash = commit  # the original lets git write to the terminal outside a repository
    seeds = ("random_seed", "numpy_random_seed", "torch_random_seed", "fewshot_random_seed")
    try:
        results: dict[str, Any] = simple_evaluate(
            model,
            tasks=list(tasks),
            num_fewshot=num_fewshot,
            limit=limit,
            task_manager=manager,
            log_samples=False,
            bootstrap_iters=1000,
            **dict.fromkeys(seeds, seed),
        )
    except (ConnectionError, FileNotFoundError, OSError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"the data of {', '.join(tasks)} cannot be loaded: {reason}. Give a task over local files by --include_path"
        ) from error
    return results


def _so_far(model: HarnessModel, ask: Callable[[Sequence[str], int], dict[str, Any]]) -> dict[str, Any]:
    """Results on the leading questions of each task that have all their answers; empty if there are none."""
    counts, model.listener = model.answered(), lambda done, total: None
    model.asked = model.cut = 0
    results: dict[str, Any] = {}
    for task, count in counts.items():
        if count:
            task_results = ask([task], count)
            for part in ("results", "n-shot", "n-samples"):
                results.setdefault(part, {}).update(task_results[part])
    return results


def _cut(model: HarnessModel) -> list[str]:
    """Notes on contexts that were too long, and on losses of the tokenizer."""
    cut = f"{model.cut} of {model.asked} contexts were too long, and lost their first tokens."
    return [*([cut] if model.cut else []), *filter(None, [model.round_trip.remark()])]
