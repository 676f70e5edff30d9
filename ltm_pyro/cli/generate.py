"""`ltm generate`: text from a trained run."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ltm_pyro.cli.arguments import parse, refuse_below
from ltm_pyro.cli.loading import load
from ltm_pyro.errors import InputError
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser
    from torch import Tensor

    from ltm_pyro.generation import Sampling
    from ltm_pyro.training.blueprint import Blueprint


def main(words: Sequence[str]) -> int:
    """Generate; returns the exit code."""
    from ltm_pyro.generation import Sampling
    from ltm_pyro.training.randomness import seed_everything

    options = parse(_parser(), words)
    refuse_below(options, samples=1, tokens=1)
    sampling = Sampling(options.temperature, options.top_k, options.top_p)
    seed_everything(options.seed)
    run = Run.open(options.run)
    blueprint, _ = load(run, options.checkpoint)
    for number in range(1, options.samples + 1):
        pieces = stream(run, blueprint, options.prompt, options.tokens, sampling)
        if options.samples > 1:
            print(f"--- {number} ---")
        for piece in pieces:
            sys.stdout.write(piece)
            sys.stdout.flush()
        print()
    return 0


def stream(
    run: Run, blueprint: Blueprint, prompt: str = "", tokens: int | None = None, sampling: Sampling | None = None
) -> Iterator[str]:
    """One text as it is written, the prompt first.

    Args:
        run, blueprint: a run and its trained objects.
        prompt: q is fitted on it and then held; empty takes z from the prior.
        tokens: the most to write; as many as the decoder's length holds if None.
        sampling: how tokens are drawn.

    Raises:
        InputError: if the prompt is no text, or too long; before anything is written.
    """
    from ltm_pyro.generation import thoughts_from_prior, thoughts_from_prompt, write

    model = blueprint.model
    ids = _encode(run, prompt).to(next(model.parameters()).device)
    room = model.decoder.length - len(ids)
    if room < (tokens or 1):
        raise InputError(
            f"the prompt is {len(ids)} tokens long, and this run's texts hold {model.decoder.length}: that leaves "
            f"{max(0, room)} to write, not {tokens or 1}. Shorten the prompt, or write less (--tokens)"
        )
    if len(ids):
        z = thoughts_from_prompt(model, blueprint.guide, blueprint.fast, ids, 1)
    else:
        z = thoughts_from_prior(model, 1)
    return _text(run, prompt, write(model, z, ids[None], tokens or room, sampling, end=run.tokenizer.end))


def _encode(run: Run, prompt: str) -> Tensor:
    import torch

    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"the prompt is not UTF-8 at character {error.start}: give it as UTF-8 text") from error
    return torch.as_tensor(run.tokenizer.encode(prompt), dtype=torch.long)


def _text(run: Run, prompt: str, written: Iterator[Tensor]) -> Iterator[str]:
    from ltm_pyro.data import StreamDecoder

    decoder = StreamDecoder(run.tokenizer)
    yield prompt
    for token in written:
        if int(token) != run.tokenizer.end:
            yield decoder.feed(int(token))
    yield decoder.flush()


def write_samples(run: Run, blueprint: Blueprint, count: int, seed: int) -> list[str]:
    """Texts with z from the prior, kept under `samples/` in the run's folder; the random state is left as it was.

    Raises:
        InputError: if they cannot be written.
    """
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        texts = ["".join(stream(run, blueprint)) for _ in range(count)]
    for number, text in enumerate(texts, 1):
        run.write(f"samples/prior-{number}.txt", text + "\n")
    return texts


def _parser() -> ArgumentParser:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="ltm generate", exit_on_error=False, description=__doc__)
    parser.add_argument("run", help="the run's folder")
    parser.add_argument("--prompt", default="", help="q is fitted on it and then held; z is from the prior if left out")
    parser.add_argument("--samples", type=int, default=1, help="how many texts, each with thoughts of its own")
    parser.add_argument(
        "--tokens", type=int | None, default=None, help="the most to write; all there is room for if left out"
    )
    parser.add_argument("--temperature", type=float, default=1.0, help="divides the logits; 0: the likeliest token")
    parser.add_argument("--top_k", type=int, default=0, help="draw from the k likeliest tokens; 0: from all")
    parser.add_argument("--top_p", type=float, default=1.0, help="draw from the likeliest tokens of total mass p")
    parser.add_argument("--seed", type=int, default=0, help="of thoughts and tokens")
    parser.add_argument("--checkpoint", default="best", help="best, latest, or a step")
    return parser
