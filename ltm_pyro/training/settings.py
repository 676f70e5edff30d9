"""The settings of data and training, which are no arguments of a run's classes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from ltm_pyro.errors import InputError
from ltm_pyro.ranges import SEED, Range, refuse_outside, whole

NAME = re.compile(r"[^\W_][\w .-]{0,127}")  # of a project or a run, safe in the paths and queries of every tracker


@dataclass
class DataSettings:
    """Settings of the split, the tokenizer and the sequences of a corpus.

    Args:
        mode: `windows` joins the documents and cuts them into windows of `length`; `documents` makes one sequence of
            each document, cut off at `length`.
        length: T, tokens of a sequence.
        vocabulary: V of the byte-level BPE that is trained on the training split.
        tokenizer: an existing tokenizer instead: a tokenizer.json, or a name on the Hugging Face hub.
        field: the column or key that holds the text, in .jsonl, .json, .csv, .parquet and hub corpora; `text` if left
            out. A field within an object is written `meta.text` or, as a JSON Pointer, `/meta/text`.
        prompt: the field of the prompts in a corpus of prompts and answers, whose `mode` is `documents`; none if empty.
            All answers to one prompt are on one side of the split.
        answer: the field of the answers, if there are prompts; `text` if empty.
        separator: characters between a prompt and its answer; `generate` adds them to a prompt too.
        prompt_is: `evidence` for z and the weights, so that a prompt's tokens are scored as the answer's are; or
            `context` alone, which the decoder reads, so that only answers are scored, as in supervised fine-tuning. The
            posterior of z given a prompt that is context is the prior.
        label: the field of the labels that a reward head learns, in a corpus whose `mode` is `documents`; rows in
            which it is null or empty count as unlabelled.
        validation: share of the documents held out.
        seed: of the choice of held-out documents; that of `train` if left out. Runs of several seeds that are to be
            compared need one split.
        cache: the folder of tokenized corpora, which later runs reuse; `none` keeps them in memory. If left out, it is
            `$LTM_CACHE`, or else `ltm_pyro` in `$XDG_CACHE_HOME` or in `~/.cache`. It may be deleted at any time.
    """

    mode: Literal["windows", "documents"] = "windows"
    length: int = 256
    vocabulary: int = 1024
    tokenizer: str | None = None
    field: str = ""  # not None, which a command line cannot tell from a field called null
    prompt: str = ""
    answer: str = ""
    separator: str = "\n"
    prompt_is: Literal["evidence", "context"] = "evidence"
    label: str = ""
    validation: float = 0.05
    seed: int | None = None
    cache: str | None = None

    ranges: ClassVar[dict[str, Range]] = {
        "length": whole(1),
        "vocabulary": whole(1),
        "validation": Range(0, 1, True, True),
        "seed": SEED,
    }

    def __post_init__(self) -> None:
        refuse_outside(vars(self), self.ranges, "data.")
        if self.answer and not self.prompt:
            raise InputError(f"data.answer={self.answer!r}: name the field of the prompts too, data.prompt")
        if self.prompt and self.field:
            raise InputError(f"data.field={self.field!r}: with data.prompt the text is the answer's: give data.answer")
        for name in ("prompt", "label"):
            if getattr(self, name) and self.mode == "windows":
                raise InputError(
                    f"data.{name}={getattr(self, name)!r}: windows join texts, so that a row has no place of its own: "
                    "give data.mode=documents"
                )


@dataclass
class TrainSettings:
    """Settings of training: length, batches, validation, checkpoints and samples.

    Args:
        steps: slow steps.
        schedule_steps: slow steps over which the learning rate falls, and of which schedules in shares of the run have
            their shares; `steps` if None. After them the learning rate and all weights stay at their last values. A
            run that is trained further keeps those with which it began.
        patience: number of validations in a row without an improvement that exceeds noise, after which training stops;
            never if None. An improvement is a gain over the validation of the last one of more than two standard
            errors, paired by sequence, and of 0.0001 nats per token. Validations before the end of the warm-up and of
            the bounds' schedules do not count.
        batch_size: B, sequences of a step, in all processes together.
        accumulate: number of slices of each process's part of the batch, computed one after another, so that the memory
            is that of one slice. The gradient is that of the whole batch; only `InfoVAE`, which compares sequences with
            one another, compares those of a slice. B must be a multiple of processes x accumulate.
        shard: with several processes, let each hold only a part of the weights and of the optimizer's state between
            batches. The optimizer must work element by element, as AdamW does. Checkpoints are the same.
        start_from: another run, with whose weights this one begins: those of its last checkpoint whose names and shapes
            agree, which must include all of its decoder's. All other weights, the optimizer and the schedule start
            anew. The tokenizer is that run's. So thoughts can be added to a decoder that was trained without them.
        seed: of the weights, the split, the order and all noise.
        evaluate_every: steps between two validations; one follows the last step in any case.
        evaluate_sequences: held-out sequences of a validation.
        final_sequences: the most held-out sequences of the final table.
        evaluate_fast_steps: fast steps of tables and prompts, which fit q as `TableFit` does, by natural steps if its
            family has them; as many as usually suffice if None.
        draws: S, samples of z per sequence in the tables.
        save_every: steps between two checkpoints, besides one at every validation.
        keep: number of the latest checkpoints that are kept, in addition to the best.
        samples: number of texts written at the end.
        precision: `bf16` runs the decoder in mixed precision; posteriors and bounds stay in float32.
        trackers: trackers that receive configuration, metrics, figures and samples through Accelerate: `tensorboard`,
            `mlflow`, `trackio`, `wandb`; others of Accelerate receive configuration and metrics.
        project: name of the project at the trackers; letters, digits, spaces and `._-`.
        run_name: name of the run at the trackers; the name of its folder if None.
    """

    steps: int = 1000
    schedule_steps: int | None = None
    patience: int | None = None
    batch_size: int = 16
    accumulate: int = 1
    shard: bool = False
    start_from: str | None = None
    seed: int = 0
    evaluate_every: int = 250
    evaluate_sequences: int = 64
    final_sequences: int = 512
    evaluate_fast_steps: int | None = None
    draws: int = 16
    save_every: int = 250
    keep: int = 2
    samples: int = 2
    precision: Literal["no", "bf16"] = "no"
    trackers: list[str] = field(default_factory=list)
    project: str = "ltm_pyro"
    run_name: str | None = None

    ranges: ClassVar[dict[str, Range]] = {
        "steps": whole(1),
        "schedule_steps": whole(1),
        "patience": whole(1),
        "batch_size": whole(1),
        "accumulate": whole(1),
        "seed": SEED,
        "evaluate_every": whole(1),
        "evaluate_sequences": whole(1),
        "final_sequences": whole(1),
        "evaluate_fast_steps": whole(0),
        "draws": whole(1),
        "save_every": whole(1),
        "keep": whole(1),
        "samples": whole(0),
    }

    def __post_init__(self) -> None:
        refuse_outside(vars(self), self.ranges, "train.")
        for name in ("project", "run_name"):
            if (value := getattr(self, name)) is not None and not NAME.fullmatch(value):
                raise InputError(
                    f"train.{name}={value!r}: expected up to 128 letters, digits, spaces and `._-`, a letter or digit "
                    "first"
                )
        if self.patience is not None and self.evaluate_sequences < 2:
            raise InputError(
                f"train.patience={self.patience}: the noise of a difference needs train.evaluate_sequences of 2 or "
                f"more, not {self.evaluate_sequences}"
            )

    @property
    def schedule_length(self) -> int:
        """Number of slow steps over which schedules are spread."""
        return self.schedule_steps or self.steps
