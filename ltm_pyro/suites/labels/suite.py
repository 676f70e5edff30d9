"""Suite `labels`: nats a held-out label and accuracy of a run's reward head, with the control of shuffled labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Annotated

import numpy as np

from ltm_pyro.control import HeadFit, LabelledDraws, draw_labelled, measure_labels
from ltm_pyro.control.head_fit import LEAST_TEXTS
from ltm_pyro.errors import InputError
from ltm_pyro.ranges import POSITIVE, in_range, whole
from ltm_pyro.runs.arguments import (
    BatchSize,
    Call,
    Checkpoint,
    CorpusAt,
    Draws,
    FastSteps,
    RunFolder,
    Seed,
    TrustCode,
)
from ltm_pyro.runs.loading import load, open_run
from ltm_pyro.runs.progress import Progress
from ltm_pyro.runs.result_folders import comparison_folder
from ltm_pyro.suites.result import SuiteResult
from ltm_pyro.suites.settings import settings_of
from ltm_pyro.training.held_out import RunText

if TYPE_CHECKING:
    import torch

    from ltm_pyro.data import Batch, Sequences
    from ltm_pyro.training.build import RunComponents
    from ltm_pyro.training.run import Run

FOLDER = "evaluation/labels"


@in_range
def evaluate(
    run: RunFolder,
    *,
    corpus_at: CorpusAt = None,
    draws: Draws = 16,
    fast_steps: FastSteps = None,
    limit: Annotated[int, whole(LEAST_TEXTS)] = 1024,
    held_out_limit: Annotated[int, whole(1)] = 256,
    batch_size: BatchSize = 32,
    epochs: Annotated[int, whole(1)] = 200,
    learning_rate: Annotated[float, POSITIVE] = 3e-3,
    checkpoint: Checkpoint = "best",
    seed: Seed = 0,
    trust_code: TrustCode = False,
    command: Sequence[str] = (),
) -> SuiteResult:
    """Measure what a run's thoughts tell of held-out labels: its reward head, and heads fitted to shuffled labels.

    q is fitted to each text without its label.

    Args:
        limit: the most labelled training texts to whose posteriors heads are fitted anew, chosen by the seed.
        held_out_limit: the most labelled held-out texts, chosen likewise.
        epochs: the most passes over the texts in each fit of a head.
        learning_rate: of these fits.
        command: command that repeats the evaluation.
        run, corpus_at, draws, fast_steps, batch_size, checkpoint, seed, trust_code: as `ltm_pyro.runs.arguments`
            describes them.

    Raises:
        InputError: for a run that has learned no labels, or too few labelled texts.
    """
    call = Call(evaluate, locals())
    opened = open_run(run, trust_code)
    components, device = load(opened, checkpoint)
    reward = components.model.reward
    if reward is None:
        raise InputError(
            f"{opened.folder} has learned no labels: train a run with them, `ltm train CORPUS --data.label FIELD "
            "--reward CategoricalReward`"
        )
    text = RunText(opened, corpus_at)
    folder = comparison_folder(opened.folder / FOLDER, call, settings_of(opened, call), opened)
    fits = _Fits(opened, components.with_fast_steps(fast_steps), device, draws, batch_size, seed)
    held_out = fits.draw(text.held_out, held_out_limit, "held-out", 1)
    training = fits.draw(text.training, limit, "training", LEAST_TEXTS)
    folder.begin(command)
    settings = HeadFit(epochs=epochs, learning_rate=learning_rate)
    gain = measure_labels(deepcopy(reward).cpu(), training, held_out, opened.tokenizer.vocabulary, settings, seed)
    table, records = gain.table(), gain.records()
    folder.finish(table, records, list)
    return SuiteResult(table, records, folder.path)


class _Fits:
    """Fits of q to the labelled texts of one side, with a progress line; the arguments are those of `evaluate`."""

    def __init__(
        self, run: Run, components: RunComponents, device: torch.device, draws: int, batch_size: int, seed: int
    ) -> None:
        self.run, self.components, self.device = run, components, device
        self.draws, self.batch_size, self.seed = draws, batch_size, seed

    def draw(self, sequences: Sequences, limit: int, side: str, least: int) -> LabelledDraws:
        """Draws of the posteriors of at most `limit` labelled texts; raises InputError for fewer than `least`."""
        labels = sequences.annotations.labels
        rows = np.zeros(0, dtype=np.int64) if labels is None else np.flatnonzero(np.asarray(labels) >= 0)
        if len(rows) < least:
            raise InputError(
                f"{self.run.folder} has {len(rows)} labelled {side} texts: expected {least} or more; give it a corpus "
                "with more labels"
            )
        if len(rows) > limit:
            rows = np.sort(np.random.default_rng(self.seed).choice(rows, limit, replace=False))
        model, guide, fast, _ = self.components
        progress, values = Progress(len(rows)), sequences.annotations.values

        def listen(done: int) -> None:
            progress.update(done, f"fitting q to {side} texts of {self.run.folder}")

        try:
            return draw_labelled(
                model, guide, fast, self._batches(sequences, rows), values, self.draws, self.seed, listen
            )
        finally:
            progress.clear()

    def _batches(self, sequences: Sequences, rows: np.ndarray) -> Iterator[Batch]:
        for start in range(0, len(rows), self.batch_size):
            yield sequences.batch(rows[start : start + self.batch_size]).to(self.device)
