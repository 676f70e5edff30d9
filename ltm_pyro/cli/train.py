"""`ltm train`: from a corpus to a trained run, its table and two samples."""

from __future__ import annotations

import difflib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.cli.arguments import corpus_name, parse
from ltm_pyro.cli.class_arguments import files_as_text, given, named_classes, names_own_code, without_overruled_shares
from ltm_pyro.cli.loading import add_trust_code, open_run, say_once
from ltm_pyro.cli.session import Session, say
from ltm_pyro.errors import InputError
from ltm_pyro.training.blueprint import RECIPES, assemble, check
from ltm_pyro.training.checkpoints import step_named
from ltm_pyro.training.class_paths import checked_arguments
from ltm_pyro.training.consent import consented, look_in
from ltm_pyro.training.held_out import CORPUS, DATA, prepare_again, with_place
from ltm_pyro.training.launch import launched
from ltm_pyro.training.material import DataRecord, Material, corpus_of, prepare
from ltm_pyro.training.missing_values import missing_value
from ltm_pyro.training.places import with_absolute_paths
from ltm_pyro.training.processes import PATIENCE, LostProcessError, Processes
from ltm_pyro.training.run import Run, is_unbegun, new_run_parser, refuse_existing, run_parser
from ltm_pyro.training.run_lock import RunLock
from ltm_pyro.training.slices import count_slices
from ltm_pyro.training.start_from import Start, with_tokenizer_of_start

if TYPE_CHECKING:
    from accelerate import Accelerator
    from jsonargparse import ArgumentParser, Namespace


HERE_ONLY = ("run", "resume", "corpus_at", "recipe", "config", "trust_code")


def main(words: Sequence[str]) -> int:
    """Train; returns the exit code."""
    try:
        if (resumed := _resumed(words)) is not None:
            return _resume(*resumed)
        config, here = configured(words)
        if here["corpus_at"] is not None:
            raise InputError(f"--corpus_at {here['corpus_at']}: only a run that is resumed has a corpus: leave it out")
        return _start(Path(here["run"] or _default_folder(config, here["recipe"])), config, here["trust_code"])
    except LostProcessError as error:
        say(f"ltm: {error}", everywhere=True)
        return 1


def configured(words: Sequence[str]) -> tuple[Namespace, dict[str, Any]]:
    """What a run is made of, and the arguments that matter at its start alone: its folder, its recipe.

    Raises:
        InputError: for words that make no sense.
    """
    parser = _parser(words)
    own, trusted = names_own_code(words), "--trust_code" in words
    if own or trusted:
        look_in(os.getcwd())

    def check_file(given: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
        arguments = consented(parser, given, path, trusted)
        say_once(arguments.remark)
        return arguments.values

    config = parse(parser, files_as_text(_files_first(words), check_file))
    if missing := missing_value(config):
        raise InputError(f"--{missing} null: expected a value; leave it out to take the default")
    config = with_tokenizer_of_start(config)
    here = {name: config.pop(name, None) for name in HERE_ONLY}
    if own:
        refuse_other_classes(config)
    return config, here


def refuse_other_classes(config: Namespace) -> None:
    """Raises InputError where an argument names anything but a class of the kind that it takes."""
    import yaml

    parser = run_parser()
    checked_arguments(parser, yaml.safe_load(parser.dump(config, skip_unset=False)), trust_code=True)


def _resumed(words: Sequence[str]) -> tuple[Path, str | None, bool] | None:
    """RUN, PLACE and consent, where the words are `--resume RUN [--corpus_at PLACE] [--trust_code]`; else None.

    Raises:
        InputError: if other arguments stand beside it.
    """
    from argparse import ArgumentParser

    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--resume", nargs="?")
    parser.add_argument("--corpus_at")
    parser.add_argument("--trust_code", action="store_true")
    known, others = parser.parse_known_args(words)
    if known.resume is None or {"-h", "--help"} & set(others):
        return None
    if others:
        raise InputError(
            "--resume goes on with a run as it was configured, with --corpus_at PLACE if its text has been moved, and "
            f"takes nothing else: drop {' '.join(others)}, or start a new run from it by --config "
            f"{Path(known.resume) / 'config.yaml'}"
        )
    return Path(known.resume), known.corpus_at, known.trust_code


def _files_first(words: Sequence[str]) -> list[str]:
    """The words with `--config FILE` before all others, since later ones override it."""
    files: list[str] = []
    others: list[str] = []
    for word in words:
        of_file = word.startswith("--config=") or word == "--config" or files[-1:] == ["--config"]
        (files if of_file else others).append(word)
    return files + others


def _parser(words: Sequence[str]) -> ArgumentParser:
    parser = new_run_parser()
    parser.usage = (
        "ltm train [CORPUS] [--recipe NAME] [--run FOLDER] [ARGUMENT ...]\n"
        "       ltm train --resume RUN [--corpus_at PLACE]"
    )
    parser.description = __doc__
    parser.add_argument("--recipe", default="tiny", help=f"defaults to start from: {', '.join(_recipes())}")
    parser.add_argument(
        "--config", action="config", help="a run's config.yaml, or any part of one; other arguments override it"
    )
    parser.add_argument("--run", help="the run's folder; runs/CORPUS-RECIPE-TIME if left out")
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="go on with a run that was interrupted, or from one of its checkpoints; takes --corpus_at alone beside it",
    )
    parser.add_argument(
        "--corpus_at", metavar="PLACE", help="with --resume: where the run's corpus lies now, if it has been moved"
    )
    add_trust_code(parser, "files of --config and the run of --train.start_from name")
    parser.set_defaults(_recipe(words) | dict.fromkeys(named_classes(words)))
    return parser


def _recipes() -> list[str]:
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def _recipe(words: Sequence[str]) -> dict[str, Any]:
    """The recipe's values by argument: the defaults that all other arguments override."""
    import yaml

    name = ["tiny", *given(words, "--recipe")][-1]
    if name not in _recipes():
        near = difflib.get_close_matches(name, _recipes(), n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"unknown recipe {name!r}: {hint}The recipes are {', '.join(_recipes())}")
    text = (RECIPES / f"{name}.yaml").read_text(encoding="utf-8")
    groups = without_overruled_shares(yaml.safe_load(text), words)
    whole = {name: of for name, of in groups.items() if not isinstance(of, dict) or "class_path" in of}
    values = {f"{name}.{key}": value for name, of in groups.items() if name not in whole for key, value in of.items()}
    return whole | values


def _default_folder(config: Namespace, recipe: str) -> Path:
    return Path("runs") / f"{corpus_name(config.get('corpus'))}-{recipe}-{time.strftime('%Y%m%d-%H%M%S')}"


def _start(folder: Path, config: Namespace, trust_code: bool = False) -> int:
    refuse_existing(folder, with_absolute_paths(config))
    with RunLock(folder) as lock:
        return _train(folder, config, lock, trust_code)


def _train(folder: Path, config: Namespace, lock: RunLock, trust_code: bool = False) -> int:
    """Train from the first step."""
    check(run_parser(), config)
    start = fitting_start(config, trust_code)
    accelerator = make_accelerator(folder, config)
    folder = lock.folder = Path(Processes(accelerator).text_of_first(str(folder)))  # their clocks may differ
    session = begin(
        folder, config, _read_by_all(config, accelerator, lambda: prepare(config)), accelerator, lock, start
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
    material: Material,
    accelerator: Accelerator,
    lock: RunLock,
    start: Start | None = None,
) -> Session:
    """Make a run's folder and objects, from its seed; nothing is left behind if that fails.

    Of several processes the first makes the folder; the others know of it.

    Raises:
        InputError: if it cannot be made.
    """
    from ltm_pyro.training.randomness import seed_everything

    config = with_absolute_paths(config)
    seed_everything(config.train.seed)
    blueprint = assemble(run_parser(), config, material.tokenizer.vocabulary, material.tokenizer.begin)
    if start is not None:
        say(start.hand_over(blueprint))
    if not accelerator.is_main_process:
        return Session(Run(folder, config), blueprint, material, accelerator)
    run = Run.create(folder, config, material.tokenizer, {DATA: json.dumps(_describe(material), indent=2) + "\n"})
    lock.take()
    try:
        return Session(run, blueprint, material, accelerator)
    except InputError:
        run.discard_unless_begun()
        raise


def fitting_start(config: Namespace, trust_code: bool = False) -> Start | None:
    """The run that this one is to start from, if any.

    Raises:
        InputError: if it is none, or has other sizes or another tokenizer.
    """
    start = Start.of(config, trust_code)
    if start is not None:
        start.refuse_unfit(config)
    return start


def _resume(path: Path, place: str | None = None, trust_code: bool = False) -> int:
    """Go on with a run from its latest checkpoint or from the one that is named; without any it begins again.

    Args:
        path: the run's folder, or the checkpoint's.
        place: where its corpus lies now, if no longer where it was.
        trust_code: as in `Run.open`.
    """
    step = step_named(path.name.removeprefix("step-")) if path.parent.name == "checkpoints" else None
    folder, which = (path, "latest") if step is None else (path.parent.parent, str(step))
    run = open_run(folder, trust_code)
    with RunLock(folder) as lock:
        if which == "latest" and is_unbegun(folder):
            say(f"{folder} was cut off before its first checkpoint, and begins again.")
            config = run.config.clone()
            config["corpus"] = config.get("corpus") if place is None else place
            return _train(folder, config, lock, trust_code)
        return _go_on(run, which, place)


def _go_on(run: Run, which: str, place: str | None) -> int:
    from ltm_pyro.training.randomness import seed_everything

    run.find(which)  # a run without a checkpoint is refused before any work is done
    saved: dict[str, Any] = run.read_json(DATA, DataRecord)
    accelerator = make_accelerator(run.folder, run.config)
    config = with_place(run, saved, place)
    material = _read_by_all(config, accelerator, lambda: prepare_again(run, saved, place))
    if saved["fingerprint"] != material.fingerprint:
        raise InputError(
            f"the corpus of {run.folder} has changed since it began: it gave {saved['training']['tokens']} training "
            f"tokens, now {material.training.token_count}. Restore the text, or start a new run"
        )
    if place is not None and accelerator.is_main_process:
        moved = with_absolute_paths(config)["corpus"]
        run.write(DATA, json.dumps({**saved, CORPUS: moved}, indent=2) + "\n")
    seed_everything(run.config.train.seed)
    return Session(run, run.assemble(), material, accelerator).carry_out(resume=which)


def _read_by_all(config: Namespace, accelerator: Accelerator, read: Callable[[], Material]) -> Material:
    """What every process reads: the first one before the others, which find what it has kept for next time."""
    processes = Processes(accelerator)
    count_slices(config.train.batch_size, config.train.accumulate, processes.count)  # before any work is done
    with processes.first_before_others():
        material = _read(config, read)
    processes.refuse_different("the tokenized corpus", material.fingerprint)
    return material


def _read(config: Namespace, read: Callable[[], Material]) -> Material:
    from ltm_pyro.data import describe

    told = describe(corpus_of(config))
    say(f"{told[0].upper()}{told[1:]} ...")
    material = read()
    if material.remark:
        say(f"  {material.remark}")
    for name, part in (("training", material.training), ("validation", material.validation)):
        cut = f"; {part.truncated} documents cut off at {part.length} tokens" if part.truncated else ""
        say(f"  {name}: {len(part):,} sequences, {part.token_count:,} tokens, {part.byte_count:,} bytes{cut}")
    return material


def _describe(material: Material) -> dict[str, Any]:
    parts = {"training": material.training, "validation": material.validation}
    counts = {name: {"sequences": len(p), "tokens": p.token_count, "bytes": p.byte_count} for name, p in parts.items()}
    return {"fingerprint": material.fingerprint, **counts, **material.notes}


def make_accelerator(folder: Path, config: Namespace) -> Accelerator:
    """Device, precision and trackers of a run, and the processes that share it.

    `accelerate launch --use_fsdp` is another way to say `--train.shard true`.

    Raises:
        InputError: if they cannot be had.
    """
    os.environ.setdefault("ACCELERATE_LOG_LEVEL", "ERROR")
    import torch
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import InitProcessGroupKwargs

    AcceleratorState._reset_state()  # a process that trains twice may do so in two precisions
    settings = config.train
    if (
        os.environ.pop("ACCELERATE_USE_FSDP", "false").lower() == "true"
    ):  # Accelerate's own knows modules' forwards only
        settings.shard = True
    try:
        accelerator = Accelerator(
            mixed_precision=settings.precision,
            cpu=launched() > 1 and not torch.cuda.is_available(),  # else it would not look for others on a CPU
            log_with=settings.trackers or None,
            project_dir=str(folder),
            kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
        )
    except ValueError as error:
        asked = f"--train.precision {settings.precision} --train.trackers {settings.trackers}"
        raise InputError(f"{asked}: {error}") from error
    if accelerator.num_processes != launched():
        raise InputError(
            f"{launched()} processes were launched, and they do not find one another: start them by torchrun or by "
            "accelerate launch, all with the same arguments"
        )
    return accelerator
