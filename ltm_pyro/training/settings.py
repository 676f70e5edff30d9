"""The settings of training, apart from the classes that a run is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from ltm_pyro.ranges import SEED, Range, refuse_outside, whole


@dataclass
class DataSettings:
    """How the corpus becomes sequences.

    Args:
        mode: `windows` joins the documents and cuts them to `length`; `documents` gives every document one
            sequence, cut off at `length`.
        length: T, tokens of a sequence.
        vocabulary: token ids of the byte-level BPE that is trained on the training split.
        tokenizer: an existing one instead: a tokenizer.json, or a name on the Hugging Face hub.
        field: the column or key that holds the text, in .jsonl, .json, .csv, .parquet and hub corpora; `text` if left
            out. One within an object is written `meta.text` or, as a JSON Pointer, `/meta/text`.
        validation: share of the documents held out.
        seed: of which documents are held out; that of `train` if left out. Runs of several seeds that are to be
            compared need one split.
        cache: the folder in which tokenized corpora are kept for next time; `none` keeps them in memory. If left out,
            it is `$LTM_CACHE`, or else `ltm_pyro` in `$XDG_CACHE_HOME` or in `~/.cache`. It may be deleted at any
            time.
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
    """How long, how much at once, and what is kept.

    Args:
        steps: slow steps.
        batch_size: B, sequences of a step, in all processes together.
        accumulate: slices of a process's part of the batch, worked through one after another, so that memory is that of
            a slice. The gradient is the whole batch's; only `InfoVAE` compares sequences with one another, and then
            those of a slice. B must be a multiple of processes x accumulate.
        shard: with several processes, let each keep but a part of the weights and of the optimizer's state between
            batches. The optimizer must treat every number by itself, as AdamW does. Checkpoints are the same.
        start_from: another run, whose weights this one begins with: those of its last checkpoint whose names and shapes
            agree, which must be all of its decoder's. The rest, the optimizer and the schedule start anew. The
            tokenizer is that run's. So a decoder that learned without thoughts is given some.
        seed: of the weights, the split, the order and all noise.
        evaluate_every: steps between two validations; one follows the last step in any case.
        evaluate_sequences: held-out sequences of a validation; the final table takes all of them, up to
            `final_sequences`.
        final_sequences: held-out sequences of the final table.
        evaluate_fast_steps: fast steps of the tables and of prompts, which fit q as `TableFit` does, by natural steps
            where its family has them; enough if None.
        draws: S, samples of z per sequence in the tables.
        save_every: steps between two checkpoints, besides one at every validation.
        keep: how many of the last checkpoints stay, besides the best.
        samples: texts written at the end.
        precision: `bf16` runs the decoder in mixed precision; posteriors and bounds stay in float32.
        trackers: where else the metrics go, through Accelerate: `tensorboard`, `wandb`, ...
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
