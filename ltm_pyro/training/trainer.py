"""The loop: batches in, weights, metrics and checkpoints out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch

from ltm_pyro.bounds import Terms
from ltm_pyro.errors import InputError
from ltm_pyro.inference import NonFiniteError
from ltm_pyro.models.priors import Lesson
from ltm_pyro.training.diagnosis import DivergedError, first_non_finite, offending_rows
from ltm_pyro.training.interruption import Interruption
from ltm_pyro.training.randomness import random_state, restore_random_state

if TYPE_CHECKING:
    from accelerate import Accelerator

    from ltm_pyro.data import Batch, Batches
    from ltm_pyro.training.blueprint import Blueprint
    from ltm_pyro.training.run import Run


class Trainer:
    """Trains a run, from its first step or from a checkpoint.

    A resumed run repeats, bit for bit, what the uninterrupted one would have done.

    Args:
        run: where everything is kept.
        blueprint: the run's objects.
        batches: endless training batches, with a state of their own.
        accelerator: device, precision and trackers.
        validate: called after every `evaluate_every` steps and after the last; returns the metrics to log,
            `elbo` among them, or `predictive` where there is none (nats per token, higher is better). It must leave the
            random state as it was.
        listener: told every record that is logged.
    """

    def __init__(
        self,
        run: Run,
        blueprint: Blueprint,
        batches: Batches,
        accelerator: Accelerator,
        validate: Callable[[], dict[str, Any]],
        listener: Callable[[dict[str, Any]], None] = lambda record: None,
    ) -> None:
        if accelerator.num_processes > 1:
            raise InputError(
                f"{accelerator.num_processes} processes were launched; this version trains in one: "
                "start `ltm train` alone"
            )
        self.run, self.blueprint, self.batches = run, blueprint, batches
        self.accelerator, self.validate, self.listener = accelerator, validate, listener
        self.settings = run.config.train
        self.svi = blueprint.to(accelerator.device).svi()
        self.step, self.tokens = 0, 0

    def resume(self, which: str = "latest") -> None:
        """Go on from a checkpoint; what was logged and saved after it is dropped, to be made again.

        Args:
            which: `latest`, or a step's number.

        Raises:
            InputError: if there is none, or it is damaged or of another configuration.
        """
        checkpoint = self.run.checkpoints.load(self.run.find(which), self.run.fingerprint)
        self.blueprint.load_state_dict(checkpoint.weights)
        assert self.svi.slow is not None
        self.svi.slow.load_state_dict(checkpoint.state["slow"])
        self.batches.load_state_dict(checkpoint.state["batches"])
        restore_random_state(checkpoint.state["random"])
        self.step, self.tokens = checkpoint.step, checkpoint.state["tokens"]
        self.run.metrics.truncate_after(self.step)
        self.run.checkpoints.discard_after(self.step)

    def train(self) -> str | None:
        """Train to the last step; returns the name of the signal that ended it early, or None.

        Raises:
            DivergedError: at a NaN or an infinity; the checkpoints before it stay.
        """
        self.blueprint.model.train()
        with Interruption() as interruption:
            while self.step < self.settings.steps and not interruption.requested:
                self._step()
                loss = self._validated() if self._due(self.settings.evaluate_every) else None
                if loss is not None or interruption.requested or self._due(self.settings.save_every):
                    self.save(loss)
        return interruption.requested

    def save(self, loss: float | None = None) -> None:
        """Save a checkpoint; `loss` is the validation's nats per token, by which the best is chosen."""
        assert self.svi.slow is not None
        state = {
            "slow": self.svi.slow.state_dict(),
            "batches": self.batches.state_dict(),
            "random": random_state(),
            "tokens": self.tokens,
        }
        self.run.checkpoints.save(self.step, self.blueprint.state_dict(), state, loss, self.run.fingerprint)

    def _due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.settings.steps

    def _step(self) -> None:
        began = time.perf_counter()
        batch = next(self.batches).to(self.accelerator.device)
        inputs: dict[str, Any] = {"x": batch.x, "mask": batch.mask, "previous": batch.previous}
        try:
            with self.accelerator.autocast(), self._watched(batch) as noted:
                terms = self.svi.step(**inputs)
        except NonFiniteError as error:
            raise self._diverged(error, batch, inputs) from error
        self.step += 1
        tokens = batch.x.numel() if batch.mask is None else int(batch.mask.sum())
        self.tokens += tokens
        assert self.svi.slow is not None
        self._log(
            {
                "step": self.step,
                "tokens": self.tokens,
                **per_token(terms, tokens, self.blueprint.guide.has_density),
                **noted,
                "learning_rate": self.svi.slow.rate(self.step - 1),
                "tokens_per_second": tokens / (time.perf_counter() - began),
            }
        )

    def _watched(self, batch: Batch) -> AbstractContextManager[dict[str, Any]]:
        """Within, the prior looks on at a slow step; what it says belongs in the log."""
        model, guide = self.blueprint.model, self.blueprint.guide
        if model.prior is None:
            return nullcontext({})
        assert self.svi.slow is not None
        optimizer, texts = self.svi.slow.optimizer, self.batches.sequences
        lesson = Lesson(self.step + 1, batch.ids, texts, model, guide, self.svi.fit, optimizer)
        return model.prior.learning_from(lesson)

    def _validated(self) -> float:
        record = self.validate()
        self._log({"step": self.step, "validation": record})
        return -record.get("elbo", record["predictive"])

    def _log(self, record: dict[str, Any]) -> None:
        self.run.metrics.append(record)
        self.accelerator.log(_flat(record), step=self.step)
        self.listener(record)

    def _diverged(self, error: NonFiniteError, batch: Batch, inputs: dict[str, Any]) -> DivergedError:
        ids = batch.ids[offending_rows(error.terms)].tolist()
        where = first_non_finite(self.blueprint.model, self.blueprint.guide, **inputs)
        latest = self.run.checkpoints.latest()
        last = f"the last good checkpoint is {latest}" if latest else "no checkpoint had been saved yet"
        return DivergedError(
            f"step {self.step + 1}: {error.what} is not finite, first at: {where}; sequence ids: {ids}. "
            f"No weight was changed by this step; {last}. "
            "Lower slow.learning_rate or fast.learning_rate in a new run."
        )


def per_token(terms: Terms, tokens: int, has_density: bool = True) -> dict[str, Any]:
    """A batch's terms in nats per token, as plain numbers; a q without a density has no KL, and no ELBO."""
    sums = torch.stack([terms.objective.sum(), terms.elbo.sum(), terms.log_likelihood.sum(), terms.kl.sum()])
    objective, elbo, log_likelihood, kl = (sums.double() / tokens).tolist()
    layers = [] if terms.kl_per_layer is None else (terms.kl_per_layer.sum(0).double() / tokens).tolist()
    record = {"objective": objective, "elbo": elbo, "log_likelihood": log_likelihood, "kl": kl, "kl_per_layer": layers}
    record["kl_closed_form"] = terms.kl_closed_form
    return record if has_density else {name: record[name] for name in ("objective", "log_likelihood")}


def _flat(record: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """Numbers by a path, for trackers that know no nesting."""
    flat: dict[str, float] = {}
    for name, value in record.items():
        items = dict(enumerate(value, 1)) if isinstance(value, list) else value
        if isinstance(items, dict):
            flat.update(_flat({str(key): item for key, item in items.items()}, f"{prefix}{name}/"))
        elif isinstance(value, (int, float)) and math.isfinite(value):
            flat[prefix + name] = float(value)
    return flat
