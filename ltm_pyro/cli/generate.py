"""`ltm generate`: text from a trained run."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from ltm_pyro.cli.arguments import parse, refuse_below
from ltm_pyro.cli.drafting import Draft, load_draft
from ltm_pyro.cli.loading import add_trust_code, load, open_run
from ltm_pyro.cli.text_of_tokens import pieces, shown_prompt, whole_texts
from ltm_pyro.errors import InputError
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser
    from torch import Tensor

    from ltm_pyro.generation import Sampling
    from ltm_pyro.training.blueprint import Blueprint

BATCH_SIZE = 16


def main(words: Sequence[str]) -> int:
    """Generate; returns the exit code."""
    from ltm_pyro.generation import Sampling
    from ltm_pyro.training.randomness import seed_everything

    options = parse(_parser(), words)
    refuse_below(options, samples=1, tokens=1, batch_size=1, ahead=1, seed=0, steps=1, top_k=0)
    sampling = Sampling(options.temperature, options.top_k, options.top_p)
    run = open_run(options.run, options.trust_code)
    blueprint, _ = load(run, options.checkpoint)
    draft = None if options.draft is None else load_draft(run, options.draft, options.ahead, options.trust_code)
    _refuse_unfit(blueprint, draft, options.steps)
    seed_everything(options.seed)  # after loading, so that z is the same with a draft and without
    what = (options.prompt, options.tokens, sampling, draft, options.steps)
    if options.samples == 1:
        for piece in stream(run, blueprint, *what):
            sys.stdout.write(piece)
            sys.stdout.flush()
        print()
    else:
        for number, text in enumerate(texts(run, blueprint, options.samples, *what, options.batch_size), 1):
            print(f"--- {number} ---\n{text}", flush=True)
    if draft is not None:
        print(draft.remark(), file=sys.stderr)
    return 0


def stream(
    run: Run,
    blueprint: Blueprint,
    prompt: str = "",
    tokens: int | None = None,
    sampling: Sampling | None = None,
    draft: Draft | None = None,
    steps: int | None = None,
) -> Iterator[str]:
    """One text as it is written, the prompt first.

    Args:
        run, blueprint: a run and its trained objects.
        prompt: q is fitted on it and then held; empty takes z from the prior.
        tokens: the most to write; as many as the decoder's length holds if None.
        sampling: how tokens are drawn.
        draft: proposes tokens.
        steps: of masked diffusion; None takes one for each token.

    Raises:
        InputError: if the prompt is no text, or too long; before anything is written.
    """
    ids = _encode(run, prompt)
    written = _written(run, blueprint, ids.expand(1, -1), tokens, sampling, draft, steps)
    return chain([shown_prompt(run.tokenizer, prompt, ids)], pieces(run.tokenizer, ids, written))


def texts(
    run: Run,
    blueprint: Blueprint,
    count: int,
    prompt: str = "",
    tokens: int | None = None,
    sampling: Sampling | None = None,
    draft: Draft | None = None,
    steps: int | None = None,
    batch_size: int = BATCH_SIZE,
) -> Iterator[str]:
    """Several texts, each with thoughts of its own, whole and in order, as soon as each and those before it are over.

    Args:
        count: how many.
        batch_size: how many are written at once. With another, one seed gives other texts.

    The other arguments are those of `stream`.
    """
    ids = _encode(run, prompt)
    shown = shown_prompt(run.tokenizer, prompt, ids)
    for begun in range(0, count, batch_size):
        prompts = ids.expand(min(batch_size, count - begun), -1)
        written = _written(run, blueprint, prompts, tokens, sampling, draft, steps)
        yield from (shown + text for text in whole_texts(run.tokenizer, prompts, written))


def _written(
    run: Run,
    blueprint: Blueprint,
    prompts: Tensor,
    tokens: int | None,
    sampling: Sampling | None,
    draft: Draft | None,
    steps: int | None,
) -> Iterator[Tensor]:
    """The tokens of several texts behind one prompt, ids of shape (N, P), (N,) at a time."""
    from ltm_pyro.generation import write, write_by_diffusion, write_speculatively
    from ltm_pyro.models import MaskedDiffusionModel

    model = blueprint.model
    prompts = prompts.to(next(model.parameters()).device)
    rows, prompt_length = prompts.shape
    models = [model] if draft is None else [model, draft.blueprint.model]
    length = min(one.decoder.length for one in models)
    room = length - prompt_length
    if room < (tokens or 1):
        raise InputError(
            f"the prompt is {prompt_length} tokens long, and {'this run' if draft is None else 'these two runs'}'s "
            f"texts hold {length}: that leaves {max(0, room)} to write, not {tokens or 1}. Shorten the prompt, or "
            "write less (--tokens)"
        )
    if isinstance(model, MaskedDiffusionModel):
        return write_by_diffusion(model, prompts, tokens or room, sampling, run.tokenizer.end, steps)
    z = _thoughts(blueprint, prompts[0], rows)
    if draft is None:
        return write(model, z, prompts, tokens or room, sampling, run.tokenizer.end)
    draft_z = _thoughts(draft.blueprint, prompts[0], rows)
    pair = (model, z, draft.blueprint.model, draft_z)
    return write_speculatively(
        *pair, prompts, tokens or room, sampling, run.tokenizer.end, draft.ahead, tally=draft.tally
    )


def _refuse_unfit(blueprint: Blueprint, draft: Draft | None, steps: int | None) -> None:
    from ltm_pyro.models import MaskedDiffusionModel

    models = [blueprint.model] if draft is None else [blueprint.model, draft.blueprint.model]
    diffuses = [isinstance(model, MaskedDiffusionModel) for model in models]
    if draft is not None and any(diffuses):
        raise InputError("--draft: masked diffusion does not write from left to right; leave it out")
    if steps is not None and not diffuses[0]:
        raise InputError(f"--steps {steps}: only masked diffusion writes in steps; leave it out")
    if steps is not None and steps < 1:
        raise InputError(f"--steps {steps}: expected 1 or more; left out, each token has a step of its own")


def _thoughts(blueprint: Blueprint, prompt: Tensor, rows: int) -> Tensor | None:
    from ltm_pyro.generation import thoughts_from_prior, thoughts_from_prompt

    if len(prompt):
        return thoughts_from_prompt(blueprint.model, blueprint.guide, blueprint.fast, prompt, rows)
    return thoughts_from_prior(blueprint.model, rows)


def _encode(run: Run, prompt: str) -> Tensor:
    import torch

    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"the prompt is not UTF-8 at character {error.start}: give it as UTF-8 text") from error
    return torch.as_tensor(run.tokenizer.encode(prompt), dtype=torch.long)


def write_samples(run: Run, blueprint: Blueprint, count: int, seed: int) -> list[str]:
    """Texts with z from the prior; the random state is left as it was."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return list(texts(run, blueprint, count))


def keep_samples(run: Run, samples: Sequence[str]) -> None:
    """Write them under `samples/` in the run's folder.

    Raises:
        InputError: if they cannot be written.
    """
    for number, text in enumerate(samples, 1):
        run.write(f"samples/prior-{number}.txt", text + "\n")


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
    parser.add_argument("--batch_size", type=int, default=BATCH_SIZE, help="how many of several texts to write at once")
    parser.add_argument(
        "--draft",
        default=None,
        help="the folder of a smaller run with the same tokenizer, which proposes tokens: less time, and texts with "
        "exactly the probabilities that they have without it",
    )
    parser.add_argument(
        "--steps", type=int | None, default=None, help="of masked diffusion; one for each token if left out, exact"
    )
    parser.add_argument("--ahead", type=int, default=4, help="how many tokens the draft proposes at once")
    add_trust_code(parser, "the runs name")
    return parser
