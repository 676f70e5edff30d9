"""The settings of data and training, which are no arguments of a run's classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from ltm_pyro.ranges import SEED, Range, refuse_outside, whole


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


@dataclass
class TrainSettings:
    """Settings of training: length, batches, validation, checkpoints and samples.

    Args:
        steps: slow steps.
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
        trackers: trackers that receive the metrics through Accelerate: `tensorboard`, `wandb`, ...
    """

    steps: int = 1000
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

    ranges: ClassVar[dict[str, Range]] = {
        "steps": whole(1),
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
