"""Training of objects that were built in Python, saved as a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ltm_pyro.errors import InputError
from ltm_pyro.inference import FastLoop, SlowStep
from ltm_pyro.instances import require_instance
from ltm_pyro.runs.config import as_dict, complete, merged, without
from ltm_pyro.runs.console import say
from ltm_pyro.runs.description import described, refuse_unlike
from ltm_pyro.runs.session import Session
from ltm_pyro.runs.train import apply_changes, describe_material, make_accelerator, schedule_length
from ltm_pyro.runs.trained import TrainedRun
from ltm_pyro.training.build import RunComponents, build
from ltm_pyro.training.checkpoints import step_of
from ltm_pyro.training.data_module import DataModule, DataRecord
from ltm_pyro.training.dry_run import dry_run
from ltm_pyro.training.further import CHANGEABLE, with_changes
from ltm_pyro.training.given_text import GIVEN, keep_held_out
from ltm_pyro.training.held_out import DATA
from ltm_pyro.training.pinning import pinned
from ltm_pyro.training.processes import Processes
from ltm_pyro.training.randomness import seed_everything
from ltm_pyro.training.run import Run, is_unbegun, refuse_existing, run_parser
from ltm_pyro.training.run_lock import RunLock

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from ltm_pyro.data import Tokenizer
    from ltm_pyro.guides import AbstractGuide
    from ltm_pyro.models import AbstractModel


def train(
    model: AbstractModel,
    guide: AbstractGuide,
    fast: FastLoop,
    slow: SlowStep,
    batches: Any,
    *,
    folder: Path | str,
    validation: Any = None,
    tokenizer: Tokenizer | None = None,
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
) -> TrainedRun:
    """Train objects and save them as a run, with checkpoints, log, table and figures, which every command can open.

    The run's `config.yaml` holds the objects' classes and constructor arguments, from which they are rebuilt when the
    run is opened: custom classes must be in a module that can be imported, and everything that shapes weights must be
    a constructor argument. Training starts from the objects' present weights; order and noise follow `train.seed`, and
    torch's own generator is left unchanged. Several processes, started by `torchrun` or `accelerate launch`, share
    each batch.

    Args:
        model, guide, fast, slow: as for `DualRateSVI`.
        batches: training data: `ltm_pyro.data.Batches` or `Sequences`, a torch Dataset or DataLoader of token ids, or
            lists of them, in the forms of `ltm_pyro.data.id_sequences`. The data are read once, and batches are drawn
            from them in a shuffled order.
        folder: of the run.
        validation: held-out data in the same forms; a share of the sequences (`data.validation`) if None.
        tokenizer: of the ids; if None, the text of an id is its number.
        settings: of training: `train.steps`, `train.batch_size`, `train.evaluate_every` and so on, as
            `ltm_pyro.recipe` nests them.
        resume: continue the run in the folder, which must be of the same objects and sequences. More `train.steps` than
            before train it further, at the values with which its schedules ended, unless `train.schedule_steps` says
            otherwise.

    Returns:
        The run, with the weights of its best checkpoint.

    Raises:
        InputError: for objects that config.yaml cannot hold or that do not fit together, or a folder that exists.
        DivergedError: at a NaN or an infinity; earlier checkpoints are kept.
        KeyboardInterrupt: after Ctrl-C, once the state has been saved.
    """
    require_instance("fast", fast, FastLoop, "FastLoop(ELBO()); the order is model, guide, fast, slow")
    require_instance("slow", slow, SlowStep, "SlowStep(ELBO())")
    components, folder = RunComponents(model, guide, fast, slow), Path(folder)
    config = pinned(_config(components, batches, settings or {}))
    material = _material(model, batches, validation, tokenizer, config)
    guide.attach_tokenizer(material.tokenizer)
    config.data.mode = "windows" if material.training.fixed else "documents"
    config.data.vocabulary = material.tokenizer.vocabulary
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        _refuse_unfit(components, config, material.tokenizer)
        seed_everything(config.train.seed)
        run = _trained(components, config, material, folder, resume)
        place = next(model.parameters()).device
        return TrainedRun(run, run.load("best").to(place), place)


def _refuse_unfit(components: RunComponents, config: Namespace, tokenizer: Tokenizer) -> None:
    """Refuse objects that their description does not rebuild, or that break a contract."""
    rebuilt = build(run_parser(config), config, tokenizer)
    refuse_unlike(components, rebuilt)
    dry_run(rebuilt, config.data.length)


def _trained(components: RunComponents, config: Namespace, material: DataModule, folder: Path, resume: bool) -> Run:
    accelerator = make_accelerator(folder, config, resume)
    processes = Processes(accelerator)
    _refuse_unlike_processes(processes, components, material)
    with RunLock(folder) as lock:
        goes_on = resume and not is_unbegun(folder)
        if not goes_on:
            refuse_existing(folder, config)
        goes_on = processes.text_of_first(str(goes_on)) == str(True)  # all look before the first makes the folder
        if goes_on:
            run = _opened(folder, config, material, processes.first)
            components.slow.steps = schedule_length(run.config)
        else:
            run = _made(folder, config, material, lock) if processes.first else Run(folder, config)
        session = Session(run, components, material, accelerator)
        if goes_on:
            session.trainer.resume()
            say(session.going_on())
        stopped = session.train()
        if stopped:
            say(f"{stopped}: saved after step {session.trainer.step}. Go on with the same call and resume=True")
            raise KeyboardInterrupt
        if session.trainer.processes.first:
            session.finish(quietly=True)
    return run


def _refuse_unlike_processes(processes: Processes, components: RunComponents, material: DataModule) -> None:
    """Refuse processes that were given other sequences, or objects with other weights, than the first one."""
    if not processes.several:
        return
    processes.refuse_different("the training data", material.fingerprint)
    weights = {name: weight.detach() for name, weight in components.named_parameters().items()}
    if (unlike := processes.first_unlike(weights)) is not None:
        raise InputError(
            f"{unlike} does not begin with the same numbers in all {processes.count} processes: give all of them one "
            "seed, torch.manual_seed(0), before the objects are made"
        )


def _config(components: RunComponents, batches: Any, settings: Mapping[str, Any]) -> Namespace:
    """The run's configuration: the description of the objects, and the settings of training."""
    from ltm_pyro.data import Batches

    foreign = sorted({name.partition(".")[0] for name in settings} - {"train", "data"})
    if foreign:
        raise InputError(f"settings name {', '.join(foreign)}: expected `train` and `data`; the objects say the rest")
    implied: dict[str, Any] = {}
    if isinstance(batches, Batches):
        implied = {"train.batch_size": batches.batch_size, "train.seed": batches.seed}
    if components.slow.steps is not None:
        implied["train.steps"] = components.slow.steps
    config = complete(merged(described(components), implied, settings))
    steps = components.slow.steps
    if steps is not None and steps < config.train.steps:  # as after an earlier call with fewer steps
        config.train.schedule_steps = config.train.schedule_steps or steps
    if steps not in (None, schedule_length(config)):
        raise InputError(
            f"the slow step's learning rate falls to its end within {steps} steps, and the run's schedules within "
            f"{schedule_length(config)}: leave SlowStep's steps out, or give train.schedule_steps the same number"
        )
    components.slow.steps = schedule_length(config)
    return config


def _material(model: AbstractModel, batches: Any, validation: Any, tokenizer: Any, config: Namespace) -> DataModule:
    from ltm_pyro.data import id_sequences, id_tokenizer, parted

    decoder = model.decoder
    vocabulary, bos_id = decoder.vocabulary, decoder.bos_id
    if tokenizer is None:
        tokenizer = id_tokenizer(vocabulary, bos_id)
    if (tokenizer.vocabulary, tokenizer.bos_id) != (vocabulary, bos_id):
        raise InputError(
            f"the tokenizer has {tokenizer.vocabulary} ids and begins with {tokenizer.bos_id}, the decoder has "
            f"{vocabulary} and begins with {bos_id}: make them agree"
        )
    training = id_sequences(batches, vocabulary, bos_id, decoder.length)
    if validation is None:
        training, held_out = parted(training, config.data.validation, config.train.seed)
        say(f"Held out: {len(held_out)} of {len(training) + len(held_out)} sequences; give `validation` for others.")
    else:
        held_out = id_sequences(validation, vocabulary, bos_id, decoder.length)
    return DataModule(tokenizer, training, held_out, notes={GIVEN: True})


def _made(folder: Path, config: Namespace, material: DataModule, lock: RunLock) -> Run:
    run = Run.create(folder, config, material.tokenizer, {DATA: json.dumps(describe_material(material)) + "\n"})
    keep_held_out(material.validation, folder)
    lock.take()
    return run


def _opened(folder: Path, config: Namespace, material: DataModule, writes: bool) -> Run:
    """The run in a folder that is resumed, with more steps or another patience if the settings say so.

    Raises:
        InputError: if the run was begun with other objects, settings or sequences.
    """
    run = Run.open(folder, trust_code=True)
    changes = {name: config.train[name] for name in CHANGEABLE}
    if _constant(run.config) != _constant(config):
        raise InputError(
            f"{folder} was begun with other objects or settings, which are in its config.yaml: give those, or another "
            "folder"
        )
    if run.read_json(DATA, DataRecord)["fingerprint"] != material.fingerprint:
        raise InputError(f"{folder} was begun with other sequences: give the same, or another folder")
    apply_changes(run, with_changes(folder, run.config, changes), step_of(run.find("latest")), writes)
    return run


def _constant(config: Namespace) -> dict[str, Any]:
    """Settings that a resume may not change."""
    return without(as_dict(config), *(f"train.{name}" for name in CHANGEABLE))
