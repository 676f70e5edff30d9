"""Training of a run from a configuration, and resumption of an interrupted run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.device import chosen_device, is_chosen
from ltm_pyro.errors import InputError
from ltm_pyro.runs.console import say
from ltm_pyro.runs.loading import open_run, say_bases
from ltm_pyro.runs.session import Session
from ltm_pyro.runs.trackers.continued import report_again_after
from ltm_pyro.runs.trackers.trackers import refuse_missing
from ltm_pyro.training.build import build, validate
from ltm_pyro.training.checkpoints import step_named, step_of
from ltm_pyro.training.data_module import DataModule, DataRecord, corpus_of, prepare_data
from ltm_pyro.training.decoder_tokenizer import refuse_other_tokenizer
from ltm_pyro.training.further import change_settings, schedule_line, with_changes
from ltm_pyro.training.given_text import refuse_given
from ltm_pyro.training.held_out import CORPUS, DATA, prepare_again, refuse_refined, with_place
from ltm_pyro.training.launch import launched
from ltm_pyro.training.pinning import pinned
from ltm_pyro.training.places import with_absolute_paths
from ltm_pyro.training.processes import PATIENCE, Processes
from ltm_pyro.training.run import Run, is_unbegun, refuse_existing, run_parser
from ltm_pyro.training.run_lock import RunLock
from ltm_pyro.training.settings import TrainSettings
from ltm_pyro.training.slices import count_slices
from ltm_pyro.training.start_from import Start

if TYPE_CHECKING:
    from accelerate import Accelerator
    from jsonargparse import Namespace


def start(folder: Path, config: Namespace, trust_code: bool = False) -> int:
    refuse_existing(folder, pinned(with_absolute_paths(config)))
    with RunLock(folder) as lock:
        return _train(folder, config, lock, trust_code)


def _train(folder: Path, config: Namespace, lock: RunLock, trust_code: bool = False) -> int:
    """Train from the first step."""
    validate(run_parser(config), config)
    start = fitting_start(config, trust_code)
    accelerator = make_accelerator(folder, config)
    folder = lock.folder = Path(Processes(accelerator).text_of_first(str(folder)))  # default names have a time
    session = begin(
        folder, config, _read_by_all(config, accelerator, lambda: prepare_data(config)), accelerator, lock, start
    )
    try:
        return session.carry_out()
    except InputError:
        if session.trainer.processes.first:
            session.run.discard_unless_begun()
        raise


def begin(
    folder: Path,
    config: Namespace,
    material: DataModule,
    accelerator: Accelerator,
    lock: RunLock,
    start: Start | None = None,
) -> Session:
    """Make a run's folder and objects, from its seed; if that fails, the folder is removed.

    Of several processes only the first makes the folder.

    Raises:
        InputError: if the folder or the objects cannot be made.
    """
    from ltm_pyro.training.randomness import seed_everything

    config = pinned(with_absolute_paths(config))
    refuse_other_tokenizer(config, material.tokenizer)
    seed_everything(config.train.seed)
    components = build(run_parser(config), config, material.tokenizer)
    if start is not None:
        say(start.hand_over(components))
    if not accelerator.is_main_process:
        return Session(Run(folder, config), components, material, accelerator)
    run = Run.create(
        folder, config, material.tokenizer, {DATA: json.dumps(describe_material(material), indent=2) + "\n"}
    )
    lock.take()
    try:
        return Session(run, components, material, accelerator)
    except InputError:
        run.discard_unless_begun()
        raise


def fitting_start(config: Namespace, trust_code: bool = False) -> Start | None:
    """The run named by `train.start_from`, checked against the configuration; None if none is named.

    Raises:
        InputError: if it is no run, or has other sizes or another tokenizer.
    """
    start = Start.of(config, trust_code)
    if start is not None:
        start.refuse_unfit(config)
    return start


def resume(
    path: Path, place: str | None = None, trust_code: bool = False, changes: Mapping[str, int | None] | None = None
) -> int:
    """Resume a run from its latest checkpoint or a named one; without any checkpoint it begins again.

    Args:
        path: the run's folder, or the checkpoint's.
        place: the place of its corpus now, if it has been moved.
        trust_code: as in `Run.open`.
        changes: settings of training that change, as `training.further.with_changes` takes them.
    """
    step = step_named(path.name.removeprefix("step-")) if path.parent.name == "checkpoints" else None
    folder, checkpoint = (path, "latest") if step is None else (path.parent.parent, str(step))
    run = open_run(folder, trust_code)
    if (folder / DATA).is_file():
        record = run.read_json(DATA, DataRecord)
        refuse_given(folder, record)
        refuse_refined(folder, record)
    config = with_changes(folder, run.config, changes or {})
    with RunLock(folder) as lock:
        if checkpoint == "latest" and is_unbegun(folder):
            say(f"{folder} was cut off before its first checkpoint, and begins again.")
            if "schedule_steps" not in (changes or {}):  # no schedule has begun that could jump
                config.train.schedule_steps = run.config.train.schedule_steps
            config["corpus"] = config.get("corpus") if place is None else place
            return _train(folder, config, lock, trust_code)
        return _go_on(run, checkpoint, place, config)


def _go_on(run: Run, checkpoint: str, place: str | None, changed: Namespace) -> int:
    """Go on from a checkpoint, with the changed settings once nothing else is in the way."""
    from ltm_pyro.training.randomness import seed_everything

    step = step_of(run.find(checkpoint))  # a run without a checkpoint is refused before any work is done
    saved: dict[str, Any] = run.read_json(DATA, DataRecord)
    accelerator = make_accelerator(run.folder, run.config, resumed=True)
    config = with_place(run, saved, place)
    material = _read_by_all(config, accelerator, lambda: prepare_again(run, saved, place))
    if saved["fingerprint"] != material.fingerprint:
        raise InputError(
            f"the corpus of {run.folder} has changed since the run began: it gave {saved['training']['tokens']} "
            f"training tokens then, and {material.training.token_count} now. Restore the text, or start a new run"
        )
    if place is not None and accelerator.is_main_process:
        moved = with_absolute_paths(config)["corpus"]
        run.write(DATA, json.dumps({**saved, CORPUS: moved}, indent=2) + "\n")
    say_bases(run)
    before = apply_changes(run, changed, step, accelerator.is_main_process)
    seed_everything(run.config.train.seed)
    components = run.build()
    if before is not None:
        say(schedule_line(components, before, schedule_length(run.config), step))
    return Session(run, components, material, accelerator).carry_out(resume=checkpoint)


def schedule_length(config: Namespace) -> int:
    """Number of slow steps over which the schedules of a run are spread."""
    return TrainSettings(**vars(config.train)).schedule_length


def apply_changes(run: Run, changed: Namespace, step: int, writes: bool) -> int | None:
    """Give a run changed settings of training, in its folder too if this process writes.

    Returns:
        The former length of the schedules if the run gets further steps; else None.
    """
    former, before = run.config.train.steps, schedule_length(run.config)
    if not writes:
        run.config = changed
    elif kept := change_settings(run, changed, step):
        if schedule_length(changed) != before:
            report_again_after(run.folder, step)
        say(f"The settings until now are in {kept}")
    return before if changed.train.steps > former else None


def _read_by_all(config: Namespace, accelerator: Accelerator, read: Callable[[], DataModule]) -> DataModule:
    """The data of every process: the first process reads the corpus before the others, which use its cache."""
    processes = Processes(accelerator)
    count_slices(config.train.batch_size, config.train.accumulate, processes.count)  # before any work is done
    with processes.first_before_others():
        material = _read(config, read)
    processes.refuse_different("the tokenized corpus", material.fingerprint)
    return material


def _read(config: Namespace, read: Callable[[], DataModule]) -> DataModule:
    from ltm_pyro.data import describe

    message = describe(corpus_of(config))
    say(f"{message[0].upper()}{message[1:]} ...")
    material = read()
    if material.remark:
        say(f"  {material.remark}")
    for name, part in (("training", material.training), ("validation", material.validation)):
        cut = f"; {part.truncated} documents cut off at {part.length} tokens" if part.truncated else ""
        say(f"  {name}: {len(part):,} sequences, {part.token_count:,} tokens, {part.byte_count:,} bytes{cut}")
    return material


def describe_material(material: DataModule) -> dict[str, Any]:
    parts = {"training": material.training, "validation": material.validation}
    counts = {name: {"sequences": len(p), "tokens": p.token_count, "bytes": p.byte_count} for name, p in parts.items()}
    return {"fingerprint": material.fingerprint, **counts, **material.notes}


def make_accelerator(folder: Path, config: Namespace, resumed: bool = False) -> Accelerator:
    """Device, precision and trackers of a run, and the processes that share it.

    `accelerate launch --use_fsdp` is equivalent to `--train.shard true`.

    Args:
        folder: of the run.
        config: of the run.
        resumed: True if the run goes on: it then does so without trackers that are not installed, and a line says so.

    Raises:
        InputError: if the precision or a tracker is not available, or launched processes do not find one another.
    """
    os.environ.setdefault("ACCELERATE_LOG_LEVEL", "ERROR")
    import torch
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import InitProcessGroupKwargs

    AcceleratorState._reset_state()  # a process may train again in another precision
    settings, device = config.train, chosen_device()
    if (
        os.environ.pop("ACCELERATE_USE_FSDP", "false").lower() == "true"
    ):  # Accelerate's own sharding handles calls of a module's forward only
        settings.shard = True
    if device.index is not None and device.type == "cuda":
        torch.cuda.set_device(device)
    trackers = _installed_trackers(settings.trackers, resumed)
    try:
        accelerator = Accelerator(
            mixed_precision=settings.precision,
            # otherwise several processes on a CPU would not look for one another
            cpu=device == torch.device("cpu") and (is_chosen() or launched() > 1),
            log_with=trackers or None,
            project_dir=str(folder),
            kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
        )
    except ValueError as error:
        options = f"--train.precision {settings.precision} --train.trackers {settings.trackers}"
        raise InputError(f"{options}: {error}") from error
    if accelerator.num_processes != launched():
        raise InputError(
            f"{launched()} processes were launched, but they do not find one another: start them with torchrun or "
            "accelerate launch, all with the same arguments"
        )
    return accelerator


def _installed_trackers(names: Sequence[str], resumed: bool) -> list[str]:
    """Trackers whose packages are installed: all of them, or for a resumed run some."""
    installed = []
    for name in names:
        try:
            refuse_missing([name])
            installed.append(name)
        except InputError as error:
            if not resumed:
                raise
            say(f"{error}. Training goes on without it")
    return installed
