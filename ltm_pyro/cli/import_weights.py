"""`ltm import-weights`: a run from a checkpoint of the paper's released code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ltm_pyro.cli.arguments import parse, refuse_below
from ltm_pyro.errors import InputError
from ltm_pyro.training.import_weights import decoder_from_authors, has_checksums
from ltm_pyro.training.run import Run, run_parser

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from ltm_pyro.data import Tokenizer
    from ltm_pyro.models import Decoder


def main(words: Sequence[str]) -> int:
    """Import; returns the exit code."""
    options = parse(_parser(), words)
    refuse_below(options, heads=1, thoughts=0, window=1, length=1, begin=0)
    folder = Path(options.run or Path("runs") / Path(options.file).stem)
    _refuse_existing(folder)
    sizes = {name: options[name] for name in ("heads", "thoughts", "window", "length", "begin")}
    decoder = decoder_from_authors(options.file, **sizes)
    if not has_checksums(options.file):
        print(f"{options.file} has no checksums: a changed byte in it would not be noticed", file=sys.stderr)
    tokenizer = _tokenizer(options.tokenizer, decoder)
    run = Run.create(folder, _config(decoder), tokenizer)
    blueprint = run.assemble()
    blueprint.model.decoder.load_state_dict(decoder.state_dict())
    run.checkpoints.save(0, blueprint.state_dict(), {}, fingerprint=run.fingerprint)
    count = sum(parameter.numel() for parameter in decoder.parameters())
    print(f"Imported {count:,} parameters into {run.folder}. Next: ltm evaluate {run.folder} CORPUS", file=sys.stderr)
    return 0


def _refuse_existing(folder: Path) -> None:
    empty = os.path.isdir(folder) and not os.listdir(folder)
    if os.path.lexists(folder) and not empty:
        raise InputError(f"{folder} exists: choose another --run, or remove it")


def _tokenizer(spec: str, decoder: Decoder) -> Tokenizer:
    """The tokenizer of the weights; the paper's is GPT-2's with one more token, which begins a text."""
    from ltm_pyro.data import Tokenizer

    tokenizer = Tokenizer.load(spec, flag="--tokenizer")
    if tokenizer.vocabulary == decoder.vocabulary - 1 == decoder.begin:
        tokenizer.add_begin()
    if tokenizer.vocabulary == decoder.vocabulary and tokenizer.begin != decoder.begin:
        tokenizer.begin_with(decoder.begin)
    if (tokenizer.vocabulary, tokenizer.begin) != (decoder.vocabulary, decoder.begin):
        raise InputError(
            f"{spec} has {tokenizer.vocabulary} tokens and begins a text with {tokenizer.begin}; the weights have "
            f"{decoder.vocabulary} and {decoder.begin}: give the --tokenizer they were trained with, or the --begin of "
            "theirs, which must be a special token"
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


def _parser() -> ArgumentParser:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="ltm import-weights", exit_on_error=False, description=__doc__)
    parser.add_argument("file", help="a checkpoint, FILE.pt; read without unpickling code")
    parser.add_argument("--run", help="the new run's folder; runs/FILE if left out")
    parser.add_argument("--tokenizer", default="gpt2", help="a tokenizer.json, or a name on the hub")
    parser.add_function_arguments(decoder_from_authors, skip={"path"})
    return parser
