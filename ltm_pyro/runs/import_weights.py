"""A run from a checkpoint of the paper's released code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ltm_pyro.data import Tokenizer
from ltm_pyro.errors import InputError
from ltm_pyro.ranges import in_range, whole
from ltm_pyro.runs.console import say
from ltm_pyro.training.import_weights import decoder_from_authors, has_checksums
from ltm_pyro.training.run import Run, run_parser

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from ltm_pyro.models import Decoder

Size = Annotated[int | None, whole(1)]
FromZero = Annotated[int | None, whole(0)]


@in_range
def import_weights(
    file: str,
    *,
    run: str | None = None,
    tokenizer: str = "gpt2",
    heads: Size = None,
    thoughts: FromZero = None,
    window: Size = None,
    length: Size = None,
    bos_id: FromZero = None,
) -> Run:
    """A run from a checkpoint of the paper's released code.

    Args:
        file: the checkpoint, FILE.pt; it is read without running any code in it.
        run: the new run's folder; runs/FILE if left out.
        tokenizer: a tokenizer.json, or a name on the hub.
        heads: H; the paper's models have 8.
        thoughts: K, thought vectors per layer; the paper's N_z (24, or 96) counts those of all layers.
        window: number of the latest tokens, the current one included, that a token attends to; 256 in the paper.
        length: T, the longest sequence; 1024 in the paper.
        bos_id: the token id before a text; the last one of the vocabulary if left out.

    Raises:
        InputError: for a file that cannot be read or does not determine a size, a tokenizer that does not fit, or a
            folder that exists.
    """
    folder = Path(run or Path("runs") / Path(file).stem)
    _refuse_existing(folder)
    decoder = decoder_from_authors(file, heads, thoughts, window, length, bos_id)
    if not has_checksums(file):
        say(f"{file} has no checksums: a damaged byte in it would go unnoticed")
    imported = Run.create(folder, _config(decoder), _tokenizer(tokenizer, decoder))
    components = imported.build()
    components.model.decoder.load_state_dict(decoder.state_dict())
    imported.checkpoints.save(0, components.state_dict(), {}, fingerprint=imported.fingerprint)
    count = sum(parameter.numel() for parameter in decoder.parameters())
    say(f"Imported {count:,} parameters into {imported.folder}. Next: ltm evaluate {imported.folder} CORPUS")
    return imported


def _refuse_existing(folder: Path) -> None:
    empty = os.path.isdir(folder) and not os.listdir(folder)
    if os.path.lexists(folder) and not empty:
        raise InputError(f"{folder} exists: choose another --run, or remove it")


def _tokenizer(spec: str, decoder: Decoder) -> Tokenizer:
    """The tokenizer of the weights; the paper's is GPT-2's with one more token, for the beginning of a text."""
    tokenizer = Tokenizer.load(spec, flag="--tokenizer")
    if tokenizer.vocabulary == decoder.vocabulary - 1 == decoder.bos_id:
        tokenizer.add_begin()
    if tokenizer.vocabulary == decoder.vocabulary and tokenizer.bos_id != decoder.bos_id:
        tokenizer.set_bos_id(decoder.bos_id)
    if (tokenizer.vocabulary, tokenizer.bos_id) != (decoder.vocabulary, decoder.bos_id):
        raise InputError(
            f"{spec} has {tokenizer.vocabulary} tokens and begins a text with {tokenizer.bos_id}; the weights have "
            f"{decoder.vocabulary} and {decoder.bos_id}: give the --tokenizer they were trained with, or the "
            "--bos_id of theirs, which must be a special token"
        )
    return tokenizer


def _config(decoder: Decoder) -> Namespace:
    """A run's configuration with the imported decoder's sizes, and the paper's T_fast for its depth."""
    layers, thoughts, width = decoder.z_shape
    first = decoder.blocks[0]
    sizes = {"width": width, "layers": layers, "heads": first.self_attention.heads, "thoughts": thoughts}
    sizes |= {"window": decoder.window, "inner": first.feed_forward.gate.out_features}
    config = run_parser().get_defaults()
    for name, size in sizes.items():
        config[f"decoder.{name}"] = size
    config["data.length"] = decoder.length
    config["fast.steps"] = 16 if layers < 12 else 64
    return config
