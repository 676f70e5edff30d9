"""The loop: batches in, weights, metrics and checkpoints out."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from signal import Signals
from typing import TYPE_CHECKING, Any

import torch

from ltm_pyro.bounds import Terms
from ltm_pyro.errors import InputError
from ltm_pyro.inference import NonFiniteError
from ltm_pyro.models.priors import SlowStepContext
from ltm_pyro.training.components import RunComponents
from ltm_pyro.training.diagnosis import DivergedError, first_non_finite, offending_rows
from ltm_pyro.training.interruption import Interruption
from ltm_pyro.training.labels import labelled_inputs, prepare_labels
from ltm_pyro.training.processes import Processes
from ltm_pyro.training.randomness import random_state, remark_on_threads, restore_random_state, seed_torch
from ltm_pyro.training.records import per_token
from ltm_pyro.training.slices import count_slices, part_of, refuse_unshared

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch import nn

    from ltm_pyro.data import Batch, Batches
    from ltm_pyro.inference.process_group import DistributedWeights
    from ltm_pyro.training.checkpoints import Checkpoint
    from ltm_pyro.training.settings import TrainSettings
    from ltm_pyro.training.shards import Shards
    from ltm_pyro.training.stopping import StoppingRule
    from ltm_pyro.training.storage import TrainingStorage


STOPPING = "stopping"  # the stopping rule's part of a checkpoint's state
ECHO = 2.0  # seconds in which a launcher has passed on a signal to all of its processes


class Trainer:
    """Trains the objects of a run, from the first step or from a checkpoint.

    A resumed run repeats, bit for bit, what the uninterrupted one would have done with as many threads of torch: sums
    that are cut into another number of parts are rounded otherwise.

    Args:
        components: model, guide, fast loop and slow step.
        batches: endless training batches, with a state of their own.
        accelerator: device, precision and processes.
        settings: how long, how much at once, and when to validate and to save.
        storage: of checkpoints and metrics.
        validate: called after every `evaluate_every` steps and after the last; returns the metrics to log,
            `elbo` among them, or `predictive` where there is none (nats per token, higher is better). It must leave the
            random state as it was.
        listener: told every record that is logged.
        stopping: rule that may end training early; none if None.
    """

    def __init__(
        self,
        components: RunComponents,
        batches: Batches,
        accelerator: Accelerator,
        settings: TrainSettings,
        storage: TrainingStorage,
        validate: Callable[[], dict[str, Any]],
        listener: Callable[[dict[str, Any]], None] = lambda record: None,
        stopping: StoppingRule | None = None,
    ) -> None:
        self.stopping = stopping
        self.components, self.batches, self.accelerator = components, batches, accelerator
        self.settings, self.storage = settings, storage
        self.validate, self.listener, self.processes = validate, listener, Processes(accelerator)
        size, accumulate, count = self.settings.batch_size, self.settings.accumulate, self.processes.count
        self.slices = count_slices(size, accumulate, count, len(batches.sequences))
        refuse_unshared(components, self.slices, count)
        prepare_labels(components.model, batches.sequences)
        self.svi = components.to(accelerator.device).svi()
        self.step, self.tokens, self.remark = 0, 0, ""
        self.processes.share(list(components.state_dict().values()))
        self.parameters = sum(parameter.numel() for parameter in components.global_parameters())
        self.shards: Shards | None = None
        if self.processes.several:
            assert self.svi.slow is not None
            self.svi.slow.distribute(self._distributed(components.module()))

    def _distributed(self, weights: nn.Module) -> DistributedWeights:
        """The weights as several processes move them together, whole in each of them or in shards."""
        if not self.settings.shard:
            from ltm_pyro.training.replicas import Replicas

            return Replicas(weights, self.processes)
        from ltm_pyro.training.shards import Shards

        self.shards = Shards(weights, self.processes)
        return self.shards

    def resume(self, which: str = "latest") -> None:
        """Go on from a checkpoint; what was logged and saved after it is dropped, to be made again.

        Args:
            which: `latest`, or a step's number.

        Raises:
            InputError: if there is none, or it is damaged or of another configuration.
        """
        path = self.storage.find(which)
        checkpoint = self.storage.checkpoints.load(path, self.storage.fingerprint, self.components.named_parameters())
        if "slow" not in checkpoint.state:
            raise InputError(
                f"{self.storage.folder} holds weights alone, without the state of their optimizer: begin a run with "
                f"them by `ltm train --train.start_from {self.storage.folder}`"
            )
        try:
            self._restore(checkpoint)
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"{path} cannot be gone on from: its state is not that of this run ({type(error).__name__}: {reason}). "
                f"Resume from another checkpoint, or begin a run with its weights by --train.start_from"
            ) from error
        self.processes.refuse_different("the checkpoint", str(self.step))  # and by now all have read theirs
        if self.processes.first:
            self.storage.metrics.truncate_after(self.step)
            self.storage.checkpoints.discard_after(self.step)

    def _restore(self, checkpoint: Checkpoint) -> None:
        """Put weights, optimizer, batches and random numbers where a checkpoint has them."""
        slow = checkpoint.state["slow"]
        assert self.svi.slow is not None
        if self.shards is None:
            self.components.load_state_dict(checkpoint.weights)
        else:
            self.shards.load_state_dict(checkpoint.weights)
            slow["optimizer"] = self.shards.own_state(slow["optimizer"], self.svi.slow.optimizer)
        self.svi.slow.load_state_dict(slow)
        self.batches.load_state_dict(checkpoint.state["batches"])
        restore_random_state(checkpoint.state["random"])
        self.step, self.tokens = checkpoint.step, int(checkpoint.state["tokens"])
        self.remark = remark_on_threads(checkpoint.state)
        if self.stopping is not None and STOPPING in checkpoint.state:  # the rule may be newer than the checkpoint
            self.stopping.load_state_dict(checkpoint.state[STOPPING])

    def train(self) -> str | None:
        """Train to the last step, or until the stopping rule ends it.

        Returns:
            The name of the signal that ended training early, in any process, or None.

        Raises:
            DivergedError: at a NaN or an infinity; the checkpoints before it stay.
            LostProcessError: if another process has gone; the checkpoints stay.
        """
        self.components.model.train()
        stopped = 0
        with Interruption(echo=ECHO if self.processes.several else 0.0) as interruption:
            while self.step < self.settings.steps and not stopped and not self._exhausted():
                with self._whole_weights():
                    self._step()
                loss = self._validated() if self._due(self.settings.evaluate_every) else None
                stopped = self.processes.largest(interruption.number)
                if stopped or self._due(self.settings.evaluate_every) or self._due(self.settings.save_every):
                    self.save(loss)
            # and so none leaves before the last save is done: a launcher would kill the one that saves
            stopped = self.processes.largest(interruption.number)
        return Signals(stopped).name if stopped else None

    def _exhausted(self) -> bool:
        """True in all processes if the stopping rule of the first one says so."""
        if self.stopping is None or not self._due(self.settings.evaluate_every):
            return False
        return bool(self.processes.largest(int(self.processes.first and self.stopping.exhausted)))

    def save(self, loss: float | None = None) -> None:
        """Save a checkpoint; `loss` is the validation's nats per token, by which the best is chosen.

        It does not tell how many processes there are: any number goes on from it.

        Raises:
            InputError: if it cannot be written, or the processes no longer have the same weights.
        """
        assert self.svi.slow is not None
        slow = self.svi.slow.state_dict()
        if self.shards is None:
            weights = self.components.state_dict()
            self._refuse_drift(weights)
        else:
            self._refuse_drift(self.shards.replicated())
            weights, slow["optimizer"] = self.shards.state_dict(), self.shards.whole_state(slow["optimizer"])
        if self.processes.first:
            place: dict[str, Any] = {"batches": self.batches.state_dict(), "random": random_state()}
            place |= {"tokens": self.tokens, "threads": torch.get_num_threads()}
            if self.stopping is not None:
                place[STOPPING] = self.stopping.state_dict()
            state, fingerprint = {"slow": slow, **place}, self.storage.fingerprint
            self.storage.checkpoints.save(self.step, weights, state, loss, fingerprint)

    def _whole_weights(self) -> AbstractContextManager[None]:
        """Within, this process has all weights, whole."""
        return nullcontext() if self.shards is None else self.shards.gathered()

    def _refuse_drift(self, weights: dict[str, torch.Tensor]) -> None:
        name = self.processes.first_unlike(weights) if self.processes.several else None
        if name is not None:
            raise InputError(
                f"after step {self.step} the processes differ in {name}, and nothing was saved: something learns from "
                "what one process alone has seen or drawn. An optimizer, a prior or a guide of your own must do the "
                "same in all of them"
            )

    def _due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.settings.steps

    def _step(self) -> None:
        began, waited = time.perf_counter(), self.batches.waited
        batch = next(self.batches).to(self.accelerator.device)
        tokens = batch.x.numel() if batch.mask is None else int(batch.mask.sum())
        try:
            with self.accelerator.autocast(), self._watched(batch) as noted:
                terms = self._learn(batch, tokens)
        except NonFiniteError as error:
            with self._whole_weights():  # again, for all processes: the step has left shards
                raise self._diverged(error, batch) from error
        self.step += 1
        self.tokens += tokens
        assert self.svi.slow is not None
        learned = per_token(terms, tokens, self.components.guide.has_density)  # the device is done then
        seconds = time.perf_counter() - began
        self._log(
            {
                "step": self.step,
                "tokens": self.tokens,
                **learned,
                **noted,
                "learning_rate": self.svi.slow.rate(self.step - 1),
                "tokens_per_second": tokens / seconds,
                "data_share": (self.batches.waited - waited) / seconds,
            }
        )

    def _learn(self, batch: Batch, tokens: int) -> Terms:
        """One slow step; the terms of the whole batch."""
        if self.slices == 1:
            return self.svi.step(**self._inputs(batch))
        own = self.settings.accumulate
        numbers = range(self.processes.rank * own, (self.processes.rank + 1) * own)
        slices = (self._slice(batch, number) for number in numbers)
        terms = self.svi.step_in_slices(slices, tokens, self.processes if self.processes.several else None)
        seed_torch(self.settings.seed, self.step, self.slices)  # all processes draw the same until the next slice
        return terms

    def _slice(self, batch: Batch, number: int) -> dict[str, Any]:
        """One slice, and its own noise: the same whichever process works on it, after whatever else."""
        seed_torch(self.settings.seed, self.step, number)
        return self._inputs(part_of(batch, number, self.slices))

    def _inputs(self, batch: Batch) -> dict[str, Any]:
        return labelled_inputs(self.components.model, batch, self.batches.sequences.annotations.values)

    def _watched(self, batch: Batch) -> AbstractContextManager[dict[str, Any]]:
        """Within, the prior looks on at a slow step; what it says belongs in the log."""
        model, guide = self.components.model, self.components.guide
        if model.prior is None:
            return nullcontext({})
        assert self.svi.slow is not None
        optimizer, texts = self.svi.slow.optimizer, self.batches.sequences
        context = SlowStepContext(self.step + 1, batch.ids, texts, model, guide, self.svi.fit, optimizer)
        return model.prior.on_slow_step(context)

    def _validated(self) -> float | None:
        """The loss, in the process that has it: the others wait for its next step."""
        with self._whole_weights():
            if not self.processes.first:
                return None
            record = self.validate()
        self._log({"step": self.step, "validation": record})
        return -(record["elbo"] if "elbo" in record else record["predictive"])

    def _log(self, record: dict[str, Any]) -> None:
        if not self.processes.first:
            return
        self.storage.metrics.append(record)
        self.listener(record)

    def _diverged(self, error: NonFiniteError, batch: Batch) -> DivergedError:
        rows = offending_rows(error.terms)
        if self.slices == 1:
            inputs = self._inputs(batch)
        else:  # its posteriors have gone, or are another process's
            inputs = self._slice(batch, rows[0] * self.slices // len(batch.ids))
            self.svi.fit(**inputs)
        ids = batch.ids[rows].tolist()
        where = first_non_finite(self.components.model, self.components.guide, **inputs)
        latest = self.storage.checkpoints.latest()
        last = f"the last good checkpoint is {latest}" if latest else "no checkpoint had been saved yet"
        return DivergedError(
            f"step {self.step + 1}: {error.what} is not finite, first at: {where}; sequence ids: {ids}. "
            f"No weight was changed by this step; {last}. "
            "Lower slow.learning_rate or fast.learning_rate in a new run."
        )
