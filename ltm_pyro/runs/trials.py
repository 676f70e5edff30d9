"""Trials: the runs of a study, in the format of `ltm train`, so that `ltm evaluate` reads them."""

from __future__ import annotations

import math
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.errors import InputError
from ltm_pyro.files import read_json
from ltm_pyro.runs import train
from ltm_pyro.runs.console import say
from ltm_pyro.runs.scoring import save, score_run, weights_of
from ltm_pyro.runs.session import Session
from ltm_pyro.runs.writing import keep_samples, write_samples
from ltm_pyro.training.build import validate
from ltm_pyro.training.checkpoints import step_of
from ltm_pyro.training.data_module import DataRecord
from ltm_pyro.training.held_out import DATA
from ltm_pyro.training.run import Run, is_unbegun, run_parser
from ltm_pyro.training.run_lock import RunLock

if TYPE_CHECKING:
    import torch
    from jsonargparse import Namespace

    from ltm_pyro.evaluation import Evaluation, Score
    from ltm_pyro.training.build import RunComponents
    from ltm_pyro.training.data_module import DataModule

# those that there are
SCORES = ("exact", "diffusion", "elbo", "importance_weighted", "predictive", "prior", "prior_predictive")
NUMBERS = {"prior": "from_prior"}  # scores of a validation that a curve names otherwise
BATCH, SEED = 32, 0  # the defaults of `ltm evaluate`


def train_run(folder: Path, config: Namespace, material: DataModule) -> Run:
    """Train a run to its last step: from the first step, from its last checkpoint, or not at all if it is finished.

    Raises:
        InputError: if the run cannot be made, or was trained on another corpus.
        DivergedError: at a NaN or an infinity.
        SystemExit: after a signal, once the state has been saved.
    """
    with RunLock(folder) as lock:
        session = _session(folder, config, material, lock)
        stopped = session.train()
        session.trackers.close("finished")
    if stopped:
        say(f"{stopped}: saved after step {session.trainer.step}. Go on with the same command and --resume")
        raise SystemExit(128 + getattr(signal, stopped))
    return session.run


def _session(folder: Path, config: Namespace, material: DataModule, lock: RunLock) -> Session:
    """A training session of a new run, or of an interrupted one, which begins again if it has no checkpoint."""
    if not (folder / "config.yaml").is_file() or is_unbegun(folder):
        validate(run_parser(config), config)
        start = train.fitting_start(config)
        return train.begin(folder, config, material, train.make_accelerator(folder, config), lock, start)
    run = Run.open(folder)
    session = Session(run, run.build(), material, train.make_accelerator(folder, config, resumed=True))
    session.trainer.resume()
    return session


def refuse_other_text(folder: Path, material: DataModule) -> None:
    """Refuse a comparison whose runs were trained on other data than the next ones.

    Args:
        folder: of the comparison.
        material: the data of the next runs.

    Raises:
        InputError: if a run was trained on, or held out, anything else.
    """
    for path in sorted(folder.glob(f"runs/*/{DATA}")):
        if read_json(path, DataRecord)["fingerprint"] != material.fingerprint:
            raise InputError(
                f"{folder} holds runs on another text: the corpus has changed since {path.parent.name} was trained. "
                "Restore it, or start anew in another folder"
            )


def score(
    run: Run,
    components: RunComponents,
    device: torch.device,
    material: DataModule,
    name: str,
    checkpoint: str,
    scoring: Mapping[str, Any],
) -> dict[str, Any]:
    """The numbers of `ltm evaluate` for a trained run, saved in its folder too.

    Args:
        run: the trained run.
        components: its objects, with the weights of the checkpoint.
        device: the device of the objects.
        material: the data whose validation part is scored.
        name: of the evaluation.
        checkpoint: `best` or `latest`.
        scoring: `draws`, `limit`, `seed` and `fast_steps`.

    Returns:
        `numbers`, a flat record, and `sequences`, the costs of every sequence.

    Raises:
        RuntimeError: if a number is not finite.
    """
    options = {**scoring, "fixed_noise": False}
    steps = options.pop("fast_steps", None)
    evaluation = score_run(run, components.with_fast_steps(steps), device, material.validation, **options)
    result = {"numbers": numbers_of(evaluation), "sequences": sequences_of(evaluation)}
    if steps is not None:
        options["fast_steps"] = steps
    save(run, name, evaluation, options=options, about=f"held-out text; {weights_of(run, checkpoint)}")
    return result


def aggregate(
    components: RunComponents, device: torch.device, material: DataModule, limit: int | None
) -> dict[str, Any]:
    """Comparison of the aggregated posterior of the validation text with the prior, as one flat record."""
    from ltm_pyro.data import in_order
    from ltm_pyro.evaluation.aggregate import aggregate_against_prior

    batches = (batch.to(device) for batch in in_order(material.validation, BATCH, limit))
    return aggregate_against_prior(components.model, components.guide, components.fast, batches, seed=SEED).to_record()


def write_and_keep_samples(run: Run, components: RunComponents) -> None:
    """Write the samples of a run, with z from the prior, as many as `train.samples`."""
    keep_samples(run, write_samples(run, components, run.config.train.samples, seed=run.config.train.seed))


def about(run: Run, components: RunComponents, checkpoint: str) -> dict[str, Any]:
    """The sizes and the cost of a run, as one flat record."""
    model, guide = components.model, components.guide
    of_model, of_guide = (sum(parameter.numel() for parameter in part.parameters()) for part in (model, guide))
    record = {
        **cost_of(run),
        "checkpoint_step": step_of(run.find(checkpoint)),
        "parameters": of_model + of_guide,
        "parameters_model": of_model,
        "parameters_guide": of_guide,
    }
    if (prior := getattr(model, "prior", None)) is not None:
        record |= {"density": prior.density.value, "sampler": prior.approximate_sampler}
        record["parameters_prior"] = sum(parameter.numel() for parameter in prior.parameters())
    return record


def flops_of(run: Run) -> dict[str, Any]:
    """FLOPs per training token of a run: those that are spent, and those that the paper counts."""
    from ltm_pyro.evaluation.flops import fast_steps, paper_flops_per_token, spent_flops_per_token

    model, guide, fast, slow = run.build()
    return {
        "flops_per_token": spent_flops_per_token(model, guide, fast, slow),
        "paper_flops_per_token": paper_flops_per_token(model.decoder, fast_steps(model, guide, fast)),
    }


def numbers_of(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation as one flat record."""
    scores = _scores(evaluation)
    total = scores.get("exact") or scores.get("diffusion") or scores["prior"]
    record: dict[str, Any] = {"sequences": len(total.nats), "draws": evaluation.draws}
    for name in scores:
        score = scores[name].to_dict()
        record |= {f"{name}_{key}": score[key] for key in ("nats_per_token", "standard_error", "bits_per_byte")}
        record[f"{name}_perplexity"] = score["perplexity"]
    if "elbo" not in scores:
        return record
    record["worth"], record["worth_error"] = scores["prior"].minus(scores["elbo"])
    if evaluation.fit is not None and evaluation.fit.longer is not None:
        record |= {"fit_gain": evaluation.fit.gain, "fit_gain_error": evaluation.fit.gain_error}
    record |= {"kl_per_token": evaluation.kl_per_token, "effective_sample_size": evaluation.effective_sample_size}
    record["kl_kind"] = "closed form" if evaluation.kl_closed_form else "Monte Carlo"
    return record | {f"kl_layer_{layer}": kl for layer, kl in enumerate(evaluation.kl_per_layer, 1)}


def gains_of(rows: Sequence[dict[str, Any]], name: str) -> dict[str, tuple[float, float]]:
    """Gain of a longer fit of q, with its error, of every row that has one, by the row's `name`."""
    return {str(row[name]): (row["fit_gain"], row["fit_gain_error"]) for row in rows if "fit_gain" in row}


def sequences_of(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Costs of every sequence, one record for each score.

    Raises:
        RuntimeError: if a number is not finite.
    """
    scores = _scores(evaluation)
    bad = [name for name, score in scores.items() if not all(math.isfinite(nats) for nats in score.nats)]
    if bad:
        raise RuntimeError(f"its scores on held-out text are not finite: {', '.join(bad)}")
    return [{"number": name, **_columns(score)} for name, score in scores.items()]


def _scores(evaluation: Evaluation) -> dict[str, Score]:
    return {name: evaluation.scores[name] for name in SCORES if name in evaluation.scores}


def _columns(score: Any) -> dict[str, list[float]]:
    return {name: getattr(score, name).tolist() for name in ("nats", "tokens", "bytes")}


def cost_of(run: Run) -> dict[str, Any]:
    """Steps, tokens and seconds of a run's training, from its log."""
    last = curve(run, every=True)[-1]
    return {
        "steps": last["step"],
        "tokens": last["tokens"],
        "train_seconds": last["seconds"],
        "seconds_per_step": last["seconds"] / last["step"],
    }


def curve(run: Run, every: bool = False) -> list[dict[str, Any]]:
    """A run's validations by step, tokens and seconds of training; higher is better, except for the KL.

    The score with z from the prior is called `from_prior`, since a comparison's points have the prior's name as
    `prior`.

    Args:
        run: the trained run.
        every: include a point, without scores, for every training step too.
    """
    points: list[dict[str, Any]] = []
    tokens, seconds = 0, 0.0
    for record in run.metrics.read():
        if "validation" in record:
            scores = record["validation"].items()
            numbers = {NUMBERS.get(name, name): value for name, value in scores if isinstance(value, float)}
            points.append({"step": record["step"], "tokens": tokens, "seconds": seconds, **numbers})
        else:
            seconds += (record["tokens"] - tokens) / record["tokens_per_second"]
            tokens = record["tokens"]
            if every:
                points.append({"step": record["step"], "tokens": tokens, "seconds": seconds})
    return points
