"""Training of objects that were built in Python, kept as a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ltm_pyro.errors import InputError
from ltm_pyro.inference import FastLoop, SlowStep
from ltm_pyro.instances import require_instance
from ltm_pyro.runs.config import as_dict, complete, merged
from ltm_pyro.runs.console import say
from ltm_pyro.runs.description import described, refuse_unlike
from ltm_pyro.runs.session import Session
from ltm_pyro.runs.train import describe_material, make_accelerator
from ltm_pyro.runs.trained import TrainedRun
from ltm_pyro.training.build import RunComponents, build
from ltm_pyro.training.data_module import DataModule, DataRecord
from ltm_pyro.training.dry_run import dry_run
from ltm_pyro.training.given_text import GIVEN, keep_held_out
from ltm_pyro.training.held_out import DATA
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
    """Train objects of one's own and keep them as a run: checkpoints, log, table, figures; every command opens it.

    The run's `config.yaml` says what the objects were made with, so that it can be opened again: classes of one's own
    must stand in a module that can be imported, and constructors must be given all that shapes weights. The weights
    start as they are; order and noise follow `train.seed`, and torch's own generator is left as it was. Several
    processes, as `torchrun` or `accelerate launch` starts them, share each batch.

    Args:
        model, guide, fast, slow: as for `DualRateSVI`.
        batches: what to learn from: `ltm_pyro.data.Batches` or `Sequences`, a torch Dataset or DataLoader of token ids,
            or lists of them; `ltm_pyro.data.id_sequences` says which forms. It is read once, and batches are drawn from
            it in an order of their own.
        folder: of the run.
        validation: the same, of what is held out; a share of the sequences (`data.validation`) if None.
        tokenizer: of the ids; if None, they are their own names.
        settings: of training: `train.steps`, `train.batch_size`, `train.evaluate_every` and so on, as
            `ltm_pyro.recipe` nests them.
        resume: go on with the run in the folder, which must be of the same objects and sequences.

    Returns:
        The run, with the weights of its best checkpoint.

    Raises:
        InputError: for what cannot be written down, what does not go together, or a folder that is taken.
        DivergedError: at a NaN or an infinity; the checkpoints before it stay.
        KeyboardInterrupt: after Ctrl-C, with all that was done saved.
    """
    require_instance("fast", fast, FastLoop, "FastLoop(ELBO()); the order is model, guide, fast, slow")
    require_instance("slow", slow, SlowStep, "SlowStep(ELBO())")
    components, folder = RunComponents(model, guide, fast, slow), Path(folder)
    config = _config(components, batches, settings or {})
    material = _material(model, batches, validation, tokenizer, config)
    config.data.mode = "windows" if material.training.fixed else "documents"
    config.data.vocabulary = material.tokenizer.vocabulary
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        _refuse_unfit(components, config, material.tokenizer)
        seed_everything(config.train.seed)
        run = _trained(components, config, material, folder, resume)
        place = next(model.parameters()).device
        return TrainedRun(run, run.load("best").to(place), place)


def _refuse_unfit(components: RunComponents, config: Namespace, tokenizer: Tokenizer) -> None:
    """Refuse what a run's folder does not say in full, or what breaks a contract."""
    again = build(run_parser(config), config, tokenizer.vocabulary, tokenizer.bos_id)
    refuse_unlike(components, again)
    dry_run(again, config.data.length)


def _trained(components: RunComponents, config: Namespace, material: DataModule, folder: Path, resume: bool) -> Run:
    accelerator = make_accelerator(folder, config)
    processes = Processes(accelerator)
    _refuse_unlike_processes(processes, components, material)
    with RunLock(folder) as lock:
        goes_on = resume and not is_unbegun(folder)
        if not goes_on:
            refuse_existing(folder, config)
        goes_on = processes.text_of_first(str(goes_on)) == str(True)  # all have looked before the first makes anything
        if goes_on:
            run = _opened(folder, config, material)
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
    processes.refuse_different("what is learned from", material.fingerprint)
    weights = {name: weight.detach() for name, weight in components.named_parameters().items()}
    if (unlike := processes.first_unlike(weights)) is not None:
        raise InputError(
            f"{unlike} does not begin with the same numbers in all {processes.count} processes: give all of them one "
            "seed, torch.manual_seed(0), before the objects are made"
        )


def _config(components: RunComponents, batches: Any, settings: Mapping[str, Any]) -> Namespace:
    """The run's configuration: what the objects are made of, and how long they are trained."""
    from ltm_pyro.data import Batches

    foreign = sorted({name.partition(".")[0] for name in settings} - {"train", "data"})
    if foreign:
        raise InputError(f"settings name {', '.join(foreign)}: expected `train` and `data`; the objects say the rest")
    given: dict[str, Any] = {}
    if isinstance(batches, Batches):
        given = {"train.batch_size": batches.batch_size, "train.seed": batches.seed}
    if components.slow.steps is not None:
        given["train.steps"] = components.slow.steps
    config = complete(merged(described(components), given, settings))
    if components.slow.steps not in (None, config.train.steps):
        raise InputError(
            f"the slow step falls to its end within {components.slow.steps} steps, and the run takes "
            f"{config.train.steps}: leave SlowStep's steps out, or give the same"
        )
    components.slow.steps = config.train.steps
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
        say(f"Held out: {len(held_out)} of {len(training) + len(held_out)} sequences; `validation` names others.")
    else:
        held_out = id_sequences(validation, vocabulary, bos_id, decoder.length)
    return DataModule(tokenizer, training, held_out, notes={GIVEN: True})


def _made(folder: Path, config: Namespace, material: DataModule, lock: RunLock) -> Run:
    run = Run.create(folder, config, material.tokenizer, {DATA: json.dumps(describe_material(material)) + "\n"})
    keep_held_out(material.validation, folder)
    lock.take()
    return run


def _opened(folder: Path, config: Namespace, material: DataModule) -> Run:
    """The run that is gone on with, which must be this one.

    Raises:
        InputError: if it was made of other objects, settings or sequences.
    """
    run = Run.open(folder, trust_code=True)
    if as_dict(run.config) != as_dict(config):
        raise InputError(f"{folder} was begun with other objects or settings, as its config.yaml has them")
    if run.read_json(DATA, DataRecord)["fingerprint"] != material.fingerprint:
        raise InputError(f"{folder} was begun with other sequences: give the same, or another folder")
    return run
